"""Where lines go: results to stdout, progress and errors to stderr; colour only where a terminal shows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TextIO

from enginehouse.report.lines import Line, as_text, line


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """The streams of this process and the environment that decides about colour."""

    out: TextIO
    err: TextIO
    environ: Mapping[str, str]
    keyboard: TextIO | None = None

    def show(self, lines: Iterable[Line]) -> None:
        """Results. Flushed, so that a closed pipe is noticed here and not at exit."""
        _write(self.out, lines, self.environ)

    def tell(self, *lines: Line) -> None:
        """What is said beside the result: progress, notices, errors."""
        _write(self.err, lines, self.environ)

    def progress(self, text: str) -> None:
        """A line about what takes time."""
        self.tell(line(text))

    def asks(self) -> bool:
        """Whether there is a person who reads questions and can answer."""
        return self.keyboard is not None and self.keyboard.isatty() and self.err.isatty()

    def ask(self, question: str) -> str:
        """The line that the person writes behind the question. Raises `EOFError` when they are done writing."""
        self.err.write(as_text([line(question)]).rstrip("\n") + " ")
        self.err.flush()
        answer = self.keyboard.readline() if self.keyboard else ""
        if not answer.endswith("\n"):
            raise EOFError
        return answer.strip()


def wants_colour(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """A terminal that knows colour, and no NO_COLOR (https://no-color.org, read 2026-11: any but an empty value)."""
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def _write(stream: TextIO, lines: Iterable[Line], environ: Mapping[str, str]) -> None:
    if wants_colour(stream, environ):
        _paint(stream, lines)
    else:
        stream.write(as_text(lines))
    stream.flush()


def _paint(stream: TextIO, lines: Iterable[Line]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(file=stream, markup=False, highlight=False, emoji=False, soft_wrap=True)
    for row in lines:
        console.print(Text.assemble(*((p.text, p.style.value) for p in row)))
