"""What each kind of part answers to the same questions. One entry a kind; the verbs know nothing else about them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from enginehouse.connectors.base import Connector
from enginehouse.converge import endpoint, gateway, host, proof, replica, symptoms, weights
from enginehouse.converge.configuration import shown
from enginehouse.converge.facts import Facts
from enginehouse.converge.manifest import Manifest
from enginehouse.converge.places import GATEWAY
from enginehouse.converge.steps import Step, Steps
from enginehouse.planner.parts import EndpointPart, GatewayPart, HostPart, Part, ReplicaPart, WeightsPart
from enginehouse.render.symbols import Secret, fill


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """The part given to each function is of the kind's own class."""

    steps: Callable[[Any, Facts, Mapping[str, Secret]], Steps]
    foreseen: Callable[[Any, Facts, Mapping[str, Secret]], Steps]
    """The same before the parts it stands on have been brought."""
    outputs: Callable[[Any, Manifest, Facts], Mapping[str, object]]
    """What the part offers to others, beside what every part does."""
    differences: Callable[[Any, Facts], Mapping[str, object]]
    """Inputs that are different on the machine, beside placed files; what no input stands for is under `DRIFT`."""
    complaints: Callable[[Any, Facts, Connector, Mapping[str, Secret]], tuple[str, ...]]
    """Why the part does not do its work right now."""
    leave: Callable[[Any, Facts], tuple[Step, ...]]
    """What ends the part's programs, before its folder is removed."""
    stays: Callable[[Any, Facts], tuple[str, ...]]
    """What a destroy leaves on purpose."""


def kind_of(part: Part) -> Kind:
    return KINDS[type(part)]


def _host_outputs(part: HostPart, manifest: Manifest, facts: Facts) -> Mapping[str, object]:
    return {"tools": {name: host.version_of(tool.version) for name, tool in facts.tools.items()}}


def _weights_outputs(part: WeightsPart, manifest: Manifest, facts: Facts) -> Mapping[str, object]:
    return {"path": fill(part.path, {"state": facts.state}, {})}


def _replica_outputs(part: ReplicaPart, manifest: Manifest, facts: Facts) -> Mapping[str, object]:
    side = manifest.side
    return {"release": manifest.release, "side": side.value, "port": part.ports[side]} if side else {}


def _gateway_outputs(part: GatewayPart, manifest: Manifest, facts: Facts) -> Mapping[str, object]:
    return {"release": shown(manifest.release)}


def _endpoint_outputs(part: EndpointPart, manifest: Manifest, facts: Facts) -> Mapping[str, object]:
    made = {"ca_certificate": endpoint.authority(facts)} if part.seal and part.seal.anchor is None else {}
    return {"url": part.url, "models": list(part.names), "key_names": [client.name for client in part.clients], **made}


def _nothing(part: Part, facts: Facts) -> tuple[str, ...]:
    return ()


def _no_steps(part: Part, facts: Facts) -> tuple[Step, ...]:
    return ()


def _content(part: Part, facts: Facts, connector: Connector, secrets: Mapping[str, Secret]) -> tuple[str, ...]:
    return ()


def _endpoint_complaints(
    part: EndpointPart, facts: Facts, connector: Connector, secrets: Mapping[str, Secret]
) -> tuple[str, ...]:
    """No key is sent while our gateway does not run: somebody else may listen on its port."""
    if not any(process.program.endswith(f"/{GATEWAY}") for process in facts.processes):
        return ("the gateway does not run",)
    return proof.look(endpoint.as_it_is(part, facts), connector, secrets)


KINDS: Mapping[type[Part], Kind] = {
    HostPart: Kind(
        steps=host.steps,
        foreseen=host.steps,
        outputs=_host_outputs,
        differences=host.differences,
        complaints=_content,
        leave=host.leave,
        stays=host.stays,
    ),
    WeightsPart: Kind(
        steps=weights.steps,
        foreseen=weights.steps,
        outputs=_weights_outputs,
        differences=weights.differences,
        complaints=_content,
        leave=_no_steps,
        stays=weights.stays,
    ),
    ReplicaPart: Kind(
        steps=replica.steps,
        foreseen=replica.foreseen,
        outputs=_replica_outputs,
        differences=symptoms.differences,
        complaints=lambda part, facts, connector, secrets: symptoms.complaints(part, facts),
        leave=replica.leave,
        stays=_nothing,
    ),
    GatewayPart: Kind(
        steps=gateway.steps,
        foreseen=gateway.foreseen,
        outputs=_gateway_outputs,
        differences=gateway.differences,
        complaints=_content,
        leave=gateway.leave,
        stays=_nothing,
    ),
    EndpointPart: Kind(
        steps=endpoint.steps,
        foreseen=endpoint.foreseen,
        outputs=_endpoint_outputs,
        differences=lambda part, facts: {},
        complaints=_endpoint_complaints,
        leave=_no_steps,
        stays=_nothing,
    ),
}
