"""What converge finds out by itself when something is lost, died or was left half-way; on a simulated machine."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeGuard

import pytest

from enginehouse.converge import gateway, orders
from enginehouse.converge.look import look
from enginehouse.converge.runners import Replica
from enginehouse.converge.steps import Activation, SetServers, Step
from enginehouse.errors import ConvergeFailed
from enginehouse.gateway import files as gateway_files
from enginehouse.planner.parts import Server, Side
from tests.simulated.link import Killed
from tests.simulated.machine import STATE
from tests.simulated.processes import Mood
from tests.simulated.world import World


@pytest.fixture
def world() -> World:
    """At rest; every effect is watched by the rules."""
    world = World()
    world.up()
    world.rules.begin(most_missing=1)
    return world


def lose(world: World, part: str) -> None:
    world.machine.files.remove(f"{STATE}/demo/{part}/manifest.json")


def edit(world: World, **changes: object) -> None:
    world.settings = replace(world.settings, **changes)  # type: ignore[arg-type]


def marks(world: World) -> list[str]:
    """Of engines and gateway, and of the supervisor; its watchdog is always there."""
    found = sorted(process.mark for process in world.machine.processes.values())
    return [mark for mark in found if mark != "demo/box/watchdog"]


def test_without_the_gateways_record_its_servers_are_found_all_the_same(world: World) -> None:
    """The running gateway says which servers it has: an edit drains one and opens the other."""
    lose(world, "gateway-box")
    edit(world, context=2048)
    world.run().converge(world.plan().replicas[0])
    assert list(world.rules.usable()) == ["chat-box-0"]
    assert marks(world) == ["demo/box/supervisor", "demo/chat-box-0/b", "demo/gateway-box/gateway"]


def test_a_gateway_that_does_not_tell_ports_has_those_of_its_record(world: World) -> None:
    """One that was started by a version before: its servers are not taken for lost. Without its record they are."""
    part = world.plan().replicas[0]
    facts = look(part, world.run().context)
    known = Replica(part, facts, {}).seats()
    silent = replace(facts, servers=tuple(replace(row, port=0) for row in facts.servers or ()))
    assert Replica(part, silent, {}).seats() == known != ()
    assert Replica(part, silent, {}).open_to(part.ports[Side.A]) == Replica(part, facts, {}).open_to(part.ports[Side.A])
    assert Replica(part, replace(silent, others={}), {}).seats() == ()


def test_a_failed_reload_leaves_the_saved_states_of_servers_whose_ports_would_have_moved(world: World) -> None:
    """They are saved without those for the new configuration; the old one, which serves on, needs all."""
    part = world.plan().gateways[0]
    moved = replace(part, backends=tuple(replace(b, servers=tuple(map(further, b.servers))) for b in part.backends))
    moved = replace(moved, files=gateway_files(moved))
    facts = look(moved, world.run().context)
    reload = next(step for step in gateway.steps(moved, facts, world.run().context.secrets).all() if is_reload(step))
    first, undone = reload.forward[0], reload.undoing(reload.forward)[0]
    assert isinstance(first, SetServers) and isinstance(undone, SetServers)
    assert (len(first.unsaved), len(undone.unsaved)) == (sum(len(b.servers) for b in part.backends), 0)


def further(server: Server) -> Server:
    return replace(server, port=server.port + 10)


def is_reload(step: Step) -> TypeGuard[Activation]:
    return isinstance(step, Activation)


def test_standing_orders_need_no_record(world: World) -> None:
    """A part whose manifest is lost can be drained and undrained, a stack frozen and unfrozen."""
    part, context = world.plan().replicas[0], world.run().context
    for name in ("chat-box-0", "gateway-box", "box"):
        lose(world, name)
    orders.drain(part, context, reason="a test", wait=True, force=True)
    assert list(world.rules.usable()) == []
    orders.undrain(part, context)
    assert list(world.rules.usable()) == ["chat-box-0"]
    host = world.plan().hosts[0]
    orders.freeze(host, context, reason="a test")
    orders.unfreeze(host, context)
    world.up()


def test_the_last_replica_is_kept_also_without_the_gateways_record(world: World) -> None:
    """Refused with a sentence; how long requests would wait is not known."""
    lose(world, "gateway-box")
    with pytest.raises(ConvergeFailed, match="it is not drained"):
        orders.drain(world.plan().replicas[0], world.run().context, reason="a test", wait=True)


def test_a_destroy_needs_no_supervisor(world: World) -> None:
    """What runs without one is ended, and no program file is left that another supervisor would start."""
    world.rules.disturbed = True
    world.machine.kill(world.machine.supervisor())
    part, front = world.plan().replicas[0], world.plan().gateways[0]
    world.run().destroy(front)
    world.run().destroy(part)
    assert marks(world) == []
    assert world.machine.files.names_in(f"{STATE}/demo/box/programs") == ["watchdog.conf"]
    world.up()


def test_an_engine_in_the_place_of_one_that_died_waits_for_its_traffic(world: World) -> None:
    """Its server line is still open at the gateway; the rules would tell if it were used before the engine is ready."""
    world.rules.disturbed = True
    world.machine.kill(next(world.machine.engines()))
    world.up()
    assert marks(world) == ["demo/box/supervisor", "demo/chat-box-0/a", "demo/gateway-box/gateway"]


def test_a_gateway_that_was_only_staged_does_not_block_the_supervisor() -> None:
    """A run that died then leaves no program file: supervisord refuses all of them while one's log has no folder."""
    world = World()
    plan, run = world.plan(), world.run()
    for part in plan.parts()[:3]:
        run.converge(part)
    run.link.moment = lambda what: None

    def die(what: str) -> None:
        if what.startswith(f"{STATE}/demo/gateway-box/current"):
            run.link.broken = Killed()
            raise run.link.broken

    world.machine.interrupt = die
    with pytest.raises(Killed):
        run.converge(plan.gateways[0])
    world.machine.interrupt = lambda what: None
    world.machine.holder = None
    edit(world, context=2048)
    world.up()


@pytest.mark.parametrize("finished", [True, False])
def test_a_renamed_part_leaves_nothing_behind_whatever_is_known_of_it(finished: bool) -> None:
    """Its record is lost, or was never written: the program is drained and ended, and the folders go."""
    world = World()
    if finished:
        world.up()
        lose(world, "chat-box-0")
        lose(world, "chat-weights-box")
    else:
        world.machine.moods["4096"] = Mood.ENDS
        with pytest.raises(ConvergeFailed):
            world.up()
        world.machine.moods.clear()
    world.rules.begin(most_missing=1)
    edit(world, deployment="talk", renamed_from="chat")
    world.up()
    assert [mark for mark in marks(world) if "chat" in mark] == []
    assert not [path for path in world.machine.files.folders if "/chat-" in path]


def test_an_engine_that_a_dead_run_left_and_that_never_gets_ready_is_ended(world: World) -> None:
    """The run that finds it waits for it, and ends it as if it had started it; the next one starts it anew."""
    edit(world, context=2048)
    world.machine.moods[str(4 * 2048)] = Mood.NONSENSE
    run = world.run()
    run.link.moment = lambda what: setattr(run.link, "broken", Killed()) if len(marks(world)) > 3 else None
    with pytest.raises(Killed):
        world.up(run)
    world.machine.holder = None
    world.machine.moods.clear()
    with pytest.raises(ConvergeFailed, match=r"is one character over and over.*; the release from before serves"):
        world.up()
    assert list(world.rules.usable()) == ["chat-box-0"]
    world.up()
    assert [engine.mark for engine in world.machine.engines()] == ["demo/chat-box-0/b"]


def test_a_program_that_only_crashes_is_forgotten(world: World) -> None:
    """Left by a run that died: the supervisor would start it again at any time, beside the one that serves."""
    edit(world, context=2048)
    world.machine.moods[str(4 * 2048)] = Mood.ENDS
    run = world.run()

    def cut(what: str) -> None:
        if len(world.machine.files.names_in(f"{STATE}/demo/box/programs")) == 4:
            run.link.broken = Killed()

    run.link.moment = cut
    with pytest.raises(Killed):
        world.up(run)
    world.machine.holder = None
    edit(world, context=1024)
    world.up()
    assert world.machine.files.names_in(f"{STATE}/demo/box/programs") == [
        "chat-box-0-a.conf",
        "gateway-box.conf",
        "watchdog.conf",
    ]


def test_the_supervisors_user_is_one_word(world: World) -> None:
    """Not with the line end that `id` prints."""
    config = world.machine.files.read(f"{STATE}/demo/box/supervisord.conf")
    assert config is not None and "\n\n\n" not in config
