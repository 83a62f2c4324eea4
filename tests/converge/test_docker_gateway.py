"""The gateway in a container: the real HAProxy, under a Docker daemon of our own and a real supervisor."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from enginehouse.converge import foresee
from enginehouse.errors import ConvergeFailed
from enginehouse.render.symbols import Secret
from tests import dockerd
from tests.converge.conftest import new_world
from tests.converge.harness import KEY, World
from tests.converge.load import load, wait_for_answers
from tests.converge.test_docker import ContainerWorld
from tests.converge.test_own_ca import HOSTNAME, TLS, reissue, shown, trust
from tests.standins.registry import Registry
from tests.tools_available import require_tool

pytestmark = pytest.mark.hosts

ROTATED = "sk-demo-rotated"


class GatewayWorld(ContainerWorld):
    """A world with the stand-in engine on the machine, and without HAProxy there."""

    def write_model(self, behaviour: Mapping[str, Any]) -> None:
        World.write_model(self, behaviour)

    @property
    def container(self) -> str:
        return f"enginehouse-{self.stack}-gateway-box-gateway"


@pytest.fixture(scope="module")
def made() -> Iterator[GatewayWorld]:
    """A stack that is not up yet, with an image of HAProxy in a registry."""
    dockerd.require_docker()
    with ExitStack() as stack:
        world = stack.enter_context(new_world(GatewayWorld))
        world.registry = Registry()
        stack.callback(world.registry.close)
        world.image = haproxy_image(world.registry, "one")
        stack.enter_context(dockerd.dockerd(world.folder, "--iptables=false"))
        (world.tools / "haproxy").unlink()
        client = world.tools / "docker"
        client.write_text(f'#!/bin/sh\nexec {shutil.which("docker")} -H {dockerd.socket(world.folder)} "$@"\n')
        client.chmod(0o755)
        yield world
        world.kill_all()


def haproxy_image(registry: Registry, version: str) -> str:
    """This machine's HAProxy and what it is linked to, and nothing else."""
    program = str(Path(require_tool("haproxy")).resolve())
    linked = subprocess.run(("ldd", program), check=True, capture_output=True, text=True).stdout
    # The C library loads libgcc_s by itself, once a thread ends.
    unlinked = [str(path) for path in Path("/lib").glob("*/libgcc_s.so.1")]
    files = {path: Path(path) for path in (*re.findall(r"(/\S+) \(", linked), *unlinked)}
    libraries = ":".join(sorted({str(path.parent) for path in files.values()}))
    env = ["PATH=/opt/bin", f"LD_LIBRARY_PATH={libraries}"]
    config = {"Entrypoint": ["/no-such-entrypoint"], "Env": env, "Labels": {"version": version}}
    return registry.add("haproxy", {"/opt/bin/haproxy": Path(program), **files}, config)


@pytest.fixture
def boxed(made: GatewayWorld) -> GatewayWorld:
    """A stack that is up, whose HAProxy is in a container."""
    made.reset()
    made.settings["endpoint"] = {"image": made.image}
    made.up()
    made.events.clear()
    return made


def test_haproxy_serves_from_a_container_that_may_do_little(boxed: GatewayWorld) -> None:
    """It writes to its own folder alone; a second run is one look and no write."""
    assert "haproxy" not in boxed.plan().hosts[0].tools
    assert (boxed.ask()[0], boxed.ask(key=None)[0]) == (200, 401)
    found = boxed.inspected()
    assert found["Config"]["Labels"]["enginehouse.image"] == boxed.image
    assert (found["HostConfig"]["ReadonlyRootfs"], found["HostConfig"]["CapDrop"]) == (True, ["ALL"])
    assert [(mount["Source"], mount["RW"]) for mount in found["Mounts"]] == [(str(boxed.place("gateway-box")), True)]
    before, runs = boxed.snapshot(), boxed.connector.runs
    boxed.converge(boxed.gateway())
    assert (boxed.connector.runs - runs, boxed.snapshot()) == (1, before)


def test_reloads_fail_no_request(boxed: GatewayWorld) -> None:
    """Keys come and go under load; the container, and HAProxy's master in it, live on."""
    before = boxed.inspected()["Id"]
    with load(boxed) as count:
        for number in range(3):
            boxed.secrets["spare"] = Secret(f"spare-{number}")
            boxed.settings["secrets"] = ["key-demo", "spare"]
            assert str(foresee(boxed.gateway(), boxed.context())).startswith("reload")
            boxed.converge(boxed.gateway())
            wait_for_answers(count, 4)
    assert count.failed == []
    boxed.secrets["key-demo"] = Secret(ROTATED)
    boxed.converge(boxed.gateway())
    assert (boxed.ask(key=KEY)[0], boxed.ask(key=ROTATED)[0]) == (401, 200)
    assert boxed.inspected()["Id"] == before


def test_it_shows_a_certificate_that_its_machine_renews(boxed: GatewayWorld) -> None:
    """The machine makes and renews it; HAProxy reads it in its container, and of the next one without a reload."""
    boxed.settings["endpoint"] |= {"hostname": HOSTNAME, "tls": TLS}
    boxed.up()
    trust(boxed)
    before = shown(boxed)
    assert boxed.ask()[0] == 200
    reissue(boxed, days=29)
    boxed.kill("gateway-box/certificates")  # it looks at once when it is started again
    boxed.wait_until(lambda: shown(boxed) != before)
    assert boxed.ask()[0] == 200


def test_a_container_that_is_lost_comes_again_and_knows_who_serves(boxed: GatewayWorld) -> None:
    before = boxed.inspected()["Id"]
    boxed.docker("rm", "--force", boxed.container)
    boxed.wait_until(lambda: boxed.ask()[0] == 200)
    assert boxed.inspected()["Id"] != before


def test_another_image_is_a_restart(boxed: GatewayWorld) -> None:
    """One that is not there touches nothing. Afterwards there is one container, and it serves."""
    absent = f"{boxed.image.partition('@')[0]}@sha256:{'1' * 64}"
    boxed.settings["endpoint"] = {"image": absent}
    with pytest.raises(ConvergeFailed, match=r"bringing the image .* failed"):
        boxed.converge(boxed.gateway())
    assert boxed.ask()[0] == 200
    boxed.settings["endpoint"] = {"image": (image := haproxy_image(boxed.registry, "two"))}
    assert str(foresee(boxed.gateway(), boxed.context())).startswith("restart with a pause")
    boxed.converge(boxed.gateway())
    assert boxed.ask()[0] == 200
    assert boxed.containers() == [boxed.container]
    assert boxed.inspected()["Config"]["Labels"]["enginehouse.image"] == image


def test_an_image_that_does_not_start_leaves_the_endpoint_as_it_was(boxed: GatewayWorld) -> None:
    """The HAProxy from before starts again, and the next run finds nothing to do for it."""
    before, settings = boxed.inspected()["Config"]["Image"], dict(boxed.settings)
    image = haproxy_image(boxed.registry, "three")
    with client_that_fails(boxed, f"enginehouse.image={image}"):
        boxed.settings["endpoint"] = {"image": image}
        with pytest.raises(ConvergeFailed, match="the gateway exited; the release from before serves"):
            boxed.converge(boxed.gateway())
        assert boxed.ask()[0] == 200
        assert (boxed.containers(), boxed.inspected()["Config"]["Image"]) == ([boxed.container], before)
    boxed.settings = settings
    assert str(foresee(boxed.gateway(), boxed.context())).startswith("nothing")


@contextmanager
def client_that_fails(world: GatewayWorld, word: str) -> Iterator[None]:
    """Docker's client refuses what has `word` in its arguments."""
    client = world.tools / "docker"
    text = client.read_text()
    client.write_text(text.replace("#!/bin/sh\n", f'#!/bin/sh\ncase "$*" in *{word}*) exit 125 ;; esac\n'))
    try:
        yield
    finally:
        client.write_text(text)


def test_destroy_leaves_no_container(boxed: GatewayWorld) -> None:
    boxed.down()
    assert boxed.containers() == []
    assert boxed.processes() == {}
