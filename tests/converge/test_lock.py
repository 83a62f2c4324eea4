"""The lock file on a real machine: an edit of the stack moves nothing that stays."""

from __future__ import annotations

import socket

import pytest

from enginehouse.errors import ConvergeFailed
from enginehouse.planner.allocate import allocate
from enginehouse.planner.parts import ReplicaPart
from enginehouse.spec import load_text
from enginehouse.spec.lock import Lock
from enginehouse.verbs.lock import held_ports
from tests.converge.harness import World

NEW = {"ahead": {"context": 1024}}
"""A deployment whose place in the file is before all others."""


def two_on_different_sides(world: World) -> None:
    """`chat` serves on side a, `code` on side b, as after one edit of `code`."""
    world.settings["behind"] = {"code": {}}
    world.up()
    world.settings["behind"] = {"code": {"context": 4096}}
    world.up()
    world.events.clear()


def locked(world: World) -> Lock:
    """What `enginehouse lock` would write for the stack as it is in the file now."""
    spec = load_text(world.yaml(), name=world.stack, display="stack.yaml").spec
    assert spec is not None
    held = held_ports(world.plan(), world.context())
    return allocate(spec, held.served, held.all, world.lock).lock()


def engines(world: World) -> dict[int, str]:
    """Process id to program mark of every engine."""
    return {pid: mark for pid, mark in world.processes().items() if mark.endswith(("/a", "/b"))}


def part(world: World, deployment: str) -> ReplicaPart:
    return next(replica for replica in world.plan().replicas if replica.deployment == deployment)


def test_a_deployment_in_front_leaves_locked_replicas_alone(world: World) -> None:
    """Locked before the edit: nobody who stays has anything to do, no engine is another one, all serve."""
    two_on_different_sides(world)
    world.lock = locked(world)
    before = engines(world)
    world.settings["front"] = NEW
    holds = world.connector.holds
    for deployment in ("chat", "code"):
        world.converge(part(world, deployment))
    assert world.connector.holds == holds
    world.up()
    assert before.items() <= engines(world).items()
    assert [world.ask(model=name)[0] for name in ("ahead", "tiny", "code")] == [200, 200, 200]


def test_without_a_lock_file_the_same_edit_fails_and_names_the_remedy(world: World) -> None:
    """Twin: the ports move, those that are needed are in use by the neighbour, and the error says what helps."""
    two_on_different_sides(world)
    world.settings["front"] = NEW
    with pytest.raises(ConvergeFailed, match="no port is free") as caught:
        world.up()
    assert any(f"`enginehouse lock {world.stack}`" in reason for reason in caught.value.reasons)
    assert [world.ask(model=name)[0] for name in ("tiny", "code")] == [200, 200]


def test_locking_after_the_edit_asks_the_machine(world: World) -> None:
    """Who meets that error and then locks gets the ports that are in use: the next run moves nobody."""
    two_on_different_sides(world)
    before = engines(world)
    world.settings["front"] = NEW
    with pytest.raises(ConvergeFailed):
        world.up()
    world.lock = locked(world)
    world.up()
    assert before.items() <= engines(world).items()
    assert world.ask(model="ahead")[0] == 200
    assert locked(world) == world.lock


def test_a_stranger_on_the_ports_is_not_the_lock_files_business(world: World) -> None:
    """The remedy is named only where a part of the same stack has the port."""
    world.up()
    world.destroy(world.replica())
    with socket.socket() as one, socket.socket() as other:
        for listener, port in zip((one, other), world.replica().ports.values(), strict=True):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
            listener.listen()
        with pytest.raises(ConvergeFailed, match="no port is free") as caught:
            world.converge(world.replica())
    assert not any("enginehouse lock" in reason for reason in caught.value.reasons)


def test_a_renamed_deployment_keeps_its_ports(world: World) -> None:
    """Also where a lock is written only after the rename: the machine still knows the former name."""
    world.up()
    before = world.replica().ports
    world.settings["deployment"], world.settings["renamed_from"] = "talk", "chat"
    world.settings["front"] = NEW
    assert world.plan().replicas[1].ports != before
    world.lock = locked(world)
    assert part(world, "talk").ports == before
    world.up()
    assert world.ask()[0] == 200


def test_what_is_locked_stays_locked_through_ups_and_renames(world: World) -> None:
    """The entry under the former name counts until the next `enginehouse lock`."""
    world.lock = locked(world)
    before = world.replica().ports
    world.settings["deployment"], world.settings["renamed_from"] = "talk", "chat"
    world.settings["front"] = NEW
    assert part(world, "talk").ports == before
    world.lock = locked(world)
    assert set(world.lock.replicas) == {"ahead-box-0", "talk-box-0"}
    assert part(world, "talk").ports == before
