"""`enginehouse validate`: every problem of every stack, nothing touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from enginehouse.diagnostics import Diagnostic
from enginehouse.errors import ExitCode, SpecError
from enginehouse.report.lines import Line, line
from enginehouse.report.problems import problems_count, problems_json, problems_text, valid_text
from enginehouse.spec.find import LOCK_SUFFIX, lock_without_stack, stack_of_lock, stands_beside
from enginehouse.spec.model import Spec
from enginehouse.verbs import Answer, Format
from enginehouse.verbs.stacks import read_stack


@dataclass(frozen=True, slots=True, kw_only=True)
class _Checked:
    name: str
    diagnostics: tuple[Diagnostic, ...]
    spec: Spec | None = None
    sources: Mapping[str, str] = field(default_factory=dict)

    def ok(self) -> bool:
        return not any(d.severity.is_error() for d in self.diagnostics)


def validate(stacks: Sequence[str], output: Format) -> Answer:
    """All stacks with their lock files, in the given order. Code `INVALID` if one has an error; warnings are fine.

    A lock file stands for its stack, and what belongs to Pulumi or lists hosts for those that use it, so that all files
    of a folder can be given.
    """
    given = [stack for stack in stacks if not stands_beside(Path(stack))] or stacks
    checked = [_check(stack) for stack in given if _stack_of(stack) not in given]
    code = ExitCode.OK if all(c.ok() for c in checked) else ExitCode.INVALID
    if output is Format.JSON:
        return Answer(lines=tuple(row for c in checked for row in problems_json(c.name, c.diagnostics)), code=code)
    return Answer(lines=tuple(row for c in checked for row in _text(c)), code=code)


def _check(stack: str) -> _Checked:
    beside = _stack_of(stack)
    if beside is None and _is_lock(stack):
        return _Checked(name=stack, diagnostics=(lock_without_stack(stack),))
    try:
        loaded = read_stack(beside or stack)
    except SpecError as error:
        return _Checked(name=stack, diagnostics=error.diagnostics)
    return _Checked(name=loaded.name, diagnostics=loaded.diagnostics, spec=loaded.spec, sources=loaded.sources)


def _is_lock(stack: str) -> bool:
    return stack.endswith(LOCK_SUFFIX) and Path(stack).is_file()


def _stack_of(stack: str) -> str | None:
    """The stack file of what is a lock file."""
    found = stack_of_lock(Path(stack)) if _is_lock(stack) else None
    return str(found) if found else None


def _text(checked: _Checked) -> tuple[Line, ...]:
    problems = problems_text(checked.diagnostics, checked.sources)
    if checked.spec is not None and checked.ok():
        return (*problems, valid_text(checked.spec))
    return (*problems, line(f"{checked.name}: {problems_count(checked.diagnostics)}"))
