"""What counts as an answer of a working model."""

from __future__ import annotations

from typing import Any

import pytest

from enginehouse.converge import completion

SPOKEN = [
    "🌟Hello. I'm here", "🌌🌍", "Namaste, dear traveler. I", "Hi", "1", "你好", "สวัสดี", "Привет!", "\n\nHello",
    "<think>\n\n", "I", "ha ha ha ha ha", "...well", "👋",
]  # fmt: skip
"""The first three are SmolLM2-135M's own answers (b11434, 2026-11)."""
NOISE = ["xqz vrr\n\n\ufffd ple", "the the the the", "\n\nof\n\n", "zz\ufffd\ufffd\x07k", "\u0e01\ufffd", "ab" * 30]
"""What tiny models with random weights say."""
DEGENERATE = {
    "": "says nothing",
    "\n\n\n\n\n\n\n\n": "says nothing",
    " \t ": "says nothing",
    "GGGGGGGG": "is one character over and over",
    "@@@@@@@@": "is one character over and over",
    "! ! ! ! ! ! ! !": "is one character over and over",
    "\ufffd" * 8: "is one character over and over",
    "!!!": "holds no letter, digit or emoji",
    "!?!?!?!?": "holds no letter, digit or emoji",
    "\x00\x01\x02\x03": "holds no letter, digit or emoji",
    "\ufffd\x00\ufffd": "holds no letter, digit or emoji",
    "####\n----\n": "holds no letter, digit or emoji",
}


@pytest.mark.parametrize("said", [*SPOKEN, *NOISE])
def test_what_a_model_may_say_passes(said: str) -> None:
    """Short answers, any script, emoji, and words without sense."""
    assert completion.nonsense(said) is None


@pytest.mark.parametrize(("said", "why"), DEGENERATE.items(), ids=map(repr, DEGENERATE))
def test_what_no_working_model_says_is_refused(said: str, why: str) -> None:
    assert completion.nonsense(said) == why


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"choices": [{"message": {"content": "hi"}}]}, "hi"),
        ({"choices": [{"message": {"content": "", "reasoning_content": "so"}}]}, "so"),
        ({"choices": [{"message": {"content": None}}]}, ""),
        ({"choices": []}, None),
        ({"choices": [{"message": "hi"}]}, None),
        ({"error": "no"}, None),
        (["choices"], None),
        (None, None),
    ],
)
def test_the_text_of_an_answer(answer: Any, said: str | None) -> None:
    """A thinking model's thoughts count; what is no completion has no text."""
    assert completion.text(answer) == said
