"""A value of the wrong type: what it is, what is wanted, and how to write that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from enginehouse.spec.codes import Code
from enginehouse.spec.problems import Problem, dotted
from enginehouse.spec.scalars import resolve
from enginehouse.spec.source import KeyPath
from enginehouse.spec.wording import expected, kind_of, listed

_SHOWN = 40
"""Characters of a number that a sentence repeats."""


def mistyped(path: KeyPath, schema: Mapping[str, Any], value: Any, written: str) -> Problem:
    """`written` is the value as the file has it."""
    wanted = schema["type"]
    if wanted == "string" and isinstance(value, bool | int | float):
        return _needs_quotes(path, value, written)
    if wanted == "integer" and isinstance(value, str) and value and type(resolve(value)) is int:
        summary = f"{label(path)} must be {expected(schema)}, but in quotes it is a text"
        return _wrong(path, Code.NEEDS_NO_QUOTES, summary, f"write {_pair(path, value[:_SHOWN])}")
    summary = f"{label(path)} must be {expected(schema)}, not {kind_of(value)}"
    return _wrong(path, Code.WRONG_TYPE, summary, _hint(schema, value))


def label(path: KeyPath) -> str:
    """What a sentence calls the value at `path`."""
    return f'"{path[-1]}"' if path and isinstance(path[-1], str) else dotted(path)


def _needs_quotes(path: KeyPath, value: object, written: str) -> Problem:
    """Never converted: `1.20` would silently become 1.2."""
    short = written if len(written) <= _SHOWN else f"{written[:_SHOWN]}…"
    summary = f"{label(path)} must be a text, but {short} without quotes is {kind_of(value)}"
    quoted = f'"{written}"'
    hint = f"write {_pair(path, quoted)}" if len(written) <= _SHOWN else "put it in quotes"
    return _wrong(path, Code.NEEDS_QUOTES, summary, hint)


def _hint(schema: Mapping[str, Any], value: Any) -> str:
    if schema["type"] == "object":
        needs = listed(schema["required"]) if schema.get("required") else ""
        return f"it needs {needs}" if needs else "write `{}` for a mapping without keys" if value is None else ""
    if isinstance(value, float) and value.is_integer():
        return f"write {value:.0f}"
    if schema["type"] == "array" and isinstance(value, str):
        return "write `[…]` around a single entry"
    return "give it a value or leave the key out" if value is None else ""


def _pair(path: KeyPath, text: str) -> str:
    return f"`{path[-1]}: {text}`" if isinstance(path[-1], str) else f"`{text}`"


def _wrong(path: KeyPath, code: Code, summary: str, hint: str) -> Problem:
    return Problem(path=path, code=code, summary=summary, hint=hint, lost=path)
