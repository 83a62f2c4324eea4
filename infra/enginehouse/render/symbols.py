"""Symbols in rendered texts, and the secret values some of them stand for.

A plan is rendered before a machine's folders, a replica's port or a secret's value are known. Texts name them as
`@{...}`; this module fills them in on the way to the machine. `@@{` is a literal `@{`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from enginehouse.errors import EnginehouseError

_SYMBOL = re.compile(r"@@\{|@\{([^{}\n]{1,80})\}")


class UnknownSymbol(EnginehouseError):
    """A text names a symbol or a secret that has no value here."""


class Secret:
    """A secret value. Only `reveal` gives it away; `repr`, `str` and formatting do not."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def sha256(self) -> str:
        """Hex digest of the value's UTF-8 bytes: what a machine keeps instead of the value."""
        return hashlib.sha256(self._value.encode()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "Secret(…)"


def names(text: str) -> frozenset[str]:
    """The symbols that `text` mentions, without `@{` and `}`."""
    return frozenset(match[1] for match in _SYMBOL.finditer(text) if match[1])


def fill(text: str, symbols: Mapping[str, str], secrets: Mapping[str, Secret]) -> str:
    """`text` with every symbol replaced, in one pass: a value that looks like a symbol stays as it is.

    Raises `UnknownSymbol`, which names the symbol and never a value.
    """

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name is None:
            return "@{"
        kind, _, rest = name.partition(":")
        if kind == "secret" and rest in secrets:
            return secrets[rest].reveal()
        if kind == "sha256" and rest in secrets:
            return secrets[rest].sha256()
        if name in symbols:
            return symbols[name]
        if kind in ("secret", "sha256"):
            raise UnknownSymbol(f"the secret {rest!r} has no value")
        raise UnknownSymbol(f"the symbol {name!r} has no value here")

    return _SYMBOL.sub(value, text)


def literal(text: str) -> str:
    """Foreign text, so that `fill` gives it back unchanged."""
    return text.replace("@{", "@@{")
