"""Converge on a machine in memory: from anywhere it gets there, breaks no rule on the way, and then rests."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enginehouse.converge import gateway, replica
from enginehouse.converge.runners import Replica
from enginehouse.converge.steps import Activation, SetServers, Step, Steps, StopProgram, WriteManifest
from enginehouse.gateway.runtime import ServerState
from enginehouse.planner.parts import Plan, ReplicaPart, Side
from enginehouse.planner.plan import plan
from enginehouse.render.symbols import Secret
from enginehouse.spec import load_text
from enginehouse.spec.lock import NOTHING_LOCKED
from tests.unit.converge.machine import Machine, Program, Violated, all_steps, lines_of

STACK = """\
enginehouse: 1
machines: {box: {local: {}}}
deployments:
  chat:
    engine: llama-cpp
    version: "b11434"
    runs_on: box
    model: {source: upload://m.gguf, sha256: SHA256, served_name: tiny}
    context_tokens: CONTEXT
endpoint:
  runs_on: box
  port: 8080
  keys: [{name: demo, secrets: [key-demo]}]
"""
SECRETS = {"key-demo": Secret("k")}
CONTEXTS = (1024, 2048, 4096)


def planned(context: int) -> Plan:
    text = STACK.replace("CONTEXT", str(context)).replace("SHA256", "0123456789abcdef" * 4)
    loaded = load_text(text, name="demo", display="demo.yaml")
    assert loaded.spec is not None
    return plan(loaded.spec, NOTHING_LOCKED)


PLANS = {context: planned(context) for context in CONTEXTS}


@st.composite
def machines(draw: st.DrawFn) -> Machine:
    """Any mixture of what edits, crashes, hand-made changes and killed runs leave behind."""
    machine = Machine(stack="demo", memory_mib=draw(st.sampled_from([0, 100_000])))
    machine.sides = lines_of(PLANS[1024].gateway)
    for side in Side:
        if context := draw(st.sampled_from([None, *CONTEXTS])):
            leave(machine, PLANS[context].replicas[0], side, ready=draw(st.booleans()), whole=draw(st.booleans()))
    if context := draw(st.sampled_from([None, *CONTEXTS])):
        remember(machine, PLANS[context].replicas[0], draw(st.sampled_from(list(Side))))
    if draw(st.booleans()):
        start_gateway(machine, draw)
    if draw(st.booleans()):
        machine.drained.add(PLANS[1024].replicas[0].name)
    return machine


def leave(machine: Machine, part: ReplicaPart, side: Side, *, ready: bool, whole: bool) -> None:
    """A release that runs on that side; not `whole`: its start script was edited since."""
    view = Replica(part, machine.facts(part), SECRETS)
    machine._put(*view.files(side))
    if not whole:
        path = view.files(side)[0].path
        machine.files[path] = replace(machine.files[path], sha256="edited")
    machine.programs[f"{part.name}-{side}"] = Program(mark=f"{part.name}/{side}", release=view.release, ready=ready)


def remember(machine: Machine, part: ReplicaPart, side: Side) -> None:
    """A manifest that says this release serves there, true or not."""
    view = Replica(part, machine.facts(part), SECRETS)
    step = WriteManifest(title="", files=view.files(side), release=view.release, side=side)
    machine.do(part, step)


def start_gateway(machine: Machine, draw: st.DrawFn) -> None:
    """A gateway in the right configuration whose servers are in any state that does not break the rules by itself."""
    part = PLANS[1024].gateway
    machine.carry_out(part, gateway.steps(part, machine.facts(part), SECRETS).stage)
    bare = Machine(stack="demo", sides=machine.sides, files=machine.files)
    bare.carry_out(part, gateway.steps(part, bare.facts(part), SECRETS).all())
    machine.programs |= bare.programs
    machine.manifests |= bare.manifests
    machine.current = bare.current
    machine.servers = {}
    for seat, program in machine.sides.items():
        can_serve = program in machine.programs and machine.programs[program].ready
        states = list(ServerState) if can_serve else [ServerState.MAINT]
        machine.servers[seat] = draw(st.sampled_from(states))


def needed(machine: Machine, part: ReplicaPart) -> Steps:
    return replica.steps(part, machine.facts(part), SECRETS)


def settle(machine: Machine, target: Plan) -> None:
    """One converge of replica and gateway, as `up` does it."""
    part, front = target.replicas[0], target.gateway
    machine.carry_out(part, needed(machine, part).all())
    machine.carry_out(front, gateway.steps(front, machine.facts(front), SECRETS).all())


def with_traffic(machine: Machine) -> list[str]:
    """The programs whose servers take requests."""
    return [machine.sides[seat] for seat, state in (machine.servers or {}).items() if state is ServerState.READY]


def assert_at_rest(machine: Machine, target: Plan) -> None:
    """The release runs on one side, takes the traffic alone (none, if drained), and nothing is left to do."""
    part, front = target.replicas[0], target.gateway
    engines = {name: p for name, p in machine.programs.items() if name.startswith(part.name)}
    assert [p.release for p in engines.values()] == [Replica(part, machine.facts(part), SECRETS).release]
    assert with_traffic(machine) == ([] if machine.drained else list(engines))
    assert needed(machine, part).all() == ()
    assert gateway.steps(front, machine.facts(front), SECRETS).all() == ()


@settings(max_examples=300, deadline=None)
@given(machine=machines(), context=st.sampled_from(CONTEXTS))
def test_from_anywhere_one_converge_gets_there_and_a_second_rests(machine: Machine, context: int) -> None:
    """Whatever was left behind: no rule is broken on the way, and converging twice is converging once."""
    settle(machine, PLANS[context])
    assert_at_rest(machine, PLANS[context])


@settings(max_examples=300, deadline=None)
@given(machine=machines(), stops=st.lists(st.tuples(st.sampled_from(CONTEXTS), st.integers(0, 12)), max_size=4))
def test_runs_that_end_anywhere_leave_something_to_finish(machine: Machine, stops: list[tuple[int, int]]) -> None:
    """Several edits, each killed after some steps; then one run that is let through."""
    for context, steps in stops:
        part = PLANS[context].replicas[0]
        machine.carry_out(part, all_steps(needed(machine, part))[:steps])
    settle(machine, PLANS[2048])
    assert_at_rest(machine, PLANS[2048])


@settings(max_examples=300, deadline=None)
@given(machine=machines(), context=st.sampled_from(CONTEXTS), done=st.integers(0, 12))
def test_a_failed_start_gives_the_traffic_back(machine: Machine, context: int, done: int) -> None:
    """Forward for some steps, then all of `back`: who had the traffic has it again, and the next run gets there."""
    part = PLANS[context].replicas[0]
    steps = needed(machine, part)
    before = [] if machine.drained else with_traffic(machine)
    machine.carry_out(part, steps.stage)
    for step in steps.activate[:1]:
        if isinstance(step, Activation):
            machine.carry_out(part, step.forward[:done])
            machine.carry_out(part, step.undoing(step.forward[:done]))
            assert not before or set(before) & set(with_traffic(machine))
    settle(machine, PLANS[context])
    assert_at_rest(machine, PLANS[context])


@settings(max_examples=300, deadline=None)
@given(machine=machines(), context=st.sampled_from(CONTEXTS), wait=st.booleans())
def test_draining_takes_all_traffic_and_undraining_gives_it_back(machine: Machine, context: int, wait: bool) -> None:
    """From anywhere: after a drain nothing has traffic, twice is once, and after the way back the serving side has."""
    settle(machine, PLANS[context])
    part = PLANS[context].replicas[0]
    machine.drained.add(part.name)
    machine.carry_out(part, replica.drain(part, machine.facts(part), wait=wait))
    assert with_traffic(machine) == []
    assert replica.drain(part, machine.facts(part), wait=False) == ()
    assert_at_rest(machine, PLANS[context])
    machine.drained.clear()
    machine.carry_out(part, replica.undrain(part, machine.facts(part)))
    assert_at_rest(machine, PLANS[context])
    assert replica.undrain(part, machine.facts(part)) == ()


def test_the_machine_notices_a_broken_rule() -> None:
    """Twin: traffic for an engine that is not ready or drained, and the end of one that has it, are violations."""
    machine = Machine(stack="demo", sides=lines_of(PLANS[1024].gateway))
    part = PLANS[1024].replicas[0]
    leave(machine, part, Side.A, ready=False, whole=True)
    machine.servers = dict.fromkeys(machine.sides, ServerState.MAINT)
    seat = next(seat for seat, program in machine.sides.items() if program == f"{part.name}-a")
    give: Step = SetServers(title="", socket="", saved="", wanted={seat: ServerState.READY})
    with pytest.raises(Violated, match="not ready"):
        machine.do(part, give)
    machine.programs[f"{part.name}-a"].ready = True
    machine.drained.add(part.name)
    with pytest.raises(Violated, match="is drained"):
        machine.do(part, give)
    machine.drained.clear()
    machine.do(part, give)
    with pytest.raises(Violated, match="is stopped"):
        machine.do(part, StopProgram(title="", program=f"{part.name}-a", file=""))
