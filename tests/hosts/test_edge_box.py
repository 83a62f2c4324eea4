"""The shipped stack `edge-llama-box` with the real Pulumi CLI and the real engine, as a program and in a container:
from a machine with only sshd to an endpoint, nothing to do, a reboot, and away."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from enginehouse.connectors.ssh import SshConnector
from enginehouse.connectors.ssh.settings import CONFIG_VARIABLE
from enginehouse.planner.parts import Runtime
from tests import engine_image
from tests.engine.project import POISON, REPOSITORY, Project, wait_for
from tests.hosts.lab import Lab, Machine
from tests.hosts.world import Dialled
from tests.standins.registry import Registry
from tests.tools_available import cache, require_tool

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(1800)]

INSTALLING_S = 600.0
"""For a run with apt in it, on a machine that is busy."""
BINARY = """\
    # binary:
    #   source: upload://../engines/llama-b11434-bin-ubuntu-x64.tar.gz
    #   sha256: what `sha256sum` says of that file
"""


@dataclass(kw_only=True)
class EdgeProject(Project):
    """A clone whose stack is the shipped one, with an address and a release of the engine filled in."""

    bare: Machine

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, CONFIG_VARIABLE: os.environ[CONFIG_VARIABLE]}

    def ask(self) -> tuple[int, str]:
        """A chat completion over a tunnel: status and what the model said."""
        connector = SshConnector("box", self.bare.ssh())
        try:
            connection = Dialled(connector, 8080, 120)
            body = {"model": "smollm2-135m", "messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 16}
            headers = {"Authorization": f"Bearer {POISON}", "Content-Type": "application/json"}
            connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
            response = connection.getresponse()
            answer = json.loads(response.read())
        finally:
            connector.close()
        return response.status, answer["choices"][0]["message"]["content"] if response.status == 200 else str(answer)


@pytest.fixture(params=[Runtime.SUPERVISOR, Runtime.DOCKER])
def project(lab: Lab, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[EdgeProject]:
    """On a machine of its own, which nobody has touched."""
    with lab.machine("edge", 8) as bare, contextlib.ExitStack() as stack:
        blank = Project.create(tmp_path / "project", Path(require_tool("pulumi")))
        project = EdgeProject(folder=blank.folder, pulumi=blank.pulumi, bare=bare, deadline_s=INSTALLING_S)
        shutil.copy(
            REPOSITORY / "plugins" / "enginehouse" / "pulumi-resource-enginehouse",
            project.root / "plugins" / "enginehouse",
        )
        (project.root / "models").symlink_to(cache() / "models")
        text = (REPOSITORY / "stacks" / "edge-llama-box.yaml").read_text()
        assert BINARY in text
        contained = request.param is Runtime.DOCKER
        engine = stack.enter_context(_in_a_container(bare)) if contained else _as_a_program(project)
        text = text.replace(BINARY, engine).replace("192.0.2.10", bare.address).replace("threads: 2", "threads: 1")
        project.stack_file.write_text(text)
        yield project
        project.stop()


def _as_a_program(project: EdgeProject) -> str:
    """What the stack file says of a release of the engine that it uploads."""
    release = project.root / "engines" / "llama-b11434.tar.gz"
    release.parent.mkdir()
    with tarfile.open(release, "w:gz", compresslevel=1) as archive:
        archive.add(Path(require_tool("llama-server")).resolve(), "llama-b11434/llama-server")
    sha256 = hashlib.sha256(release.read_bytes()).hexdigest()
    return f'    binary: {{source: "upload://../engines/{release.name}", sha256: "{sha256}"}}\n'


@contextlib.contextmanager
def _in_a_container(bare: Machine) -> Iterator[str]:
    """The same of an image. Its registry has no TLS, which somebody has told the Docker that is not there yet."""
    registry = Registry(host=f"{bare.lab.network}.1")
    with contextlib.closing(registry):
        image = registry.add("llama.cpp", engine_image.files(), engine_image.CONFIG)
        bare.run("mkdir /etc/docker")
        trust = {"insecure-registries": [registry.address], "storage-driver": "vfs"}
        bare.put("/etc/docker/daemon.json", json.dumps(trust).encode(), 0o644)
        yield f"    runtime: docker\n    image: {image}\n"


def answer_of(project: EdgeProject) -> tuple[int, str] | None:
    """None while nobody listens."""
    with contextlib.suppress(ConnectionError):
        return project.ask()
    return None


def test_from_sshd_alone_to_an_endpoint_and_away(project: EdgeProject) -> None:
    """The preview names what comes, `up` proves it, the next one has nothing to do, a reboot needs nobody."""
    bare = project.bare
    previewed = project.preview()
    assert re.search(
        "installing curl, (docker.io, )?haproxy, socat, supervisor from the distribution's pack", previewed
    )
    assert "fails" not in previewed

    project.up()
    status, said = project.ask()
    assert (status, bool(said.strip())) == (200, True)
    unit = bare.run("cd /etc/systemd/system; ls enginehouse-*.service").strip()
    pids = bare.run(f"systemctl show -p MainPID {unit}; cat /proc/sys/kernel/random/boot_id")
    assert "unchanged" in project.up()
    assert bare.run(f"systemctl show -p MainPID {unit}; cat /proc/sys/kernel/random/boot_id") == pids

    bare.reboot()
    assert wait_for("an answer after the reboot", lambda: answer_of(project))[0] == 200
    assert {step["op"] for step in project.planned().values()} == {"same"}

    project.run("destroy", "--yes", "--skip-preview")
    assert not bare.holds("grep -lsza ^ENGINEHOUSE_PROGRAM= /proc/[0-9]*/environ | grep .")
    assert not bare.holds("ls /etc/systemd/system/enginehouse-*")
    assert bare.run("ls /var/lib/enginehouse") == "host\nweights\n"
