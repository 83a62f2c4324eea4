"""Words for values, types and choices, as sentences of diagnostics use them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from enginehouse.spec.fields import PATTERNS
from enginehouse.spec.schema import anchored

_TYPES = {"string": "a text", "integer": "a whole number", "array": "a list", "object": "a mapping"}
_MEANINGS = {anchored(pattern): words for pattern, words in PATTERNS.items()}
_MOST_NAMED = 20


def closest(word: str, choices: Sequence[str]) -> str | None:
    """The choice that was probably meant; None if none is similar."""
    found = difflib.get_close_matches(word.lower(), choices, n=1)
    return found[0] if found else None


def did_you_mean(word: str, choices: Sequence[str], what: str) -> str:
    """The hint for a word that is none of the choices."""
    meant = closest(word, choices)
    named = f"{what}: {listed(choices)}"
    return f'did you mean "{meant}"? ({named})' if meant else named


def listed(choices: Iterable[str]) -> str:
    """The choices with commas; the first ones of many."""
    names = list(choices)
    rest = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "") if names else "none"


def kind_of(value: Any) -> str:
    """What a value is."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    if isinstance(value, float):
        return "a number with a fraction or exponent"
    return {str: "a text", int: "a whole number", list: "a list", dict: "a mapping"}[type(value)]


def expected(schema: Mapping[str, Any]) -> str:
    """What a schema allows."""
    if "anyOf" in schema:
        return " or ".join(expected(branch) for branch in schema["anyOf"])
    if "$ref" in schema:
        return _TYPES["object"]
    if "const" in schema:
        return f'"{schema["const"]}"'
    if "enum" in schema:
        return "one of " + listed(schema["enum"])
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f"{low}" if low == high else f"a whole number from {low} to {high}"
    return _TYPES[schema["type"]]


def pattern_meaning(anchored_pattern: str) -> str:
    return _MEANINGS[anchored_pattern]
