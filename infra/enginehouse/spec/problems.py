"""One wrong thing, said by path; positions are looked up when it is told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from enginehouse.diagnostics import Diagnostic, Related, Severity
from enginehouse.spec.codes import Code
from enginehouse.spec.source import KeyPath, Source

MOST_PROBLEMS = 100
"""That many are read by nobody; the limit keeps a file of another kind from taking seconds and filling a screen."""

TOO_MANY = f"only the first {MOST_PROBLEMS} problems are listed"

_SHOWN = 60
"""Characters of a value that a sentence repeats."""
_MOST_RELATED = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """`path` is where it shows: at the key with `on_key`, else at the value."""

    path: KeyPath
    code: str
    summary: str
    hint: str = ""
    on_key: bool = False
    severity: Severity = Severity.ERROR
    related: tuple[tuple[KeyPath, str], ...] = ()
    """Other places that explain it, and what is there."""
    rests_on: tuple[KeyPath, ...] = ()
    """Further values it was concluded from: if one of them is lost, it may not be true."""
    lost: KeyPath | None = None
    """The value that can't be used, as far as shape goes: wrong or missing."""


def limited(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """The first `MOST_PROBLEMS`, and then a word about the rest, which are not even looked for."""
    found = tuple(islice(problems, MOST_PROBLEMS + 1))
    if len(found) <= MOST_PROBLEMS:
        return found
    return (
        *found[:MOST_PROBLEMS],
        Problem(path=(), on_key=True, code=Code.TOO_MANY_PROBLEMS, summary=TOO_MANY, lost=()),
    )


def told(problems: Iterable[Problem], source: Source) -> tuple[Diagnostic, ...]:
    """The problems with their positions. What an alias or a merge brings to many places is told once, with them all."""
    groups: dict[object, list[Problem]] = {}
    for problem in problems:
        found = _diagnostic(problem, source)
        same = (found.span, found.code, found.related, problem.path[-1:], (problem.lost or ())[-1:])
        groups.setdefault(same, []).append(problem)
    return tuple(diagnostic for group in groups.values() for diagnostic in _group(group, source))


def dotted(path: KeyPath) -> str:
    """A path as a person writes it: `endpoint.keys[0].name`; `the file` for the document."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".") or "the file"


def shown(value: Any) -> str:
    """A value for use in a sentence, short."""
    text = str(value)
    text = text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
    return f'"{text}"'


def printable(text: str) -> str:
    """A quoted key or value may hold anything: what a terminal would act on becomes an escape."""
    return text if text.isprintable() else "".join(_escaped(text))


def _group(problems: list[Problem], source: Source) -> Iterator[Diagnostic]:
    uses = tuple(dict.fromkeys(use for problem in problems for use in source.uses(problem.path)))
    if uses:
        first = _diagnostic(problems[0], source)
        yield replace(first, related=(*first.related, *_few(uses)))
    else:
        yield from (_diagnostic(problem, source) for problem in problems)


def _diagnostic(problem: Problem, source: Source) -> Diagnostic:
    span = source.key_span(problem.path) if problem.on_key else source.value_span(problem.path)
    return Diagnostic(
        code=problem.code,
        summary=printable(problem.summary),
        span=span,
        severity=problem.severity,
        hint=printable(problem.hint),
        related=tuple(Related(span=source.key_span(path), text=printable(text)) for path, text in problem.related),
    )


def _few(related: tuple[Related, ...]) -> tuple[Related, ...]:
    if len(related) <= _MOST_RELATED:
        return related
    *first, last = related[:_MOST_RELATED]
    more = len(related) - _MOST_RELATED
    return (*first, replace(last, text=f"{last.text}, and {more} more"))


def _escaped(text: str) -> Iterator[str]:
    for char in text:
        yield char if char.isprintable() else char.encode("unicode_escape").decode()
