"""A whole plan as components."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
from components.deployment import Deployment
from components.machine import Machine
from components.public_endpoint import PublicEndpoint
from enginehouse.planner.container import passwords_of
from enginehouse.planner.needs import needs_of
from enginehouse.planner.parts import Plan, ReplicaPart, Scope, WeightsPart
from enginehouse.planner.seals import TlsMode
from enginehouse.spec.names import program_name, weights_name


def deploy(plan: Plan, secrets: Mapping[str, pulumi.Output[str]]) -> dict[str, pulumi.Input[Any]]:
    """Declare everything the plan holds; the stack's outputs."""
    machines = {part.name: Machine(part, needs_of(plan, part.host), secrets) for part in plan.hosts}
    deployments = [
        Deployment(name, _weights_of(name, plan), _replicas_of(name, plan), machines, secrets)
        for name in dict.fromkeys(replica.deployment for replica in plan.replicas)
    ]
    behind = {name: replica for deployment in deployments for name, replica in deployment.replicas.items()}
    images = sorted({name for gateway in plan.gateways for name in passwords_of(gateway.registry)})
    front = {name: secrets[name] for name in (*plan.keys(), *plan.private_keys(), *images)}
    public = {
        gateway.host: PublicEndpoint(
            gateway,
            endpoint,
            machine=machines[gateway.host],
            replicas=[behind[name] for name in endpoint.behind if name in behind],
            secrets={**front, **{name: secrets[name] for name in gateway.passwords()}},
        ).endpoint
        for gateway, endpoint in zip(plan.gateways, plan.endpoints, strict=True)
    }
    first = next(iter(public.values()))
    authorities = {host: endpoint.ca_certificate for host, endpoint in public.items()}
    urls = {host: endpoint.url for host, endpoint in public.items()}
    return {
        **({"url": first.url} if plan.scope is Scope.SHARED else {"urls": urls}),
        **(_authorities(plan.scope, authorities) if _makes_certificates(plan) else {}),
        "models": first.models,
        "key_names": [client.name for client in plan.endpoints[0].clients],
        "hosts": list(machines),
    }


def _makes_certificates(plan: Plan) -> bool:
    return any(gateway.tls and gateway.tls.mode is TlsMode.OWN_CA for gateway in plan.gateways)


def _authorities(scope: Scope, made: Mapping[str, pulumi.Output[str | None]]) -> dict[str, pulumi.Input[Any]]:
    """What clients have to trust: each machine is an authority of its own."""
    return {"ca_certificate": next(iter(made.values()))} if scope is Scope.SHARED else {"ca_certificates": dict(made)}


def _replicas_of(deployment: str, plan: Plan) -> tuple[ReplicaPart, ...]:
    return tuple(replica for replica in plan.replicas if replica.deployment == deployment)


def _weights_of(deployment: str, plan: Plan) -> tuple[WeightsPart, ...]:
    names = (weights_name, program_name)
    return tuple(part for part in plan.weights if part.name in [named(deployment, part.host) for named in names])
