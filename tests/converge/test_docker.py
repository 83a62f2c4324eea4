"""An engine in a container: the real llama-server, under a Docker daemon of our own and a real supervisor."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from enginehouse.converge import as_inputs, foresee
from enginehouse.converge.preflight import preflight
from enginehouse.errors import ConvergeFailed
from enginehouse.inventory.checks import Check
from enginehouse.planner.needs import needs_of
from enginehouse.render.symbols import Secret
from tests import dockerd, engine_image
from tests.certificates import issue
from tests.converge.conftest import new_world
from tests.converge.harness import World, install_real_engine
from tests.converge.load import load, wait_for_answers
from tests.converge.test_watchdog import STOP_MAIN_THREAD, usable, wait_for_watcher
from tests.standins.gpus import install_gpus, set_gpus, uuid
from tests.standins.registry import Registry
from tests.standins.tiny_model import write_tiny_model

pytestmark = pytest.mark.hosts

HANG_AFTER_S = 5
OTHERS = "somebody-elses"
CURL = """\
#!/bin/sh
for word; do
    shift
    case $word in /var/run/docker.sock) word={socket} ;; esac
    set -- "$@" "$word"
done
exec {curl} "$@"
"""
"""Asks the daemon of the test instead of the machine's."""
CAPTURES = Path(__file__).parents[1] / "captures"


class ContainerWorld(World):
    """A world whose `docker` is the one of a daemon in its own folder."""

    registry: Registry
    image: str

    def yaml(self) -> str:
        return json.dumps({**json.loads(super().yaml()), "site": self.settings.get("site", {})})

    def machine(self) -> Mapping[str, Any]:
        """With the GPUs that the test says it has."""
        return {"local": {}, **self.settings.get("machine", {})}

    def write_model(self, behaviour: Mapping[str, Any]) -> None:
        """One for the real engine, which does what it does."""
        write_tiny_model(self.model)

    def docker(self, *words: str) -> str:
        done = dockerd.docker(self.folder, *words)
        assert done.returncode == 0, (words, done.stderr.decode())
        return done.stdout.decode().strip()

    def containers(self) -> list[str]:
        """Names of all there are."""
        return sorted(self.docker("ps", "--all", "--format={{.Names}}").split())

    def inspected(self) -> dict[str, Any]:
        """The serving one, as Docker tells of it."""
        (found,) = json.loads(self.docker("inspect", self.container))
        assert isinstance(found, dict)
        return found

    @property
    def container(self) -> str:
        return f"enginehouse-{self.stack}-chat-box-0-{self.side}"

    @contextmanager
    def somebody_elses(self, name: str) -> Iterator[None]:
        """A container that is not ours and does nothing."""
        self.docker("create", f"--name={name}", self.image)
        try:
            yield
            assert name in self.containers()
        finally:
            self.docker("rm", "--force", name)

    def pids(self, mark: str) -> list[int]:
        return sorted(pid for pid, found in self.processes().items() if found == mark)

    def start_script(self) -> int:
        """Its process; what it starts outside of the container has its mark, too."""
        info = self.supervisor().info(self.engine)
        assert info
        return info.pid


@pytest.fixture(scope="module")
def made() -> Iterator[ContainerWorld]:
    """A stack that is not up yet, with an image like the engine's official one in a registry."""
    dockerd.require_docker()
    with ExitStack() as stack:
        world = stack.enter_context(new_world(ContainerWorld))
        world.registry = Registry()
        stack.callback(world.registry.close)
        world.image = world.registry.add("llama.cpp", engine_image.files(), engine_image.CONFIG)
        stack.enter_context(dockerd.dockerd(world.folder, "--iptables=false", gpus=True))
        install_real_engine(world)
        client = world.tools / "docker"
        client.write_text(f'#!/bin/sh\nexec {shutil.which("docker")} -H {dockerd.socket(world.folder)} "$@"\n')
        client.chmod(0o755)
        curl = world.tools / "curl"
        curl.write_text(
            CURL.format(socket=dockerd.socket(world.folder).removeprefix("unix://"), curl=shutil.which("curl"))
        )
        curl.chmod(0o755)
        yield world
        world.kill_all()


@pytest.fixture
def contained(made: ContainerWorld) -> ContainerWorld:
    """A stack that is up, whose engine is in a container."""
    made.reset()
    container = {"runtime": "docker", "image": made.image}
    made.settings |= {"container": container, "ready_within_s": 90, "options": {"threads": 1}}
    made.settings["hang_after_s"] = HANG_AFTER_S
    made.up()
    made.events.clear()
    return made


def test_an_image_that_does_not_fit_is_told_before_anything_is_begun(made: ContainerWorld, tmp_path: Path) -> None:
    """By what its registry says of it. The twin is one that fits; one that is there needs no room."""
    with closing(Registry(tls=_tls(tmp_path / "pair.pem"))) as registry:
        there = registry.add("there", {"there": Path(__file__)}, {})
        made.docker("pull", "--quiet", there)
        promised = [registry.promise("llama.cpp", size) for size in (1 << 60, 1 << 20)]
        room = [_room_for(made, image) for image in (*promised, there)]
        made.docker("rmi", there)
    assert [(check.ok, "for images" in check.needed) for check in room] == [(False, True), (True, True), (True, False)]


def test_an_engine_serves_from_a_container_that_may_do_little(contained: ContainerWorld) -> None:
    """By digest, on loopback, with weights to read and nothing to write; a second run is one look and no write."""
    assert contained.ask(max_tokens=4)[0] == 200
    found = contained.inspected()
    assert found["Config"]["Image"] == contained.image
    labels = {name: value for name, value in found["Config"]["Labels"].items() if name.startswith("enginehouse.")}
    assert labels == {
        "enginehouse.state": str(contained.state),
        "enginehouse.program": f"{contained.stack}/chat-box-0/{contained.side}",
        "enginehouse.stack": contained.stack,
        "enginehouse.part": "chat-box-0",
        "enginehouse.release": contained.manifest("chat-box-0")["release"],
    }
    host = found["HostConfig"]
    assert (host["Init"], host["ReadonlyRootfs"], host["CapDrop"]) == (True, True, ["ALL"])
    assert [(mount["Source"], mount["RW"]) for mount in found["Mounts"]] == [(str(contained.weights()), False)]
    assert f"127.0.0.1:{contained.serving_port}" in _listening(contained.serving_port)
    assert contained.registry.pulled == [contained.image.partition("@")[2]]
    before, runs = contained.snapshot(), contained.connector.runs
    contained.converge(contained.replica())
    assert (contained.connector.runs - runs, contained.snapshot()) == (1, before)
    assert not (contained.observe(contained.plan().hosts[0]) or pytest.fail()).inputs.get("drift")


def _listening(port: int) -> str:
    return subprocess.run(("ss", "-Hltn", f"sport = :{port}"), check=True, capture_output=True, text=True).stdout


def test_an_edit_fails_no_request_and_leaves_one_container(contained: ContainerWorld) -> None:
    """The next release starts beside the running one, on the other side, and the old container goes with it."""
    side = contained.side
    with load(contained, clients=2) as count:
        wait_for_answers(count, 2)
        contained.settings["context"] = 1024
        assert str(foresee(contained.replica(), contained.context())).startswith("restart")
        contained.converge(contained.replica())
        wait_for_answers(count, 2)
    assert count.failed == []
    assert contained.side is side.other()
    assert contained.containers() == [contained.container]


def test_an_engine_moves_into_its_container_and_out_again(contained: ContainerWorld) -> None:
    """The runtime is changed while requests come; what ran before is gone each time."""
    container = contained.settings["container"]
    with load(contained, clients=2) as count:
        for runtime, left in (({}, 0), (container, 1)):
            wait_for_answers(count, 2)
            contained.settings["container"] = runtime
            contained.converge(contained.replica())
            assert len(contained.containers()) == left
            wait_for_answers(count, 2)
    assert count.failed == []


def kill_start_script(world: ContainerWorld) -> None:
    os.kill(world.start_script(), signal.SIGKILL)


def kill_all_outside(world: ContainerWorld) -> None:
    """Everything of the side but its container."""
    for pid in world.pids(f"chat-box-0/{world.side}"):
        os.kill(pid, signal.SIGKILL)


def remove_container(world: ContainerWorld) -> None:
    world.docker("rm", "--force", world.container)


@pytest.mark.parametrize("harm", [kill_start_script, kill_all_outside, remove_container])
def test_a_container_that_is_lost_comes_again_by_itself(
    contained: ContainerWorld, harm: Callable[[ContainerWorld], None]
) -> None:
    """Nobody runs anything: the supervisor starts it anew, and what was left behind ends first."""
    before = contained.inspected()["Id"]
    harm(contained)
    contained.wait_until(lambda: _is_another(contained, before))
    contained.wait_until(lambda: contained.ask(max_tokens=4)[0] == 200)
    assert contained.containers() == [contained.container]
    assert contained.observe(contained.plan().hosts[0])
    contained.up()


def _is_another(world: ContainerWorld, before: str) -> bool:
    ids = world.docker("ps", "--quiet", "--no-trunc", f"--filter=name={world.container}").split()
    return ids not in ([], [before])


def test_a_container_without_a_supervisor_is_found_and_ended(contained: ContainerWorld) -> None:
    """Everything but the container was killed: a look names it, and the next run begins anew, with one container."""
    before = contained.inspected()["Id"]
    contained.kill("box/supervisor")
    kill_all_outside(contained)
    observed = contained.observe(contained.plan().hosts[0])
    assert observed and observed.inputs["running"] is False
    contained.up()
    assert contained.ask(max_tokens=4)[0] == 200
    assert contained.containers() == [contained.container]
    assert contained.inspected()["Id"] != before


def test_a_container_beside_a_living_supervisor_is_drift(contained: ContainerWorld) -> None:
    """As after a kill -9 at the wrong moment: one of the idle side is named, and ended before anything is started."""
    idle = contained.side.other()
    mark = f"{contained.stack}/chat-box-0/{idle}/container"
    names = ("--env", "ENGINEHOUSE_STATE", "--env", "ENGINEHOUSE_PROGRAM", "--env", "ENGINEHOUSE_RELEASE")
    words = ("run", "--detach", "--rm", "--init", "--network=host", f"--volume={contained.weights()}:/m:ro", *names)
    ours = {"ENGINEHOUSE_STATE": str(contained.state), "ENGINEHOUSE_PROGRAM": mark, "ENGINEHOUSE_RELEASE": "x"}
    port = str(contained.replica().ports[idle])
    command = ("docker", "-H", dockerd.socket(contained.folder), *words, contained.image)
    subprocess.run((*command, "--model", "/m", "--port", port), env={**os.environ, **ours}, check=True)
    host = contained.plan().hosts[0]
    observed = contained.observe(host)
    assert observed
    (text,) = observed.inputs["drift"]["processes"].values()
    assert text.startswith("runs without the supervisor")
    assert list(observed.inputs["drift"]["processes"]) == [f"chat-box-0/{idle}/container"]
    contained.converge(host)
    contained.wait_until(lambda: contained.containers() == [contained.container])
    assert contained.ask(max_tokens=4)[0] == 200


def test_a_name_that_somebody_else_has_is_left_to_them(contained: ContainerWorld) -> None:
    """The new release fails with whose the name is; the old one serves, and their container is as it was."""
    name = contained.container.removesuffix(contained.side) + contained.side.other()
    with contained.somebody_elses(name):
        theirs = contained.docker("inspect", "--format={{.Id}}", name)
        contained.settings["context"] = 1024
        with pytest.raises(ConvergeFailed, match="the release from before serves") as failure:
            contained.converge(contained.replica())
        assert any(theirs in reason for reason in failure.value.reasons)
        assert contained.ask(max_tokens=4)[0] == 200


@pytest.mark.parametrize(
    ("limit", "changed", "told"),
    [
        ({}, ("--memory=900m", "--memory-swap=-1"), "Memory 943718400"),
        ({}, ("--cpu-shares=2",), "CpuShares 2"),
        ({"memory_gib": 1}, ("--restart=always",), "RestartPolicy always"),
    ],
)
def test_what_docker_update_changed_is_drift_and_healed(
    contained: ContainerWorld, limit: dict[str, int], changed: tuple[str, ...], told: str
) -> None:
    """Named in Docker's words by the one look, and healed by an engine beside it; no request fails.

    Docker changes no policy of a container that goes when it ends, as one without a limit does.
    """
    contained.settings["container"] = {**contained.settings["container"], **limit}
    contained.converge(contained.replica())
    contained.docker("update", *changed, contained.container)
    before, runs = contained.container, contained.connector.runs
    observed = contained.observe(contained.replica())
    assert observed
    assert observed.inputs["drift"]["container"] == f"changed while it runs ({told})"
    assert contained.connector.runs == runs + 1
    with load(contained, clients=2) as count:
        wait_for_answers(count, 2, within_s=60)
        contained.converge(contained.replica())
        wait_for_answers(count, 2, within_s=60)
    assert count.failed == []
    assert contained.containers() == [contained.container] != [before]
    healed = contained.observe(contained.replica())
    assert healed and "drift" not in healed.inputs


@pytest.mark.parametrize(("limit", "memory"), [({}, 0), ({"memory_gib": 1}, 1 << 30)])
def test_what_the_stack_asks_for_is_no_change_of_a_container(
    contained: ContainerWorld, limit: dict[str, int], memory: int
) -> None:
    """Twin: Docker tells of it, and it is as it was started."""
    contained.settings["container"] = {**contained.settings["container"], **limit}
    contained.converge(contained.replica())
    assert contained.inspected()["HostConfig"]["Memory"] == memory
    observed = contained.observe(contained.replica())
    assert observed and "drift" not in observed.inputs


def test_a_context_that_takes_more_memory_than_the_container_may_is_explained(contained: ContainerWorld) -> None:
    """The release from before serves, the journal tells of it, and nothing of the container is left."""
    contained.settings["container"] = {**contained.settings["container"], "memory_gib": 1}
    contained.settings |= {"context": 4_000_000, "slots": 1}
    with pytest.raises(ConvergeFailed, match="the release from before serves") as failure:
        contained.converge(contained.replica())
    assert any("took more than its memory limit of 1024 MiB" in reason for reason in failure.value.reasons)
    assert contained.journal("out-of-memory")
    assert contained.ask(max_tokens=4)[0] == 200
    assert contained.containers() == [contained.container]


def test_a_container_with_a_limit_is_gone_once_it_is_stopped(contained: ContainerWorld) -> None:
    """Nobody asks it any more whether the limit ended it: an exchange leaves one container, and destroy none."""
    contained.settings["container"] = {**contained.settings["container"], "memory_gib": 2}
    contained.converge(contained.replica())
    contained.settings["container"] |= {"memory_gib": 3}
    contained.converge(contained.replica())
    assert contained.containers() == [contained.container]
    contained.down()
    assert contained.containers() == []


def test_an_image_that_is_not_there_touches_nothing(contained: ContainerWorld) -> None:
    """The registry's words are the reason, and no engine was stopped or started."""
    before = contained.processes()
    absent = f"{contained.image.partition('@')[0]}@sha256:{'1' * 64}"
    contained.settings["container"] = {"runtime": "docker", "image": absent}
    with pytest.raises(ConvergeFailed, match=r"bringing the image .* failed"):
        contained.converge(contained.replica())
    assert contained.processes() == before


def test_the_watchdog_restarts_an_engine_that_hangs_in_its_container(contained: ContainerWorld) -> None:
    """Its main thread is stopped and hears no SIGTERM: requests wait until the next container answers."""
    before = contained.inspected()["Id"]
    wait_for_watcher(contained)
    engine = contained.pids(f"chat-box-0/{contained.side}/container")[-1]
    with subprocess.Popen([sys.executable, STOP_MAIN_THREAD, str(engine)], stdout=subprocess.PIPE, text=True) as tracer:
        assert tracer.stdout is not None
        assert tracer.stdout.readline() == "stopped\n"
        contained.wait_until(lambda: not usable(contained))
        assert contained.ask(max_tokens=4)[0] == 200
    contained.wait_until(lambda: bool(contained.journal("recovered")))
    assert contained.containers() == [contained.container]
    assert contained.inspected()["Id"] != before


def test_a_container_gets_just_its_gpus_and_no_more_rights(contained: ContainerWorld) -> None:
    """By UUID. Without NVIDIA's container toolkit the host part says where to get it from, before anything is done."""
    captures = contained.folder / "gpus"
    install_gpus(contained.tools, captures)
    set_gpus(captures, tuple(map(uuid, range(3))))
    contained.settings["machine"] = {"gpus": {"model": "l40s", "count": 3}}
    contained.settings["container"] = {**contained.settings["container"], "gpus": {"devices": ["0", "2"]}}
    before = contained.processes()
    with pytest.raises(ConvergeFailed, match="required programs are missing") as failure:
        contained.converge(contained.plan().hosts[0])
    assert any("get it from NVIDIA's package nvidia-container-toolkit" in reason for reason in failure.value.reasons)
    assert contained.processes() == before
    toolkit = contained.tools / "nvidia-ctk"
    toolkit.write_text(f"#!/bin/sh\ncat {CAPTURES / 'runtimes' / 'nvidia-ctk.txt'}\n")
    toolkit.chmod(0o755)
    contained.converge(contained.plan().hosts[0])
    contained.converge(contained.replica())
    host = contained.inspected()["HostConfig"]
    assert host["DeviceRequests"] == [
        {"Driver": "", "Count": 0, "DeviceIDs": [uuid(0), uuid(2)], "Capabilities": [["gpu"]], "Options": {}}
    ]
    assert (host["CapDrop"], host["Privileged"], host["Devices"]) == (["ALL"], False, [])
    assert contained.ask(max_tokens=4)[0] == 200
    runs = contained.connector.runs
    contained.converge(contained.replica())
    assert contained.connector.runs - runs == 1


def test_a_docker_that_does_not_answer_is_named(contained: ContainerWorld) -> None:
    """By the host part, before anything is done."""
    client = contained.tools / "docker"
    working = client.read_text()
    client.write_text(working.replace("docker.sock", "no.sock"))
    try:
        with pytest.raises(ConvergeFailed, match="Docker does not answer") as failure:
            contained.converge(contained.plan().hosts[0])
        assert "Cannot connect to the Docker daemon" in "\n".join(failure.value.reasons)
    finally:
        client.write_text(working)


def test_destroy_removes_our_containers_and_no_others(contained: ContainerWorld) -> None:
    """Nor a process is left; the image stays."""
    with contained.somebody_elses(OTHERS):
        contained.down()
        assert contained.containers() == [OTHERS]
        assert contained.processes() == {}
        contained.docker("image", "inspect", contained.image)


def test_a_container_has_the_room_that_the_stack_gives_it(contained: ContainerWorld) -> None:
    """Another size is another release; one that somebody wrote into the start script is drift, and is put right."""
    limits = {"memlock": "unlimited", "nofile": 65536, "stack": 67108864}
    contained.settings["container"] = {**contained.settings["container"], "container": {"ulimits": limits}}
    contained.converge(contained.replica())
    contained.settings["container"] |= {"container": {"shm_gib": 1, "ulimits": limits}}
    assert str(foresee(contained.replica(), contained.context())).startswith("restart")
    contained.converge(contained.replica())
    assert contained.journal("changed")[-1].text == "container.shm_gib: not set => 1"
    assert _room(contained) == (1 << 30, {"memlock": -1, "nofile": 65536, "stack": 67108864})

    script = contained.place(
        "chat-box-0", "releases", f"{contained.manifest('chat-box-0')['release']}-{contained.side}"
    )
    edited = script / "start"
    edited.write_text(edited.read_text().replace("--shm-size=1g", "--shm-size=2g"))
    observed = contained.observe(contained.replica())
    assert observed and observed.inputs != as_inputs(contained.replica())
    contained.converge(contained.replica())
    assert _room(contained)[0] == 1 << 30


def _room(world: ContainerWorld) -> tuple[int, dict[str, int]]:
    """As it was asked for: the machine of a test may be able to give less."""
    host = world.inspected()["HostConfig"]
    assert all(limit["Soft"] == limit["Hard"] for limit in host["Ulimits"])
    return host["ShmSize"], {limit["Name"]: limit["Soft"] for limit in host["Ulimits"]}


MIRRORED = "images.example/team/llama.cpp"
"""In a registry that nobody reaches."""
PASSWORD = "poison-7d1e"


@pytest.fixture
def mirror(made: ContainerWorld) -> Iterator[Registry]:
    """Of that registry, which wants a login and has an image that the machine has not."""
    registry = Registry(login=f"robot:{PASSWORD}")
    yield registry
    registry.close()


def from_mirror(world: ContainerWorld, mirror: Registry, version: str) -> str:
    """The stack wants an image that only the mirror has; its digest."""
    config = {**engine_image.CONFIG, "Labels": {"version": version}}
    digest = mirror.add("llama.cpp", engine_image.files(), config).partition("@")[2]
    world.settings["container"] = {"runtime": "docker", "image": f"{MIRRORED}:server@{digest}"}
    login = {"username": "robot", "password": {"secret": "registry"}}
    world.settings["site"] = {"registries": {"images.example": {"mirror": f"{mirror.address}/copies", **login}}}
    world.secrets["registry"] = Secret(PASSWORD)
    return digest


def test_an_image_comes_from_its_mirror_and_the_password_stays_nowhere(
    contained: ContainerWorld, mirror: Registry
) -> None:
    """Not while it is fetched, and not afterwards; what runs is still known by its own name and digest."""
    digest = from_mirror(contained, mirror, "one")
    seen: list[str] = []
    mirror.on_pull = lambda: seen.extend(_where_it_stands(contained, PASSWORD))
    contained.converge(contained.replica())
    assert mirror.pulled == [digest]
    assert {path for path in mirror.asked if "/manifests/" in path} == {f"/v2/copies/team/llama.cpp/manifests/{digest}"}
    assert [*seen, *_where_it_stands(contained, PASSWORD)] == []
    assert contained.inspected()["Config"]["Labels"]["enginehouse.image"] == f"{MIRRORED}:server@{digest}"
    assert contained.ask(max_tokens=4)[0] == 200
    assert PASSWORD not in json.dumps([contained.inspected(), contained.manifest("chat-box-0"), contained.texts()])


def _where_it_stands(world: ContainerWorld, password: str) -> Iterator[str]:
    """Files of this stack and of Docker's client, command lines and environments that have it, as it is or encoded."""
    words = (password.encode(), base64.b64encode(f"robot:{password}".encode()))
    files = [path for path in world.state.rglob("*") if path.is_file() and not path.is_symlink()]
    files += [*Path.home().glob(".docker/*"), world.folder / "dockerd.log"]
    for path in (*files, *Path("/proc").glob("[0-9]*/cmdline"), *Path("/proc").glob("[0-9]*/environ")):
        with suppress(OSError):
            if any(word in path.read_bytes() for word in words):
                yield str(path)


def test_a_password_in_a_command_line_would_be_seen(contained: ContainerWorld) -> None:
    """Twin: the search finds one."""
    with subprocess.Popen(("sh", "-c", "read -r line", PASSWORD), stdin=subprocess.PIPE) as process:
        assert list(_where_it_stands(contained, PASSWORD)) == [f"/proc/{process.pid}/cmdline"]
        process.communicate(b"\n")


def wrong_password(world: ContainerWorld, mirror: Registry) -> str:
    world.secrets["registry"] = Secret("wrong")
    return "as robot with the secret 'registry'"


def no_password(world: ContainerWorld, mirror: Registry) -> str:
    del world.secrets["registry"]
    return "without a login: the secret 'registry' has no value here"


def no_mirror(world: ContainerWorld, mirror: Registry) -> str:
    mirror.close()
    return f"only the mirror {mirror.address}/copies was asked"


@pytest.mark.parametrize("fault", [wrong_password, no_password, no_mirror])
def test_an_image_that_the_mirror_does_not_give_touches_nothing(
    contained: ContainerWorld, mirror: Registry, fault: Callable[[ContainerWorld, Registry], str]
) -> None:
    """Who was asked, and how, is a reason; nobody else is asked, and the engine runs on."""
    from_mirror(contained, mirror, "never")
    told = fault(contained, mirror)
    before = contained.processes()
    with pytest.raises(ConvergeFailed, match=r"bringing the image .* failed") as failure:
        contained.converge(contained.replica())
    assert told in failure.value.reasons[-1]
    assert contained.processes() == before
    assert mirror.pulled == []


def test_another_mirror_and_another_password_restart_nothing(contained: ContainerWorld, mirror: Registry) -> None:
    """Also a first mirror, and none any more: the image is the same. The next start finds it by its digest."""
    plain = contained.settings["container"]
    registry = plain["image"].partition("/")[0]
    before = contained.inspected()["Id"]
    contained.settings["site"] = {"registries": {registry: {"mirror": "mirror.example"}}}
    assert contained.converge(contained.replica())["side"]
    contained.settings["site"] = {}
    contained.converge(contained.replica())
    assert contained.inspected()["Id"] == before

    from_mirror(contained, mirror, "two")
    contained.converge(contained.replica())
    before = contained.inspected()["Id"]
    contained.secrets["registry"] = Secret("rotated")
    unchanged, runs = contained.snapshot(), contained.connector.runs
    contained.converge(contained.replica())
    assert (contained.connector.runs - runs, contained.snapshot()) == (1, unchanged)
    for site in ({"registries": {"images.example": {"mirror": "other.example"}}}, {}):
        contained.settings["site"] = site
        assert str(foresee(contained.replica(), contained.context())).startswith("record only")
        contained.converge(contained.replica())
    assert contained.inspected()["Id"] == before
    remove_container(contained)
    contained.wait_until(lambda: _is_another(contained, before))
    contained.wait_until(lambda: contained.ask(max_tokens=4)[0] == 200)


def _tls(file: Path) -> ssl.SSLContext:
    """As a server on loopback, where Docker takes any certificate."""
    pair = issue(None, "127.0.0.1")
    file.write_text(pair.pem + pair.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def _room_for(world: ContainerWorld, image: str) -> Check:
    needs = replace(needs_of(world.plan(), "box"), images=(image,))
    found = preflight(world.plan().hosts[0], world.context(), needs)
    return next(check for check in found if check.what == "disk")
