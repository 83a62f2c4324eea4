"""The five resources as the program declares them: one for each part of a plan, all of the same making."""

from __future__ import annotations

from typing import Any, ClassVar

import pulumi
from enginehouse.converge import as_inputs
from enginehouse.planner.codec import kind_of
from enginehouse.planner.parts import Part


class PartResource(pulumi.CustomResource):
    """One part. Its name is the part's; a part that was renamed keeps its resource."""

    OUTPUTS: ClassVar[tuple[str, ...]] = ("generation",)
    generation: pulumi.Output[int]

    def __init__(self, part: Part, opts: pulumi.ResourceOptions, **more: pulumi.Input[Any]) -> None:
        self.part_name = part.name
        aliases = [pulumi.Alias(name=part.renamed_from)] if part.renamed_from else []
        super().__init__(
            f"enginehouse:index:{kind_of(part).capitalize()}",
            part.name,
            {**dict.fromkeys(self.OUTPUTS), **as_inputs(part), **more},
            pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(aliases=aliases)),
        )


class Host(PartResource):
    """Base folders, tools and the process supervisor of one machine."""

    OUTPUTS = ("generation", "machine_id", "owner")
    machine_id: pulumi.Output[str]
    owner: pulumi.Output[str]

    @property
    def stands_on(self) -> dict[str, pulumi.Input[Any]]:
        """What every other part on the machine is told about it."""
        return {"machine_id": self.machine_id, "owner": self.owner}


class Weights(PartResource):
    """One model, or one engine's program, on one machine, verified."""


class Replica(PartResource):
    """One running copy of a deployment."""


class Gateway(PartResource):
    """HAProxy: keys, routes, TLS, queues."""


class Endpoint(PartResource):
    """Proof from outside that the whole works."""

    OUTPUTS = ("generation", "ca_certificate")
    ca_certificate: pulumi.Output[str | None]
    """PEM, with `tls: {mode: own_ca}`."""
    url: pulumi.Output[str]
    models: pulumi.Output[list[str]]
