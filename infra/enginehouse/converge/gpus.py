"""Which GPUs of its machine a replica has: from places in a plan to UUIDs, which stay what they are. Pure."""

from __future__ import annotations

from enginehouse.converge.facts import Facts
from enginehouse.errors import ConvergeFailed
from enginehouse.inventory.claims import Kind
from enginehouse.inventory.gpus import graphics
from enginehouse.inventory.model import Gpu, Graphics
from enginehouse.planner.parts import ReplicaPart

VISIBLE = "CUDA_VISIBLE_DEVICES"
"""What CUDA shows to a program. By UUIDs, because a machine may count its GPUs anew when it starts."""


def cards(part: ReplicaPart, facts: Facts) -> tuple[Gpu, ...]:
    """The replica's GPUs, in the order of its places.

    One that it had at a place, and that is still there, stays its own wherever it is counted now; for others it takes
    what is at its places. Raises `ConvergeFailed` if there are not so many, or one is divided.
    """
    if part.gpus is None:
        return ()
    found, had = graphics(facts.texts), _had(part, facts)
    same = found.of_model(part.gpus.model)
    kept = {place: card for place in part.gpus.devices for card in same if card.uuid == had.get(place)}
    others = (card for place, card in enumerate(same) if place in part.gpus.devices and card not in kept.values())
    cards = [kept.get(place) or next(others, None) for place in part.gpus.devices]
    return tuple(_whole(part, place, card, found) for place, card in zip(part.gpus.devices, cards, strict=True))


def uuids(part: ReplicaPart, facts: Facts) -> tuple[str, ...]:
    return tuple(card.uuid for card in cards(part, facts))


def free_mib(part: ReplicaPart, facts: Facts) -> int | None:
    """Free memory of its GPUs; None without any, or if they share the machine's."""
    rooms = [(card.memory_mib, card.used_mib) for card in cards(part, facts)]
    free = [memory - used for memory, used in rooms if memory is not None and used is not None]
    return sum(free) if free and len(free) == len(rooms) else None


def differences(part: ReplicaPart, facts: Facts) -> dict[str, str]:
    """GPUs that are not those which the engine was started with, by place; nothing if the look did not ask."""
    if part.gpus is None or "pci" not in facts.texts:
        return {}
    found, had = graphics(facts.texts), _had(part, facts)
    there = {card.uuid for card in found.gpus}
    return {
        str(place): f"{uuid} is not seen: {found.trouble or _instead(part, place, found)}"
        for place, uuid in had.items()
        if place in part.gpus.devices and uuid not in there
    }


def _whole(part: ReplicaPart, place: int, card: Gpu | None, found: Graphics) -> Gpu:
    if card is None:
        model = part.gpus.model if part.gpus else ""
        listed = ", ".join(gpu.name for gpu in found.gpus) or "none"
        raise ConvergeFailed(
            f"{part.host}: GPU {place} of {part.name} is not there",
            reasons=(f"wanted: another {model}", f"found: {listed}", *filter(None, [found.trouble])),
        )
    if card.mig:
        remedy = f"engines get whole GPUs; `nvidia-smi -i {card.uuid} -mig 0` makes it one"
        raise ConvergeFailed(f"{part.host}: GPU {place} of {part.name} is divided by MIG", reasons=(remedy,))
    return card


def _had(part: ReplicaPart, facts: Facts) -> dict[int, str]:
    """By place, what was claimed before. Of several for a place, after a run that failed half-way, the last one."""
    ours = {f"{part.stack}/{part.name}", f"{part.stack}/{part.renamed_from}"}
    return {c.place: c.thing for c in facts.claims if c.kind is Kind.GPU and c.part in ours and c.place is not None}


def _instead(part: ReplicaPart, place: int, found: Graphics) -> str:
    same = found.of_model(part.gpus.model) if part.gpus else ()
    return f"now it is {same[place].uuid}" if place < len(same) else "nothing is in its place"
