"""Times, in turns, as medians and ratios. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

T = TypeVar("T")

OURS = "enginehouse"
YARDSTICK = "ssh, one script"
"""What every ratio is to."""
RUNS = ("first", "second")
TARGETS: Sequence[tuple[str, str, float]] = (
    (OURS, YARDSTICK, 1.2),
    (OURS, "pyinfra", 1 / 3),
    (OURS, "ansible, pipelining", 1 / 12),
)
"""Of second runs: ours takes at most so many times as long as the other."""


class Case(NamedTuple):
    """What is measured: how many machines, how far away."""

    machines: int
    delay_ms: int


@dataclass
class Times:
    """Seconds of every run, by case, tool and `RUNS`."""

    seconds: dict[tuple[Case, str, str], list[float]] = field(default_factory=dict)

    def add(self, case: Case, tool: str, run: str, seconds: float) -> None:
        self.seconds.setdefault((case, tool, run), []).append(seconds)

    def median(self, case: Case, tool: str, run: str) -> float | None:
        found = self.seconds.get((case, tool, run))
        return statistics.median(found) if found else None

    def total(self, case: Case, tool: str) -> float:
        """What all runs of the tool took together."""
        return sum(sum(self.seconds.get((case, tool, run), ())) for run in RUNS)

    def rounds(self, case: Case, tool: str) -> int:
        return max(len(self.seconds.get((case, tool, run), ())) for run in RUNS)

    def ratio(self, case: Case, tool: str, run: str, to: str = YARDSTICK) -> float | None:
        """Of the medians; None if one of them is missing."""
        one, other = self.median(case, tool, run), self.median(case, to, run)
        return one / other if one and other else None

    def cases(self) -> tuple[Case, ...]:
        return tuple(dict.fromkeys(case for case, _, _ in self.seconds))

    def tools(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(tool for _, tool, _ in self.seconds))


def in_turns(tools: Sequence[T], rounds: int) -> Iterator[tuple[int, T]]:
    """A B C A B C, with the number of the round: a machine that gets busier favours nobody."""
    return ((number, tool) for number in range(rounds) for tool in tools)


def table(times: Times, left_out: Mapping[str, str]) -> str:
    """Seconds and ratios in Markdown: a row for each tool, two columns for each case and run.

    `left_out` are tools that could not take part, or not to the end, with the reason.
    """
    columns = [(case, run) for case in times.cases() for run in RUNS if _measured(times, case, run)]
    head = ("tool", *(_title(case, run) for case, run in columns))
    rows = [(tool, *(_cell(times, case, tool, run) for case, run in columns)) for tool in times.tools()]
    rows += [(tool, *("-" for _ in columns)) for tool in left_out if tool not in times.tools()]
    lines = (head, tuple("---" for _ in head), *rows)
    notes = [*_fewer(times), *(f"{tool} left: {reason}." for tool, reason in left_out.items())]
    return "\n".join([*(f"| {' | '.join(line)} |" for line in lines), *(["", *notes] if notes else [])])


def verdicts(times: Times) -> Iterator[str]:
    """How each target is met, for each case that has its tools."""
    for case in times.cases():
        for tool, other, most in TARGETS:
            ratio = times.ratio(case, tool, "second", other)
            if ratio is not None:
                met = "met" if ratio <= most else "missed"
                said = f"{ratio:.2f} x {other}" if most >= 1 else f"{1 / ratio:.1f} x faster than {other}"
                target = f"{most:g}" if most >= 1 else f"{1 / most:g}"
                yield f"{_place(case)}, second run: {said}, target {target}: {met}"


def _fewer(times: Times) -> Iterator[str]:
    """What is measured less often than the rest of its case."""
    for case in times.cases():
        most = max(times.rounds(case, tool) for tool in times.tools())
        for tool in times.tools():
            if 0 < (rounds := times.rounds(case, tool)) < most:
                yield f"{tool} had {rounds} of {most} rounds with {_place(case)}, because it takes so long."


def _measured(times: Times, case: Case, run: str) -> bool:
    return any(times.median(case, tool, run) for tool in times.tools())


def _place(case: Case) -> str:
    machines = "1 machine" if case.machines == 1 else f"{case.machines} machines"
    return f"{machines}, {case.delay_ms} ms away" if case.delay_ms else machines


def _title(case: Case, run: str) -> str:
    return f"{_place(case)}: {run}"


def _cell(times: Times, case: Case, tool: str, run: str) -> str:
    median, ratio = times.median(case, tool, run), times.ratio(case, tool, run)
    if median is None:
        return "-"
    return f"{median:.2f} s" + (f" ({ratio:.1f})" if ratio else "")
