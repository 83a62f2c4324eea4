"""Words joined for the shell arrive as they were, and so do the bytes behind a script."""

from __future__ import annotations

import shlex

from hypothesis import given, settings
from hypothesis import strategies as st

from enginehouse.connectors.local import LocalConnector

CONNECTOR = LocalConnector("laptop")

words = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), max_size=30)
awkward = st.lists(st.sampled_from(["'", '"', "\\", "\n", "$", "`", "!", "*", "~", "-", " ", "\x81", "\x88", "}", "#"]))


@settings(deadline=None)
@given(words | awkward)
def test_words_reach_a_command_unchanged(words: list[str]) -> None:
    """Quotes, newlines, control characters and everything else that is text."""
    script = f"set -- {shlex.join(words)}\nfor word; do printf '%s\\0' \"$word\"; done"
    result = CONNECTOR.run(script, deadline_s=20)
    assert result.stdout.split("\0")[:-1] == words


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\0\n")), st.lists(st.binary()))
def test_bytes_after_a_script_reach_its_commands_unchanged(comment: str, chunks: list[bytes]) -> None:
    """Whatever the script holds, and however its stdin is cut."""
    result = CONNECTOR.run(f"od -An -v -tx1 # {comment}", stdin=chunks, deadline_s=20)
    assert bytes.fromhex(result.stdout) == b"".join(chunks)
