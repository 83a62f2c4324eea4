"""Stack files: reading, checking, and the `Spec` that the planner starts from. Pure but for reading the file itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from enginehouse.diagnostics import Diagnostic, Span, in_order
from enginehouse.spec.build import build
from enginehouse.spec.checks import meaning_problems
from enginehouse.spec.codes import Code
from enginehouse.spec.find import find_stack, name_problem, stack_name, stack_names
from enginehouse.spec.loader import parse
from enginehouse.spec.model import Spec
from enginehouse.spec.problems import limited, told
from enginehouse.spec.reading import MAX_BYTES, Reading, decode, inspect
from enginehouse.spec.secrecy import masked
from enginehouse.spec.source import Source
from enginehouse.spec.validate import shape_problems

__all__ = ["Loaded", "Source", "find_stack", "load", "load_bytes", "load_text", "stack_names"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A stack file with everything that is wrong with it.

    `spec` is None as long as the shape is wrong. Secrets that a diagnostic complains about are stars in `source.text`.
    """

    name: str
    path: Path
    spec: Spec | None
    diagnostics: tuple[Diagnostic, ...]
    source: Source

    @property
    def ok(self) -> bool:
        """Whether the stack can be deployed; warnings don't count."""
        return not any(d.severity.is_error() for d in self.diagnostics)


def load(path: Path, *, display: str | None = None) -> Loaded:
    """The stack in a file, with all diagnostics; whatever is in the file, or that it is missing, never raises.

    `display` is what diagnostics call the file.
    """
    shown = display if display is not None else str(path)
    try:
        with path.open("rb") as file:
            reading = decode(file.read(MAX_BYTES + 1), shown)
    except OSError as error:
        reading = Reading(text="", problem=_unreadable(shown, error))
    return _loaded(reading, name=stack_name(path), path=path, display=shown)


def load_bytes(data: bytes, *, name: str, display: str) -> Loaded:
    """Like `load`, for what would be in a file."""
    return _loaded(decode(data, display), name=name, path=Path(display), display=display)


def load_text(text: str, *, name: str, display: str) -> Loaded:
    """Like `load`, for a text that is in no file."""
    return _loaded(inspect(text, display), name=name, path=Path(display), display=display)


def _loaded(reading: Reading, *, name: str, path: Path, display: str) -> Loaded:
    if reading.problem is not None:
        source = Source(file=display, text=masked(reading.text, ()))
        return Loaded(name=name, path=path, spec=None, diagnostics=(reading.problem,), source=source)
    wrong_name = name_problem(name, display)
    source, problems = parse(reading.text, display)
    spec = None
    if source.root.data is not None or not problems:
        spec, more = _checked(source, name)
        problems = (*problems, *more)
    diagnostics = in_order((*problems, *((wrong_name,) if wrong_name else ())))
    shown = replace(source, text=masked(reading.text, diagnostics))
    return Loaded(name=name, path=path, spec=spec, diagnostics=diagnostics, source=shown)


def _checked(source: Source, name: str) -> tuple[Spec | None, tuple[Diagnostic, ...]]:
    """The spec if the shape is right, and the problems of shape and meaning together."""
    shape = limited(shape_problems(source))
    lost = frozenset(problem.lost for problem in shape if problem.lost is not None)
    if () in lost:
        return None, told(shape, source)
    spec = build(source.root.data, name, lost)
    meaning = limited(meaning_problems(spec, source, lost))
    return (None if shape else spec), told((*shape, *meaning), source)


def _unreadable(file: str, error: OSError) -> Diagnostic:
    reason = (error.strerror or "it can't be read").lower()
    span = Span(file=file, line=1, column=1, end_line=1, end_column=2)
    return Diagnostic(code=Code.UNREADABLE_FILE, summary=f"the file can't be read: {reason}", span=span)
