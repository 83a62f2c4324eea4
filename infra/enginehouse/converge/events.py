"""What converge tells while it works. Renderers decide how it is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A passing line about one part, such as `[3/5] weights: 61 % of 98 MB`. Each replaces the one before."""

    part: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A line worth keeping about one part, such as the takeover of a dead run's lease."""

    part: str
    text: str


Event: TypeAlias = Progress | Notice
Listener: TypeAlias = Callable[[Event], None]
