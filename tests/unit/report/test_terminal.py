"""Results on one stream, everything else on the other, colour only where it is seen."""

from __future__ import annotations

import io
from collections.abc import Mapping

import pytest

from enginehouse.report.lines import Style, line, piece
from enginehouse.report.terminal import Terminal, wants_colour

COLOURED = (line(piece("[/x] :boom: 42", Style.BAD)),)


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def written(stream: io.StringIO, environ: Mapping[str, str]) -> str:
    Terminal(out=stream, err=io.StringIO(), environ=environ).show(COLOURED)
    return stream.getvalue()


def test_results_and_progress_never_share_a_stream() -> None:
    out, err = io.StringIO(), io.StringIO()
    terminal = Terminal(out=out, err=err, environ={})
    terminal.progress("asking box")
    terminal.show((line("result"),))
    assert (out.getvalue(), err.getvalue()) == ("result\n", "asking box\n")


def test_a_terminal_gets_colour_and_foreign_text_stays_as_it_is() -> None:
    """Neither markup nor emoji codes nor numbers in foreign text are interpreted."""
    shown = written(Screen(), {"TERM": "xterm-256color"})
    assert "\x1b[" in shown
    assert "[/x] :boom: 42" in shown


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_without_colour_gets_plain_text(environ: Mapping[str, str]) -> None:
    assert written(Screen(), environ) == "[/x] :boom: 42\n"


def test_a_pipe_gets_plain_text() -> None:
    assert written(io.StringIO(), {"TERM": "xterm-256color"}) == "[/x] :boom: 42\n"


def test_an_empty_no_color_counts_as_unset() -> None:
    """https://no-color.org: "when present and not an empty string"."""
    assert wants_colour(Screen(), {"NO_COLOR": ""})


def test_long_lines_are_left_to_the_terminal() -> None:
    """A line is never cut or broken: people copy paths and commands from it."""
    stream = Screen()
    Terminal(out=stream, err=io.StringIO(), environ={"COLUMNS": "20"}).show((line("word " * 40 + "end"),))
    assert stream.getvalue().count("\n") == 1
