"""Ports and GPUs that a part claims on its machine, so that no other part takes them. Pure.

Claims are read and written under the machine's lease, which all its stacks share; they are in the part's folder, so
they end with it. Why it is done like this: docs/design/0011-gpus-and-claims.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from enginehouse.converge.facts import Facts
from enginehouse.converge.places import Places
from enginehouse.converge.programs import PRIVATE
from enginehouse.converge.steps import Placed, wrong_files
from enginehouse.errors import ConvergeFailed
from enginehouse.inventory.claims import Claimed, Kind
from enginehouse.planner.parts import GatewayPart, ReplicaPart


def wanted(part: ReplicaPart | GatewayPart, uuids: Sequence[str] = ()) -> tuple[Claimed, ...]:
    """What the part claims. `uuids` are a replica's GPUs, in the order of its places."""
    name = f"{part.stack}/{part.name}"
    if isinstance(part, GatewayPart):
        ports: Iterable[int] = (part.port, part.metrics_port)
        return tuple(Claimed(part=name, kind=Kind.PORT, thing=str(port)) for port in ports)
    devices = part.gpus.devices if part.gpus else ()
    return (
        *(Claimed(part=name, kind=Kind.PORT, thing=str(port)) for port in part.ports.values()),
        *(
            Claimed(part=name, kind=Kind.GPU, thing=uuid, place=place)
            for place, uuid in zip(devices, uuids, strict=True)
        ),
    )


def file(places: Places, claims: Iterable[Claimed]) -> Placed:
    """Where the part's claims are written down."""
    lines = dict.fromkeys(map(str, claims))
    return Placed(path=places.claims, content="".join(f"{line}\n" for line in lines), mode=PRIVATE)


def missing(wanted: Placed, facts: Facts) -> tuple[Placed, ...]:
    """The file of claims, if it is not there as it should be.

    What is frozen may have been brought by a version that wrote none. That alone is nothing that has to change now.
    """
    return () if facts.frozen else wrong_files((wanted,), facts.files)


def kept(part: ReplicaPart | GatewayPart, facts: Facts) -> tuple[Claimed, ...]:
    """What it has claimed already."""
    return tuple(claim for claim in facts.claims if claim.part in _names(part))


def check(part: ReplicaPart | GatewayPart, facts: Facts, claims: Sequence[Claimed]) -> None:
    """Raises `ConvergeFailed` if something that the part does not have yet is another part's."""
    have = {(claim.kind, claim.thing) for claim in kept(part, facts)}
    missing = [claim for claim in claims if (claim.kind, claim.thing) not in have]
    if clashes := [(claim, other) for claim in missing for other in _others(part, claim, facts)]:
        first, *more = (_sentence(part, claim, other) for claim, other in clashes)
        remedies = dict.fromkeys(remedy for claim, other in clashes for remedy in _remedies(part, claim, other))
        raise ConvergeFailed(f"{part.host}: {first}; nothing was changed", reasons=(*more, *remedies))


def _others(part: ReplicaPart | GatewayPart, claim: Claimed, facts: Facts) -> Iterator[Claimed]:
    """Ports of its own stack are the plan's business: they may move from one part to another."""
    for other in facts.claims:
        same = (other.kind, other.thing) == (claim.kind, claim.thing) and other.part not in _names(part)
        if same and (claim.kind is Kind.GPU or other.stack != part.stack):
            yield other


def _sentence(part: ReplicaPart | GatewayPart, claim: Claimed, other: Claimed) -> str:
    what = f"GPU {claim.place} ({claim.thing})" if claim.kind is Kind.GPU else f"port {claim.thing}"
    return f"{what} of {part.name} is claimed by {other.whose(part.stack)}"


def _remedies(part: ReplicaPart | GatewayPart, claim: Claimed, other: Claimed) -> Iterator[str]:
    if claim.kind is Kind.PORT:
        yield "choose another `endpoint.port`, or other ports in the lock file"
    elif other.stack != part.stack:
        yield "`gpus: {devices: [...]}` names others"
    else:
        name = other.name
        yield (
            f"if {name} is not in the stack file any more: `pulumi up` ends it last, so take {part.name} out, too, for "
            f"one `pulumi up`, and then put it back for a second one"
        )
        yield (
            f"if {name} is in the stack file: once it has moved to other GPUs (`devices`), a second `pulumi up` brings "
            f"this; without any, `enginehouse lock {part.stack}` before `pulumi up` keeps each replica on its own"
        )
        if isinstance(part, ReplicaPart):
            yield f"if {part.name} is {name} under another name: `renamed_from` in {part.deployment} says so"


def _names(part: ReplicaPart | GatewayPart) -> set[str]:
    return {f"{part.stack}/{name}" for name in (part.name, part.renamed_from) if name}
