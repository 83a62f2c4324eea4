"""GPUs in a stack file: those that machines have, and those that a deployment gets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from enginehouse.spec.fields import DEVICES_PATTERN, NAME_PATTERN, key


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpus:
    """GPUs of one model; others beside them, such as one for a display, are not counted."""

    model: str = key("Which one. `enginehouse facts` tells it.", example="l40s", pattern=NAME_PATTERN)
    count: int = key("How many.", example=2, minimum=1, maximum=64)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentGpus:
    """GPUs that a deployment has to itself, of those that `machines.NAME.gpus` declares."""

    EXACTLY_ONE: ClassVar[tuple[str, ...]] = ("count", "devices")

    count: int | None = key(
        "How many each replica gets. Which ones, the plan says, and the lock file keeps.",
        example=1,
        default=None,
        minimum=1,
        maximum=64,
    )
    devices: tuple[str, ...] | None = key(
        "Those of the deployment on each of its machines, shared out evenly among the replicas there. Only GPUs of "
        "the declared model count, from 0 on, in the order of `enginehouse facts`.",
        example=["0-1"],
        default=None,
        minItems=1,
        maxItems=64,
        items={"pattern": DEVICES_PATTERN},
    )

    def named(self) -> tuple[int, ...]:
        """Each as often as it is named, in the order of the file; none if only a count is given."""
        return tuple(index for text in self.devices or () for index in expanded(text))

    def per_replica(self, replicas: int) -> int:
        """How many each of so many replicas on a machine gets."""
        return self.count or len(self.named()) // replicas


def expanded(text: str) -> Iterator[int]:
    """Each that the text stands for; none if its end comes before its start."""
    first, _, last = text.partition("-")
    yield from range(int(first), int(last or first) + 1)
