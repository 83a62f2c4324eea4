"""Bytes to text: encodings, sizes, and characters that don't belong in a text file."""

from __future__ import annotations

from pathlib import Path

import pytest

from enginehouse.spec.codes import Code
from enginehouse.spec.reading import MAX_BYTES, Reading, decode, inspect, read


def code(reading: Reading) -> str:
    return reading.problem.code if reading.problem else ""


def place(reading: Reading) -> tuple[int, int]:
    assert reading.problem is not None
    return reading.problem.span.line, reading.problem.span.column


def test_utf8_is_read_with_and_without_a_byte_order_mark() -> None:
    """The mark is no part of the text, so columns of the first line are right."""
    assert decode("é: 🦙\n".encode(), "f") == decode("é: 🦙\n".encode("utf-8-sig"), "f") == Reading(text="é: 🦙\n")


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-16-le", "cp1252"])
def test_other_encodings_are_named_as_such(encoding: str) -> None:
    """Never mojibake: a file in another encoding is refused."""
    assert code(decode("größe: 1\n".encode(encoding), "f")) in (Code.NOT_UTF8, Code.CONTROL_CHARACTER)


def test_the_place_of_a_wrong_byte_counts_letters() -> None:
    """Line and column as an editor shows them, also behind letters of several bytes."""
    assert place(decode("ä: 1\nüü: ".encode() + b"\xff", "f")) == (2, 5)


@pytest.mark.parametrize(
    "char", [*map(chr, (0, 7, 0x0B, 0x1B, 0x7F, 0x85, 0x9F, 0x2028, 0x202E, 0x2066, 0xFEFF, 0xFFFE, 0xD800))]
)
def test_invisible_characters_are_refused_and_not_shown(char: str) -> None:
    """Nothing that a terminal acts on, or that makes a line read other than it is, gets through."""
    reading = inspect(f"a: b\nc: d{char}e\n", "f")
    assert (code(reading), char in reading.text) == (Code.CONTROL_CHARACTER, False)


@pytest.mark.parametrize("text", ["a:\tb\r\n", "a: é\u00a0ü\n", "a: 👩\u200d🔬\n"])
def test_ordinary_text_passes(text: str) -> None:
    """Tabs, Windows line ends, spaces that don't break, and joined emoji are text."""
    assert inspect(text, "f") == Reading(text=text)


def test_a_huge_file_is_refused_before_it_is_looked_at() -> None:
    """The limit is on bytes, and the text isn't kept."""
    assert decode(b"a" * MAX_BYTES, "f").problem is None
    for reading in (decode(b"a" * (MAX_BYTES + 1), "f"), inspect("a" * (MAX_BYTES + 1), "f")):
        assert (code(reading), reading.text, place(reading)) == (Code.FILE_TOO_LARGE, "", (1, 1))


@pytest.mark.parametrize("name", ["missing", "a\0b", "a\udcff\0", "a" * 5000])
def test_a_file_that_cannot_be_there_is_a_problem(name: str) -> None:
    """Whatever somebody calls it, nothing is raised."""
    assert code(read(Path(name), "f")) == Code.UNREADABLE_FILE
