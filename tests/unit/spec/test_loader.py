"""YAML to data: merges, aliases, limits, and what can't be data."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from enginehouse.spec.codes import Code
from enginehouse.spec.loader import LOADER, MAX_DEPTH, MAX_NODES, MAX_TEXT, parse
from enginehouse.spec.problems import MOST_PROBLEMS

LOADERS = pytest.mark.parametrize("loader", [LOADER, yaml.SafeLoader], ids=["as-installed", "pure-python"])


def data(text: str, loader: Any = LOADER) -> Any:
    source, problems = parse(text, "f.yaml", loader=loader)
    assert problems == ()
    return source.root.data


def codes(text: str, loader: Any = LOADER) -> list[str]:
    return [str(d.code) for d in parse(text, "f.yaml", loader=loader)[1]]


def places(text: str) -> list[tuple[int, int]]:
    return [(d.span.line, d.span.column) for d in parse(text, "f.yaml")[1]]


def test_data_is_plain_and_in_the_order_of_the_file() -> None:
    """Only dicts, lists and scalars; nothing of the parser."""
    read = data("b: [1, {c: x}]\na:\n")
    assert (read, list(read)) == ({"b": [1, {"c": "x"}], "a": None}, ["b", "a"])


def test_quotes_and_blocks_make_texts() -> None:
    """Only plain scalars have other types."""
    assert data("""{a: "1", b: 'true', c: ~}\n""") == {"a": "1", "b": "true", "c": None}
    assert data("a: |\n  1\nb: >-\n  2\n") == {"a": "1\n", "b": "2"}


def test_own_keys_win_over_merged_ones() -> None:
    """Wherever the `<<` stands, and merged keys come in its place."""
    read = data("x: &x {a: 1, b: 2}\ny: {b: 3, <<: *x, c: 4}\nz: {<<: *x, b: 5}\n")
    assert (list(read["y"].items()), read["z"]) == ([("b", 3), ("a", 1), ("c", 4)], {"a": 1, "b": 5})


def test_the_earlier_of_several_merges_wins() -> None:
    """A list of mappings, in the order of the YAML merge type (yaml.org/type/merge.html)."""
    assert data("x: [&x {a: 1}, &y {a: 2, b: 3}]\nz: {<<: [*x, *y]}\n")["z"] == {"a": 1, "b": 3}


def test_merges_of_merges_keep_every_place() -> None:
    """A value that came through two merges names both."""
    source, _ = parse("x: &x {a: 1}\ny: &y {<<: *x}\nz: {<<: *y}\n", "f.yaml")
    assert str(source.value_span(("z", "a"))) == "f.yaml:1:11"
    assert [str(use.span) for use in source.uses(("z", "a"))] == ["f.yaml:2:12", "f.yaml:3:9"]


def test_a_quoted_merge_sign_is_an_ordinary_key() -> None:
    """Quotes make a text of it, as of every other sign."""
    assert data('"<<": {a: 1}\n') == {"<<": {"a": 1}}


@LOADERS
@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", Code.EMPTY_FILE),
        ("# nothing\n", Code.EMPTY_FILE),
        ("a: 1\n---\nb: 2\n", Code.SEVERAL_DOCUMENTS),
        ("a: [1\n", Code.YAML_SYNTAX),
        ("a: 'x\n", Code.YAML_SYNTAX),
        ("a: @x\n", Code.YAML_SYNTAX),
        ("a:\n\tb: 1\n", Code.YAML_TAB),
        ("a: !!set {}\n", Code.YAML_TAG),
        ("a: !!python/object/apply:os.system [ls]\n", Code.YAML_TAG),
        ("a: *b\n", Code.UNKNOWN_ALIAS),
        ("a: &b [*b]\n", Code.RECURSIVE_ALIAS),
        ("&a a: {b: *a, c: &c {d: *c}}\n", Code.RECURSIVE_ALIAS),
        ("<<: 1\n", Code.BAD_MERGE),
        ("<<: [1]\n", Code.BAD_MERGE),
        ("a: &x 1\nb: &x 2\n", Code.DUPLICATE_ANCHOR),
        ("a: 1\na: 2\n", Code.DUPLICATE_KEY),
        ("1: a\n", Code.KEY_NOT_TEXT),
        ("{[a]: b}\n", Code.KEY_NOT_TEXT),
        ("? \n: b\n", Code.KEY_NOT_TEXT),
        ("a: " + "[" * MAX_DEPTH + "]" * MAX_DEPTH, Code.TOO_DEEP),
        ("a: " + "[" * 900 + "]" * 900, Code.TOO_DEEP),
        ("a: '" + "x" * (MAX_TEXT + 1) + "'", Code.TEXT_TOO_LONG),
        ("a: [" + "1," * MAX_NODES + "]", Code.TOO_MANY_NODES),
    ],
)
def test_what_is_not_a_stack_file_is_told(text: str, code: Code, loader: Any) -> None:
    """One diagnostic each, the same with and without libyaml."""
    assert codes(text, loader) == [code]


@LOADERS
def test_deep_nesting_never_exhausts_the_stack(loader: Any) -> None:
    """However deep, with or without closing brackets."""
    for text in ("[" * 5000, "[" * 5000 + "]" * 5000, "- " * 5000, "{a: " * 5000):
        assert codes(text, loader) in ([Code.TOO_DEEP], [Code.YAML_SYNTAX])


def test_aliases_count_as_often_as_they_are_used() -> None:
    """Ten lines that stand for a billion values are refused by arithmetic, not by expanding them."""
    bomb = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10))
    assert codes(bomb) == [Code.TOO_MANY_NODES]


def test_long_texts_count_several_times() -> None:
    """A few hundred bytes of aliases can't stand for gigabytes."""
    assert codes("a: &a '" + "x" * 60_000 + "'\nb: [" + "*a, " * 100 + "]\n") == [Code.TOO_MANY_NODES]
    assert codes("a: &a '" + "x" * 60_000 + "'\nb: [" + "*a, " * 40 + "]\n") == []


def test_the_list_of_problems_ends() -> None:
    """Also that of the YAML itself."""
    assert codes("a: 1\n" * 1000) == [Code.DUPLICATE_KEY] * MOST_PROBLEMS + [Code.TOO_MANY_PROBLEMS]


def test_depth_counts_through_aliases() -> None:
    """Nesting can be hidden in aliases; it is counted all the same."""
    nested = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 40))
    assert codes(nested) == [Code.TOO_DEEP]


def test_every_duplicate_is_told_and_the_first_one_counts() -> None:
    """All of them at once, each naming the first definition."""
    source, problems = parse("a: 1\nb: {c: 1, c: 2}\na: 3\na: 4\n", "f.yaml")
    assert source.root.data == {"a": 1, "b": {"c": 1}}
    assert [(str(d.span), str(d.related[0].span)) for d in problems] == [
        ("f.yaml:2:11", "f.yaml:2:5"),
        ("f.yaml:3:1", "f.yaml:1:1"),
        ("f.yaml:4:1", "f.yaml:1:1"),
    ]


def test_a_key_that_is_no_text_is_kept_as_one() -> None:
    """So that everything below it is still checked."""
    assert parse("1: {a: b}\n", "f.yaml")[0].root.data == {"1": {"a": "b"}}


def test_errors_at_the_end_are_inside_of_the_file() -> None:
    """The parser stops behind the last line; we point to its end."""
    assert places("a: [1") == [(1, 6)]
    assert places('a: "x\nb: c') == [(2, 5)]


def test_an_unclosed_quote_names_its_start() -> None:
    """The parser notices at the end of the file; the mistake is far above."""
    (problem,) = parse('a: "x\nb: 1\nc: 2\n', "f.yaml")[1]
    assert [str(r.span) for r in problem.related] == ["f.yaml:1:4"]


def test_what_a_terminal_would_act_on_is_an_escape() -> None:
    """A key that is told of may hold anything."""
    (problem,) = parse('"a\\e[31m": 1\n"a\\e[31m": 2\n', "f.yaml")[1]
    assert problem.summary == r'key "a\x1b[31m" is defined twice'
