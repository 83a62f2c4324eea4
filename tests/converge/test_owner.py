"""Two Pulumi states with one stack name on one machine: the second is refused, and takes over only when told to."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from enginehouse.converge import foresee
from enginehouse.converge.owner import Claim
from enginehouse.errors import Owned
from tests.converge.harness import World

ADA, BOB = Claim(id="ada-state"), Claim(id="bob-state")
NEW = Claim(id=None)
TAKES = Claim(id="bob-state", takes_over=True)


@pytest.fixture
def adas(running: World) -> World:
    """A stack that is up, and Ada's."""
    running.place("owner.json").unlink(missing_ok=True)
    running.claim = ADA
    running.up()
    running.events.clear()
    return running


def owner(world: World) -> Any:
    return json.loads(world.place("owner.json").read_text())["id"]


@pytest.mark.parametrize("claim", [BOB, NEW], ids=["known to its state", "new to its state"])
@pytest.mark.parametrize(
    "verb",
    [
        lambda world: world.converge(world.replica()),
        lambda world: world.converge(world.plan().hosts[0]),
        lambda world: world.destroy(world.replica()),
        lambda world: world.observe(world.plan().hosts[0]),
        lambda world: foresee(world.replica(), world.context()),
    ],
    ids=["converge", "converge the host", "destroy", "observe", "foresee"],
)
def test_another_state_is_refused_and_nothing_is_touched(
    adas: World, verb: Callable[[World], object], claim: Claim
) -> None:
    before, told = adas.snapshot(), adas.journal()
    adas.settings["context"] = 1024
    adas.claim = claim
    with pytest.raises(Owned, match=f"belongs to another Pulumi state since .*ENGINEHOUSE_ADOPT={adas.stack}"):
        verb(adas)
    assert before == adas.snapshot()
    assert adas.journal() == told


def test_the_owner_goes_on_as_ever(adas: World) -> None:
    """Twin: the same verbs with the owner's id."""
    adas.settings["context"] = 1024
    adas.up()
    before = adas.snapshot()
    adas.up()
    assert before == adas.snapshot()


def test_a_takeover_is_told_and_noted_once_though_all_parts_come_at_once(adas: World) -> None:
    """Even where there is nothing else to do; then the former owner is refused."""
    adas.claim = TAKES
    with ThreadPoolExecutor() as pool:
        list(pool.map(adas.converge, [*adas.plan().weights, *adas.plan().replicas]))
    (entry,) = adas.journal("taken-over")
    assert entry.text.startswith(f"{adas.stack} on box is taken over; it belonged to another Pulumi state since ")
    assert [text for text in adas.texts() if "is taken over" in text] == [f"{entry.part}: {entry.text}"]
    assert owner(adas) == "bob-state"
    adas.claim = BOB
    adas.up()
    adas.claim = ADA
    with pytest.raises(Owned):
        adas.up()


def test_what_a_takeover_still_has_to_write_is_seen_by_a_look_at_the_host(adas: World) -> None:
    """So that an `up` of a state that knows every part has something to do."""
    adas.claim = TAKES
    host = adas.plan().hosts[0]
    seen = adas.observe(host)
    assert seen is not None
    assert "another Pulumi state since" in seen.inputs["drift"]["owner"][adas.stack]
    adas.converge(host)
    assert owner(adas) == "bob-state"
    seen = adas.observe(host)
    assert seen is not None
    assert "drift" not in seen.inputs


def test_a_stack_without_an_owner_is_claimed_without_a_word(running: World) -> None:
    """Deployed before there were owners, or by a state that has nothing but a host yet."""
    running.claim = None
    running.place("owner.json").unlink(missing_ok=True)
    running.up()
    assert not running.place("owner.json").exists()
    running.claim = NEW
    running.converge(running.plan().hosts[0])
    assert not running.place("owner.json").exists(), "an id is in its state before it is on a machine"
    running.claim = BOB
    told = running.journal("taken-over")
    running.up()
    assert owner(running) == "bob-state"
    assert running.journal("taken-over") == told


def test_verbs_that_work_for_no_state_are_never_refused(adas: World) -> None:
    adas.claim = None
    adas.settings["context"] = 1024
    adas.converge(adas.replica())
    assert owner(adas) == "ada-state"


def test_a_claim_ends_with_the_stack(world: World) -> None:
    world.claim = ADA
    world.up()
    world.down()
    world.claim = BOB
    world.up()
    assert owner(world) == "bob-state"
