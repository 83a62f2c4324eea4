"""Positions are true: cut out of the text, each span is what was written there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from enginehouse.diagnostics import Span
from enginehouse.spec.loader import LOADER, parse
from enginehouse.spec.source import KeyPath, Source

STYLES = ("plain", "single", "double", "spaced")
Draw = Callable[[st.SearchStrategy[Any]], Any]


@dataclass(slots=True)
class Value:
    """What a value is, and the scalar that was written for every path below it; () for a scalar itself."""

    data: Any
    written: dict[KeyPath, str] = field(default_factory=dict)
    keys: dict[KeyPath, str] = field(default_factory=dict)

    def put(self, key: str | int, inner: Value) -> None:
        self.written |= {(key, *path): text for path, text in inner.written.items()}
        self.keys |= {(key, *path): text for path, text in inner.keys.items()}


@dataclass(slots=True)
class Writer:
    """Writes a random document; every scalar in it occurs once, so a cut-out text proves its place."""

    draw: Draw
    anchors: dict[str, Value] = field(default_factory=dict)
    count: int = 0

    def chance(self, percent: int) -> bool:
        return bool(self.draw(st.integers(0, 99)) < percent)

    def scalar(self) -> tuple[str, str]:
        """(as written, as meant)"""
        self.count += 1
        text = f"s{self.count}"
        match self.draw(st.sampled_from(STYLES)):
            case "single":
                return f"'{text} it''s: #1'", f"{text} it's: #1"
            case "double":
                return f'"{text} \\"é🦙\\" \\n"', f'{text} "é🦙" \n'
            case "spaced":
                return f"{text} two words", f"{text} two words"
        return text, text

    def value(self, depth: int, indent: str, flow: bool) -> tuple[str, Value]:
        """The text behind a key's colon or an entry's dash, and what it means."""
        if self.anchors and self.chance(15):
            name = self.draw(st.sampled_from(sorted(self.anchors)))
            return f" *{name}", self.anchors[name]
        if not self.chance(25):
            return self.content(depth, indent, flow)
        self.count += 1
        name = f"n{self.count}"
        text, self.anchors[name] = self.content(depth, indent, flow)
        return f" &{name}{text}", self.anchors[name]

    def content(self, depth: int, indent: str, flow: bool) -> tuple[str, Value]:
        kind = self.draw(st.sampled_from(("scalar", "mapping", "list"))) if depth < 4 else "scalar"
        if kind == "scalar":
            written, meant = self.scalar()
            return f" {written}", Value(meant, {(): written})
        flow = flow or self.chance(30)
        return self.mapping(depth, indent, flow) if kind == "mapping" else self.sequence(depth, indent, flow)

    def mapping(self, depth: int, indent: str, flow: bool) -> tuple[str, Value]:
        entries: list[str] = []
        result = Value({})
        merged = sorted(name for name, value in self.anchors.items() if isinstance(value.data, dict))
        if merged and self.chance(40):
            name = self.draw(st.sampled_from(merged))
            entries.append(f"<<: *{name}")
            base = self.anchors[name]
            result = Value(dict(base.data), dict(base.written), dict(base.keys))
        for _ in range(self.draw(st.integers(1, 3))):
            written, meant = self.scalar()
            text, inner = self.value(depth + 1, indent + "  ", flow)
            entries.append(f"{written}:{text}")
            result.data[meant] = inner.data
            result.keys[(meant,)] = written
            result.put(meant, inner)
        return self.joined(entries, indent, flow, "{}"), result

    def sequence(self, depth: int, indent: str, flow: bool) -> tuple[str, Value]:
        result = Value([])
        entries: list[str] = []
        for index in range(self.draw(st.integers(1, 3))):
            text, inner = self.value(depth + 1, indent + "  ", flow)
            entries.append(text.strip(" ") if flow else f"-{text}")
            result.data.append(inner.data)
            result.put(index, inner)
        return self.joined(entries, indent, flow, "[]"), result

    def joined(self, entries: list[str], indent: str, flow: bool, brackets: str) -> str:
        if flow:
            return f" {brackets[0]}{', '.join(entries)}{brackets[1]}"
        noise = ["", "", f"{indent}# about s0", "  # behind"]
        return "".join("\n" + self.gap(noise) + indent + entry for entry in entries)

    def gap(self, noise: list[str]) -> str:
        text = self.draw(st.sampled_from(noise))
        return f"{text}\n" if text else ""


@st.composite
def documents(draw: Draw) -> tuple[str, Value]:
    text, value = Writer(draw).mapping(0, "", False)
    return text.lstrip("\n") + "\n", value


def cut(text: str, span: Span) -> str:
    lines = text.splitlines(keepends=True)[span.line - 1 : span.end_line]
    lines[-1] = lines[-1][: span.end_column - 1]
    lines[0] = lines[0][span.column - 1 :]
    return "".join(lines)


def parsed(text: str, loader: Any = LOADER) -> Source:
    source, problems = parse(text, "f.yaml", loader=loader)
    assert problems == (), text
    return source


@pytest.mark.parametrize("loader", [LOADER, yaml.SafeLoader], ids=["as-installed", "pure-python"])
def test_every_span_is_what_was_written(loader: Any) -> None:
    """Values, keys, aliased and merged ones included: the span points to where the text stands."""

    @settings(max_examples=150, deadline=None)
    @given(documents())
    def check(document: tuple[str, Value]) -> None:
        text, value = document
        source = parsed(text, loader)
        assert source.root.data == value.data
        assert {path: cut(text, source.value_span(path)) for path in value.written} == value.written
        assert {path: cut(text, source.key_span(path)) for path in value.keys} == value.keys

    check()


@settings(max_examples=100, deadline=None)
@given(documents())
def test_every_path_of_the_data_is_in_the_source(document: tuple[str, Value]) -> None:
    """`has` agrees with the data, also below aliases."""
    text, value = document
    source = parsed(text)
    assert all(source.has(path) for path in (*value.written, *value.keys))
    assert not any(source.has((*path, "no such key")) for path in value.written)


@settings(max_examples=100, deadline=None)
@given(documents())
def test_collections_span_what_is_in_them(document: tuple[str, Value]) -> None:
    """Where nothing was brought in from elsewhere, a value lies inside of its parent."""
    text, value = document
    source = parsed(text)
    for path in value.written:
        if not source.uses(path) and len(path) > 1:
            outer, inner = source.value_span(path[:-1]), source.value_span(path)
            assert (outer.line, outer.column) <= (inner.line, inner.column)
            assert (inner.end_line, inner.end_column) <= (outer.end_line, outer.end_column)


def test_a_wrong_place_would_be_noticed() -> None:
    """Twin: a text that moved by one column is not what its old span says."""
    text = "a: one\nb: two\n"
    span = parsed(text).value_span(("b",))
    assert cut(text, span) == "two"
    assert cut(text.replace("b:", "b: "), span) != "two"
