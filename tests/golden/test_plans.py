"""Stacks that ship, as `enginehouse plan` tells them: a changed plan is a changed promise."""

from __future__ import annotations

from pathlib import Path

import pytest

from enginehouse.planner.plan import plan
from enginehouse.report.lines import as_text
from enginehouse.report.plan import plan_text
from enginehouse.spec import load

FOLDER = Path(__file__).with_name("plans")
STACKS = Path(__file__).parents[2] / "stacks"
NAMES = sorted(path.stem for path in FOLDER.glob("*.txt"))


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_stack_is_planned_as_recorded(name: str, request: pytest.FixtureRequest) -> None:
    """`--update-golden` rewrites `plans/NAME.txt`."""
    loaded, expected = load(STACKS / f"{name}.yaml"), FOLDER / f"{name}.txt"
    assert loaded.spec is not None
    found = as_text(plan_text(plan(loaded.spec, loaded.lock), loaded.lock)) + "\n"
    if request.config.getoption("--update-golden"):
        expected.write_text(found)
    assert expected.read_text() == found
