"""docs/stack-format.md is complete, true, and generated where it can be."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from enginehouse.diagnostics import as_text
from enginehouse.planner.allocate import allocate
from enginehouse.spec import load, load_text
from enginehouse.spec.codes import Code
from enginehouse.spec.lock import lock_text
from enginehouse.spec.schema import keys_of, sections
from tests.unit.spec.reference import replaced

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "stack-format.md"
OPTION_CODES = sorted(
    {
        found
        for path in (ROOT / "infra" / "enginehouse" / "catalog").glob("*.py")
        for found in re.findall(r'"((?:unknown|removed|reserved)-option|option-[a-z-]+)"', path.read_text())
    }
)
GROUPS = ("the file", "YAML", "shape", "meaning", "engine options", "the lock file")
KEYS = [(place, field.name) for place, cls in sections().items() for field in keys_of(cls)]


def section(title: str) -> str:
    """The text below a heading, up to the next one of any level."""
    found = re.search(rf"^#+ {re.escape(title)}$(.*?)(?=^#|\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None, f"no heading {title!r}"
    return found[1]


def test_the_tables_of_keys_are_up_to_date(request: pytest.FixtureRequest) -> None:
    """`--update-golden` writes them anew."""
    if request.config.getoption("--update-golden"):
        PAGE.write_text(replaced(PAGE.read_text()))
    assert PAGE.read_text() == replaced(PAGE.read_text())


@pytest.mark.parametrize(("place", "key"), KEYS)
def test_every_key_is_documented(place: str, key: str) -> None:
    """In the table of its mapping, with a description and an example."""
    rows = [row for row in section(f"`{place}`" if place else "Top of the file").splitlines() if f"| `{key}` |" in row]
    assert [len(row.split(" | ")) for row in rows] == [5]


@pytest.mark.parametrize("code", [*Code, *OPTION_CODES])
def test_every_code_is_documented(code: str) -> None:
    """In the table of its group: what it means, and an example of what causes it."""
    rows = re.findall(rf"^\| `{code}` \| (.+) \| (.+) \|$", PAGE.read_text(), re.MULTILINE)
    assert len(rows) == 1
    assert all(len(cell) > 4 for cell in rows[0])


def test_no_code_is_documented_that_does_not_exist() -> None:
    """The tables of codes hold nothing else."""
    known = {*Code, *OPTION_CODES}
    codes = "".join(section(f"Codes about {title}") for title in GROUPS)
    assert set(re.findall(r"^\| `([a-z0-9-]+)` \|", codes, re.MULTILINE)) == known


def test_the_first_examples_load() -> None:
    """Every YAML block that is a whole stack is a good one."""
    blocks = [b for b in re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL) if "\nmachines:" in b]
    assert len(blocks) >= 2
    for block in blocks:
        loaded = load_text(block, name="docs", display="docs.yaml")
        assert as_text(loaded.diagnostics, {"docs.yaml": block}) == ""


def test_the_lock_file_shown_is_the_one_that_is_written() -> None:
    """For the stack of this repository."""
    (shown,) = re.findall(r"```yaml\n(# Written by.*?)```", PAGE.read_text(), re.DOTALL)
    spec = load(ROOT / "stacks" / "laptop.yaml").spec
    assert spec is not None
    assert lock_text(allocate(spec).lock(), "laptop") == shown


def test_the_example_of_a_diagnostic_is_what_is_printed() -> None:
    """The page shows the real text."""
    (wrong, told) = re.findall(r"```(?:yaml|text)\n(.*?)```", section("How a diagnostic reads"), re.DOTALL)
    small = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)[0]
    text = small.replace('    version: "b11434"\n    runs_on: laptop\n', wrong)
    loaded = load_text(text, name="demo", display="stacks/demo.yaml")
    assert as_text(loaded.diagnostics, {"stacks/demo.yaml": text}) + "\n" == told


def test_a_missing_key_would_be_noticed() -> None:
    """Twin: the tables depend on the document."""
    page = PAGE.read_text()
    assert (
        replaced(page.replace("| `slots` |", "| `slot` |"))
        == replaced(page)
        != page.replace("| `slots` |", "| `slot` |")
    )
