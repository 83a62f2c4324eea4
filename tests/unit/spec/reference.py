"""The key tables of docs/stack-format.md, from the schema."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from enginehouse.spec.fields import NAME_PATTERN, PATTERNS, SECRET_NAME_PATTERN, TEXT_PATTERN
from enginehouse.spec.schema import anchored, keys_of, sections, stack_schema

BEGIN = "<!-- keys: generated from the schema -->"
END = "<!-- end of keys -->"

_FORMS = {
    **{anchored(pattern): words for pattern, words in PATTERNS.items()},
    anchored(NAME_PATTERN): "[a name](#names)",
    anchored(TEXT_PATTERN): "no control characters",
    anchored(SECRET_NAME_PATTERN): "[names of secrets](#names)",
}


def reference() -> str:
    """A heading and a table for every mapping with keys."""
    return "\n\n".join(_section(place, cls) for place, cls in sections().items() if keys_of(cls))


def replaced(document: str) -> str:
    """The document with the tables between its markers as they are now."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{reference()}\n{END}{after}"


def _section(place: str, cls: type) -> str:
    schema = stack_schema()["$defs"][cls.__name__] if place else stack_schema()
    needed = dict.fromkeys(schema.get("required", ()), "**required**")
    needed |= dict.fromkeys((kind["required"][0] for kind in schema.get("oneOf", ())), "exactly one of these")
    rows = [_row(name, key, needed.get(name) or _default(key)) for name, key in schema["properties"].items()]
    head = ["| key | is | default | what it does | example |", "|---|---|---|---|---|"]
    return "\n".join([f"### {f'`{place}`' if place else 'Top of the file'}", schema["description"], "", *head, *rows])


def _row(name: str, key: Mapping[str, Any], default: str) -> str:
    example = f"`{name}: {_short(key['examples'][0])}`"
    return f"| `{name}` | {_kind(key)} | {default} | {key['description']} | {example} |"


def _default(key: Mapping[str, Any]) -> str:
    return "none" if key.get("default") in (None, "") else f"`{_short(key['default'])}`"


def _kind(key: Mapping[str, Any]) -> str:
    return ", ".join(_words(key))


def _words(key: Mapping[str, Any]) -> Iterator[str]:
    if "anyOf" in key:
        yield " or ".join(_kind(branch) for branch in key["anyOf"])
    elif "const" in key:
        yield f"`{key['const']}`"
    elif "enum" in key:
        yield "one of " + ", ".join(f"`{choice}`" for choice in key["enum"])
    elif "$ref" in key:
        yield "mapping, see below"
    elif key["type"] == "object":
        yield "mapping by name" if "additionalProperties" in key else "mapping"
    else:
        yield {"string": "text", "integer": "whole number", "array": "list"}[key["type"]]
    yield from _bounds(key)


def _bounds(key: Mapping[str, Any]) -> Iterator[str]:
    for holder in (key, key.get("items", {}), key.get("propertyNames", {})):
        if "pattern" in holder:
            yield _FORMS[holder["pattern"]]
    if "minimum" in key:
        low, high = key["minimum"], key["maximum"]
        yield f"{low} to {high}" if low != high else f"only {low}"
    if "minItems" in key:
        yield f"{key['minItems']} to {key['maxItems']} entries" if "maxItems" in key else f"at least {key['minItems']}"
    if "minProperties" in key:
        yield f"at least {key['minProperties']}"


def _short(value: Any) -> str:
    """A value as one writes it in YAML, the inside of larger ones left out."""
    if isinstance(value, dict) and len(json.dumps(value)) > 40:
        return "{…}"
    text = json.dumps(value, ensure_ascii=False)
    for word in (
        "name",
        "secrets",
        "mode",
        "local",
        "laptop",
        "threads",
        "queue_s",
        "ready_within_s",
        "drain_s",
        "max_unavailable",
    ):
        text = text.replace(f'"{word}":', f"{word}:")
    return text
