"""There are ports for all replicas."""

from __future__ import annotations

from collections.abc import Iterator

from enginehouse.spec.codes import Code
from enginehouse.spec.hosts import Host, every_host
from enginehouse.spec.model import Spec
from enginehouse.spec.problems import Problem
from enginehouse.spec.source import Source
from enginehouse.spec.variants import on_host

MOST_REPLICAS = 1000
"""On one machine. Each has two ports, and about 12,000 lie below those that Linux gives to outgoing connections."""


def check(spec: Spec, _: Source) -> Iterator[Problem]:
    count = max((_count(spec, host) for host in every_host(spec)), default=0)
    if count > MOST_REPLICAS:
        yield Problem(
            path=("deployments",),
            on_key=True,
            code=Code.TOO_MANY_REPLICAS,
            summary=f"{count} replicas on one machine",
            hint=f"at most {MOST_REPLICAS} can run there; lower replicas_per_host",
            rests_on=tuple(("deployments", name, "replicas_per_host") for name in spec.deployments),
        )


def _count(spec: Spec, host: Host) -> int:
    here = on_host(spec, host).deployments.values()
    return sum(deployment.replicas_per_host for deployment in here if deployment.runs_on == host.group)
