"""Marks in a stream are found however it is cut into pieces."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from enginehouse.connectors.ssh.marked import Marked

MARK = b"\x1eabc"
PIECES = st.lists(st.sampled_from([b"\x1e", b"\x1ea", b"ab", b"c", b"\n", b"x", b"\x1eabd"]), max_size=12).map(b"".join)
"""Texts that look like a mark for as long as possible, and never are one."""


def read(stream: bytes, cuts: list[int]) -> tuple[Marked, bytes]:
    got = bytearray()
    marked = Marked(MARK, got.extend)
    places = sorted({0, *(cut % (len(stream) + 1) for cut in cuts), len(stream)})
    for start, end in itertools.pairwise(places):
        marked.add(stream[start:end])
    return marked, bytes(got)


def unmarked(text: bytes) -> bytes:
    return text.replace(MARK, b"")


@given(PIECES, PIECES, PIECES, st.lists(st.integers(0, 200), max_size=20))
def test_exactly_what_lies_between_the_marks_is_handed_on(
    before: bytes, between: bytes, after: bytes, cuts: list[int]
) -> None:
    """Nothing of what comes before and after, nothing lost, nothing added."""
    before, between = unmarked(before), unmarked(between)
    if (before + MARK).find(MARK) != len(before) or (between + MARK).find(MARK) != len(between):
        return
    stream = before + MARK + b"12\n" + between + MARK + b"7\n" + after
    marked, got = read(stream, cuts)
    assert (marked.begun, marked.ended, got) == ("12", "7", between)


def test_what_can_be_no_mark_is_handed_on_at_once() -> None:
    """A listener hears a line before the next one comes."""
    got = bytearray()
    marked = Marked(MARK, got.extend)
    marked.add(MARK + b"1\nfirst line\n")
    assert bytes(got) == b"first line\n"
    marked.add(b"\x1eab")
    assert bytes(got) == b"first line\n"
    marked.finish()
    assert bytes(got) == b"first line\n\x1eab"


def test_a_stream_without_a_mark_says_what_it_said() -> None:
    """The words of a login that runs no commands."""
    marked, got = read(b"only this is allowed\n", [])
    assert (marked.begun, marked.before, got) == (None, "only this is allowed\n", b"")
