"""Pulumi's property values to plain Python data and back.

    wire                       plain
    number                     int if it is whole, else float (the wire has floats only)
    struct, list               dict, list
    the unknown marker         UNKNOWN: a value that a preview can't know yet
    {secret signature, value}  Hidden(value): stays encrypted in the state and is never printed

Markers and signature are part of the protocol (pulumi/sdk/go/common/resource/properties.go, read 2026-11, SDK 3.259.0).
Resource references and output values never arrive, because the provider does not announce that it accepts them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.struct_pb2 import ListValue, Struct, Value

_UNKNOWN_MARKER = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_SIGNATURE_KEY = "4dabf18193072939515e22adb298388d"
_SECRET_SIGNATURE = "1b47061264138c4ac30d75fd1eb44270"
_LARGEST_EXACT = 2**53
"""Beyond this a float on the wire no longer tells whole numbers apart."""


class Unknown:
    """The type of `UNKNOWN`; there is one value."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()


@dataclass(frozen=True, slots=True)
class Hidden:
    """A secret value of any type. Its `repr` shows nothing."""

    value: Any

    def __repr__(self) -> str:
        return "Hidden(…)"


def to_plain(struct: Struct) -> dict[str, Any]:
    """All properties, sorted by name: the wire keeps no order, and a command line must not change with it."""
    return {name: _plain(struct.fields[name]) for name in sorted(struct.fields)}


def to_struct(properties: Mapping[str, Any]) -> Struct:
    """The inverse of `to_plain`. Raises `TypeError`, which names the type and never the value, for what JSON lacks."""
    return Struct(fields={name: _value(value) for name, value in properties.items()})


def unsealed(value: Any) -> Any:
    """`value` without any `Hidden`: for code that needs the secrets themselves."""
    if isinstance(value, Hidden):
        return unsealed(value.value)
    if isinstance(value, Mapping):
        return {name: unsealed(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [unsealed(item) for item in value]
    return value


def _plain(value: Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return _plain_struct(value.struct_value)
    if kind == "list_value":
        return [_plain(item) for item in value.list_value.values]
    if kind == "number_value":
        return _plain_number(value.number_value)
    if kind == "string_value":
        return UNKNOWN if value.string_value == _UNKNOWN_MARKER else value.string_value
    return value.bool_value if kind == "bool_value" else None


def _plain_struct(struct: Struct) -> Any:
    if _SIGNATURE_KEY in struct.fields and struct.fields[_SIGNATURE_KEY].string_value == _SECRET_SIGNATURE:
        return Hidden(_plain(struct.fields["value"]))
    return to_plain(struct)


def _plain_number(number: float) -> int | float:
    return int(number) if number.is_integer() and abs(number) <= _LARGEST_EXACT else number


def _value(value: Any) -> Value:
    if value is None:
        return Value(null_value=0)  # type: ignore[arg-type]
    if isinstance(value, bool):
        return Value(bool_value=value)
    if isinstance(value, int | float):
        return Value(number_value=value)
    if isinstance(value, str):
        return Value(string_value=value)
    if isinstance(value, Unknown):
        return Value(string_value=_UNKNOWN_MARKER)
    if isinstance(value, Hidden):
        return Value(struct_value=to_struct({_SIGNATURE_KEY: _SECRET_SIGNATURE, "value": value.value}))
    if isinstance(value, Mapping):
        return Value(struct_value=to_struct(value))
    if isinstance(value, list | tuple):
        return Value(list_value=ListValue(values=[_value(item) for item in value]))
    raise TypeError(f"a {type(value).__name__} can't be a property")
