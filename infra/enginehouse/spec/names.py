"""How parts are called. Public: part names are resource names and folder names."""

from __future__ import annotations

from collections.abc import Iterator

from enginehouse.planner.parts import Scope
from enginehouse.spec.hosts import every_host, gateway_hosts
from enginehouse.spec.model import Spec
from enginehouse.spec.source import KeyPath
from enginehouse.spec.variants import on_host

_ENDPOINT = "endpoint"


def weights_name(deployment: str, host: str) -> str:
    return f"{deployment}-weights-{host}"


def program_name(deployment: str, host: str) -> str:
    return f"{deployment}-engine-{host}"


def replica_name(deployment: str, host: str, index: int) -> str:
    return f"{deployment}-{host}-{index}"


def replica_names(deployment: str, host: str, count: int) -> tuple[str, ...]:
    """The replicas of a deployment on one host, by index."""
    return tuple(replica_name(deployment, host, index) for index in range(count))


def gateway_name(host: str) -> str:
    return f"gateway-{host}"


def endpoint_name(scope: Scope, host: str) -> str:
    """By the scope and not by how many hosts there are, so that one host more renames nothing."""
    return _ENDPOINT if scope is Scope.SHARED else f"{_ENDPOINT}-{host}"


def part_names(spec: Spec) -> Iterator[tuple[str, KeyPath]]:
    """Every part's name, and what it is called after. A host that stands there twice counts once."""
    for name in {host.name: None for host in gateway_hosts(spec)}:
        yield endpoint_name(spec.endpoint.scope, name), ("endpoint",)
        yield gateway_name(name), ("endpoint", "runs_on")
    yield from {host.name: host.path for host in every_host(spec)}.items()
    for host in {host.name: host for host in every_host(spec)}.values():
        for name, deployment in on_host(spec, host).deployments.items():
            if deployment.runs_on == host.group and deployment.replicas_per_host:
                yield weights_name(name, host.name), ("deployments", name)
                if deployment.binary:
                    yield program_name(name, host.name), ("deployments", name)
                for replica in replica_names(name, host.name, deployment.replicas_per_host):
                    yield replica, ("deployments", name)
