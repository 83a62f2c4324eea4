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
from tests.faults.faulty import FaultyWorld
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


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_breaks_is_finished_by_the_next_run(case: Case, plays: Callable[[Sequence[Case]], Plays]) -> None:
    """Nothing lost, one engine, true records, nothing left to do, and no request to an engine that was not ready."""
    plays(CASES).outcome(case)
