"""Checks the value of one option against what its flag takes. Pure.

Stricter than engines are: llama-server takes `4k` for 4 and says nothing (measured 2026-11, b11434).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from enginehouse.catalog.flags import Flag, Many, Value

_WHOLE = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_BITS = {Value.INT: 32, Value.LONG: 64}
_KINDS = {
    Value.INT: "a whole number",
    Value.LONG: "a whole number",
    Value.NUMBER: "a number",
    Value.TEXT: "a text",
    Value.PAIR: "two words",
}
_SHOWN = 60
"""Characters of a value that a message repeats."""


@dataclass(frozen=True, slots=True)
class WrongValue:
    """What is wrong with a value: a code, a sentence and what would be right."""

    code: str
    summary: str
    hint: str


def wrong_value(written: str, flag: Flag, value: object) -> WrongValue | None:
    """What is wrong with `value` for the option that the file calls `written`; None if the engine takes it."""
    if flag.value is Value.PAIR:
        return WrongValue("reserved-option", f'option "{written}" can\'t be set', "it takes two words at once")
    if flag.value is Value.SWITCH:
        return _wrong_switch(written, flag, value)
    if isinstance(value, list | tuple):
        return _wrong_list(written, flag, value)
    return _wrong_single(written, flag, value)


def short(text: str) -> str:
    """`text` as a message may repeat it: on one line, not too long."""
    line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:_SHOWN])
    return line if len(text) <= _SHOWN else line[:-1] + "…"


def _wrong_switch(written: str, flag: Flag, value: object) -> WrongValue | None:
    if value is True:
        return None
    opposite = next(iter(flag.off if written in flag.names else (flag.name,)), None)
    if value is False:
        hint = "leave it out" + (f', or write "{opposite}: true" for the opposite' if opposite else "")
        return WrongValue("option-false", f'switch "{written}" can\'t be false', hint)
    hint = f'write "{written}: true"' + (f' or "{opposite}: true"' if opposite else "")
    return WrongValue("option-takes-no-value", f'option "{written}" takes no value', hint)


def _wrong_list(written: str, flag: Flag, values: Sequence[object]) -> WrongValue | None:
    if flag.many is None:
        summary = f'option "{written}" takes one value, not a list'
        return WrongValue("option-takes-one-value", summary, f"write {_wanted(flag)}")
    if not values:
        return WrongValue("option-needs-value", f'option "{written}" has an empty list', "leave it out")
    return next((wrong for value in values if (wrong := _wrong_entry(written, flag, value))), None)


def _wrong_entry(written: str, flag: Flag, value: object) -> WrongValue | None:
    if flag.many is Many.COMMA and isinstance(value, str) and "," in value:
        summary = f'an entry of option "{written}" has a comma: {_shown(value)}'
        return WrongValue("option-type", summary, "commas separate the entries on the command line")
    return _wrong_single(written, flag, value)


def _wrong_single(written: str, flag: Flag, value: object) -> WrongValue | None:
    if value is None or isinstance(value, bool):
        return WrongValue("option-needs-value", f'option "{written}" needs a value', f"write {_wanted(flag)}")
    if not isinstance(value, str | int | float):
        kind = "a list" if isinstance(value, list | tuple) else "a map"
        return _wrong_type(written, flag, kind, "where the engine takes JSON, write it as text in quotes")
    text = str(value)
    if "\0" in text:
        return _wrong_type(written, flag, _shown(value), "a command line can't hold a NUL character")
    if flag.value is Value.TEXT and flag.choices:
        return None if _allowed(text, flag) else _wrong_choice(written, flag, value)
    if flag.value in _BITS and _WHOLE.fullmatch(text):
        return None if _in_range(text, flag) else _too_large(written, flag, text)
    return None if _fits(text, flag) else _wrong_type(written, flag, _shown(value), "")


def _allowed(text: str, flag: Flag) -> bool:
    return set(text.split(",") if flag.many is Many.COMMA else [text]) <= set(flag.choices)


def _in_range(text: str, flag: Flag) -> bool:
    half = 1 << (_BITS[flag.value] - 1)
    return len(text) <= _SHOWN and -half <= int(text) < half


def _fits(text: str, flag: Flag) -> bool:
    number = flag.value is Value.NUMBER and _NUMBER.fullmatch(text) is not None
    return flag.value is Value.TEXT or number or text in flag.choices


def _wrong_choice(written: str, flag: Flag, value: object) -> WrongValue:
    return WrongValue("option-choice", f'option "{written}" can\'t be {_shown(value)}', f"write {_wanted(flag)}")


def _too_large(written: str, flag: Flag, digits: str) -> WrongValue:
    summary = f'option "{written}" can\'t be {short(digits)}'
    return WrongValue("option-type", summary, f"it is a whole number of {_BITS[flag.value]} bits")


def _wrong_type(written: str, flag: Flag, shown: str, hint: str) -> WrongValue:
    return WrongValue("option-type", f'option "{written}" must be {_wanted(flag)}, not {shown}', hint)


def _wanted(flag: Flag) -> str:
    choices = ", ".join(flag.choices)
    if flag.value is Value.TEXT and choices:
        return f"one of {choices}"
    return _KINDS[flag.value] + (f" or one of {choices}" if choices else "")


def _shown(value: object) -> str:
    return f'"{short(value)}"' if isinstance(value, str) else short(str(value))
