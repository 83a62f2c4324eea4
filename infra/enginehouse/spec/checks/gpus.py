"""Deployments that ask for GPUs: the machines declare them, and there are enough for all, each to itself."""

from __future__ import annotations

from collections.abc import Iterator

from enginehouse.planner.parts import Runtime
from enginehouse.spec.codes import Code
from enginehouse.spec.gpus import DeploymentGpus, Gpus, expanded
from enginehouse.spec.hosts import hosts_of
from enginehouse.spec.model import Spec
from enginehouse.spec.problems import Problem, shown
from enginehouse.spec.source import KeyPath, Source
from enginehouse.spec.variants import on_host


def check(spec: Spec, _: Source) -> Iterator[Problem]:
    for group, machine in spec.machines.items():
        asking = {name: d.gpus for name, d in spec.deployments.items() if d.runs_on == group and d.gpus}
        for name, gpus in asking.items():
            yield from _devices(name, gpus, group, machine.gpus) if machine.gpus else _undeclared(name, group)
            yield from _uneven(spec, name, gpus, group)
            yield from _hidden(spec, name)
        yield from _named_twice(asking)
        yield from _too_few(spec, asking, group, machine.gpus) if machine.gpus else ()


def _undeclared(name: str, group: str) -> Iterator[Problem]:
    yield Problem(
        path=_path(name),
        on_key=True,
        code=Code.BAD_GPUS,
        summary=f"machine group {shown(group)} declares no GPUs",
        hint="say which ones its machines have, such as `gpus: {model: l40s, count: 2}`",
        related=((("machines", group), "the machine group"),),
        rests_on=(("deployments", name, "runs_on"), ("machines", group, "gpus")),
    )


def _hidden(spec: Spec, name: str) -> Iterator[Problem]:
    if spec.deployments[name].runtime is Runtime.SYSTEMD:
        yield Problem(
            path=_path(name),
            on_key=True,
            code=Code.BAD_GPUS,
            summary="an engine in a unit of systemd sees no GPUs yet",
            hint="take `runtime: docker` or `supervisor`",
            related=((("deployments", name, "runtime"), "it runs in a unit"),),
        )


def _devices(name: str, gpus: DeploymentGpus, group: str, declared: Gpus) -> Iterator[Problem]:
    """Those that are named are there."""
    for position, text in enumerate(gpus.devices or ()):
        indexes = tuple(expanded(text))
        if not indexes:
            yield Problem(
                path=_path(name, "devices", position),
                code=Code.BAD_GPUS,
                summary=f"{text} ends before it begins",
                hint="write the lower number first",
            )
        elif indexes[-1] >= declared.count:
            yield Problem(
                path=_path(name, "devices", position),
                code=Code.BAD_GPUS,
                summary=f"there is no GPU {indexes[-1]}",
                hint="they are counted from 0",
                related=((("machines", group, "gpus", "count"), "so many are declared"),),
            )


def _uneven(spec: Spec, name: str, gpus: DeploymentGpus, group: str) -> Iterator[Problem]:
    """Those that are named go evenly among the replicas of every machine."""
    named = len(gpus.named())
    everywhere = {on_host(spec, host).deployments[name].replicas_per_host for host in hosts_of(spec, group)}
    for replicas in sorted(count for count in everywhere if count and named % count):
        yield Problem(
            path=_path(name, "devices"),
            code=Code.BAD_GPUS,
            summary=f"{_counted(named)} can't be shared out evenly among {replicas} replicas",
            hint="name as many for each replica, or change replicas_per_host",
            rests_on=tuple(_sizes(name, gpus)),
        )


def _named_twice(asking: dict[str, DeploymentGpus]) -> Iterator[Problem]:
    first: dict[int, KeyPath] = {}
    for name, gpus in asking.items():
        for position, text in enumerate(gpus.devices or ()):
            path = _path(name, "devices", position)
            again = [index for index in expanded(text) if first.setdefault(index, path) != path]
            if again:
                yield Problem(
                    path=path,
                    code=Code.BAD_GPUS,
                    summary=f"GPU {again[0]} is named twice",
                    hint="no two replicas share a GPU",
                    related=((first[again[0]], "the first time"),),
                )


def _too_few(spec: Spec, asking: dict[str, DeploymentGpus], group: str, declared: Gpus) -> Iterator[Problem]:
    """At the deployment with which there are too many on one of the group's machines."""
    if over := _first_over(spec, asking, group, declared.count):
        name, total = over
        yield Problem(
            path=_path(name),
            on_key=True,
            code=Code.TOO_FEW_GPUS,
            summary=f"{_counted(total)} are needed up to here, {declared.count} declared",
            hint="ask for fewer, or let fewer replicas run on each machine",
            related=((("machines", group, "gpus", "count"), "so many each machine has"),),
            rests_on=tuple(path for other, gpus in asking.items() for path in _sizes(other, gpus)),
        )


def _first_over(spec: Spec, asking: dict[str, DeploymentGpus], group: str, count: int) -> tuple[str, int] | None:
    """The first deployment with which there are more than `count` on a machine, and how many those are."""
    for host in hosts_of(spec, group):
        here, total = on_host(spec, host), 0
        for name, gpus in asking.items():
            replicas = here.deployments[name].replicas_per_host
            total += gpus.per_replica(replicas) * replicas if replicas else 0
            if total > count:
                return name, total
    return None


def _sizes(name: str, gpus: DeploymentGpus) -> Iterator[KeyPath]:
    """What decides how many GPUs a deployment needs on a machine."""
    yield from (("deployments", name, key) for key in ("replicas_per_host", "replicas", "variants"))
    yield _path(name, "count")
    yield from (_path(name, "devices", position) for position, _ in enumerate(gpus.devices or ()))


def _path(name: str, *below: str | int) -> KeyPath:
    return ("deployments", name, "gpus", *below)


def _counted(count: int) -> str:
    return "1 GPU" if count == 1 else f"{count} GPUs"
