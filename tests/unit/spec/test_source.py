"""The side table: places by path."""

from __future__ import annotations

from enginehouse.spec.loader import parse
from enginehouse.spec.source import Source

TEXT = """\
a: {b: 1}
x: &x
  c: long text   # comment
list:
  - *x
  - d:
empty:
block: |
  one
  two

last: 'q'
"""


def source() -> Source:
    return parse(TEXT, "f.yaml")[0]


def test_keys_and_values_have_places() -> None:
    """1-based lines and columns, the end exclusive; quotes belong to the value, comments don't."""
    span = source().value_span(("x", "c"))
    assert (span.line, span.column, span.end_line, span.end_column) == (3, 6, 3, 15)
    assert str(source().key_span(("x", "c"))) == "f.yaml:3:3"
    assert source().written(("last",)) == "'q'"


def test_an_empty_value_is_where_its_key_is() -> None:
    """There is nothing to point to."""
    assert source().value_span(("empty",)) == source().key_span(("empty",))
    assert source().value_span(("list", 1, "d")) == source().key_span(("list", 1, "d"))


def test_what_is_missing_is_where_its_parent_is() -> None:
    """A missing key is told at the key of the mapping that lacks it; at the first key for the document."""
    assert source().key_span(("a", "z")) == source().value_span(("a", "z", 3)) == source().key_span(("a",))
    assert str(source().key_span(("z",))) == str(source().key_span(())) == "f.yaml:1:1"


def test_a_list_entry_is_its_value() -> None:
    """Its key is the place where it stands in the list, its value what the alias names."""
    assert (str(source().key_span(("list", 0))), str(source().value_span(("list", 0)))) == ("f.yaml:5:5", "f.yaml:3:3")


def test_a_block_ends_with_its_last_word() -> None:
    """The blank lines behind it are not part of it."""
    span = source().value_span(("block",))
    assert (span.line, span.end_line, span.end_column) == (8, 10, 6)
    assert source().written(("block",)) == ""


def test_has_and_keys_follow_aliases() -> None:
    """What the data has, the table has."""
    assert source().has(("list", 0, "c"))
    assert not source().has(("list", 2))
    assert source().keys(("list", 0)) == ("c",)
    assert source().keys(()) == ("a", "x", "list", "empty", "block", "last")
    assert source().keys(("last",)) == source().keys(("nothing",)) == ()


def test_uses_name_the_alias() -> None:
    """The way from the place of use to the place of the value."""
    assert [(str(u.span), u.text) for u in source().uses(("list", 0, "c"))] == [("f.yaml:5:5", 'used here as "*x"')]
    assert source().uses(("a", "b")) == ()


def test_an_unread_file_has_a_place_too() -> None:
    """Diagnostics about the file as a whole point to its start."""
    empty = Source(file="f.yaml", text="")
    assert str(empty.key_span(())) == str(empty.value_span(("a", 1))) == "f.yaml:1:1"
