"""What the watchdog is told, what it writes, and what converge makes of an engine that hangs."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from enginehouse.converge import replica, servers
from enginehouse.converge.completion import request
from enginehouse.converge.facts import Facts
from enginehouse.converge.hangs import Hangs, Hung, hangs, hung
from enginehouse.converge.places import Places
from enginehouse.converge.steps import (
    Activation,
    BecomeReady,
    Effect,
    Place,
    Seat,
    SetServers,
    StartProgram,
    Step,
    Steps,
    StopProgram,
    WaitIdle,
)
from enginehouse.converge.symptoms import complaints, differences
from enginehouse.converge.watch import hang_after_s, watched
from enginehouse.gateway.runtime import ServerState
from enginehouse.planner.parts import Part, ReplicaPart, Side
from tests.simulated.machine import PLENTY_MIB, STATE
from tests.simulated.world import World
from tests.unit.converge.test_foresee import STACK, VALUES, facts, planned, run_with, secrets, world

__all__ = ["world"]

GIB = 2**30
AT = "2026-11-24T12:00:00+00:00"
WHY = "no progress and no answer for 120 s"
PART = planned(STACK).replicas[0]
GATEWAY = planned(STACK).gateways[0]


class Machine:
    """The stack at rest, with room for a second engine."""

    def __init__(self, world: World) -> None:
        self.world = world
        world.machine.memory_mib = PLENTY_MIB

    def facts(self, part: Part) -> Facts:
        return facts(self.world, part)

    def converge(self, part: Part) -> None:
        run_with(self.world, VALUES).converge(part)

    def set(self, seat: Seat, state: ServerState) -> None:
        haproxy = self.world.machine.haproxy()
        server = haproxy and haproxy.server(f"{seat.backend}/{seat.server}")
        assert server
        server.admin = state.value


@pytest.fixture
def machine(world: World) -> Machine:
    return Machine(world)


def hanging(machine: Machine, *, gone: bool = False) -> Facts:
    """The facts of a replica whose engine hangs; `gone`: that process has ended, and another runs."""
    processes = machine.facts(PART).processes
    pid = next(process.pid for process in processes if process.program == f"{PART.name}/a")
    note = f"{0 if gone else pid} 0 {AT} {WHY}\n"
    machine.world.machine.files.write(f"{STATE}/demo/{PART.name}/run/hung", note)
    return machine.facts(PART)


def steps(facts: Facts) -> Steps:
    return replica.steps(PART, facts, secrets(VALUES))


def of(kind: type[Step], found: Steps) -> list[Step]:
    steps = (inner for step in found.all() for inner in (step.forward if isinstance(step, Activation) else (step,)))
    return [step for step in steps if isinstance(step, kind)]


@pytest.mark.parametrize(
    ("said", "size", "expected"), [(None, 0, 120), (None, GIB // 2, 150), (None, 40 * GIB, 2520), (15, 40 * GIB, 15)]
)
def test_how_long_without_progress_depends_on_the_weights_unless_it_is_said(
    said: int | None, size: int, expected: int
) -> None:
    assert hang_after_s(replace(PART, hang_after_s=said), size) == expected


def test_the_watchdog_is_told_one_line_of_words_and_a_request() -> None:
    """A shell splits the line at blanks, so no word may hold one; free text is in the request alone."""
    part = replace(PART, served_name="it's $(a) model")
    file = watched(part, Places.of(part, STATE), Side.B, GIB)
    line, body = file.content.splitlines()
    metric = "llamacpp:n_decode_total"
    port = str(part.ports["b"])
    server = "be_chat/chat-box-0-b"
    assert line.split() == ["b", port, "180", "60", "gateway-box", server, "/health", "/metrics", metric]
    assert json.loads(body) == request("it's $(a) model", 1)


def test_what_the_watchdog_wrote_is_read() -> None:
    """Whatever else is in the file still means that something is not in order, and never an exception."""
    assert hung(f"17 4711 {AT} {WHY}\ntraffic taken\n") == Hung(pid=17, at=AT, why=WHY)
    assert str(hung(f"17 4711 {AT} {WHY}\n")) == f"has hung since {AT}: {WHY}"
    assert (hung(None), hangs(None), hangs(""), hangs("x y")) == (None, None, None, None)
    assert [found and found.pid for found in (hung(""), hung("x\n"), hung("a b c d"))] == [0, 0, 0]
    assert hangs(f"2 {AT}\n") == Hangs(count=2, last=AT)
    assert str(Hangs(count=1, last=AT)) == f"hung 1 time, last at {AT}"


def test_an_engine_that_hangs_is_not_ready_though_it_says_so(machine: Machine) -> None:
    """Twin: the same health answer is good without the watchdog's word."""
    assert (complaints(PART, machine.facts(PART)), differences(PART, machine.facts(PART))) == ((), {})
    facts = hanging(machine)
    assert complaints(PART, facts) == (f"the engine has hung since {AT}: {WHY}",)
    assert differences(PART, facts) == {"drift": {"engine": f"hung since {AT}"}}


@pytest.mark.parametrize("memory_mib", [100_000, 20], ids=["beside", "no room"])
def test_an_engine_that_hangs_is_exchanged_and_nobody_waits_for_its_requests(machine: Machine, memory_mib: int) -> None:
    """Twin: for one that works, an exchange does wait."""
    machine.world.machine.memory_mib = memory_mib
    other = replica.steps(replace(PART, args={**PART.args, "threads": "9"}), machine.facts(PART), secrets(VALUES))
    assert len(of(WaitIdle, other)) == 1
    found = steps(hanging(machine))
    assert of(WaitIdle, found) == []
    assert [step.program for step in of(StartProgram, found) if isinstance(step, StartProgram)] == ["chat-box-0-b"]
    assert [step.program for step in of(StopProgram, found) if isinstance(step, StopProgram)] == ["chat-box-0-a"]
    assert "forgetting that it hung" in [step.title for step in found.all()]
    machine.converge(PART)
    assert steps(machine.facts(PART)).effect is Effect.NOTHING


def test_a_preview_does_not_claim_that_no_request_waits(machine: Machine) -> None:
    """It names the hang and what is lost; and if the new engine fails, nothing serves."""
    found = steps(hanging(machine))
    assert found.effect is Effect.RESTART_BESIDE
    assert found.reason.startswith(f"the engine has hung since {AT}: {WHY}; what it works on is lost, requests wait")
    assert [step.old_serves for step in found.all() if isinstance(step, Activation)] == [False]


def test_one_that_was_restarted_meanwhile_is_asked_and_gets_its_traffic(machine: Machine) -> None:
    """The watchdog ended half-way: the engine is new, and its server is still paused."""
    machine.set(Seat(backend="be_chat", server="chat-box-0-a"), ServerState.DRAIN)
    found = steps(hanging(machine, gone=True))
    first = found.all()[0]
    assert isinstance(first, Activation)
    assert [type(step) for step in first.forward] == [BecomeReady, SetServers]
    assert "forgetting that it hung" in [step.title for step in found.all()]


def test_undraining_gives_nothing_to_an_engine_that_hangs(machine: Machine) -> None:
    """The watchdog does, when it works again."""
    machine.set(Seat(backend="be_chat", server="chat-box-0-a"), ServerState.DRAIN)
    assert replica.undrain(PART, hanging(machine)) == ()
    assert replica.undrain(PART, replace(machine.facts(PART), hung=None)) != ()


def test_another_limit_is_told_and_restarts_nothing(machine: Machine) -> None:
    part: ReplicaPart = replace(PART, hang_after_s=60)
    found = replica.steps(part, machine.facts(part), secrets(VALUES))
    assert (found.effect, type(found.all()[0])) == (Effect.RECORD, Place)
    machine.converge(part)
    assert replica.steps(part, machine.facts(part), secrets(VALUES)).effect is Effect.NOTHING


@pytest.mark.parametrize("state", [ServerState.READY, ServerState.DRAIN])
def test_the_gateway_leaves_the_traffic_of_a_hung_replica_to_who_heals_it(machine: Machine, state: ServerState) -> None:
    """Neither state of its server is drift; one that is out for good is."""
    seat = Seat(backend="be_chat", server="chat-box-0-a")
    machine.set(seat, state)
    facts = replace(machine.facts(GATEWAY), hung_others={PART.name: Hung(pid=1, at=AT, why=WHY)})
    assert servers.wanted(GATEWAY, facts)[seat] is state
    machine.set(seat, ServerState.MAINT)
    assert servers.wanted(GATEWAY, replace(machine.facts(GATEWAY), hung_others=facts.hung_others))[seat] is (
        ServerState.DRAIN
    )
