"""Parts to plain data and back."""

from __future__ import annotations

import typing

import pytest

from enginehouse.planner.codec import from_plain, to_plain
from enginehouse.planner.parts import GatewayPart
from tests.simulated.plans import PLANS


def test_a_part_comes_back_as_it_was() -> None:
    """Every part of a plan, through plain data."""
    for part in PLANS[1024].parts():
        assert from_plain(type(part), to_plain(part)) == part


def test_the_types_of_a_class_are_resolved_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not for each value: that took four fifths of the time of reading a part."""
    plain = to_plain(PLANS[1024].gateways[0])
    from_plain(GatewayPart, plain)
    monkeypatch.setattr(typing, "get_type_hints", lambda kind: pytest.fail(f"{kind} is resolved again"))
    from_plain(GatewayPart, plain)
