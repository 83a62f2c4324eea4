"""A world for each test, taken down afterwards whatever happened in it."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.converge.harness import World, all_free, install_standin
from tests.tools_available import require_tool

PORTS = itertools.count(21000 + os.getpid() % 50 * 200)
"""Stacks are named after their port, and each name gets ports of its own."""


@pytest.fixture
def world() -> Iterator[World]:
    """A stack that is not up yet, with the stand-in engine."""
    with new_world() as made:
        yield made


@pytest.fixture(scope="module")
def shared() -> Iterator[World]:
    """One stack for the tests of a module."""
    with new_world() as made:
        yield made


@pytest.fixture
def running(shared: World) -> World:
    """A stack that is up and as planned, whatever the test before did to it."""
    shared.reset()
    shared.up()
    shared.events.clear()
    return shared


@contextmanager
def new_world() -> Iterator[World]:
    """A world on free ports. Its folder has a short name: socket paths are limited."""
    folder = Path(tempfile.mkdtemp(prefix="eh-", dir="/tmp"))
    tools = folder / "bin"
    tools.mkdir()
    for name in ("haproxy", "supervisord"):
        (tools / name).symlink_to(require_tool(name))
    install_standin(tools)
    worlds = (World(folder=folder, port=port, tools=tools) for port in PORTS)
    made = next(candidate for candidate in worlds if all_free(candidate.plan()))
    try:
        yield made
    finally:
        made.connectors.close()
        made.kill_all()
        shutil.rmtree(folder)
