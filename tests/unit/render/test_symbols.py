"""Symbols are filled in once, secrets never show, and foreign text survives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enginehouse.render.symbols import Secret, UnknownSymbol, fill, literal, names

SECRETS = {"key-demo": Secret("s3cret")}


def test_symbols_secrets_and_hashes_are_filled_in() -> None:
    """The three kinds of symbols become their values."""
    text = fill("@{state}/x @{secret:key-demo} @{sha256:key-demo}", {"state": "/srv"}, SECRETS)
    assert text == "/srv/x s3cret 1ec1c26b50d5d3c58d9583181af8076655fe00756bf7285940ba3670f99fcba0"


def test_a_value_that_looks_like_a_symbol_stays_as_it_is() -> None:
    """One pass: what a value holds is never looked at again."""
    assert fill("@{state}", {"state": "@{secret:key-demo}"}, SECRETS) == "@{secret:key-demo}"


@pytest.mark.parametrize("text", ["@{nothing}", "@{secret:other}", "@{sha256:other}"])
def test_an_unknown_name_is_an_error_that_names_it(text: str) -> None:
    """No symbol is left standing in what reaches a machine."""
    with pytest.raises(UnknownSymbol) as caught:
        fill(text, {}, SECRETS)
    assert "s3cret" not in str(caught.value)


def test_a_secret_shows_itself_only_when_asked() -> None:
    """Neither repr, str nor formatting give the value away."""
    secret = SECRETS["key-demo"]
    assert "s3cret" not in f"{secret} {secret!r} {[secret]}"
    assert secret.reveal() == "s3cret"


@given(st.text(alphabet="@{}:abcstate\n", max_size=40))
def test_literal_text_comes_back_unchanged(text: str) -> None:
    """Whatever a user writes is data: after `literal` no symbol is left in it."""
    assert names(literal(text)) == frozenset()
    assert fill(literal(text), {"state": "/srv"}, SECRETS) == text
