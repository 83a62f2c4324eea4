"""Plain data to a spec."""

from __future__ import annotations

from enginehouse.planner.parts import Runtime
from enginehouse.planner.seals import TlsMode
from enginehouse.spec.build import build
from enginehouse.spec.endpoint import Key
from enginehouse.spec.health import Health
from enginehouse.spec.loader import parse
from enginehouse.spec.model import Spec
from tests.unit.spec.stacks import STACK, loaded


def test_defaults_fill_what_is_not_written() -> None:
    """And have their types."""
    spec = loaded().spec
    assert spec is not None
    chat = spec.deployments["chat"]
    assert (chat.runtime, chat.slots, chat.health, chat.renamed_from) == (Runtime.SUPERVISOR, 4, Health(), None)
    assert (spec.endpoint.tls.mode, spec.endpoint.hostname) == (TlsMode.NONE, "127.0.0.1")


def test_what_is_written_has_its_type() -> None:
    """Enums, nested values, tuples; free keys are gone."""
    changed = loaded(
        ("    runs_on: box\n", "    runs_on: box\n    health: {drain_s: 7, x-why: slow}\n    options: {x-y: [1]}\n"),
        ("secrets: [key-demo]", "secrets: [one, two]"),
        ("  port", "  tls: {mode: none}\n  port"),
    )
    spec = build(Spec, changed.source.root.data, name="demo")
    assert spec.deployments["chat"].health == Health(drain_s=7)
    assert spec.deployments["chat"].options == {"x-y": [1]}
    assert spec.endpoint.keys == (Key(name="demo", secrets=("one", "two")),)
    assert spec.endpoint.tls.mode is TlsMode.NONE


def test_a_public_endpoint_has_no_clients() -> None:
    """The other form of `keys`."""
    spec = loaded(("\n    - name: demo\n      secrets: [key-demo]", " public")).spec
    assert spec is not None
    assert spec.endpoint.keys == "public"


def test_holes_are_filled_with_examples() -> None:
    """Wherever something is lost, wrong or missing, a spec for further checks can be built."""
    data = parse(STACK, "f.yaml")[0].root.data
    lost = [
        ("machines", "box"),
        ("deployments", "chat", "model", "sha256"),
        ("deployments", "chat", "slots"),
        ("endpoint", "keys", 0, "secrets", 0),
        ("endpoint", "port"),
    ]
    spec = build(Spec, {**data, "endpoint": {**data["endpoint"], "port": "no number"}}, lost, name="demo")
    assert isinstance(spec, Spec)
    assert (spec.endpoint.port, spec.deployments["chat"].slots) == (8080, 2)


def test_whole_branches_can_be_lost() -> None:
    """The document needs nothing but to be a mapping."""
    spec = build(Spec, {}, [("enginehouse",), ("machines",), ("deployments",), ("endpoint",)], name="demo")
    assert list(spec.deployments) == ["chat"]
