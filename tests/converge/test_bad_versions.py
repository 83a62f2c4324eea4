"""Every way in which a new version can be no good, under load: the old one serves again, and nothing is lost."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from enginehouse.converge import as_inputs
from enginehouse.converge.events import Event
from enginehouse.errors import ConvergeFailed
from enginehouse.planner.parts import ReplicaPart
from tests.converge.conftest import new_world
from tests.converge.harness import World, tiny
from tests.converge.load import load, wait_for_answers

HUGE_MIB = 10**7
TRUNCATED = "E load: tensor 'x' data is not within the file bounds, model is corrupted or incomplete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bad:
    """A version that can't serve, and what is said about it."""

    model: Mapping[str, Any] = field(default_factory=dict)
    """What the stand-in engine does with it."""
    args: Mapping[str, str] = field(default_factory=dict)
    ready_within_s: int = 90
    port_is_taken: bool = False
    said: str
    """Part of the sentence."""
    line: str = ""
    """Of the engine's last words."""
    cause: str = ""
    fix: str = ""


BAD = {
    "unknown option": Bad(
        args={"no-such-flag": "1"},
        said="it exited with status 1 while it was starting",
        line="error: invalid argument: --no-such-flag",
        cause="has no such option",
        fix="`options.no-such-flag`",
    ),
    "broken model file": Bad(
        model={"exit_after_load": 1, "last_words": TRUNCATED},
        said="it exited with status 1 while it was starting",
        line=TRUNCATED,
        cause="ends too early",
        fix="`model.sha256`",
    ),
    "port taken": Bad(
        port_is_taken=True,
        said="it exited with status 1 while it was starting",
        line="Address already in use",
        cause="Another program listens on that address",
        fix="`ss -ltnp`",
    ),
    "killed for memory": Bad(
        model={"killed_after_load": "SIGKILL", "load_s": 0.5},
        said="it was ended by signal 9 (SIGKILL) while it was starting",
        cause="memory runs out",
        fix="`context_tokens`",
    ),
    "exits after load": Bad(
        model={"exit_after_load": 3, "load_s": 1.5},
        said="it exited with status 3 while it was starting",
        line="error: the stand-in was told to fail",
    ),
    "crash at first completion": Bad(
        model={"killed_at_completion": "SIGSEGV"},
        said="it was ended by signal 11 (SIGSEGV) at its first completion",
        line="main: model loaded",
        cause="The engine crashed",
        fix="`version`",
    ),
    "never ready": Bad(
        model={"load_s": 600},
        ready_within_s=8,
        said="it was not ready within 8 s (health: 503)",
        cause="longer than the stack file allows",
        fix="`health.ready_within_s`",
    ),
    "nonsense": Bad(
        model={"text": "!!!!!!!!"},
        said="its first completion is one character over and over: '!!!!!!!!'",
        line="main: model loaded",
        cause="does not compute language",
        fix="`model.source`",
    ),
    "fails to answer": Bad(
        model={"status": 500},
        said="its first completion was HTTP 500",
        line="main: model loaded",
    ),
}


@pytest.fixture(scope="module", params=[1, 2], ids=["one replica", "two replicas"])
def module_world(request: pytest.FixtureRequest) -> Iterator[World]:
    with new_world(World) as made:
        made.settings["replicas"] = request.param
        yield made


@pytest.fixture
def serving(module_world: World) -> World:
    """A stack that is up with its first version, whatever the test before did to it."""
    replicas = module_world.settings["replicas"]
    module_world.reset()
    module_world.settings["replicas"] = replicas
    module_world.up()
    module_world.events.clear()
    return module_world


@pytest.mark.parametrize("memory_mib", [100, HUGE_MIB], ids=["beside", "no room"])
@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_bad_version_gives_way(serving: World, bad: Bad, memory_mib: int) -> None:
    """No request fails, the failure says what it was, the machine is as before, and a mended version goes through."""
    old = serving.replica()
    before = (remembered(serving), serving.engines())
    with load(serving, clients=2) as count:
        wait_for_answers(count, 4)
        failure = go_over_to(serving, bad, memory_mib)
        wait_for_answers(count, 4)
    assert count.failed == []
    assert failure.old_serves
    assert str(failure).startswith(f"the engine did not start: {bad.said}")
    assert str(failure).endswith("; the release from before serves")
    check_reasons(failure.reasons, bad)
    assert (remembered(serving), serving.engines()) == before
    check_nothing_differs(serving, old)
    mend(serving)


def go_over_to(world: World, bad: Bad, memory_mib: int) -> ConvergeFailed:
    """Bring the bad version; how that failed."""
    world.write_model(bad.model)
    world.settings |= {"context": 1024, "ready_within_s": bad.ready_within_s}
    part = world.replica()
    world.converge(world.plan().weights[0])
    stranger = taking_the_port(world, part) if bad.port_is_taken else contextlib.nullcontext()
    with stranger, pytest.raises(ConvergeFailed) as failure:
        world.converge(tiny(replace(part, args={**part.args, **bad.args}), memory_mib))
    return failure.value


@contextlib.contextmanager
def taking_the_port(world: World, part: ReplicaPart) -> Iterator[None]:
    """Somebody takes the new side's port after it was found free, just before the engine starts."""
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)

        def take(event: Event) -> None:
            if "starting release" in event.text and stranger.getsockname()[1] == 0:
                stranger.bind(("127.0.0.1", part.ports[world.side.other()]))
                stranger.listen()

        world.on_event = take
        try:
            yield
        finally:
            world.on_event = lambda event: None


def check_reasons(reasons: tuple[str, ...], bad: Bad) -> None:
    """The engine's last words, then cause and fix where they are known, and only there."""
    assert any(bad.line in reason for reason in reasons) or not bad.line
    told = [reason for reason in reasons if reason.startswith(("cause: ", "fix: "))]
    assert [reason.partition(":")[0] for reason in told] == (["cause", "fix"] if bad.cause else [])
    assert not told or (bad.cause in told[0] and bad.fix in told[1])


def check_nothing_differs(world: World, old: ReplicaPart) -> None:
    """What a refresh sees is the old version, in good health."""
    seen = world.observe(old)
    assert seen is not None
    assert (seen.inputs, seen.reasons) == (as_inputs(old), ())


def mend(world: World) -> None:
    """The next edit is a good one: it goes through, one generation later."""
    generation = remembered(world)["generation"]
    world.write_model({"text": "better"})
    world.settings |= {"context": 1024, "ready_within_s": 90}
    world.converge(world.plan().weights[0])
    assert world.converge(world.replica())["generation"] == generation + 1
    world.wait_until(lambda: b"better" in world.ask()[1])


def remembered(world: World) -> dict[str, Any]:
    return world.manifest("chat-box-0")
