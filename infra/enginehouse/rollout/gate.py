"""The gate of a deployment: how many of its replicas are exchanged at once, and who goes first. Pure.

The first to arrive is the canary and goes alone. If it comes through, the others follow, at most so many at once as the
deployment may miss. A failure closes the gate for good: whoever waits stays as it is. Every exchange counts, also one
that starts beside what runs, which no client would notice if all goes well.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One deployment's gate in one run. Events give a new gate; whoever enters must `leave` or `fail` later."""

    inside: frozenset[str] = frozenset()
    """Replicas that are being exchanged."""
    canary: str | None = None
    """The first that entered."""
    proven: bool = False
    """Whether the canary came through."""
    failed: str | None = None
    """The first that failed; nobody enters any more."""

    def admits(self, most: int) -> bool:
        """Whether one more may enter, with at most `most` inside."""
        if self.failed is not None:
            return False
        return len(self.inside) < (most if self.proven else 1)

    def enter(self, name: str, most: int) -> Gate:
        """`name` is exchanged from now on. Raises `ValueError` if the gate does not admit it."""
        if not self.admits(most) or name in self.inside:
            raise ValueError(f"the gate does not admit {name}: {self}")
        return replace(self, inside=self.inside | {name}, canary=self.canary or name)

    def leave(self, name: str) -> Gate:
        """`name` came through."""
        return replace(self, inside=self._without(name), proven=True)

    def fail(self, name: str) -> Gate:
        """`name` did not come through."""
        return replace(self, inside=self._without(name), failed=self.failed or name)

    def waits_for(self) -> str:
        """Who has to end before the next one enters, for a progress line."""
        names = ", ".join(sorted(self.inside))
        return names if self.proven else f"{names}, the canary"

    def refusal(self) -> str:
        """Why nobody enters any more, for an error."""
        return f"{self.failed}{', the canary,' if self.failed == self.canary else ''} failed"

    def _without(self, name: str) -> frozenset[str]:
        if name not in self.inside:
            raise ValueError(f"{name} is not inside the gate: {self}")
        return self.inside - {name}
