"""GPUs: which of a machine's declared ones each replica gets. No two replicas share one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from enginehouse.spec.hosts import Host
from enginehouse.spec.model import Spec
from enginehouse.spec.names import replica_names


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """What one replica needs: so many of `among`, which come in the order in which they are given out."""

    count: int
    among: Sequence[int]


def wants(spec: Spec, host: Host) -> dict[str, Want]:
    """What each replica on the host needs, by its name, in the order of the file; those without GPUs are left out."""
    declared = spec.machines[host.group].gpus
    here = {name: deployment for name, deployment in spec.deployments.items() if deployment.runs_on == host.group}
    reserved = {index for deployment in here.values() if deployment.gpus for index in deployment.gpus.named()}
    found: dict[str, Want] = {}
    for name, deployment in here.items():
        gpus, replicas = deployment.gpus, deployment.replicas_per_host
        if gpus and declared and replicas:
            free = [index for index in range(declared.count) if index not in reserved]
            want = Want(count=gpus.per_replica(replicas), among=sorted(gpus.named()) or free)
            found.update(dict.fromkeys(replica_names(name, host.name, replicas), want))
    return found


def share_out(wanted: Mapping[str, Want], known: Iterable[tuple[str, tuple[int, ...]]]) -> dict[str, tuple[int, ...]]:
    """The GPUs of each replica. Of several `known` ones of a replica the first that still fits stays.

    There have to be enough, as `spec.checks.gpus` sees to it.
    """
    given: dict[str, tuple[int, ...]] = {}
    taken: set[int] = set()
    for name, gpus in known:
        want = wanted.get(name)
        fits = want and len({*gpus}) == len(gpus) == want.count and {*gpus} <= {*want.among}
        if fits and name not in given and taken.isdisjoint(gpus):
            given[name] = gpus
            taken.update(gpus)
    for name, want in wanted.items():
        if name not in given:
            given[name] = tuple(index for index in want.among if index not in taken)[: want.count]
            taken.update(given[name])
    return given
