"""Plain scalars: exactly YAML 1.2's core schema."""

from __future__ import annotations

import math

import pytest

from enginehouse.spec.scalars import Scalar, resolve


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((word, None) for word in ("", "~", "null", "Null", "NULL")),
        *((word, True) for word in ("true", "True", "TRUE")),
        *((word, False) for word in ("false", "False", "FALSE")),
        *(("0", 0), ("-0", 0), ("+12", 12), ("007", 7), ("0o17", 15), ("0x1F", 31), ("9" * 20, 10**20 - 1)),
        *(("1.", 1.0), (".5", 0.5), ("-1.5e3", -1500.0), ("1e3", 1000.0), ("1.20", 1.2), ("1e999", math.inf)),
        *((".inf", math.inf), ("-.Inf", -math.inf), ("+.INF", math.inf)),
    ],
)
def test_core_types_are_recognised(text: str, value: Scalar) -> None:
    """Every form of YAML 1.2, section 10.3.2, and its type."""
    assert (resolve(text), type(resolve(text))) == (value, type(value))


def test_not_a_number_is_one() -> None:
    """`.nan` equals nothing, so it is tested apart."""
    assert [math.isnan(float(str(resolve(word)))) for word in (".nan", ".NaN", ".NAN")] == [True] * 3


@pytest.mark.parametrize(
    "text",
    [
        *("no", "yes", "on", "off", "y", "n", "No", "nULL", "tRUE", "nan", "inf", ".infinity"),
        *("2020-01-01", "1:30", "190:20:30", "1_000", "0b101", "1.2.3", "b11434"),
        *("0o8", "0x", "0xG", "+0x1", "-0o7", "1e", ".e1", ".", "-", "+", "..", "-."),
    ],
)
def test_everything_else_stays_a_text(text: str) -> None:
    """What YAML 1.1 reads as booleans, dates or sexagesimals is a text, and so is what only looks like a number."""
    assert resolve(text) == text


def test_more_digits_than_python_converts_are_no_whole_number() -> None:
    """No ValueError for a number of thousands of digits."""
    assert resolve("9" * 4000) == 10**4000 - 1
    assert resolve("9" * 5000) == math.inf
