"""Every `runs_on` names a place that there is, and the gateway reaches the engines of its deployments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from enginehouse.diagnostics import Severity
from enginehouse.planner.parts import Scope
from enginehouse.spec.codes import Code
from enginehouse.spec.hosts import Host, behind, every_host, gateway_hosts, reached_at
from enginehouse.spec.model import Spec
from enginehouse.spec.problems import Problem, shown
from enginehouse.spec.source import KeyPath, Source
from enginehouse.spec.wording import did_you_mean


def check(spec: Spec, _: Source) -> Iterator[Problem]:
    yield from _unknown(spec)
    yield from _unused(spec)
    yield from _this_machine_twice(spec)
    if spec.endpoint.scope is Scope.SHARED:
        yield from _several_hosts(spec)
        yield from _out_of_reach(spec)
    else:
        yield from _other_machine(spec)


def _unknown(spec: Spec) -> Iterator[Problem]:
    groups = tuple(spec.machines)
    for name, deployment in spec.deployments.items():
        if deployment.runs_on not in groups:
            yield _nowhere(("deployments", name, "runs_on"), deployment.runs_on, "machine group", groups)
    if not gateway_hosts(spec) and spec.endpoint.runs_on not in groups:
        places = tuple(dict.fromkeys((*groups, *(host.name for host in every_host(spec)))))
        yield _nowhere(("endpoint", "runs_on"), spec.endpoint.runs_on, "machine group or host", places)


def _nowhere(path: KeyPath, place: str, what: str, places: Sequence[str]) -> Problem:
    return Problem(
        path=path,
        code=Code.UNKNOWN_MACHINES,
        summary=f"there is no {what} {shown(place)}",
        hint=did_you_mean(place, places, "machines"),
        rests_on=(("machines",),),
    )


def _unused(spec: Spec) -> Iterator[Problem]:
    used = {deployment.runs_on for deployment in spec.deployments.values()}
    used |= {spec.endpoint.runs_on, *(host.group for host in gateway_hosts(spec))}
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
    endpoint, hosts = spec.endpoint, gateway_hosts(spec)
    if len(hosts) > 1:
        yield Problem(
            path=("endpoint", "runs_on"),
            code=Code.SEVERAL_HOSTS,
            summary=f"one endpoint for all runs on one host, and {shown(endpoint.runs_on)} has {len(hosts)}",
            hint=f"name the host that the gateway shall be on, such as {hosts[0].name}; or write `scope: each_host`: "
            "every host serves by itself, with a gateway and an endpoint of its own",
            related=((hosts[1].path, "the second host"),),
            rests_on=(("endpoint", "scope"),),
        )


def _out_of_reach(spec: Spec) -> Iterator[Problem]:
    """Engines on another machine than the gateway listen on an address of a network that both are in."""
    gateways = gateway_hosts(spec)
    if len(gateways) != 1:
        return
    lost = [h for h in behind(spec, gateways[0]) if h.name != gateways[0].name and reached_at(h) is None]
    yield from (_engines_here(spec, host) for host in lost if host.ssh is None)
    by_place: dict[KeyPath, list[Host]] = {}
    for host in lost:
        if host.ssh is not None and host.ssh.private_address is None:
            by_place.setdefault(host.path, []).append(host)
    for path, hosts in by_place.items():
        yield _needs_address(path, hosts)


def _engines_here(spec: Spec, host: Host) -> Problem:
    name = next(name for name, deployment in spec.deployments.items() if deployment.runs_on == host.group)
    return Problem(
        path=("endpoint", "runs_on"),
        code=Code.OTHER_MACHINE,
        summary=f"the gateway is on another machine than deployment {shown(name)}, which is on this one",
        hint=f"engines of a `local` machine listen on loopback: write `runs_on: {host.name}`, or give the machine an "
        "address by listing it under `ssh`",
        related=((("deployments", name, "runs_on"), "the deployment runs here"),),
    )


def _needs_address(path: KeyPath, hosts: Sequence[Host]) -> Problem:
    more = f" (and {len(hosts) - 1} more)" if len(hosts) > 1 else ""
    return Problem(
        path=path,
        on_key=True,
        code=Code.PRIVATE_ADDRESS_NEEDED,
        summary=f"at which IP address does the gateway reach the engines of host {shown(hosts[0].name)}{more}?",
        hint="give the host a `private_address`, such as `private_address: 10.9.0.11`: its engines listen there; "
        "a public `address` is not taken for one, because engines have no keys",
        related=((("endpoint", "runs_on"), "the gateway is on another host"),),
    )


def _other_machine(spec: Spec) -> Iterator[Problem]:
    """Every host serves by itself, so it has both."""
    here = spec.endpoint.runs_on
    for name, deployment in spec.deployments.items():
        there = deployment.runs_on
        if here != there and there in spec.machines and gateway_hosts(spec):
            yield Problem(
                path=("endpoint", "runs_on"),
                code=Code.OTHER_MACHINE,
                summary=f"the endpoint runs on other machines than deployment {shown(name)}",
                hint="with `scope: each_host` every host serves by itself: write the machine group of the deployment",
                related=((("deployments", name, "runs_on"), "the deployment runs here"),),
                rests_on=(("endpoint", "scope"),),
            )
