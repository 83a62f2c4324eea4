"""How parts are called. Public: part names are resource names and folder names."""

from __future__ import annotations

from collections.abc import Iterator

from enginehouse.spec.model import Deployment, Spec
from enginehouse.spec.source import KeyPath

ENDPOINT = "endpoint"


def weights_name(deployment: str, machine: str) -> str:
    return f"{deployment}-weights-{machine}"


def replica_name(deployment: str, machine: str, index: int) -> str:
    return f"{deployment}-{machine}-{index}"


def replica_names(deployment: str, settings: Deployment) -> tuple[str, ...]:
    """The replicas of a deployment, by index."""
    return tuple(replica_name(deployment, settings.runs_on, index) for index in range(settings.replicas_per_host))


def gateway_name(machine: str) -> str:
    return f"gateway-{machine}"


def part_names(spec: Spec) -> Iterator[tuple[str, KeyPath]]:
    """Every part's name, and what it is called after."""
    yield ENDPOINT, ("endpoint",)
    yield gateway_name(spec.endpoint.runs_on), ("endpoint", "runs_on")
    for machine in spec.machines:
        yield machine, ("machines", machine)
    for name, deployment in spec.deployments.items():
        yield weights_name(name, deployment.runs_on), ("deployments", name)
        for replica in replica_names(name, deployment):
            yield replica, ("deployments", name)
