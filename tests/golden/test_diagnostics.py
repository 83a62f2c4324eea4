"""What a person reads about each of many wrong stacks, letter by letter."""

from __future__ import annotations

from pathlib import Path

import pytest

from enginehouse.diagnostics import as_text
from enginehouse.spec import load
from enginehouse.spec.codes import Code
from enginehouse.spec.find import stack_of_lock

FOLDER = Path(__file__).parent / "diagnostics"
CASES = sorted(path for path in FOLDER.glob("*.yaml") if stack_of_lock(path) is None)
"""Lock files belong to the case that they stand beside."""
ELSEWHERE = {
    Code.NO_SUCH_STACK: "tests/unit/spec/test_find.py",
    Code.UNREADABLE_FILE: "tests/unit/spec/test_load.py",
    Code.FILE_TOO_LARGE: "tests/unit/spec/test_reading.py",
    Code.TEXT_TOO_LONG: "tests/unit/spec/test_loader.py",
    Code.CERTIFICATE_ENDS_SOON: "tests/unit/spec/test_certificate.py",
    Code.LOCK_WITHOUT_STACK: "tests/cli/test_validate.py",
}
"""Codes whose input is no file that could lie here."""


def told(case: Path) -> str:
    loaded = load(case, display=case.name)
    return as_text(loaded.diagnostics, loaded.sources) + "\n"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_wrong_stack_is_explained(case: Path, request: pytest.FixtureRequest) -> None:
    """`NAME.out` is the exact text about `NAME.yaml`; `--update-golden` rewrites it."""
    expected = case.with_suffix(".out")
    if request.config.getoption("--update-golden"):
        expected.write_text(told(case))
    assert expected.read_text() == told(case)


def test_every_case_is_wrong() -> None:
    """A case without a diagnostic would test nothing."""
    assert [case.name for case in CASES if not load(case).diagnostics] == []


def test_no_expectation_is_left_over() -> None:
    """Every `.out` has its `.yaml`."""
    assert {out.stem for out in FOLDER.glob("*.out")} == {case.stem for case in CASES}


@pytest.mark.parametrize("code", Code)
def test_every_code_is_shown(code: Code) -> None:
    """Each code of a stack file is in a case here, or its test is named."""
    shown = any(f"[{code}]" in case.with_suffix(".out").read_text() for case in CASES)
    assert shown != (code in ELSEWHERE)


def test_the_comparison_can_fail(tmp_path: Path) -> None:
    """Twin: one more line at the top, or one more letter in a key, is another text."""
    case = FOLDER / "unknown-key.yaml"
    kept = case.with_suffix(".out").read_text()
    changed = tmp_path / case.name
    for text in ("# moved\n" + case.read_text(), case.read_text().replace("slot:", "slott:")):
        changed.write_text(text)
        assert told(changed) != kept
    changed.write_text(case.read_text())
    assert told(changed) == kept
