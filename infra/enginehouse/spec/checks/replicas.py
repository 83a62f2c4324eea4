"""Replicas are counted in one way, and there are ports for all of them."""

from __future__ import annotations

from collections.abc import Iterator

from enginehouse.planner.parts import Scope
from enginehouse.spec.codes import Code
from enginehouse.spec.hosts import Host, every_host
from enginehouse.spec.model import Deployment, Spec
from enginehouse.spec.problems import Problem
from enginehouse.spec.source import Source
from enginehouse.spec.variants import on_host

MOST_REPLICAS = 1000
"""On one machine. Each has two ports, and about 12,000 lie below those that Linux gives to outgoing connections."""


def check(spec: Spec, source: Source) -> Iterator[Problem]:
    for name, deployment in spec.deployments.items():
        if deployment.replicas:
            yield from _counted_twice(name, deployment, source)
            yield from _nothing_in_common(spec, name)
    yield from _too_many(spec)


def _counted_twice(name: str, deployment: Deployment, source: Source) -> Iterator[Problem]:
    settings = [("variants", index, "set") for index, _ in enumerate(deployment.variants)]
    for place in ((), *settings):
        path = ("deployments", name, *place, "replicas_per_host")
        if source.has(path):
            yield Problem(
                path=path,
                on_key=True,
                code=Code.BAD_REPLICAS,
                summary="replicas are counted on each machine and on all together",
                hint="keep one of the two",
                related=((("deployments", name, "replicas"), "so many on all machines together"),),
            )


def _nothing_in_common(spec: Spec, name: str) -> Iterator[Problem]:
    if spec.endpoint.scope is Scope.EACH_HOST:
        yield Problem(
            path=("deployments", name, "replicas"),
            on_key=True,
            code=Code.BAD_REPLICAS,
            summary="with `scope: each_host` machines have no replicas in common",
            hint="say with replicas_per_host how many each of them has",
            related=((("endpoint", "scope"), "each machine serves by itself"),),
        )


def _too_many(spec: Spec) -> Iterator[Problem]:
    count = max((_count(spec, host) for host in every_host(spec)), default=0)
    if count > MOST_REPLICAS:
        yield Problem(
            path=("deployments",),
            on_key=True,
            code=Code.TOO_MANY_REPLICAS,
            summary=f"{count} replicas on one machine",
            hint=f"at most {MOST_REPLICAS} can run there; lower replicas_per_host",
            rests_on=tuple(
                ("deployments", name, key) for name in spec.deployments for key in ("replicas_per_host", "replicas")
            ),
        )


def _count(spec: Spec, host: Host) -> int:
    here = on_host(spec, host).deployments.values()
    return sum(deployment.replicas_per_host for deployment in here if deployment.runs_on == host.group)
