"""Runs the tests in stages, quick ones first, and sums them up."""

import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from bootstrap.context import Context

NOTHING_COLLECTED = 5
MYPY_TOOLS = ("tools/bootstrap", "tools/recording", "tools/pulumi/language_host.py", "bench", "tests/tools")
TWO_AT_A_TIME = ("-n", "2", "--dist", "loadfile")
"""Most tests wait for other programs most of the time. Those of a file share a stack, so they stay together."""
STAGES = (
    ("without the Pulumi engine", "not alone and not engine and not e2e and not hosts", TWO_AT_A_TIME),
    ("with the machine for themselves", "alone and not engine and not e2e", ()),
    ("with the Pulumi engine", "engine and not e2e", ()),
    ("on machines of their own", "hosts", TWO_AT_A_TIME),
    ("end to end", "e2e", ()),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Counts of one or more stages; skipped ones keep their names and reasons."""

    passed: int = 0
    failed: int = 0
    skipped: tuple[str, ...] = field(default=())

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            passed=self.passed + other.passed,
            failed=self.failed + other.failed,
            skipped=self.skipped + other.skipped,
        )


def run_all(context: Context, args: tuple[str, ...] = ()) -> int:
    """Run every stage even after a failure; returns pytest's first exit code that is not success.

    With `args`, a single run of pytest with exactly those.
    """
    if args:
        return _pytest(context, args)
    total, first_failure = Tally(), 0
    for title, marker, words in STAGES:
        context.progress.line(f"==> tests {title}")
        code, tally = _stage(context, marker, words)
        total += tally
        if code not in (0, NOTHING_COLLECTED):
            first_failure = first_failure or code
    _report(context, total)
    if not first_failure and total.passed == 0:
        return NOTHING_COLLECTED
    return first_failure


def lint(context: Context) -> int:
    """ruff and mypy over everything; returns the first exit code that is not success."""
    python = str(context.places.python)
    checks = (
        (python, "-m", "ruff", "check", "."),
        (python, "-m", "ruff", "format", "--check", "."),
        (python, "-m", "mypy", "infra/enginehouse", "infra/components", *MYPY_TOOLS),
    )
    codes = [subprocess.run(argv, cwd=context.places.root, check=False).returncode for argv in checks]
    return next((code for code in codes if code), 0)


def read_tally(report: str) -> Tally:
    """Counts from the text of a JUnit XML report."""
    cases = list(ElementTree.fromstring(report).iter("testcase"))
    failed = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    skipped = [
        case for case in cases if (found := case.find("skipped")) is not None and found.get("type") == "pytest.skip"
    ]
    names = tuple(f"{case.get('classname')}::{case.get('name')}: {_reason(case)}" for case in skipped)
    return Tally(passed=len(cases) - len(failed) - len(skipped), failed=len(failed), skipped=names)


def _stage(context: Context, marker: str, words: tuple[str, ...]) -> tuple[int, Tally]:
    with tempfile.TemporaryDirectory(prefix="enginehouse-tests-") as folder:
        report = Path(folder) / "report.xml"
        code = _pytest(context, ("-m", marker, *words, f"--junitxml={report}"))
        return code, read_tally(report.read_text(encoding="utf-8")) if report.is_file() else Tally()


def _pytest(context: Context, args: tuple[str, ...]) -> int:
    argv = (str(context.places.python), "-m", "pytest", *args)
    return subprocess.run(argv, cwd=context.places.root, check=False).returncode


def _report(context: Context, total: Tally) -> None:
    for name in total.skipped:
        context.progress.line(f"skipped: {name}")
    print(f"{total.passed} passed, {total.failed} failed, {len(total.skipped)} skipped", flush=True)


def _reason(case: ElementTree.Element) -> str:
    skipped = case.find("skipped")
    return (skipped.get("message") or "") if skipped is not None else ""
