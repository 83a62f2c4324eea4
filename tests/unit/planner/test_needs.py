"""What a stack asks of its machine."""

from __future__ import annotations

from enginehouse.planner.codec import from_plain, to_plain
from enginehouse.planner.needs import Needs, needs_of
from tests.simulated.plans import PLANS

PLAN = PLANS[1024]


def test_every_port_and_weight_of_the_machine_counts() -> None:
    needs = needs_of(PLAN, "box")
    listening = {port for ports in needs.ports.values() for port in ports}
    assert {port for gateway in PLAN.gateways for port in (gateway.port, gateway.metrics_port)} <= listening
    assert {port for replica in PLAN.replicas for port in replica.ports.values()} <= listening
    assert needs.weights == {part.path: part.source for part in PLAN.weights}


def test_another_machine_is_asked_for_nothing() -> None:
    assert needs_of(PLAN, "other") == Needs(ports={}, weights={})


def test_needs_travel_as_plain_data() -> None:
    needs = needs_of(PLAN, "box")
    assert from_plain(Needs, to_plain(needs)) == needs
