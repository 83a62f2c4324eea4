"""Known failures: the committed rows hold together, and the best one is found in a log."""

from __future__ import annotations

import importlib.resources
import re

import pytest

from enginehouse.catalog.explain import ANY, SHOWN_LINES, Row, explain, reasons, rows
from enginehouse.engines import engines

FOLDER = importlib.resources.files("enginehouse.catalog") / "errors"
FILES = sorted(file.name.removesuffix(".json") for file in FOLDER.iterdir())
ALL = [(name, row) for name in sorted(engines()) for row in rows(name)]
EACH = pytest.mark.parametrize(("engine", "row"), ALL, ids=lambda value: getattr(value, "id", value))
USAGE = [f"usage line {number}" for number in range(40)]


def test_every_file_is_an_engines() -> None:
    """A misspelt name would be a file that nobody reads."""
    assert set(FILES) <= {*engines(), ANY}


@EACH
def test_an_example_is_explained_by_its_own_row(engine: str, row: Row) -> None:
    """The pattern matches, and no row before it does."""
    found = explain([row.example], engine)
    assert found is not None
    assert found.row == row


@EACH
def test_every_placeholder_is_filled_in(engine: str, row: Row) -> None:
    found = explain([row.example], engine)
    assert found is not None
    assert "{" not in found.cause + found.fix


@EACH
def test_every_row_says_where_it_is_from(engine: str, row: Row) -> None:
    """A thread, a manual, or a measurement with its version and date."""
    assert row.source
    assert all(re.match(r"https://|measured|judged|Enginehouse|.*man-pages", source) for source in row.source)


@pytest.mark.parametrize("engine", sorted(engines()))
def test_ids_are_used_once(engine: str) -> None:
    ids = [row.id for row in rows(engine)]
    assert sorted(set(ids)) == sorted(ids)


def test_a_wrapper_never_hides_the_cause() -> None:
    """Both lines stand in the log; the one further up tells more."""
    log = ["E quantized V cache requires flash_attn to be enabled", "E failed to create_context with model 'x'"]
    found = explain(log, "llama-cpp")
    assert found is not None
    assert found.row.id == "quantised-values-need-flash-attention"
    wrapped = explain(log[1:], "llama-cpp")
    assert wrapped is not None
    assert wrapped.row.id == "context-not-made"


def test_an_unknown_failure_is_not_explained() -> None:
    """The last lines alone, as many as are shown."""
    assert reasons(USAGE, "it exited with status 1", "llama-cpp") == tuple(USAGE[-SHOWN_LINES:])


def test_a_telling_line_above_a_long_usage_text_comes_first() -> None:
    """The last lines would not show it."""
    line = "error while handling argument \"--chat-template-file\": error: failed to open file 'nofile'"
    told = reasons([line, *USAGE], "it exited with status 1", "llama-cpp")
    assert told[:2] == (line, "...")
    assert told[2:-2] == tuple(USAGE[-SHOWN_LINES:])
    assert told[-1] == "fix: Write in `options.chat-template-file` the absolute path of a file on the machine."


def test_our_own_sentence_is_explained_and_not_repeated() -> None:
    """A killed engine says nothing itself."""
    told = reasons([], "it was ended by signal 9 (SIGKILL) while it was starting", "llama-cpp")
    assert [line.partition(":")[0] for line in told] == ["cause", "fix"]


def test_another_engines_rows_are_not_used() -> None:
    assert explain(["error: invalid argument: --x"]) is None
