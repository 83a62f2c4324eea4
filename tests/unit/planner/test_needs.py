"""What a stack asks of its machine."""

from __future__ import annotations

from dataclasses import replace

from enginehouse.planner.codec import from_plain, to_plain
from enginehouse.planner.container import Registry
from enginehouse.planner.needs import Needs, needs_of
from tests.simulated.plans import PLANS

PLAN = PLANS[1024]


def test_every_port_and_weight_of_the_machine_counts() -> None:
    needs = needs_of(PLAN, "box")
    listening = {port for ports in needs.ports.values() for port in ports}
    assert {port for gateway in PLAN.gateways for port in (gateway.port, gateway.metrics_port)} <= listening
    assert {port for replica in PLAN.replicas for port in replica.ports.values()} <= listening
    assert needs.weights == {part.path: part.source for part in PLAN.weights}


def test_images_count_by_the_names_they_are_fetched_by() -> None:
    """From a mirror where there is one, and each once."""
    image, mirrored = f"ghcr.io/x/y@sha256:{'12' * 32}", f"mirror.example/x/y@sha256:{'12' * 32}"
    replica = replace(PLAN.replicas[0], image=image)
    twice = (replica, replace(replica, name="other"))
    assert needs_of(replace(PLAN, replicas=twice), "box").images == (image,)
    there = replace(replica, registry=Registry(mirror="mirror.example"))
    assert needs_of(replace(PLAN, replicas=(there,)), "box").images == (mirrored,)


def test_another_machine_is_asked_for_nothing() -> None:
    assert needs_of(PLAN, "other") == Needs(ports={}, weights={})


def test_needs_travel_as_plain_data() -> None:
    needs = needs_of(PLAN, "box")
    assert from_plain(Needs, to_plain(needs)) == needs
