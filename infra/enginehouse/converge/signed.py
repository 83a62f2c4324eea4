"""Who did something on a machine, through which door and when: the signature of manifests, orders and journal lines."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """The base of everything a machine remembers about a run."""

    run: str
    who: str
    door: str
    at: str
    """UTC, ISO 8601, whole seconds."""

    def __str__(self) -> str:
        return f"{self.who} at {self.at} through {self.door}"
