"""What the parts of all stacks of a machine have claimed: ports and GPUs that no other part gets. Pure.

Each part's folder has a file with a line for each: `port 20001`, or `gpu 0 GPU-1f5c…` with the place at which it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What can be claimed."""

    PORT = "port"
    GPU = "gpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """One thing of a machine and the part that has it, as `STACK/PART`."""

    part: str
    kind: Kind
    thing: str
    """The port's number, or the GPU's UUID."""
    place: int | None = None
    """Where the GPU was among those of its model."""

    @property
    def stack(self) -> str:
        return self.part.partition("/")[0]

    @property
    def name(self) -> str:
        """Of the part."""
        return self.part.partition("/")[2]

    def whose(self, stack: str) -> str:
        """The part that has it, as a person who works on `stack` calls it."""
        return f"{self.name}, which is still there" if self.stack == stack else f"{self.name} of stack {self.stack}"

    def __str__(self) -> str:
        """As it is written down."""
        return " ".join(str(word) for word in (self.kind, self.place, self.thing) if word is not None)


def claims(text: str) -> tuple[Claimed, ...]:
    """From lines of part, tab and claim, as the machine prints them. One that can't be read claims nothing."""
    return tuple(_read(text.split("\n")))


def of_others(found: Iterable[Claimed], kind: Kind, thing: str, stack: str) -> Claimed | None:
    """The claim of another stack's part on that thing."""
    return next((c for c in found if (c.kind, c.thing) == (kind, thing) and c.stack != stack), None)


def _read(lines: Iterable[str]) -> Iterator[Claimed]:
    for line in lines:
        part, _, claim = line.partition("\t")
        match claim.split():
            case [Kind.PORT, port]:
                yield Claimed(part=part, kind=Kind.PORT, thing=port)
            case [Kind.GPU, place, uuid] if place.isdigit():
                yield Claimed(part=part, kind=Kind.GPU, thing=uuid, place=int(place))
