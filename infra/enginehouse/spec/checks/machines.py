"""Every `runs_on` names a machine group, and the gateway stands on the machine of its deployments."""

from __future__ import annotations

from collections.abc import Iterator

from enginehouse.diagnostics import Severity
from enginehouse.spec.codes import Code
from enginehouse.spec.model import Spec
from enginehouse.spec.problems import Problem, shown
from enginehouse.spec.source import KeyPath, Source
from enginehouse.spec.wording import did_you_mean


def check(spec: Spec, _: Source) -> Iterator[Problem]:
    yield from _unknown(spec)
    yield from _unused(spec)
    yield from _same_twice(spec)
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


def _same_twice(spec: Spec) -> Iterator[Problem]:
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
    for group, machine in spec.machines.items():
        if machine.ssh and len(machine.ssh.hosts) > 1:
            first, *others = machine.ssh.hosts
            yield Problem(
                path=("machines", group, "ssh", "hosts", others[0]),
                on_key=True,
                code=Code.SEVERAL_HOSTS,
                summary=f"machine group {shown(group)} has {len(machine.ssh.hosts)} hosts, and a stack has one so far",
                hint="give each machine a stack file of its own; several in one are not supported yet",
                related=((("machines", group, "ssh", "hosts", first), "the first one"),),
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
