"""A first completion: what an engine is asked, and whether its answer is language. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

PATH = "/v1/chat/completions"
TRIES = (8, 64)
"""Tokens of the first try, and of a second one if the first makes no sense: a thinking model opens with marks that are
no text, and a good one may begin with a line of dots."""
RUN = 5
"""So many times the same character and nothing else is no word of any language."""
_EMOJI = "So"
_REPLACEMENT = "\ufffd"


def request(model: str, tokens: int, *, stream: bool = False) -> dict[str, Any]:
    message = {"role": "user", "content": "Say hello."}
    return {"model": model, "messages": [message], "max_tokens": tokens, "stream": stream}


def text(answer: Any) -> str | None:
    """What a chat completion says, a reasoning part included; None if it is no completion. `answer`: its JSON."""
    try:
        message = answer["choices"][0]["message"]
    except (TypeError, KeyError, IndexError):
        return None
    if not isinstance(message, Mapping):
        return None
    return str(message.get("content") or message.get("reasoning_content") or "")


def nonsense(said: str) -> str | None:
    """Why that text is no answer of a working model; None if it may be one.

    Only output that no working model gives is refused: white space or nothing at all; one character, `RUN` times or
    more; no letter, digit or emoji (punctuation, control and replacement characters, as broken weights and kernels
    give). Words without sense pass: a tiny or an untrained model speaks like that, and it is no failure of the engine.
    """
    bare = "".join(said.split())
    if not bare:
        return "says nothing"
    if len(bare) >= RUN and len(set(bare)) == 1:
        return "is one character over and over"
    if not any(_means_something(character) for character in bare):
        return "holds no letter, digit or emoji"
    return None


def _means_something(character: str) -> bool:
    category = unicodedata.category(character)
    return category[0] in "LN" or (category == _EMOJI and character != _REPLACEMENT)
