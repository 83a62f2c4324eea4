"""A world for each test, taken down afterwards whatever happened in it."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from tests.converge.harness import JOURNAL, World, all_free, install_standin, ports_of
from tests.tools_available import require_tool

PORTS = itertools.count(21000 + os.getpid() % 50 * 200)
"""Stacks are named after their port, and each name gets ports of its own."""
GIVEN: set[int] = set()
"""Ports of all worlds so far: one of them may not listen on all of its own yet."""


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
def new_world(kind: type[W]) -> Iterator[W]:
    """A world of that kind on free ports. Its folder has a short name: socket paths are limited."""
    folder = Path(tempfile.mkdtemp(prefix="eh-", dir="/tmp"))
    tools = folder / "bin"
    tools.mkdir()
    for name in ("haproxy", "supervisord"):
        (tools / name).symlink_to(require_tool(name))
    install_standin(tools, folder / JOURNAL)
    worlds = (kind(folder=folder, port=port, tools=tools) for port in PORTS)
    made = next(w for w in worlds if GIVEN.isdisjoint(ports_of(w.plan())) and all_free(w.plan()))
    GIVEN.update(ports_of(made.plan()))
    try:
        yield made
    finally:
        made.connectors.close()
        made.kill_all()
        shutil.rmtree(folder)
