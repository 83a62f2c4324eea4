"""Whatever breaks at whatever step: the next run finishes, nothing is lost, and nobody was sent to an unready engine.

The cases are generated: the steps of each scenario, as a run without a fault takes them, x the faults that can strike
there. `FAULTS=all` plays all of them, for most of an hour; else each step is struck once, and the faults take turns.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence

import pytest

from tests.faults.cases import Case, all_cases, covering, table, walk
from tests.faults.conftest import Plays, faulty_world
from tests.faults.faulty import FaultyWorld, mortal_runs
from tests.faults.mortal import UNKILLED, at_the_beginning
from tests.faults.scenarios import SCENARIOS

CASES = all_cases() if os.environ.get("FAULTS") == "all" else covering(all_cases())


@pytest.fixture(scope="module")
def world() -> Iterator[FaultyWorld]:
    with faulty_world() as made:
        yield made


def test_the_matrix_lists_every_step_and_every_fault(
    world: FaultyWorld, golden: Callable[[str, Mapping[str, str]], None]
) -> None:
    """A step that is new brings its cases with it, and none goes unseen: the tables are in tests/golden/faults."""
    golden("faults", {f"{scenario}.txt": table(walk(scenario, world)) for scenario in SCENARIOS})


def test_a_run_that_was_to_die_at_a_step_that_never_comes_is_noticed(world: FaultyWorld) -> None:
    """It may live only where the step came, and no script that changes something after it."""
    with mortal_runs() as mortal:
        for in_a_script in (False, True):
            assert mortal.run(world, "no such step", in_a_script=in_a_script) == f"ended with {UNKILLED}"


def test_a_script_in_which_a_run_cannot_die_is_noticed() -> None:
    """One without the guard."""
    with pytest.raises(AssertionError):
        at_the_beginning("set -eu\n", "sleep 600\n")


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_breaks_is_finished_by_the_next_run(case: Case, plays: Callable[[Sequence[Case]], Plays]) -> None:
    """Nothing lost, one engine, true records, nothing left to do, and no request to an engine that was not ready."""
    plays(CASES).outcome(case)
