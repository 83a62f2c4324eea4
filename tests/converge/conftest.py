"""A world for each test, taken down afterwards whatever happened in it."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from enginehouse.planner.allocate import BLOCK, BLOCKS, FIRST_PORT, block
from tests.converge.harness import JOURNAL, World, all_free, install_standin
from tests.ports import claim_block
from tests.tools_available import require_tool


def _ports() -> Iterator[int]:
    """Endless, from somewhere on. Stacks are named after their port; each is in the block that its stack's name gives.

    At the block's end: replicas and metrics get their ports from its beginning on, and tests move them by up to 150.
    """
    every = range(FIRST_PORT, FIRST_PORT + BLOCK * BLOCKS)
    found = [port for port in every if port % BLOCK > 160 and port // BLOCK == block(f"t{port}").start // BLOCK]
    start = os.getpid() % len(found)
    return itertools.cycle(found[start:] + found[:start])


PORTS = _ports()


@pytest.fixture
def world() -> Iterator[World]:
    """A stack that is not up yet, with the stand-in engine."""
    with new_world(World) as made:
        yield made


@pytest.fixture(scope="module")
def shared() -> Iterator[World]:
    """One stack for the tests of a module."""
    with new_world(World) as made:
        yield made


@pytest.fixture
def running(shared: World) -> World:
    """A stack that is up and as planned, whatever the test before did to it."""
    shared.reset()
    shared.up()
    shared.events.clear()
    return shared


W = TypeVar("W", bound=World)


@contextmanager
def new_world(kind: Callable[..., W]) -> Iterator[W]:
    """A world of that kind on free ports. Its folder has a short name: socket paths are limited."""
    folder = Path(tempfile.mkdtemp(prefix="eh-", dir="/tmp"))
    tools = folder / "bin"
    tools.mkdir()
    for name in ("haproxy", "supervisord"):
        (tools / name).symlink_to(require_tool(name))
    install_standin(tools, folder / JOURNAL)
    with ExitStack() as claim:
        claimed = (port for port in PORTS if claim_block(port // BLOCK, claim))
        worlds = (kind(folder=folder, port=port, tools=tools) for port in claimed)
        made = next(candidate for candidate in worlds if all_free(candidate.plan()))
        try:
            yield made
        finally:
            made.connectors.close()
            made.kill_all()
            shutil.rmtree(folder)
