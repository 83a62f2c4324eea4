"""Styled lines: foreign text can neither paint nor break a line, and tables line up."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from enginehouse.report.lines import Piece, Style, as_text, json_lines, line, piece, table, visible


def test_control_characters_become_visible() -> None:
    """An engine's log line that tries to clear the screen is shown, not obeyed."""
    assert visible("\x1b[2Jred\x07 \u202eevil\u2028") == "\\x1b[2Jred\\x07 \\u202eevil\\u2028"


def test_tabs_and_letters_of_all_languages_stay() -> None:
    assert visible("\tGrüße 世界 [/x]") == "\tGrüße 世界 [/x]"


@given(st.text(st.characters(), max_size=60))
def test_one_line_stays_one_line_that_can_be_written(text: str) -> None:
    """Whatever a line is made of, it has one end and can be encoded."""
    shown = as_text([line(text)])
    assert len(shown.splitlines()) <= 1
    shown.encode()


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_json_comes_back_as_it_was(value: object) -> None:
    """Escaping for the terminal never changes what a JSON reader reads."""
    assert json.loads(as_text(json_lines(value))) == value


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    shown = as_text(
        table(("a", "number"), [[piece("long cell"), piece("7")], [piece("x"), piece("100")]], numbers=frozenset({1}))
    )
    assert shown == "a          number\nlong cell       7\nx             100\n"


def test_style_covers_text_and_nothing_is_lost_with_it() -> None:
    """Without a terminal a styled line is its text."""
    assert as_text([line(piece("state: "), piece("serving", Style.GOOD))]) == "state: serving\n"
    assert line("x") == (Piece("x", Style.PLAIN),)
