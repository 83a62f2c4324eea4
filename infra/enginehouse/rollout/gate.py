"""The gate of a deployment: how many of its replicas are exchanged at once, and who goes first. Pure.

The first to arrive is the canary and goes alone. If it comes through, the others follow, at most so many at once as the
deployment may miss. A failure closes the gate for good: whoever waits stays as it is. Every exchange counts, also one
that starts beside what runs, which no client would notice if all goes well.

A drained replica is missing already. It has no traffic, so its own exchange neither waits nor counts; but one that
would make requests wait does not begin while those that are drained and those inside are as many as may be missing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """What a replica that arrives is about to do."""

    name: str
    serves: bool = True
    """Whether it has traffic: it is not drained, and something of it runs and does not hang."""
    pauses: bool = False
    """Whether what runs ends before the next one starts."""
    memory_mib: int = 0
    """What its next engine may take."""
    free_mib: int = 0
    """On its machine, as it was seen last."""
    drained: Mapping[str, str] = field(default_factory=dict)
    """Others of its deployment that get no requests, with the order that says so."""
    unknown: Mapping[str, str] = field(default_factory=dict)
    """Others that get none, with the reason why nobody can be asked whether they are drained."""

    def interrupts(self) -> bool:
        return self.serves and self.pauses

    def missing(self) -> frozenset[str]:
        """Others that count as drained."""
        return frozenset(self.drained.keys() | self.unknown.keys())

    def without(self, busy: Collection[str]) -> Exchange:
        """The same, but for those that are exchanged right now: that is why they get no requests."""
        drained, unknown = (
            {name: why for name, why in them.items() if name not in busy} for them in (self.drained, self.unknown)
        )
        return replace(self, drained=drained, unknown=unknown)

    def fits(self, others_mib: int) -> bool:
        """Whether its next engine has room although others of its machine may take so much that is free now."""
        return self.pauses or not others_mib or self.memory_mib + others_mib <= self.free_mib


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One deployment's gate in one run. Events give a new gate; whoever enters must `leave` or `fail` later."""

    inside: frozenset[str] = frozenset()
    """Replicas with traffic that are being exchanged."""
    aside: frozenset[str] = frozenset()
    """Drained ones that are being exchanged."""
    canary: str | None = None
    """The first with traffic that entered."""
    proven: bool = False
    """Whether the canary came through."""
    failed: str | None = None
    """The first that failed; nobody enters any more."""

    def admits(self, exchange: Exchange, most: int) -> bool:
        """Whether it may enter, with at most `most` missing."""
        if self.failed is not None:
            return False
        if not exchange.serves:
            return True
        missing = self.inside | exchange.missing() if exchange.interrupts() else self.inside
        return len(missing) < most and (self.proven or not self.inside)

    def enter(self, exchange: Exchange, most: int) -> Gate:
        """It is exchanged from now on. Raises `ValueError` if the gate does not admit it."""
        name = exchange.name
        if not self.admits(exchange, most) or name in self.inside | self.aside:
            raise ValueError(f"the gate does not admit {name}: {self}")
        if not exchange.serves:
            return replace(self, aside=self.aside | {name})
        return replace(self, inside=self.inside | {name}, canary=self.canary or name)

    def leave(self, name: str) -> Gate:
        """`name` came through."""
        return replace(self._without(name), proven=self.proven or name in self.inside)

    def fail(self, name: str) -> Gate:
        """`name` did not come through."""
        return replace(self._without(name), failed=self.failed or name)

    def waits_for(self) -> str:
        """Who has to end before the next one enters, for a progress line."""
        names = ", ".join(sorted(self.inside))
        return names if self.proven else f"{names}, the canary"

    def refusal(self) -> str:
        """Why nobody enters any more, for an error."""
        return f"{self.failed}{', the canary,' if self.failed == self.canary else ''} failed"

    def _without(self, name: str) -> Gate:
        if name not in self.inside | self.aside:
            raise ValueError(f"{name} is not inside the gate: {self}")
        return replace(self, inside=self.inside - {name}, aside=self.aside - {name})


def too_few_left(exchange: Exchange, most: int) -> bool:
    """Whether no gate ever admits it, however long it waits: those that are drained are as many as may be missing."""
    return exchange.interrupts() and len(exchange.missing()) >= most
