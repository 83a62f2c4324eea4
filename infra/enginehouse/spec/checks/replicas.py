"""There are ports for all replicas."""

from __future__ import annotations

from collections.abc import Iterator

from enginehouse.spec.codes import Code
from enginehouse.spec.hosts import hosts_of
from enginehouse.spec.model import Spec
from enginehouse.spec.problems import Problem
from enginehouse.spec.source import Source
from enginehouse.spec.variants import on_host

MOST_REPLICAS = 1000
"""On one machine. Each has two ports, and about 12,000 lie below those that Linux gives to outgoing connections."""


def check(spec: Spec, _: Source) -> Iterator[Problem]:
    stacks = (on_host(spec, host) for host in hosts_of(spec, spec.endpoint.runs_on))
    count = max((sum(d.replicas_per_host for d in stack.deployments.values()) for stack in stacks), default=0)
    if count > MOST_REPLICAS:
        yield Problem(
            path=("deployments",),
            on_key=True,
            code=Code.TOO_MANY_REPLICAS,
            summary=f"{count} replicas on one machine",
            hint=f"at most {MOST_REPLICAS} can run there; lower replicas_per_host",
            rests_on=tuple(("deployments", name, "replicas_per_host") for name in spec.deployments),
        )
