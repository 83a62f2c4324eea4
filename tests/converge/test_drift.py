"""Breaking by hand: a look names exactly what differs, and a run puts right exactly that.

One row a way to break something. Weights are told by size, time and inode, so a forged file that has all three is not
found by a look.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from enginehouse.converge import as_inputs
from enginehouse.gateway import ServerState
from enginehouse.planner.parts import Part
from enginehouse.report.differences import differences
from tests.converge.harness import World

QUEUE_S = 1
"""The endpoint's complaint that nobody answers comes after so long."""
NOBODY_ANSWERS = (
    'an answer of tiny: expected a completion, got HTTP 503: {"error": {"message": '
    '"No replica could take the request in time.", "type": "server_error", "param": null, "code": "unavailable"}}'
)
EXCHANGE = (
    "starting release RELEASE on side NEW beside the running one",
    "side NEW",
    "giving side NEW the traffic",
    "draining side OLD (its requests finish first)",
    "waiting for side OLD to finish",
    "taking side OLD out of the gateway",
    "stopping chat-box-0-OLD",
    "telling the watchdog",
    "recording the release",
)
START_AGAIN = (
    "holding requests back (side OLD is not ready)",
    "starting release RELEASE on side OLD",
    "side OLD",
    "giving side OLD the traffic",
    "recording the release",
)
RELOAD = (
    "saving the server states",
    "switching to configuration RELEASE",
    "reloading HAProxy",
    "giving traffic to the replicas that are ready",
    "recording the configuration",
)
START_GATEWAY = (
    "forgetting the servers' states",
    "switching to configuration RELEASE",
    "starting HAProxy",
    "waiting for HAProxy",
    "giving traffic to the replicas that are ready",
    "recording the configuration",
)
PLACE_GATEWAY = ("staging configuration RELEASE", "checking it with HAProxy")
TRAFFIC = ("giving traffic to the replicas that are ready", "recording the configuration")
PROOF = ("asking the endpoint as a client would", "recording the proof")


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """`seen`: sentences by part, differences first. `done`: the titles of the steps that heal, by part."""

    by: Callable[[World], object]
    seen: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    done: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def started(world: World) -> Path:
    """The start script of the engine that serves."""
    return next(world.place("chat-box-0", "releases").glob(f"*-{world.side}/start"))


def configured(world: World, name: str) -> Path:
    """A file of the configuration that is served."""
    return world.place("gateway-box", "current", name).resolve()


def append_to(path: Path) -> None:
    path.write_text(path.read_text() + "# edited\n")


def alter_weights(world: World) -> None:
    """As long as before, and with other content, and not in the second in which it was brought."""
    before = world.weights().stat()
    world.weights().write_bytes(b" " * before.st_size)
    os.utime(world.weights(), (before.st_atime, before.st_mtime + 1))


def kill(world: World, mark: str) -> None:
    """kill -9, and wait until the supervisor has started it again."""
    killed = {pid for pid, found in world.processes().items() if found == mark}
    world.kill(mark)
    world.wait_until(lambda: any(found == mark and pid not in killed for pid, found in world.processes().items()))


def kill_and_wait(world: World, mark: str) -> None:
    """The supervisor's work is not drift, once it is done."""
    kill(world, mark)
    world.wait_until(lambda: world.ask()[0] == 200)


def supervisorctl(world: World, verb: str, program: str) -> None:
    socket = world.place("box", "run", "supervisor.sock")
    tool = (world.tools / "supervisord").resolve().with_name("supervisorctl")
    subprocess.run([tool, "-s", f"unix://{socket}", verb, program], check=True, capture_output=True)


def change_port(world: World) -> None:
    """In the start script, and the engine starts again with it."""
    script = started(world)
    script.write_text(script.read_text().replace(str(world.serving_port), str(world.serving_port + 50)))
    kill(world, f"chat-box-0/{world.side}")


def tell_gateway(world: World, command: str) -> None:
    """What a person would type into HAProxy's socket, about the server that takes requests."""
    socket = f"unix:{world.place('gateway-box', 'run', 'admin.sock')}"
    with world.connector.dial(socket, deadline_s=5) as connection:
        connection.sendall(command.format(server=f"be_chat/{world.engine}").encode() + b"\n")
        assert connection.recv(1000).strip() == b""


def set_other_server_ready(world: World) -> None:
    world.runtime().set_state("be_chat", f"chat-box-0-{world.side.other()}", ServerState.READY)


def point_elsewhere(world: World) -> None:
    link = world.place("gateway-box", "current")
    link.unlink()
    link.symlink_to("releases/elsewhere")


def start_a_copy(world: World) -> None:
    """A second engine with our marks, whose parent is nobody of ours."""
    mark, release = f"{world.stack}/chat-box-0/{world.side}", world.manifest("chat-box-0")["release"]
    environment = {
        **os.environ,
        "ENGINEHOUSE_STATE": str(world.state),
        "ENGINEHOUSE_PROGRAM": mark,
        "ENGINEHOUSE_RELEASE": release,
    }
    subprocess.run(["setsid", "--fork", "sleep", "600"], env=environment, check=True)
    world.wait_until(lambda: len(world.engines()) == 2)


def edited(name: str, planned: bool = False) -> str:
    if planned:
        return f'files["{name}"] is "edited on the machine (sha256 DIGEST)", the plan says "sha256 DIGEST"'
    return f"files: {name} edited on the machine (sha256 DIGEST)"


def lost_manifest(part: str) -> Callable[[World], None]:
    return lambda world: world.place(part, "manifest.json").unlink()


MISSING = ("manifest: missing",)
STOPPED = ("running is false, the plan says true",)
NOT_READY = {"gateway-box": ("servers: chat-box-0-OLD not ready",)}
UNREACHED = {**NOT_READY, "endpoint": (NOBODY_ANSWERS,)}
REPLACED = {"chat-box-0": EXCHANGE, "endpoint": PROOF}
STAGED_AND_REPLACED = {"chat-box-0": ("staging release RELEASE", *EXCHANGE), "endpoint": PROOF}
RECONFIGURED = {"gateway-box": (*PLACE_GATEWAY, *RELOAD), "endpoint": PROOF}
READY_AGAIN = {"gateway-box": TRAFFIC, "endpoint": PROOF}

BREAKS = {
    "an edited start script": Break(
        by=lambda w: append_to(started(w)), seen={"chat-box-0": (edited("start"),)}, done=STAGED_AND_REPLACED
    ),
    "an edited program file": Break(
        by=lambda w: append_to(w.place("box", "programs", f"{w.engine}.conf")),
        seen={"chat-box-0": (edited("programs/chat-box-0-OLD.conf"),)},
        done=STAGED_AND_REPLACED,
    ),
    "an edited configuration of HAProxy": Break(
        by=lambda w: append_to(configured(w, "haproxy.cfg")),
        seen={"gateway-box": (edited("haproxy.cfg", planned=True),)},
        done=RECONFIGURED,
    ),
    "an edited configuration of the supervisor": Break(
        by=lambda w: append_to(w.place("box", "supervisord.conf")),
        seen={"box": (edited("supervisord.conf"),)},
        done={"box": ("writing the files of supervisor and watchdog", "recording the host")},
    ),
    "keys that others can read": Break(
        by=lambda w: configured(w, "keys.map").chmod(0o644),
        seen={
            "gateway-box": (
                'files["keys.map"] is "mode 644 on the machine, written with 600", the plan says "sha256 DIGEST"',
            )
        },
        done=RECONFIGURED,
    ),
    "a start script that others can read": Break(
        by=lambda w: started(w).chmod(0o644),
        seen={"chat-box-0": ("files: start mode 644 on the machine, written with 600",)},
        done=STAGED_AND_REPLACED,
    ),
    "a deleted start script": Break(
        by=lambda w: started(w).unlink(),
        seen={"chat-box-0": ("files: start missing on the machine",)},
        done=STAGED_AND_REPLACED,
    ),
    "deleted keys": Break(
        by=lambda w: configured(w, "keys.map").unlink(),
        seen={"gateway-box": ('files["keys.map"] is "missing on the machine", the plan says "sha256 DIGEST"',)},
        done=RECONFIGURED,
    ),
    "a killed engine": Break(by=lambda w: kill_and_wait(w, f"chat-box-0/{w.side}")),
    "a killed HAProxy": Break(by=lambda w: kill_and_wait(w, "gateway-box/gateway")),
    "deleted weights": Break(
        by=lambda w: w.weights().unlink(),
        seen={
            "chat-weights-box": ("weights: missing on the machine",),
            "chat-box-0": ("weights: missing or altered on the machine",),
        },
        done={"chat-weights-box": ("weights", "recording the weights")},
    ),
    "altered weights": Break(
        by=alter_weights,
        seen={
            "chat-weights-box": ("weights: altered on the machine",),
            "chat-box-0": ("weights: missing or altered on the machine",),
        },
        done={"chat-weights-box": ("weights", "recording the weights")},
    ),
    "an engine stopped through the supervisor": Break(
        by=lambda w: supervisorctl(w, "stop", w.engine),
        seen={"chat-box-0": (*STOPPED, "the engine does not run"), "endpoint": (NOBODY_ANSWERS,)},
        done={"chat-box-0": START_AGAIN, "endpoint": PROOF},
    ),
    "an engine the supervisor was made to forget": Break(
        by=lambda w: w.supervisor().stop(w.engine),
        seen={"chat-box-0": (*STOPPED, "the engine does not run"), "endpoint": (NOBODY_ANSWERS,)},
        done={"chat-box-0": START_AGAIN, "endpoint": PROOF},
    ),
    "a HAProxy stopped through the supervisor": Break(
        by=lambda w: supervisorctl(w, "stop", "gateway-box"),
        seen={"gateway-box": STOPPED, "endpoint": ("the gateway does not run",)},
        done={"gateway-box": START_GATEWAY, "endpoint": PROOF},
    ),
    "another port in the start script": Break(
        by=change_port,
        seen={
            "chat-box-0": (edited("start"), "the engine is not ready (health: no answer)"),
            "endpoint": (NOBODY_ANSWERS,),
        },
        done=STAGED_AND_REPLACED,
    ),
    "a drained server": Break(
        by=lambda w: tell_gateway(w, "set server {server} state drain"), seen=UNREACHED, done=READY_AGAIN
    ),
    "a server in maintenance": Break(
        by=lambda w: tell_gateway(w, "set server {server} state maint"), seen=UNREACHED, done=READY_AGAIN
    ),
    "a server of weight 0": Break(
        by=lambda w: tell_gateway(w, "set server {server} weight 0%"),
        seen={"gateway-box": ("servers: chat-box-0-OLD weight 0, not 1",), "endpoint": (NOBODY_ANSWERS,)},
        done=READY_AGAIN,
    ),
    "a server of another weight": Break(
        by=lambda w: tell_gateway(w, "set server {server} weight 300%"),
        seen={"gateway-box": ("servers: chat-box-0-OLD weight 3, not 1",)},
        done=READY_AGAIN,
    ),
    "a server that is no longer checked": Break(
        by=lambda w: tell_gateway(w, "disable health {server}"), seen=NOT_READY, done=READY_AGAIN
    ),
    "a server that has no engine made ready": Break(
        by=set_other_server_ready, seen={"gateway-box": ("servers: chat-box-0-NEW not maint",)}, done=READY_AGAIN
    ),
    "a stopped watchdog": Break(
        by=lambda w: supervisorctl(w, "stop", "watchdog"),
        seen={"box": ("watchdog: does not run",)},
        done={"box": ("starting the watchdog", "recording the host")},
    ),
    "an edited script of the watchdog": Break(
        by=lambda w: append_to(w.place("box", "watchdog", "watchdog.sh")),
        seen={"box": (edited("watchdog/watchdog.sh"),)},
        done={"box": ("writing the files of supervisor and watchdog", "starting the watchdog", "recording the host")},
    ),
    "an edited limit of the watchdog": Break(
        by=lambda w: append_to(w.place("chat-box-0", "watch")),
        seen={"chat-box-0": (edited("watch"),)},
        done={"chat-box-0": ("telling the watchdog", "recording the release"), "endpoint": PROOF},
    ),
    "deleted server states": Break(
        by=lambda w: w.place("gateway-box", "run", "servers.state").unlink(),
        seen={"gateway-box": ("server states: not saved for the next start",)},
        done={"gateway-box": ("saving the server states", "recording the configuration"), "endpoint": PROOF},
    ),
    "a link to another configuration": Break(
        by=point_elsewhere,
        seen={"gateway-box": ("current: points to another configuration",)},
        done={"gateway-box": RELOAD, "endpoint": PROOF},
    ),
    "a lost manifest of the host": Break(
        by=lost_manifest("box"), seen={"box": MISSING}, done={"box": ("recording the host",)}
    ),
    "a lost manifest of the weights": Break(
        by=lost_manifest("chat-weights-box"),
        seen={"chat-weights-box": MISSING},
        done={"chat-weights-box": ("recording the weights",)},
    ),
    "a lost manifest of a replica": Break(
        by=lost_manifest("chat-box-0"),
        seen={"chat-box-0": MISSING},
        done={"chat-box-0": ("waiting for the engine", "recording the release"), "endpoint": PROOF},
    ),
    "a lost manifest of the gateway": Break(
        by=lost_manifest("gateway-box"),
        seen={"gateway-box": MISSING},
        done={"gateway-box": RELOAD, "endpoint": PROOF},
    ),
    "a lost manifest of the endpoint": Break(
        by=lost_manifest("endpoint"), seen={"endpoint": MISSING}, done={"endpoint": PROOF}
    ),
    "a damaged manifest": Break(
        by=lambda w: w.place("chat-box-0", "manifest.json").write_text('{"format": 1'),
        seen={
            "chat-box-0": ("manifest: damaged", "the manifest on the machine is damaged: not JSON (line 1)"),
        },
        done={"chat-box-0": ("waiting for the engine", "recording the release"), "endpoint": PROOF},
    ),
    "a stack's folder that others can open": Break(
        by=lambda w: w.place().chmod(0o755),
        seen={"box": ("folders: STATE/STACK mode 755, not 700",)},
        done={"box": ("making folders", "recording the host")},
    ),
    "a second engine that nobody supervises": Break(
        by=start_a_copy,
        seen={"box": ("processes: chat-box-0/OLD runs without the supervisor (process N)",)},
        done={"box": ("stopping programs whose supervisor is gone (1 processes)", "recording the host")},
    ),
}


@pytest.fixture
def up(shared: World) -> World:
    """A stack that is up, has only what it runs, and whose gateway soon says that nobody can answer."""
    shared.settings["timeouts"] = {"queue_s": QUEUE_S}
    shared.up()
    for folder in shared.place("chat-box-0", "releases").iterdir():
        if not folder.name.endswith(f"-{shared.side}"):
            shared.remove(folder)
    shared.events.clear()
    return shared


@pytest.mark.parametrize("row", BREAKS.values(), ids=BREAKS.keys())
def test_what_was_broken_by_hand_is_named_and_only_that_is_healed(up: World, row: Break) -> None:
    """Nothing is said about other parts, they take no step, and afterwards nothing differs and nothing is to do."""
    world, plain = up, wording(up)
    row.by(world)
    seen = looks(world)
    assert {part: tuple(map(plain, sentences)) for part, sentences in seen.items()} == row.seen
    heal(world, seen)
    assert {part: tuple(map(plain, titles)) for part, titles in steps(world).items()} == row.done
    assert (looks(world), world.ask()[0], len(world.engines())) == ({}, 200, 1)
    world.connector.holds = 0
    world.up()
    assert world.connector.holds == 0


def test_a_killed_supervisor_is_named_on_all_that_it_supervised(up: World) -> None:
    """Its successor starts the programs by itself, so what is left to do for them depends on who is quicker.

    So does whether the watchdog, which ends with its supervisor, still has to be stopped.
    """
    up.kill("box/supervisor")
    up.wait_until(lambda: "box/supervisor" not in up.processes().values())
    seen = looks(up)
    assert seen == {
        "box": STOPPED,
        "chat-box-0": (*STOPPED, "the engine does not run"),
        "gateway-box": STOPPED,
        "endpoint": ("the gateway does not run",),
    } or seen == {"box": STOPPED, "chat-box-0": (*STOPPED, "the engine does not run"), "gateway-box": STOPPED}
    heal(up, seen)
    done = steps(up)
    stopping = (f"stopping programs whose supervisor is gone ({count} processes)" for count in (3, 4))
    assert done["box"] in [(stop, "starting the supervisor", "recording the host") for stop in stopping]
    assert done.keys() <= {"box", "chat-box-0", "gateway-box", "endpoint"}
    assert (looks(up), up.ask()[0], len(up.engines())) == ({}, 200, 1)


def looks(world: World) -> dict[str, tuple[str, ...]]:
    """What a look says about each part that is not as planned or does not do its work."""
    said = {part.name: tuple(_sentences(world, part)) for part in world.plan().parts()}
    return {part: sentences for part, sentences in said.items() if sentences}


def heal(world: World, seen: Mapping[str, tuple[str, ...]]) -> None:
    """As the Pulumi engine does: first the parts that differ, then those that ask about others."""
    for part in world.plan().parts():
        if part.name in seen and part.name != "endpoint":
            world.converge(part)
    world.up()


def steps(world: World) -> dict[str, tuple[str, ...]]:
    """The titles of all steps that were done, by part."""
    found: dict[str, list[str]] = {}
    for event in world.events:
        if step := re.fullmatch(r"\[(\d+)/\d+\] (.*)", event.text):
            titles = found.setdefault(event.part, [])
            if len(titles) < int(step[1]):
                titles.append(step[2])
    return {part: tuple(titles) for part, titles in found.items()}


def wording(world: World) -> Callable[[str], str]:
    """Makes texts of different runs the same: sides are OLD and NEW as of now, digests and numbers have names."""
    old, new = world.side.value, world.side.other().value
    rules = [
        (r"sha256 [0-9a-f]{12}", "sha256 DIGEST"),
        (r"process \d+", "process N"),
        (r" \(\d+ MiB needed, \d+ free\)", ""),
        (r"(release|configuration) [0-9a-f]{12}", r"\1 RELEASE"),
        (re.escape(str(world.place())), "STATE/STACK"),
        (re.escape(str(world.state)), "STATE"),
        (rf"(chat-box-0[-/]|side ){old}\b", r"\1OLD"),
        (rf"(chat-box-0[-/]|side ){new}\b", r"\1NEW"),
    ]

    def plain(text: str) -> str:
        for pattern, name in rules:
            text = re.sub(pattern, name, text)
        return text

    return plain


def _sentences(world: World, part: Part) -> Iterator[str]:
    observed = world.observe(part)
    assert observed is not None
    yield from differences(observed.inputs, as_inputs(part))
    yield from observed.reasons
