"""The JSON Schema: generated, committed, complete."""

# ruff: noqa: RUF009 - `key` makes a field

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import jsonschema
import pytest

from enginehouse.spec import schema as generator
from enginehouse.spec.fields import key
from enginehouse.spec.machines import Local
from enginehouse.spec.schema import as_text, keys_of, sections, stack_schema

COMMITTED = Path(__file__).parents[3] / "schemas" / "stack.schema.json"
KEYS = [(place, field) for place, cls in sections().items() for field in keys_of(cls)]


def walk(schema: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(schema, Mapping):
        yield schema
        for inner in schema.values():
            yield from walk(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from walk(inner)


def test_the_committed_schema_is_the_generated_one() -> None:
    """After a change: `python -m enginehouse.spec.schema > schemas/stack.schema.json`."""
    assert COMMITTED.read_text() == as_text()


def test_it_is_a_valid_schema() -> None:
    """By the meta-schema of JSON Schema 2020-12."""
    jsonschema.Draft202012Validator.check_schema(stack_schema())


def test_it_names_no_place_to_fetch_it_from() -> None:
    """The id is a name; an editor must not go and look for it."""
    assert stack_schema()["$id"].startswith("urn:")


@pytest.mark.parametrize(("place", "field"), KEYS, ids=lambda value: getattr(value, "name", value))
def test_every_key_is_described_by_a_sentence_and_an_example_that_is_valid(place: str, field: Any) -> None:
    """The description is a sentence for people; the example is accepted by the key's own schema."""
    cls = sections()[place]
    properties = stack_schema()["$defs"][cls.__name__] if place else stack_schema()
    schema = properties["properties"][field.name]
    assert re.fullmatch(r"[A-Z`].*\.", schema["description"])
    root = {"$defs": stack_schema()["$defs"]}
    jsonschema.Draft202012Validator({**root, **schema}).validate(schema["examples"][0])
    if "default" in schema:
        jsonschema.Draft202012Validator({**root, **schema}).validate(schema["default"])


def test_every_pattern_is_anchored() -> None:
    """JSON Schema's patterns search; ours mean the whole text."""
    patterns = [s["pattern"] for s in walk(stack_schema()) if isinstance(s.get("pattern"), str)]
    assert len(patterns) > 5
    assert all(re.fullmatch(r"\^\(\?:.*\)\$", pattern) for pattern in patterns)


def test_every_mapping_is_closed_and_leaves_x_keys_alone() -> None:
    """A misspelt key is an error everywhere, `x-...` nowhere."""
    closed = [s for s in walk(stack_schema()) if isinstance(s.get("properties"), Mapping) and s.get("type") == "object"]
    assert len(closed) == len(set(sections().values()))
    assert all(s["additionalProperties"] is False and s["patternProperties"] == {"^x-": {}} for s in closed)


def test_numbers_are_bounded() -> None:
    """Every whole number has a smallest and a largest value."""
    numbers = [s for s in walk(stack_schema()) if s.get("type") == "integer"]
    assert all({"minimum", "maximum"} <= s.keys() for s in numbers)


def test_exactly_one_of_several_kinds() -> None:
    """With two kinds of machines, none and both are refused."""

    @dataclass(frozen=True, kw_only=True)
    class Kinds:
        EXACTLY_ONE: ClassVar[tuple[str, ...]] = ("local", "other")
        local: Local | None = key("This machine.", example={}, default=None)
        other: Local | None = key("Another.", example={}, default=None)
        more: Local | None = key("No kind.", example={}, default=None)

    schema = generator._object(Kinds)
    validator = jsonschema.Draft202012Validator({**schema, "$defs": stack_schema()["$defs"]})
    cases: list[dict[str, Any]] = [{}, {"local": {}}, {"other": {}}, {"more": {}}, {"local": {}, "other": {}}]
    assert [validator.is_valid(case) for case in cases] == [False, True, True, False, False]
    assert validator.is_valid({"local": {}, "more": {}})


def test_the_text_is_stable() -> None:
    """The same bytes every time, with a newline at the end."""
    assert json.loads(as_text()) == stack_schema()
    assert as_text().endswith("}\n")
