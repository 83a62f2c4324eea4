"""A disk that is full or read-only: named with numbers before anything is touched, and no obstacle to the next run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from enginehouse.converge import foresee
from enginehouse.errors import CommandFailed, ConvergeFailed, explain
from tests.converge.conftest import new_world
from tests.converge.disks import Disk, disk
from tests.converge.harness import World


@pytest.fixture(scope="module")
def cramped() -> Iterator[tuple[World, Disk]]:
    """A stack that is up on a disk of its own."""
    with new_world(World) as world, disk(world) as its_disk:
        world.up()
        yield world, its_disk


@pytest.fixture
def world(cramped: tuple[World, Disk]) -> World:
    cramped[0].reset()
    cramped[0].up()
    cramped[0].events.clear()
    return cramped[0]


@pytest.fixture
def its_disk(cramped: tuple[World, Disk]) -> Disk:
    return cramped[1]


def refused(world: World) -> str:
    """What an edit is told, with nothing that runs touched."""
    world.settings["context"] = 1024
    before = world.processes()
    with pytest.raises(ConvergeFailed) as failure:
        world.converge(world.replica())
    assert world.processes() == before
    assert world.ask()[0] == 200
    return str(failure.value)


def test_a_full_disk_is_named_before_anything_is_touched(world: World, its_disk: Disk) -> None:
    """Folder, what is free and what is needed, in a preview too; with room there, the same change goes through."""
    its_disk.fill()
    says = (
        f"box: the disk with {world.state} is full (0 MiB are free, at least 4 are needed); make room, then run again"
    )
    try:
        assert refused(world) == f"{says}; nothing was changed"
        assert str(foresee(world.replica(), world.context())) == f"fails: {says}; nothing was changed"
    finally:
        its_disk.clear()
    assert world.up()["chat-box-0"]["generation"] > 1


def test_a_full_disk_stops_no_run_that_has_nothing_to_do(world: World, its_disk: Disk) -> None:
    """Nothing is written, so nothing is needed."""
    its_disk.fill()
    try:
        world.up()
    finally:
        its_disk.clear()


def test_a_read_only_folder_is_named_before_anything_is_touched(world: World, its_disk: Disk) -> None:
    """As after a disk error."""
    its_disk.make_read_only()
    try:
        says = f"box: {world.state} is read-only; make it writable, then run again; nothing was changed"
        assert refused(world) == says
    finally:
        its_disk.make_writable()
    world.up()
    assert world.ask()[0] == 200


def test_a_disk_that_fills_up_meanwhile_is_the_error(world: World, its_disk: Disk) -> None:
    """First the disk with its numbers, then what could not be written; the old release serves on."""
    world.settings["context"] = 512
    world.on_event = lambda event: its_disk.fill() if "] staging release" in event.text else None
    try:
        with pytest.raises(ConvergeFailed) as failure:
            world.converge(world.replica())
    finally:
        its_disk.clear()
    first, second, *_ = explain(failure.value)
    assert first == (
        f"box: the disk with {world.state} is full (0 MiB are free, at least 4 are needed); make room, then run again"
    )
    assert second.startswith("staging release")
    assert world.ask()[0] == 200


def test_another_failure_is_not_blamed_on_the_disk(world: World) -> None:
    """Twin: with room there, the error stays what it was."""
    world.write_model({"exit_after_load": 3})
    world.converge(world.plan().weights[0])
    with pytest.raises((ConvergeFailed, CommandFailed)) as failure:
        world.converge(world.replica())
    assert "disk" not in str(failure.value)
