"""The generated matrix: every step of every scenario x every fault that can strike there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.faults.boundaries import Boundaries
from tests.faults.faults import FAULTS, Boundary
from tests.faults.faulty import FaultyWorld
from tests.faults.scenarios import SCENARIOS

GOLDEN = Path(__file__).parents[1] / "golden" / "faults"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    scenario: str
    boundary: str
    fault: str

    def __str__(self) -> str:
        return f"{self.scenario}, {self.boundary}, {self.fault}"


def walk(scenario: str, world: FaultyWorld) -> tuple[Boundary, ...]:
    """The scenario without a fault: its steps as they come."""
    SCENARIOS[scenario](world)
    begun: list[tuple[str, frozenset[str], int]] = []
    world.on_event = Boundaries(lambda name: begun.append((name, world.programs(), world.line.changes)))
    world.up()
    world.on_event = lambda event: None
    ends = [*(before for _, _, before in begun[1:]), world.line.changes]
    return tuple(
        Boundary(name=name, runs=found, changes=end > before)
        for (name, found, before), end in zip(begun, ends, strict=True)
    )


def table(boundaries: Iterable[Boundary]) -> str:
    """One line a step: its name, and the faults that can strike there."""
    return "".join(f"{boundary.name} | {' '.join(faults_at(boundary))}\n" for boundary in boundaries)


def faults_at(boundary: Boundary) -> Iterator[str]:
    return (name for name, fault in FAULTS.items() if fault.applies(boundary))


def all_cases() -> tuple[Case, ...]:
    """As the golden tables list them."""
    return tuple(case for scenario in SCENARIOS for case in read(scenario, GOLDEN / f"{scenario}.txt"))


def read(scenario: str, file: Path) -> Iterator[Case]:
    """What a table lists."""
    for line in file.read_text().splitlines() if file.exists() else ():
        boundary, _, faults = line.rpartition(" | ")
        yield from (Case(scenario=scenario, boundary=boundary, fault=fault) for fault in faults.split())


def covering(cases: Iterable[Case]) -> tuple[Case, ...]:
    """Each step once, in one of the scenarios that have it; the faults take turns, in each part and in all."""
    steps: dict[str, list[Case]] = {}
    for case in cases:
        steps.setdefault(case.boundary, []).append(case)
    struck: Counter[str] = Counter()
    chosen: list[Case] = []
    for same_step in steps.values():
        best = min(same_step, key=lambda case: [struck[turn] for turn in _turns(case)])
        struck.update(_turns(best))
        chosen.append(best)
    return tuple(chosen)


def _turns(case: Case) -> tuple[str, ...]:
    """What shall be struck evenly, the most important first."""
    part = case.boundary.partition(":")[0]
    return f"{part}, {case.fault}", case.fault, case.scenario
