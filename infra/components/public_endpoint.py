"""A public address as a component: the gateway, and the proof that it works."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pulumi
from components.machine import Machine
from components.parts import Endpoint, Gateway, Replica
from enginehouse.planner.container import passwords_of
from enginehouse.planner.parts import EndpointPart, GatewayPart


class PublicEndpoint(pulumi.ComponentResource):
    """Comes after all replicas behind it. A change of anything behind it makes the proof necessary again."""

    def __init__(
        self,
        gateway: GatewayPart,
        endpoint: EndpointPart,
        *,
        machine: Machine,
        replicas: Iterable[Replica],
        secrets: Mapping[str, pulumi.Output[str]],
    ) -> None:
        super().__init__("enginehouse:index:PublicEndpoint", endpoint.name)
        replicas = tuple(replicas)
        front = {name: value for name, value in secrets.items() if name not in passwords_of(gateway.registry)}
        common = {**machine.stands_on, "secrets": front}
        gateway_options = pulumi.ResourceOptions(parent=self, depends_on=[machine.host, *replicas])
        self.gateway = Gateway(gateway, gateway_options, **{**common, "secrets": secrets})
        generations = {part.part_name: part.generation for part in (*replicas, self.gateway)}
        self.endpoint = Endpoint(endpoint, pulumi.ResourceOptions(parent=self), **common, generations=generations)
        self.register_outputs({})
