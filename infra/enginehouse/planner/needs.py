"""What a stack asks of a machine, so that it can be seen whether the machine has it before anything is put there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from enginehouse.planner.images import at_mirror
from enginehouse.planner.parts import GatewayPart, Part, Plan, ReplicaPart, WeightsPart


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """Of one machine. Not part of its host part: an edit of a deployment is no change of the machine."""

    ports: Mapping[str, tuple[int, ...]]
    """By the part whose programs listen there."""
    gpus: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """The places of those that each part has to itself, by part."""
    weights: Mapping[str, str]
    """Where each file will be, with symbols, and its source."""
    images: tuple[str, ...] = ()
    """By which names they are fetched, each once."""


def needs_of(plan: Plan, host: str) -> Needs:
    parts = [part for part in plan.parts() if part.host == host]
    return Needs(
        ports={part.name: ports for part in parts if (ports := tuple(_ports(part)))},
        gpus={part.name: part.gpus.devices for part in parts if isinstance(part, ReplicaPart) and part.gpus},
        weights={part.path: part.source for part in parts if isinstance(part, WeightsPart)},
        images=tuple(dict.fromkeys(image for part in parts if (image := _image(part)))),
    )


def _ports(part: Part) -> Iterator[int]:
    match part:
        case ReplicaPart():
            yield from part.ports.values()
        case GatewayPart():
            yield from (part.port, part.metrics_port)


def _image(part: Part) -> str | None:
    if not isinstance(part, ReplicaPart | GatewayPart) or part.image is None:
        return None
    return at_mirror(part.image, part.registry.mirror) if part.registry and part.registry.mirror else part.image
