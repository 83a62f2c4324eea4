"""What a person reads when an engine does not start, letter by letter. The logs are llama-server b11434's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from enginehouse.catalog.explain import explain, reasons
from enginehouse.converge.supervisor import Ending
from enginehouse.errors import ConvergeFailed
from enginehouse.errors import explain as chain

FOLDER = Path(__file__).parent / "failures"
CASES = sorted(FOLDER.glob("*.log"))
ABORTED = {"assertion", "grammar"}
"""Those that ended by SIGABRT; the others exited with status 1."""


def told(case: Path) -> str:
    """As `become_ready` makes it, from the log of the one start."""
    end = Ending(signal="SIGABRT") if case.stem in ABORTED else Ending(status=1)
    what = f"{end} while it was starting"
    log = [line for line in case.read_text().splitlines() if line.strip()]
    failure = ConvergeFailed(f"the engine did not start: {what}", reasons=reasons(log, what, "llama-cpp"))
    return "\n".join(chain(failure)) + "\n"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_failed_start_is_explained(case: Path, request: pytest.FixtureRequest) -> None:
    """`NAME.out` is the exact text about `NAME.log`; `--update-golden` rewrites it."""
    expected = case.with_suffix(".out")
    if request.config.getoption("--update-golden"):
        expected.write_text(told(case))
    assert expected.read_text() == told(case)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_log_is_explained_by_the_row_it_is_named_after(case: Path) -> None:
    """Of all that stands in a real log, the cause is what is found."""
    found = explain(case.read_text().splitlines(), "llama-cpp")
    assert found is not None
    assert found.row.id == case.stem
