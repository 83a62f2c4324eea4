"""Whole stacks as people write them: good ones load and plan, bad ones are refused for the reasons they name."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from enginehouse.diagnostics import as_text
from enginehouse.planner.codec import to_plain
from enginehouse.planner.plan import plan
from enginehouse.spec import Loaded, load

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
POSITIVE = sorted((HERE / "positive").glob("*.yaml")) + sorted((ROOT / "stacks").glob("[!P]*.yaml"))
NEGATIVE = sorted((HERE / "negative").glob("*.yaml"))
EXPECT = "# expect: "


def explained(loaded: Loaded) -> str:
    return as_text(loaded.diagnostics, {loaded.source.file: loaded.source.text})


@pytest.mark.parametrize("path", POSITIVE, ids=lambda path: path.stem)
def test_a_good_stack_loads_without_a_word(path: Path) -> None:
    """Neither an error nor a warning, and a spec."""
    loaded = load(path)
    assert explained(loaded) == ""
    assert loaded.spec is not None


@pytest.mark.parametrize("path", POSITIVE, ids=lambda path: path.stem)
def test_a_good_stack_has_a_plan(path: Path) -> None:
    """What loads can be planned, and the plan is JSON."""
    loaded = load(path)
    assert loaded.spec is not None
    assert json.loads(json.dumps(to_plain(plan(loaded.spec, loaded.lock))))["stack"] == path.stem


@pytest.mark.parametrize("path", NEGATIVE, ids=lambda path: path.stem)
def test_a_bad_stack_is_refused_for_its_reasons(path: Path) -> None:
    """The first line of each example lists exactly the codes it gets."""
    loaded = load(path)
    first = path.read_text().splitlines()[0]
    assert first.startswith(EXPECT)
    assert sorted({d.code for d in loaded.diagnostics}) == sorted(first.removeprefix(EXPECT).split()), explained(loaded)
    assert not loaded.ok


@pytest.mark.parametrize("path", POSITIVE, ids=lambda path: path.stem)
def test_the_committed_schema_accepts_good_stacks(path: Path) -> None:
    """Editors judge by the committed file with an ordinary validator; they must not complain where we don't."""
    schema = json.loads((ROOT / "schemas" / "stack.schema.json").read_text())
    validator = jsonschema.Draft202012Validator(schema)
    assert [error.message for error in validator.iter_errors(load(path).source.root.data)] == []


def test_yaml_in_other_programs_reads_the_shipped_stack_alike() -> None:
    """A stack we ship means the same to a YAML 1.1 reader, so every editor shows what we deploy."""
    for path in sorted((ROOT / "stacks").glob("[!P]*.yaml")):
        assert load(path).source.root.data == yaml.safe_load(path.read_text())
