"""What crosses the wire comes back as it was, and secrets never show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from google.protobuf.struct_pb2 import Struct
from hypothesis import given
from hypothesis import strategies as st

from enginehouse.converge import as_inputs, as_part
from enginehouse.planner.codec import kind_of
from enginehouse.planner.digests import release_id
from enginehouse.planner.parts import GatewayPart, ReplicaPart
from enginehouse.planner.plan import plan
from enginehouse.provider.wire import UNKNOWN, Hidden, to_plain, to_struct, unsealed
from enginehouse.spec import load
from enginehouse.spec.lock import NOTHING_LOCKED

names = st.text(max_size=12)
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(min_value=-(2**53), max_value=2**53),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
    st.just(UNKNOWN),
)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(names, inner, max_size=4), st.builds(Hidden, inner)
    ),
    max_leaves=12,
)


def over_the_wire(properties: dict[str, Any]) -> dict[str, Any]:
    return to_plain(Struct.FromString(to_struct(properties).SerializeToString()))


@given(st.dictionaries(names, values, max_size=5))
def test_properties_survive_the_wire(properties: dict[str, Any]) -> None:
    """to_plain(to_struct(x)) == x for everything a property can be, through the bytes of a real message."""
    assert over_the_wire(properties) == properties


def test_a_plan_reaches_the_provider_as_it_was_made() -> None:
    """Every part of the stack that ships comes out equal, and with the same release: both doors must agree on it."""
    spec = load(Path(__file__).parents[3] / "stacks" / "laptop.yaml").spec
    assert spec is not None
    parts = plan(spec, NOTHING_LOCKED).parts()
    arrived = [as_part(kind_of(part), over_the_wire(as_inputs(part))) for part in parts]
    assert arrived == list(parts)
    assert [release_id(p) for p in arrived if isinstance(p, ReplicaPart | GatewayPart)] == [
        release_id(p) for p in parts if isinstance(p, ReplicaPart | GatewayPart)
    ]


def test_whole_numbers_are_ints_again() -> None:
    """The wire has floats only; 4096.0 in a command line would be another argument than 4096."""
    plain = to_plain(to_struct({"port": 8080, "ratio": 0.5, "flag": True}))
    assert [(name, type(value)) for name, value in sorted(plain.items())] == [
        ("flag", bool),
        ("port", int),
        ("ratio", float),
    ]


def test_the_pulumi_engines_own_marks_are_understood() -> None:
    """A secret and an unknown as the Pulumi engine writes them."""
    struct = Struct()
    struct.update(
        {
            "url": "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
            "key": {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "value": "poison"},
        }
    )
    assert to_plain(struct) == {"url": UNKNOWN, "key": Hidden("poison")}


def test_a_secret_is_not_in_any_text() -> None:
    hidden = {"secrets": {"key-demo": Hidden("poison")}}
    assert "poison" not in f"{hidden} {hidden!r}"


def test_unsealing_reaches_every_depth() -> None:
    assert unsealed({"a": Hidden([Hidden("x"), {"b": Hidden(1)}])}) == {"a": ["x", {"b": 1}]}


def test_what_json_lacks_is_refused_by_type_alone() -> None:
    """The message names the type and not the value, which may be secret."""
    with pytest.raises(TypeError, match="a bytes can't be a property") as caught:
        to_struct({"key": b"poison"})
    assert "poison" not in str(caught.value)
