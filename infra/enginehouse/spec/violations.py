"""Where data differs from the schema: the library's errors as values with types."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from jsonschema import Draft202012Validator, ValidationError, validators
from jsonschema.protocols import Validator

from enginehouse.spec.model import Spec
from enginehouse.spec.schema import schema_of
from enginehouse.spec.source import KeyPath


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One keyword of the schema that a value doesn't fulfil."""

    keyword: str
    limit: Any
    """The keyword's value in the schema."""
    schema: Mapping[str, Any]
    value: Any
    path: KeyPath
    root: type
    """The class of the whole document."""
    of_name: bool
    """`value` is the name of an entry of the mapping at `path`."""
    branches: tuple[tuple[Violation, ...], ...] = ()
    """With `anyOf`: what each alternative objects to."""


def violations(data: Any, root: type = Spec) -> Iterator[Violation]:
    """All of them, lazily; those of a mapping's keys before those below them. `root`: what the document should be."""
    return (_violation(error, (), root) for error in _validator(root).iter_errors(data))


@cache
def _validator(root: type) -> Validator:
    """Built once: making it takes longer than checking a small stack."""
    strict = validators.extend(  # type: ignore[no-untyped-call]
        Draft202012Validator,
        {
            "pattern": _pattern,
            "required": _required,
            "additionalProperties": _additional,
            "patternProperties": _free,
        },
        type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int),
    )
    return cast(Validator, strict(schema_of(root)))


def _pattern(_: Validator, pattern: str, value: Any, __: Any) -> Iterator[ValidationError]:
    """The whole text must match: Python's `$` also matches before a newline at the end, JSON Schema's does not."""
    if isinstance(value, str) and not re.fullmatch(pattern, value):
        yield ValidationError("differs from the pattern")


def _required(_: Validator, keys: Iterable[str], value: Any, __: Any) -> Iterator[ValidationError]:
    """One error for all missing keys; the library has one for each, and only its text names the key."""
    if isinstance(value, dict) and not value.keys() >= set(keys):
        yield ValidationError("lacks keys")


def _additional(validator: Validator, inner: Any, value: Any, schema: Mapping[str, Any]) -> Iterator[ValidationError]:
    """In the order of the file; the library's own goes through a set, so its first hundred errors differ by run."""
    if not isinstance(value, dict):
        return
    extra = [key for key in value if key not in schema.get("properties", ()) and not _is_free(key, schema)]
    if inner is False:
        yield from [ValidationError("has unknown keys")] if extra else ()
    else:
        for key in extra:
            yield from validator.descend(value[key], inner, path=key)  # type: ignore[attr-defined]


def _free(*_: Any) -> Iterable[ValidationError]:
    """Free keys may hold anything, so there is nothing to look at; the library would look at each."""
    return ()


def _is_free(key: str, schema: Mapping[str, Any]) -> bool:
    return any(re.search(pattern, key) for pattern in schema.get("patternProperties", ()))


def _violation(error: ValidationError, above: KeyPath, root: type) -> Violation:
    path = (*above, *error.relative_path)
    alternatives: dict[object, list[Violation]] = {}
    for inner in error.context if error.validator == "anyOf" else ():
        alternatives.setdefault(inner.relative_schema_path[0], []).append(_violation(inner, path, root))
    return Violation(
        keyword=str(error.validator),
        limit=error.validator_value,
        schema=cast(Mapping[str, Any], error.schema),
        value=error.instance,
        path=path,
        root=root,
        of_name="propertyNames" in error.relative_schema_path,
        branches=tuple(tuple(found) for found in alternatives.values()),
    )
