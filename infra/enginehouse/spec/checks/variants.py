"""Every variant is for a host that there is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from enginehouse.spec.codes import Code
from enginehouse.spec.hosts import Host, hosts_of
from enginehouse.spec.model import Spec, Where
from enginehouse.spec.problems import Problem, shown
from enginehouse.spec.source import Source
from enginehouse.spec.variants import matches
from enginehouse.spec.wording import did_you_mean, listed


def check(spec: Spec, _: Source) -> Iterator[Problem]:
    for name, deployment in spec.deployments.items():
        hosts = hosts_of(spec, deployment.runs_on)
        for index, variant in enumerate(deployment.variants):
            if hosts and not any(matches(variant.where, host) for host in hosts):
                yield Problem(
                    path=("deployments", name, "variants", index, "where", "label" if variant.where.label else "host"),
                    code=Code.NO_SUCH_HOST,
                    summary=f"no host of machine group {shown(deployment.runs_on)} is meant by this",
                    hint=_hint(variant.where, hosts),
                    rests_on=(("deployments", name, "runs_on"), ("machines", deployment.runs_on)),
                )


def _hint(where: Where, hosts: Sequence[Host]) -> str:
    if where.host is not None:
        return did_you_mean(where.host, [host.name for host in hosts], "hosts")
    labels = sorted({f"{name}: {value}" for host in hosts if host.ssh for name, value in host.ssh.labels.items()})
    return f"labels of its hosts: {listed(labels)}"
