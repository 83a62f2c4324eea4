"""Twins of the state machine: each rule is broken once on purpose, by a converge or a machine that does it wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from enginehouse.converge import Context, execute, orders, replica, sides, verbs
from enginehouse.converge.facts import Facts
from enginehouse.converge.manifest import Manifest, from_json, to_json
from enginehouse.converge.steps import BecomeReady, Steps
from enginehouse.planner.parts import Part
from tests.property.test_simulated import Life
from tests.simulated.link import Link
from tests.simulated.machine import STATE
from tests.simulated.plans import Settings
from tests.simulated.processes import Mood
from tests.simulated.rules import Violated
from tests.simulated.world import World

OTHERS = f"{STATE}/other/notes"
MANIFEST = f"{STATE}/demo/chat-box-0/manifest.json"


@pytest.fixture
def world() -> World:
    """At rest, with two replicas."""
    world = World(settings=Settings(replicas=2))
    world.machine.files.write(OTHERS, "mine")
    world.rules.begin(most_missing=1)
    world.up()
    world.rules.begin(most_missing=1)
    world.settings = replace(world.settings, context=2048)
    return world


def test_traffic_for_an_engine_that_has_not_proved_itself(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A converge that does not wait for the engine."""
    monkeypatch.setitem(execute._EXECUTORS, BecomeReady, lambda work, step: None)
    with pytest.raises(Violated, match="gets the traffic, but its engine is not proved"):
        world.up()


def test_an_engine_that_is_stopped_under_its_requests(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A converge that does not drain."""
    monkeypatch.setattr(sides, "set_state", lambda *anything: ())
    with pytest.raises(Violated, match="is stopped while its server takes requests"):
        world.up()


def test_traffic_for_a_drained_replica(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A converge that forgets the order."""
    orders.drain(world.plan().replicas[0], world.run().context, reason="a test", wait=False)
    whole = replica.Replica
    monkeypatch.setattr(replica, "Replica", lambda part, facts, s: whole(part, replace(facts, drained=None), s))
    with pytest.raises(Violated, match="but its replica is drained"):
        world.run().converge(world.plan().replicas[0])


def test_more_replicas_missing_than_may_be(world: World) -> None:
    """A deployment that may miss none, and an exchange without room for two engines."""
    world.machine.memory_mib = 10
    world.rules.begin(most_missing=0)
    with pytest.raises(Violated, match="can't be used, 0 may be missing"):
        world.up()


def test_a_manifest_that_comes_too_early(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A converge that records first and works then."""
    monkeypatch.setattr(Steps, "all", lambda steps: (*steps.activate[-1:], *steps.stage, *steps.activate[:-1]))
    with pytest.raises(Violated, match=r"the manifest of chat-box-0 names .* which is not so"):
        world.run().converge(world.plan().replicas[0])


def test_a_generation_that_falls(world: World) -> None:
    """Somebody puts back an older manifest."""
    known = from_json(world.machine.files.read(MANIFEST) or "")
    assert isinstance(known, Manifest)
    world.machine.files.write(MANIFEST, to_json(replace(known, generation=0)))
    with pytest.raises(Violated, match="the generation of chat-box-0 went from 1 to 0"):
        world.machine.effect("a file changes")


def test_something_of_others(world: World) -> None:
    """A file beside the stack."""
    world.machine.files.remove(OTHERS)
    with pytest.raises(Violated, match="something of others was touched"):
        world.machine.effect("a file changes")


def in_a_life(act: Callable[[Life], None]) -> None:
    """After a first `up`."""
    life = Life()
    life.up(fault=None)
    act(life)


def test_a_preview_that_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look that leaves a file."""
    look = verbs.look_around

    def writing(part: Part, context: Context, *more: Any) -> Facts:
        cast(Link, context.connectors.connect(part)).machine.files.write(f"{STATE}/demo/traces", "")
        return look(part, context, *more)

    def preview(life: Life) -> None:
        monkeypatch.setattr(verbs, "look_around", writing)
        with pytest.raises(AssertionError):
            life.preview()

    in_a_life(preview)


def test_a_frozen_stack_that_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A converge that does not look for the order."""

    def edit(life: Life) -> None:
        life.freeze()
        monkeypatch.setattr(verbs, "check_frozen", lambda part, facts: None)
        life.edit_context(2048)
        with pytest.raises(AssertionError):
            life.up(fault=None)

    in_a_life(edit)


def test_a_failed_edit_that_takes_the_old_release_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A way back that is empty."""

    def edit(life: Life) -> None:
        life.machine.memory_mib = 10
        monkeypatch.setattr(replica, "_undo_stop", lambda *anything: ())
        life.edit_context(2048)
        with pytest.raises(AssertionError):
            life.up_with_engines_that_fail(mood=Mood.ENDS, fault=None)

    in_a_life(edit)


def test_a_run_that_leaves_something_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """A converge that never stops the release from before."""

    def edit(life: Life) -> None:
        monkeypatch.setattr(replica, "_retire", lambda *anything: ())
        life.edit_context(2048)
        with pytest.raises(AssertionError):
            life.up(fault=None)

    in_a_life(edit)
