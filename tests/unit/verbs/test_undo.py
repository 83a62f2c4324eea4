"""What a rollback brings back is decided from histories alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from enginehouse.planner.parts import ConnectionKind
from enginehouse.verbs import InvalidInput
from enginehouse.verbs.undo import Undoing, proof_of, undo_newest, way_back
from tests.unit.report.plans import ENDPOINT, GATEWAY, LOCAL, REPLICA
from tests.unit.verbs.generations import history, sized

SMALL, LARGE, LARGEST = sized(2048), sized(4096), sized(8192)
OPEN, NARROW = GATEWAY, replace(GATEWAY, port=9000)


def generations(undoing: Undoing) -> dict[str, tuple[int, int]]:
    """Of each part, from which to which."""
    return {way.part.name: (way.now.generation, way.then.generation) for way in undoing.ways}


def test_everything_that_the_newest_run_changed_goes_back() -> None:
    """And nothing else: the gateway was changed by an earlier run."""
    replica = history(("one", 1, SMALL), ("three", 9, LARGE))
    gateway = history(("one", 1, OPEN), ("two", 5, NARROW))
    undoing = undo_newest("demo", {"replica": replica, "gateway": gateway})
    assert (undoing.change.run, generations(undoing)) == ("three", {REPLICA.name: (2, 1)})


def test_a_run_that_only_healed_is_not_the_newest() -> None:
    """The content was not its own; the generation to return to is the last with the old content."""
    found = history(("one", 1, SMALL), ("heal", 2, SMALL), ("two", 3, LARGE), ("heal again", 4, LARGE))
    undoing = undo_newest("demo", {"replica": found})
    assert (undoing.change.run, generations(undoing)) == ("two", {REPLICA.name: (4, 2)})


def test_a_run_that_changed_a_part_twice_is_undone_whole() -> None:
    found = history(("one", 1, SMALL), ("two", 2, LARGE), ("two", 3, LARGEST))
    assert generations(undo_newest("demo", {"replica": found})) == {REPLICA.name: (3, 1)}


def test_a_run_that_ended_where_it_began_has_nothing_to_undo() -> None:
    found = history(("one", 1, SMALL), ("two", 2, LARGE), ("two", 3, SMALL))
    with pytest.raises(InvalidInput, match="nothing to roll back to"):
        undo_newest("demo", {"replica": found})


def test_a_part_that_came_with_the_run_stays() -> None:
    old = history(("one", 1, SMALL), ("two", 2, LARGE))
    undoing = undo_newest("demo", {"old": old, "new": history(("two", 2, LARGE))})
    assert (generations(undoing), undoing.stay) == ({REPLICA.name: (2, 1)}, ("new",))


@pytest.mark.parametrize(
    ("histories", "said"),
    [
        ({}, "demo has no history on its machines: nothing was deployed there"),
        ({"replica": ()}, "demo has no history on its machines: nothing was deployed there"),
        (
            {"replica": history(("one", 1, SMALL)), "gateway": history(("one", 2, OPEN))},
            "nothing to roll back to: replica, gateway of demo came with the newest run "
            "(ada@desk at 2026-11-24T14:02:00+00:00 through pulumi)",
        ),
    ],
)
def test_what_can_not_be_undone_is_said(histories: dict[str, tuple[()]], said: str) -> None:
    with pytest.raises(InvalidInput) as error:
        undo_newest("demo", histories)
    assert str(error.value) == said


def test_one_part_goes_to_its_content_before_or_to_a_generation() -> None:
    found = history(("one", 1, SMALL), ("two", 2, LARGE), ("three", 3, LARGEST), ("heal", 4, LARGEST))
    assert way_back("replica", found, None).then.generation == 2
    assert way_back("replica", found, 1).then.generation == 1
    assert way_back("replica", found, 3).changes() == ()
    assert "context_tokens: 8192 => 4096" in way_back("replica", found, None).changes()


@pytest.mark.parametrize(
    ("generations", "to", "said"),
    [
        ((), None, "replica has no history on its machine: it was not deployed there"),
        ((("one", 1, SMALL), ("heal", 2, SMALL)), None, "nothing to roll back to: replica had no other content"),
        ((("one", 1, SMALL), ("two", 2, LARGE)), 7, "replica has no generation 7; kept are 2, 1"),
    ],
)
def test_a_part_without_a_way_back_says_what_there_is(generations: tuple[()], to: int | None, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        way_back("replica", history(*generations), to)


def test_what_was_recorded_under_a_former_name_is_no_way_back() -> None:
    """It is another part by now: bringing it back would make a second one."""
    former = replace(SMALL, name="assistant-box-0")
    with pytest.raises(InvalidInput, match="nothing to roll back to"):
        way_back("replica", history(("one", 1, former), ("two", 2, LARGE)), None)


def test_old_content_is_reached_as_the_machine_is_today() -> None:
    """And takes over from nobody."""
    then = replace(SMALL, renamed_from="old", connection=replace(LOCAL, kind=ConnectionKind.LOCAL))
    part = way_back("replica", history(("one", 1, then), ("two", 2, LARGE)), None).part
    assert part == SMALL


def test_the_endpoint_is_proved_as_it_was_with_that_gateway() -> None:
    """The newest proof that has no newer gateway behind it."""
    gateway = history(("one", 1, OPEN), ("two", 2, NARROW), ("heal", 3, NARROW))
    first, second = history(("one", 1, ENDPOINT), ("two", 2, replace(ENDPOINT, url="http://127.0.0.1:9000")))[::-1]
    proofs = (replace(second, seen={GATEWAY.name: 2}), replace(first, seen={GATEWAY.name: 1}))
    assert [proof_of(proofs, manifest) for manifest in gateway] == [proofs[0], proofs[0], proofs[1]]
    assert proof_of((), gateway[0]) is None
