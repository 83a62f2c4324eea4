"""The shape of a stack or lock file: where it differs from the schema, as problems a person can act on."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

from enginehouse.spec.codes import Code
from enginehouse.spec.mistyped import label, mistyped
from enginehouse.spec.model import Spec
from enginehouse.spec.problems import Problem, dotted, shown
from enginehouse.spec.schema import FREE_KEYS, keys_of, sections
from enginehouse.spec.secrecy import looks_secret, misplaced_key
from enginehouse.spec.source import KeyPath, Source
from enginehouse.spec.wording import closest, did_you_mean, expected, kind_of, listed, pattern_meaning

if TYPE_CHECKING:
    from enginehouse.spec.violations import Violation

_SHORT = 60
"""Characters of an example that fits into a hint."""

_Translation: TypeAlias = "Callable[[Violation, Source], Iterable[Problem]]"


def shape_problems(source: Source, root: type = Spec) -> Iterator[Problem]:
    """Every difference between the data and the schema of a `root`, lazily."""
    from enginehouse.spec.violations import violations  # takes 0.1 s to import, and whoever has a plan needs none

    return _translated(violations(source.root.data, root), source)


def _translated(found: Iterable[Violation], source: Source) -> Iterator[Problem]:
    for violation in found:
        yield from _TRANSLATIONS[violation.keyword](violation, source)


def _unknown_keys(found: Violation, _: Source) -> Iterator[Problem]:
    known = tuple(found.schema["properties"])
    for key in _extra(found.value, known):
        meant = closest(key, known)
        yield Problem(
            path=(*found.path, key),
            on_key=True,
            code=Code.UNKNOWN_KEY,
            summary=f"unknown key {shown(key)} in {dotted(found.path)}",
            hint=did_you_mean(key, known, "allowed")
            if meant
            else _belongs(key, found.root) + f"allowed: {listed(known)}",
            lost=(*found.path, meant) if meant and meant not in found.value else None,
        )


def _missing_keys(found: Violation, _: Source) -> Iterator[Problem]:
    """Required keys that are not there, unless a misspelt one is: that is said already."""
    properties = found.schema["properties"]
    misspelt = {closest(key, tuple(properties)) for key in _extra(found.value, properties)}
    for key in found.limit:
        if key not in found.value and key not in misspelt:
            example = json.dumps(properties[key]["examples"][0])
            yield Problem(
                path=found.path,
                on_key=True,
                code=Code.MISSING_KEY,
                summary=f'{dotted(found.path)} has no "{key}"',
                hint=f"for example `{key}: {example}`" if len(example) <= _SHORT else "",
                lost=(*found.path, key),
            )


def _wrong_type(found: Violation, source: Source) -> Iterator[Problem]:
    text = found.value if isinstance(found.value, str) else ""
    if _names_secrets(found.path) and text and (looks_secret(text) or found.path[-1] == "password"):
        yield misplaced_key(found.path)
    else:
        yield mistyped(found.path, found.schema, found.value, source.written(found.path))


def _no_choice(found: Violation, _: Source) -> Iterator[Problem]:
    """A value that is none of a closed set."""
    what = shown(found.value) if isinstance(found.value, str) else kind_of(found.value)
    hint = did_you_mean(str(found.value), tuple(found.limit), "allowed")
    yield _wrong(found.path, Code.UNKNOWN_VALUE, f"{label(found.path)} can't be {what}", hint)


def _out_of_range(found: Violation, _: Source) -> Iterator[Problem]:
    """Only whole numbers have bounds; that a number is none is told by its type."""
    if type(found.value) is int:
        text = str(found.value)
        number = text if len(text) <= 20 else f"a number of {len(text)} digits"
        summary = f"{label(found.path)} must be {expected(found.schema)}, not {number}"
        yield _wrong(found.path, Code.OUT_OF_RANGE, summary)


def _malformed(found: Violation, _: Source) -> Iterator[Problem]:
    """A text in the wrong form: a value, or the name of an entry. Values are not repeated: one may be a secret."""
    words = f"allowed: {pattern_meaning(found.limit)}"
    if found.of_name:
        path = (*found.path, found.value)
        summary = f"{shown(found.value)} can't be a name in {dotted(found.path)}"
        yield Problem(path=path, on_key=True, code=Code.MALFORMED_NAME, summary=summary, hint=words)
    elif _names_secrets(found.path) and looks_secret(found.value):
        yield misplaced_key(found.path)
    else:
        yield _wrong(found.path, Code.MALFORMED_VALUE, f"{label(found.path)} has the wrong form", words)


def _names_secrets(path: KeyPath) -> bool:
    return bool({"secrets", "private_key", "password"} & set(path))


def _too_few(found: Violation, _: Source) -> Iterator[Problem]:
    hint = "write `keys: public` to let everybody in" if found.path[-1:] == ("keys",) else ""
    yield _wrong(found.path, Code.TOO_FEW, f"{label(found.path)} is empty", hint)


def _too_many(found: Violation, _: Source) -> Iterator[Problem]:
    summary = f"{label(found.path)} has {len(found.value)} entries; at most {found.limit} are allowed"
    yield _wrong(found.path, Code.TOO_MANY, summary)


def _not_one_kind(found: Violation, _: Source) -> Iterator[Problem]:
    if not isinstance(found.value, Mapping):  # told by its type
        return
    kinds = tuple(kind for branch in found.limit for kind in branch["required"])
    given = [kind for kind in kinds if kind in found.value]
    if given or not any(closest(key, kinds) for key in _extra(found.value, kinds)):
        summary = f"{dotted(found.path)} has {' and '.join(given) if given else 'no kind'}"
        hint = f"give exactly one of: {listed(kinds)}"
        yield Problem(path=found.path, on_key=True, code=Code.EXACTLY_ONE, summary=summary, hint=hint, lost=found.path)


def _no_branch(found: Violation, source: Source) -> Iterator[Problem]:
    """Of several alternatives, what the one whose type fits objects to; else a word about all of them."""
    fitting = [inner for inner in found.branches if not any(_is_other_type(v, found.path) for v in inner)]
    if fitting:
        yield from _translated(fitting[0], source)
    else:
        what = shown(found.value) if isinstance(found.value, str) else kind_of(found.value)
        summary = f"{label(found.path)} must be {expected(found.schema)}, not {what}"
        yield _wrong(found.path, Code.WRONG_TYPE, summary)


def _is_other_type(found: Violation, path: KeyPath) -> bool:
    if found.path != path:
        return False
    return found.keyword in ("type", "const") or (found.keyword == "enum" and not isinstance(found.value, str))


def _wrong(path: KeyPath, code: Code, summary: str, hint: str = "") -> Problem:
    return Problem(path=path, code=code, summary=summary, hint=hint, lost=path)


def _extra(value: Mapping[str, Any], known: Iterable[str]) -> Iterator[str]:
    return (key for key in value if key not in known and not re.match(FREE_KEYS, key))


@cache
def _homes(root: type) -> Mapping[str, tuple[str, ...]]:
    """Every key of the format, with the places it belongs to."""
    found: dict[str, tuple[str, ...]] = {}
    for place, cls in sections(root).items():
        for field in keys_of(cls):
            found[field.name] = (*found.get(field.name, ()), place or "the top of the file")
    return MappingProxyType(found)


def _belongs(key: str, root: type) -> str:
    places = _homes(root).get(key, ())
    return f"it is a key of {' and '.join(places)}; " if places else ""


_TRANSLATIONS: Mapping[str, _Translation] = MappingProxyType(
    {
        "additionalProperties": _unknown_keys,
        "required": _missing_keys,
        "type": _wrong_type,
        "enum": _no_choice,
        "minimum": _out_of_range,
        "maximum": _out_of_range,
        "pattern": _malformed,
        "minItems": _too_few,
        "minProperties": _too_few,
        "maxItems": _too_many,
        "oneOf": _not_one_kind,
        "anyOf": _no_branch,
    }
)
