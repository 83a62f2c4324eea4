"""A stack on a simulated machine, and the people who run it: edits, runs that end as they should or do not, orders."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from enginehouse.connectors import Connectors
from enginehouse.converge import Context, Run, converge, destroy
from enginehouse.converge.lease import Leases
from enginehouse.converge.looks import Looks
from enginehouse.planner.parts import ConnectionKind, Part, Plan
from tests.simulated.lines import line
from tests.simulated.link import Link
from tests.simulated.machine import Machine
from tests.simulated.plans import SECRETS, STACK, Settings, planned, uploads
from tests.simulated.rules import Rules


@dataclass
class World:
    """`deployed` is what a state knows: parts that were brought, by name, former ones too."""

    machine: Machine = field(default_factory=Machine)
    settings: Settings = field(default_factory=Settings)
    deployed: dict[str, Part] = field(default_factory=dict)
    _runs: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.rules = Rules(self.machine, STACK)

    def plan(self) -> Plan:
        return planned(self.settings)

    def run(self) -> OneRun:
        return OneRun(self, f"run-{next(self._runs)}")

    def up(self, run: OneRun | None = None) -> None:
        """What `pulumi up` does with a plan: every part after those it needs, then those that it no longer has go."""
        run = run or self.run()
        plan = self.plan()
        for part in plan.parts():
            self.deployed[part.name] = part
            if part.renamed_from:
                self.deployed.pop(part.renamed_from, None)
            run.converge(part)
        names = {part.name for part in plan.parts()}
        for name in [name for name in reversed(self.deployed) if name not in names]:
            run.destroy(self.deployed[name])
            del self.deployed[name]

    def down(self, run: OneRun | None = None) -> None:
        run = run or self.run()
        for part in reversed(list(self.deployed.values())):
            run.destroy(part)
            del self.deployed[part.name]


class OneRun:
    """One call of a door: a link, a context, an end."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.link = Link(world.machine)
        clock = world.machine.clock
        self.told: list[str] = []
        self.context = Context(
            run=Run(id=name, who="ada@desk", door="test"),
            connectors=Connectors({ConnectionKind.LOCAL: lambda host, connection: self.link}),
            listen=lambda event: self.told.append(event.text),
            secrets=SECRETS,
            uploads_from=uploads(),
            clock=clock,
            leases=Leases(clock),
            looks=Looks(gather_s=0),
        )

    def converge(self, part: Part) -> dict[str, Any]:
        with self.network():
            return converge(part, self.context)

    def destroy(self, part: Part) -> None:
        destroy(part, self.context)

    @contextmanager
    def network(self) -> Iterator[None]:
        """Whoever connects from this side, as the endpoint's proof does, reaches the simulated machine."""

        def connect(address: tuple[str, int], *rest: object) -> socket.socket:
            answer = self.world.machine.dial(f"tcp:{address[0]}:{address[1]}")
            if answer is None:
                raise ConnectionRefusedError
            return line(answer)

        with mock.patch("socket.create_connection", connect):
            yield
