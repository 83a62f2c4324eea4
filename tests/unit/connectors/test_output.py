"""Output is bounded, and cut into lines the same way whatever the chunks are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from enginehouse.connectors.output import Lines, Tail


@given(st.lists(st.binary(max_size=30), max_size=20), st.integers(1, 40))
def test_a_tail_is_the_end_of_the_stream(chunks: list[bytes], limit: int) -> None:
    """It holds the last bytes and says how many came before."""
    tail = Tail(limit)
    for chunk in chunks:
        tail.add(chunk)
    whole = b"".join(chunks)
    dropped = max(0, len(whole) - limit)
    note = f"[the first {dropped} bytes are left out]\n" if dropped else ""
    assert tail.text() == note + whole[dropped:].decode("utf-8", "replace")


@given(st.lists(st.sampled_from([b"\n", b"a", b"\xc3", b"\xa4", b"\r", b"\0", b"bc\nd"])))
def test_lines_do_not_depend_on_chunks(chunks: list[bytes]) -> None:
    """A character cut in two by the transport arrives whole."""
    heard: list[str] = []
    lines = Lines(heard.append)
    for chunk in chunks:
        lines.add(chunk)
    lines.end()
    expected = b"".join(chunks).decode("utf-8", "replace").split("\n")
    assert heard == (expected if expected[-1] else expected[:-1])
