"""Quoting: a value is data in every language we write, or it is refused."""

from __future__ import annotations

import configparser
import json
import subprocess

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enginehouse.render.templates import Unquotable, quote_haproxy, quote_ini, quote_json, quote_sh, render

LINE = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=60)


@given(LINE)
def test_a_shell_word_arrives_as_it_was(text: str) -> None:
    """Through a real POSIX shell."""
    done = subprocess.run(["sh"], input=f"printf %s {quote_sh(text)}".encode(), capture_output=True, check=True)
    assert done.stdout.decode() == text


@given(LINE.filter(lambda t: " ;" not in t and "\u00a0" not in t))
def test_an_ini_value_arrives_as_it_was(text: str) -> None:
    """supervisor reads its files with configparser and expands %(...)s."""
    interpolation = configparser.BasicInterpolation()
    parser = configparser.ConfigParser(inline_comment_prefixes=(";", "#"), interpolation=interpolation)
    value = f"x{text.replace('#', '')}x"
    parser.read_string(f"[s]\nk = {quote_ini(value)}\n")
    assert parser["s"]["k"] == value


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_a_json_text_arrives_as_it_was(text: str) -> None:
    """One line, any content."""
    assert json.loads(quote_json(text)) == text
    assert "\n" not in quote_json(text)


@pytest.mark.parametrize("quote", [quote_sh, quote_haproxy, quote_ini])
@pytest.mark.parametrize("text", ["a\nb", "a\rb", "a\0b"])
def test_a_line_end_is_refused(quote: object, text: str) -> None:
    """No value starts a line of its own."""
    with pytest.raises(Unquotable):
        quote(text)  # type: ignore[operator]


def test_a_single_quote_leaves_haproxys_quotes_for_a_moment() -> None:
    """HAProxy manual 2.2: inside single quotes nothing is special, not even a backslash."""
    assert quote_haproxy("it's $HOME") == "'it'\\''s $HOME'"


def test_an_undefined_name_is_an_error() -> None:
    """Templates hold no defaults."""
    with pytest.raises(jinja2.UndefinedError):
        render("haproxy/haproxy.cfg.j2")
