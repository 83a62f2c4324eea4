"""Two machines of one stack with the real Pulumi CLI: what concerns one of them leaves the other alone, another machine
behind an address is never touched, and a secret's value is nowhere on a machine."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from enginehouse.connectors.ssh.settings import CONFIG_VARIABLE
from tests.converge.harness import STANDIN
from tests.engine.project import POISON, REPOSITORY, STACK, Project
from tests.hosts.exposure import exposed, watched
from tests.hosts.lab import Lab, Machine
from tests.hosts.world import ENGINE
from tests.ssh.server import Client
from tests.tools_available import require_tool

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(900)]

STATE = "/var/lib/enginehouse"
STACK_FILE = """\
enginehouse: 1
machines:
  shops:
    ssh:
      user: ops
      become: sudo
      hosts: {hosts}
deployments:
  chat:
    engine: llama-cpp
    version: "b11434"
    runs_on: shops
    model: {{source: "upload://model.gguf", sha256: {sha256}, served_name: tiny}}
    context_tokens: {context}
    slots: 2
endpoint:
  runs_on: shops
  scope: each_host
  port: 8080
  keys: [{{name: demo, secrets: [key-demo]}}]
"""
MODEL = b"{}"


@dataclass(kw_only=True)
class ShopsProject(Project):
    """A stack whose hosts can be written in any order, with any address."""

    shops: dict[str, Machine]
    client: Client

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, CONFIG_VARIABLE: os.environ[CONFIG_VARIABLE]}

    def write(self, *hosts: str, context: int = 2048) -> None:
        """The stack with those hosts, by names that `lead` knows."""
        addresses = {host: {"address": f"{host}.lab"} for host in hosts}
        sha256 = hashlib.sha256(MODEL).hexdigest()
        self.stack_file.write_text(STACK_FILE.format(hosts=json.dumps(addresses), sha256=sha256, context=context))

    def lead(self, **machines: str) -> None:
        """Where the hosts' names lead to; OpenSSH's configuration says so."""
        config = self.client.config
        plain = config.read_text().partition("\nHost ")[0]
        hosts = (f"\nHost {host}.lab\n  HostName {self.shops[machine].address}\n" for host, machine in machines.items())
        config.write_text("".join((plain, *hosts)))

    def refused(self, *words: str) -> bool:
        """Whether the CLI says that another machine answers, and nothing that only we understand, and fails."""
        process = self.start(*words)
        said = process.communicate(timeout=self.deadline_s)[0]
        assert "Traceback" not in said
        return process.returncode != 0 and "another machine answers (its id is" in said

    def truth(self, host: str) -> str:
        """What runs on a machine as which process, and every file of ours there with its time."""
        return self.shops[host].run(
            "grep -sza '^ENGINEHOUSE_PROGRAM=' /proc/[0-9]*/environ | tr '\\0' '\\n';"
            f"find {STATE} -type f ! -name '*.log' ! -path '*/run/*' ! -name lost+found -printf '%p %T@\\n' | sort"
        )

    def changed(self) -> dict[str, str]:
        """What a preview would do, by resource, where that is not nothing."""
        return {name: step["op"] for name, step in self.planned().items() if step["op"] != "same"}


@pytest.fixture
def project(lab: Lab, equipped: str, tmp_path: Path) -> Iterator[ShopsProject]:
    with contextlib.ExitStack() as stack:
        shops = {
            name: stack.enter_context(lab.machine(name, 30 + number, image=equipped))
            for number, name in enumerate(("anna", "bert"))
        }
        for machine in shops.values():
            machine.put("/opt/standin.py", STANDIN.read_bytes())
            machine.put(ENGINE, b'#!/bin/sh\nexec python3 -S -E /opt/standin.py "$@"\n')
        blank = Project.create(tmp_path / "project", Path(require_tool("pulumi")))
        project = ShopsProject(folder=blank.folder, pulumi=blank.pulumi, shops=shops, client=lab.client, deadline_s=300)
        stack.callback(lab.client.config.write_text, lab.client.config.read_text())
        project.lead(anna="anna", bert="bert")
        launcher = Path("plugins", "enginehouse", "pulumi-resource-enginehouse")
        shutil.copy(REPOSITORY / launcher, project.root / launcher)
        (project.root / "stacks" / "model.gguf").write_bytes(MODEL)
        stack.callback(project.stop)
        yield project


def test_what_concerns_one_machine_leaves_the_other_alone(project: ShopsProject) -> None:
    """Another order of the hosts is nothing; one host less takes that one away, and nothing else."""
    anna, bert = project.shops.values()
    project.write("anna", "bert")
    with watched(anna, POISON) as seen:
        project.up()
    assert seen == []
    assert exposed(anna, POISON) == exposed(bert, POISON) == []

    project.write("bert", "anna")
    assert project.changed() == {}

    before = [project.truth(host) for host in project.shops]
    project.lead(anna="bert", bert="anna")
    changing = ("up", "--yes", "--skip-preview")
    removing = ("destroy", "--yes", "--skip-preview")
    assert project.refused(*changing)
    assert project.refused(*removing)
    project.write("anna", "bert", context=1024)
    assert project.refused(*changing, "--refresh=false")
    assert project.refused(*removing, "--refresh=false")
    project.lead(anna="anna", bert="bert")
    assert [project.truth(host) for host in project.shops] == before

    project.write("bert")
    ours = {"chat-anna-0", "chat-weights-anna", "gateway-anna", "endpoint-anna", "anna"}
    changed = project.changed()
    assert {changed[name] for name in ours} == {"delete"}
    assert not any("bert" in name for name in changed)
    project.up()
    assert project.truth("bert") == before[1]
    assert f"/{STACK}/" not in project.truth("anna")
    assert "ENGINEHOUSE_PROGRAM" not in project.truth("anna")
