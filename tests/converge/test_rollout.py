"""Replicas of one deployment that are converged at the same time, as the Pulumi engine does it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from enginehouse.converge import converge, foresee
from enginehouse.converge.events import Event
from enginehouse.converge.gates import Gates
from enginehouse.converge.orders import drain, undrain
from enginehouse.converge.steps import Effect
from enginehouse.errors import EnginehouseError, GateClosed, explain
from enginehouse.planner.parts import ReplicaPart
from tests.converge.harness import HUGE_MIB, SMALL_MIB, World, tiny
from tests.converge.load import load

pytestmark = pytest.mark.timeout(300)
NAMES = {f"chat-box-{index}" for index in range(3)}


class NoGates(Gates):
    """Everybody goes at once: what there was before there were gates."""

    @contextmanager
    def passing(self, part: ReplicaPart, *_: object) -> Iterator[None]:
        yield


@pytest.fixture
def three(world: World) -> World:
    """Three replicas that are up."""
    world.settings["replicas"] = 3
    world.up()
    world.events.clear()
    return world


def all_at_once(
    world: World, gates: Gates, change: Callable[[ReplicaPart], ReplicaPart] = lambda p: p
) -> dict[str, Any]:
    """Every replica converged in a thread of its own; outputs or the error, by name."""
    context = replace(world.context(), gates=gates)
    with ThreadPoolExecutor(8) as pool:
        runs = {part.name: pool.submit(converge, change(part), context) for part in world.plan().replicas}
    return {name: outcome(run) for name, run in runs.items()}


def outcome(run: Future[dict[str, Any]]) -> Any:
    error = run.exception()
    assert error is None or isinstance(error, EnginehouseError), error
    return error or run.result()


def exchanges(events: list[Event]) -> list[tuple[str, str]]:
    """The first step and the last of each replica, in order: what an onlooker sees of an exchange."""
    found = []
    for event in events:
        if step := re.match(r"\[(\d+)/(\d+)\]", event.text):
            found += [(event.part, "begins")] * (step[1] == "1") + [(event.part, "ends")] * (step[1] == step[2])
    return found


def most_at_once(events: list[Event]) -> int:
    now, most = set[str](), 0
    for part, what in exchanges(events):
        now = now | {part} if what == "begins" else now - {part}
        most = max(most, len(now))
    return most


def test_one_replica_after_the_other_is_exchanged_under_load(three: World) -> None:
    """The others wait, and say for whom; no request fails."""
    three.settings["context"] = 1024
    with load(three, clients=4) as count:
        outputs = all_at_once(three, Gates())
    assert count.failed == []
    assert {name: output["generation"] for name, output in outputs.items()} == dict.fromkeys(NAMES, 2)
    assert most_at_once(three.events) == 1
    canary = exchanges(three.events)[0][0]
    assert {f"{name}: waiting for {canary}, the canary" for name in NAMES - {canary}} <= set(three.texts())


def test_more_may_go_at_once_but_never_beside_the_canary(three: World) -> None:
    """With `max_unavailable: 2` the first goes alone, then two."""
    three.settings["context"] = 1024
    all_at_once(three, Gates(), lambda part: replace(part, max_unavailable=2))
    first, second = exchanges(three.events)[:2]
    assert (first[0], second) == (second[0], (first[0], "ends"))
    assert most_at_once(three.events) <= 2


def test_without_gates_all_are_exchanged_at_once(three: World) -> None:
    """Twin: the same edit, seen with the same eyes."""
    three.settings["context"] = 1024
    all_at_once(three, NoGates())
    assert most_at_once(three.events) > 1


def test_a_canary_that_fails_leaves_the_others_untouched(three: World) -> None:
    """They serve their old release, say why, and a mended edit goes through."""
    three.settings["options"] = {"chat-template-file": "/nowhere"}
    before = {name: three.place(name, "manifest.json").read_text() for name in NAMES}
    failures = all_at_once(three, Gates())
    closed = [error for error in failures.values() if isinstance(error, GateClosed)]
    (canary,) = (name for name, error in failures.items() if not isinstance(error, GateClosed))
    assert len(closed) == 2
    assert all(f"because {canary}, the canary, failed; nothing was changed" in str(error) for error in closed)
    assert {name: three.place(name, "manifest.json").read_text() for name in NAMES} == before
    assert three.ask()[0] == 200
    three.settings["options"] = {}
    three.settings["context"] = 1024
    assert {output["generation"] for output in all_at_once(three, Gates()).values()} == {2}


def test_of_two_replicas_with_one_drained_the_other_one_serves_on(world: World) -> None:
    """Without room it is left as it is and says why; the drained one is exchanged, and once it is back, the other."""
    world.settings["replicas"] = 2
    world.up()
    drain(world.replica(1), world.context(), reason="new memory", wait=False)
    before = world.manifest("chat-box-0")
    world.settings["context"] = 1024
    stuck = foresee(tiny(world.replica(0), HUGE_MIB), world.context())
    with load(world, clients=2) as count:
        outcomes = all_at_once(world, Gates(), lambda part: tiny(part, HUGE_MIB))
    assert count.failed == []
    assert isinstance(outcomes["chat-box-0"], GateClosed)
    assert "chat-box-1 is drained by ada@desk" in str(outcomes["chat-box-0"])
    assert (stuck.effect, "chat-box-1 is drained" in stuck.reason) == (Effect.FAILS, True)
    assert world.manifest("chat-box-0") == before
    assert isinstance(outcomes["chat-box-1"], dict), "".join(explain(outcomes["chat-box-1"]))
    assert outcomes["chat-box-1"]["generation"] == 2
    undrain(world.replica(1), world.context())
    assert all_at_once(world, Gates(), lambda part: tiny(part, HUGE_MIB))["chat-box-0"]["generation"] == 2


def test_beside_a_drained_replica_the_other_one_is_exchanged_where_there_is_room(world: World) -> None:
    """Nobody waits for anybody."""
    world.settings["replicas"] = 2
    world.up()
    drain(world.replica(1), world.context(), reason="new memory", wait=False)
    world.settings["context"] = 1024
    world.events.clear()
    with load(world, clients=2) as count:
        outcomes = all_at_once(world, Gates(), lambda part: tiny(part, SMALL_MIB))
    assert count.failed == []
    assert not [error for error in outcomes.values() if isinstance(error, EnginehouseError)]
    assert [outcomes[name]["generation"] for name in sorted(outcomes)] == [2, 2]
    assert not [text for text in world.texts() if "waiting for chat" in text]


def test_what_runs_nowhere_starts_without_waiting(three: World) -> None:
    """Two engines that were stopped are started at the same time: waiting would only keep them down."""
    for part in three.plan().replicas[:2]:
        three.supervisor().stop(f"{part.name}-a")
    all_at_once(three, Gates())
    assert not [text for text in three.texts() if "waiting for chat" in text]
    assert sum(mark.startswith("chat-box-") for mark in three.processes().values()) == 3
