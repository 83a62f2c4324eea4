"""`enginehouse plan`: the same plan as text and as JSON, the same every time."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from enginehouse.errors import ExitCode
from enginehouse.planner.codec import from_plain
from enginehouse.planner.parts import Plan
from enginehouse.planner.plan import plan
from enginehouse.spec import load_text
from enginehouse.spec.lock import NOTHING_LOCKED
from tests.cli.conftest import Told
from tests.cli.harness import DEMO

Call = Callable[..., Told]


def planned() -> Plan:
    spec = load_text(DEMO, name="demo", display="demo.yaml").spec
    assert spec is not None
    return plan(spec, NOTHING_LOCKED)


def test_json_is_the_plan(call: Call) -> None:
    """Whoever reads the JSON has the very plan that is carried out."""
    code, out, err = call("plan", "demo", "--format", "json")
    assert (code, err) == (ExitCode.OK, "")
    assert from_plain(Plan, json.loads(out)) == planned()


def test_text_names_every_part_and_argument(call: Call) -> None:
    code, out, err = call("plan", "demo")
    assert (code, err) == (ExitCode.OK, "")
    for part in planned().parts():
        assert f" {part.name}\n" in out
    for replica in planned().replicas:
        assert all(f"--{name}" in out for name in replica.args)


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_same_stack_gives_the_same_bytes(call: Call, form: str) -> None:
    """No times, no paths of this machine, no chance."""
    assert call("plan", "demo", "--format", form) == call("plan", "demo", "--format", form)


@pytest.mark.parametrize("form", ["text", "json"])
def test_secrets_are_known_by_name(call: Call, form: str) -> None:
    assert "key-demo" in call("plan", "demo", "--format", form)[1]


def test_a_wrong_stack_has_no_plan(folder: Path, call: Call) -> None:
    """Its problems are said on standard error, as `validate` says them; standard output stays empty."""
    code, out, err = call("plan", "wrong")
    assert (code, out) == (ExitCode.INVALID, "")
    assert err == call("validate", "wrong")[1].removesuffix("wrong: 2 errors\n")
