"""What a converge is given beside its part: who runs it, how machines are reached, and where to tell."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from enginehouse.connectors import Connectors
from enginehouse.connectors.base import Connector
from enginehouse.converge.events import Listener, Notice, Progress
from enginehouse.converge.gates import Gates
from enginehouse.converge.lease import Leases
from enginehouse.converge.looks import Looks
from enginehouse.converge.neighbours import Neighbours
from enginehouse.converge.owner import Claim
from enginehouse.converge.run import Clock, Run, SystemClock
from enginehouse.errors import Cancelled
from enginehouse.planner.needs import Needs
from enginehouse.planner.parts import Part
from enginehouse.render.symbols import Secret

__all__ = ["Clock", "Context", "Run", "SystemClock"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Everything converge takes from its surroundings. One context serves all parts of a run, from many threads."""

    run: Run
    connectors: Connectors
    listen: Listener
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    uploads_from: Path
    """Folder that relative `upload://` paths start from: the one with the stack file."""
    clock: Clock = field(default_factory=SystemClock)
    cancelled: threading.Event = field(default_factory=threading.Event)
    leases: Leases = field(default_factory=lambda: Leases(SystemClock()))
    """Shared by all contexts of one process."""
    looks: Looks = field(default_factory=Looks)
    """Shared by all contexts of one run."""
    gates: Gates = field(default_factory=Gates)
    """Shared by all contexts of one run."""
    neighbours: Neighbours = field(default_factory=Neighbours)
    """Shared by all contexts of one run."""
    needs: Needs | None = None
    """Of a run that brings a host: what the stack will ask of the machine."""
    lost: Collection[str] = ()
    """Hosts that will never answer again, as the person says."""
    claim: Claim | None = None
    """Of a run that works for a Pulumi state; others claim nothing and are refused nothing."""

    def connect(self, part: Part) -> Connector:
        """The connector to the part's machine; sudo gets its password from the context's secrets."""
        return self.connectors.connect(part, self.secrets)

    def reach(self, part: Part, host: str) -> Connector:
        """The connector to another machine that the part works with."""
        return self.connectors.reach(part, host, self.secrets)

    def progress(self, part: str, text: str) -> None:
        self.listen(Progress(part=part, text=text))

    def notice(self, part: str, text: str) -> None:
        self.listen(Notice(part=part, text=text))

    def check_cancelled(self) -> None:
        """Raises `Cancelled` once the person asked to stop."""
        if self.cancelled.is_set():
            raise Cancelled("stopped on request; finished work is kept, the next run continues")

    def pause(self, seconds: float) -> None:
        """Let `seconds` pass. Raises `Cancelled` as soon as the person asks to stop."""
        self.clock.wait(self.cancelled, seconds)
        self.check_cancelled()
