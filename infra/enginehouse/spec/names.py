"""How parts are called. Public: part names are resource names and folder names."""

from __future__ import annotations

from collections.abc import Iterator

from enginehouse.spec.model import Spec
from enginehouse.spec.source import KeyPath

ENDPOINT = "endpoint"


def weights_name(deployment: str, machine: str) -> str:
    return f"{deployment}-weights-{machine}"


def replica_name(deployment: str, machine: str, index: int) -> str:
    return f"{deployment}-{machine}-{index}"


def host_of(spec: Spec, group: str) -> str:
    """The host of a machine group: this machine is called like its group, others have names of their own."""
    machine = spec.machines.get(group)
    return next(iter(machine.ssh.hosts), group) if machine and machine.ssh else group


def replica_names(spec: Spec, deployment: str) -> tuple[str, ...]:
    """The replicas of a deployment, by index."""
    settings = spec.deployments[deployment]
    host = host_of(spec, settings.runs_on)
    return tuple(replica_name(deployment, host, index) for index in range(settings.replicas_per_host))


def gateway_name(machine: str) -> str:
    return f"gateway-{machine}"


def host_names(spec: Spec) -> Iterator[tuple[str, KeyPath]]:
    """Every host's name, and what gives it."""
    for group, machine in spec.machines.items():
        if machine.ssh:
            yield from ((host, ("machines", group, "ssh", "hosts", host)) for host in machine.ssh.hosts)
        else:
            yield group, ("machines", group)


def part_names(spec: Spec) -> Iterator[tuple[str, KeyPath]]:
    """Every part's name, and what it is called after."""
    yield ENDPOINT, ("endpoint",)
    yield gateway_name(host_of(spec, spec.endpoint.runs_on)), ("endpoint", "runs_on")
    yield from host_names(spec)
    for name, deployment in spec.deployments.items():
        yield weights_name(name, host_of(spec, deployment.runs_on)), ("deployments", name)
        for replica in replica_names(spec, name):
            yield replica, ("deployments", name)
