"""Every `runs_on` names a machine group, and the gateway stands on the machine of its deployments."""

from __future__ import annotations

from collections.abc import Iterator

from enginehouse.diagnostics import Severity
from enginehouse.planner.parts import Scope
from enginehouse.spec.codes import Code
from enginehouse.spec.hosts import hosts_of
from enginehouse.spec.model import Spec
from enginehouse.spec.problems import Problem, shown
from enginehouse.spec.source import KeyPath, Source
from enginehouse.spec.wording import did_you_mean


def check(spec: Spec, _: Source) -> Iterator[Problem]:
    yield from _unknown(spec)
    yield from _unused(spec)
    yield from _this_machine_twice(spec)
    yield from _several_hosts(spec)
    yield from _other_machine(spec)


def _places(spec: Spec) -> Iterator[tuple[KeyPath, str]]:
    """Every `runs_on` with its path."""
    for name, deployment in spec.deployments.items():
        yield ("deployments", name, "runs_on"), deployment.runs_on
    yield ("endpoint", "runs_on"), spec.endpoint.runs_on


def _unknown(spec: Spec) -> Iterator[Problem]:
    groups = tuple(spec.machines)
    for path, group in _places(spec):
        if group not in groups:
            yield Problem(
                path=path,
                code=Code.UNKNOWN_MACHINES,
                summary=f"there is no machine group {shown(group)}",
                hint=did_you_mean(group, groups, "machines"),
                rests_on=(("machines",),),
            )


def _unused(spec: Spec) -> Iterator[Problem]:
    used = {group for _, group in _places(spec)}
    for group in spec.machines:
        if group not in used:
            yield Problem(
                path=("machines", group),
                on_key=True,
                code=Code.UNUSED_MACHINES,
                summary=f"nothing runs on machine group {shown(group)}",
                hint="name it in a `runs_on` or leave it out",
                severity=Severity.WARNING,
            )


def _this_machine_twice(spec: Spec) -> Iterator[Problem]:
    first, *others = [group for group, machine in spec.machines.items() if machine.local] or [""]
    for group in others:
        yield Problem(
            path=("machines", group),
            on_key=True,
            code=Code.SAME_MACHINE_TWICE,
            summary=f"machine group {shown(group)} is this machine again",
            hint="`local` is always the machine this command runs on: one group is enough",
            related=((("machines", first), "the first group of this machine"),),
        )


def _several_hosts(spec: Spec) -> Iterator[Problem]:
    """Engines listen on loopback only, so a gateway elsewhere could not reach them."""
    endpoint, hosts = spec.endpoint, hosts_of(spec, spec.endpoint.runs_on)
    if endpoint.scope is Scope.SHARED and len(hosts) > 1:
        yield Problem(
            path=("endpoint", "scope"),
            on_key=True,
            code=Code.SEVERAL_HOSTS,
            summary=f"one endpoint for all {len(hosts)} hosts of {shown(endpoint.runs_on)} is not possible yet",
            hint="write `scope: each_host`: every host serves by itself, with a gateway and an endpoint of its own",
            related=((hosts[1].path, "the second host"),),
            rests_on=(("endpoint", "runs_on"),),
        )


def _other_machine(spec: Spec) -> Iterator[Problem]:
    """Engines listen on loopback only, so a gateway elsewhere could not reach them."""
    here = spec.endpoint.runs_on
    for name, deployment in spec.deployments.items():
        there = deployment.runs_on
        if here != there and {here, there} <= spec.machines.keys():
            yield Problem(
                path=("endpoint", "runs_on"),
                code=Code.OTHER_MACHINE,
                summary=f"the endpoint runs on another machine group than deployment {shown(name)}",
                hint="engines listen on loopback, so the gateway has to run on the same machine group",
                related=((("deployments", name, "runs_on"), "the deployment runs here"),),
            )
