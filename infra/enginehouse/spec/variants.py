"""Deployments as they are on each of their hosts: what `variants` change there, and how many copies run there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any

from enginehouse.spec.hosts import Host, hosts_of
from enginehouse.spec.model import Deployment, Settings, Spec, Where
from enginehouse.spec.ranges import expanded
from enginehouse.spec.source import KeyPath


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A deployment with some of its variants applied, in their order."""

    name: str
    written: Deployment
    applied: tuple[int, ...] = ()

    @property
    def deployment(self) -> Deployment:
        changes = (_changes(self.written.variants[index].set) for index in self.applied)
        given = {name: value for change in changes for name, value in change.items()}
        return replace(self.written, **given) if given else self.written

    def path(self, key: str, *below: str) -> KeyPath:
        """Where the file gives a key of this form."""
        setting = (i for i in reversed(self.applied) if key in _changes(self.written.variants[i].set))
        index = next(setting, None)
        place: KeyPath = () if index is None else ("variants", index, "set")
        return ("deployments", self.name, *place, key, *below)

    def given(self, written: frozenset[str]) -> frozenset[str]:
        """The keys that the file gives, of which `written` are the deployment's own."""
        return written.union(*(_changes(self.written.variants[index].set) for index in self.applied))


def matches(where: Where, host: Host) -> bool:
    if where.host is not None:
        return host.name in _names(where.host)
    labels = host.ssh.labels if host.ssh else {}
    return bool(where.label) and (where.label or {}).items() <= labels.items()


def forms(spec: Spec) -> Iterator[Form]:
    """Each deployment as it is written, and in every form that it has on a host."""
    for name, deployment in spec.deployments.items():
        yield Form(name=name, written=deployment)
        if deployment.variants:
            applied = {_applied(deployment, host) for host in hosts_of(spec, deployment.runs_on)}
            yield from (Form(name=name, written=deployment, applied=indexes) for indexes in sorted(applied) if indexes)


def on_host(spec: Spec, host: Host) -> Spec:
    """The stack as it is on that host."""
    if not any(deployment.variants or deployment.replicas for deployment in spec.deployments.values()):
        return spec
    return replace(spec, deployments={name: _here(spec, name, host) for name in spec.deployments})


def _here(spec: Spec, name: str, host: Host) -> Deployment:
    written = spec.deployments[name]
    deployment = Form(name=name, written=written, applied=_applied(written, host)).deployment
    share = _share(written.replicas, hosts_of(spec, written.runs_on), host) if written.replicas else None
    return deployment if share is None else replace(deployment, replicas_per_host=share)


def _share(replicas: int, hosts: Sequence[Host], host: Host) -> int:
    """How many of a deployment's replicas run on the host, which may be none. The order of the file means nothing."""
    everywhere, left_over = divmod(replicas, len(hosts) or 1)
    return everywhere + (sum(other.name < host.name for other in hosts) < left_over)


def _applied(deployment: Deployment, host: Host) -> tuple[int, ...]:
    return tuple(index for index, variant in enumerate(deployment.variants) if matches(variant.where, host))


def _changes(settings: Settings) -> dict[str, Any]:
    given = ((field.name, getattr(settings, field.name)) for field in fields(settings))
    return {name: value for name, value in given if value is not None}


@cache
def _names(text: str) -> frozenset[str]:
    return frozenset(expanded(text))
