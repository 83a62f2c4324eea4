"""The verbs of the command line, one module each: they gather what a renderer shows and return it with an exit code."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from enginehouse.errors import EnginehouseError, ExitCode
from enginehouse.report.lines import Line

Show: TypeAlias = Callable[[Iterable[Line]], None]
"""Results that come while a verb is at work."""


class InvalidInput(EnginehouseError):
    """An argument that can't be used as it is; nothing was touched."""


class WrongAnswers(EnginehouseError):
    """What was given can't become a stack file; `reasons` has a line or two for each answer."""

    def __init__(self, message: str, reasons: Sequence[str]) -> None:
        self.reasons = tuple(reasons)
        super().__init__(message)


class Format(StrEnum):
    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"
    """One object a line, as they come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What goes to standard output, and what the process ends with."""

    lines: tuple[Line, ...]
    code: ExitCode = ExitCode.OK
