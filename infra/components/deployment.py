"""A deployment as a component: its weights, and its engine's program, on each machine, and its replicas."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
from components.machine import Machine
from components.parts import Replica, Weights
from enginehouse.planner.container import passwords_of
from enginehouse.planner.parts import ReplicaPart, WeightsPart


class Deployment(pulumi.ComponentResource):
    """One model on one engine. A replica waits for the weights on its own machine only."""

    def __init__(
        self,
        name: str,
        weights: tuple[WeightsPart, ...],
        replicas: tuple[ReplicaPart, ...],
        machines: Mapping[str, Machine],
        secrets: Mapping[str, pulumi.Output[str]],
    ) -> None:
        super().__init__("enginehouse:index:Deployment", name, opts=pulumi.ResourceOptions(aliases=_aliases(replicas)))
        self._machines = machines
        self._secrets = secrets
        files = [(part.host, self._weights(part)) for part in weights]
        self.replicas = {
            part.name: self._replica(part, [file for host, file in files if host == part.host]) for part in replicas
        }
        self.register_outputs({})

    def _weights(self, part: WeightsPart) -> Weights:
        machine = self._machines[part.host]
        return Weights(part, pulumi.ResourceOptions(parent=self, depends_on=[machine.host]), **machine.stands_on)

    def _replica(self, part: ReplicaPart, files: list[Weights]) -> Replica:
        machine = self._machines[part.host]
        needed = {name: self._secrets[name] for name in (*part.passwords(), *passwords_of(part.registry))}
        more = {**machine.stands_on, **({"secrets": needed} if needed else {})}
        return Replica(part, pulumi.ResourceOptions(parent=self, depends_on=files), **more)


def _aliases(replicas: tuple[ReplicaPart, ...]) -> list[pulumi.Alias]:
    """The deployment's own former name: what its replicas' former names have in front of machine and index."""
    former = {part.renamed_from.removesuffix(f"-{part.host}-{part.index}") for part in replicas if part.renamed_from}
    return [pulumi.Alias(name=name) for name in sorted(former)]
