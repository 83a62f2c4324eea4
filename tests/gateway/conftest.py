"""A gateway for each test, and engines for it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from enginehouse.planner.parts import GatewayPart
from tests.gateway.harness import Answer, Edit, RunningGateway
from tests.standins.upstream import Upstream
from tests.tools_available import require_tool

Start = Callable[..., RunningGateway]
InBackground = Callable[..., "Future[Answer]"]
MakeUpstream = Callable[..., Upstream]


@pytest.fixture(scope="session")
def haproxy() -> str:
    return require_tool("haproxy")


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """What a test opens ends with it, last first."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def upstream(stack: ExitStack) -> MakeUpstream:
    """`upstream(name)` starts a stand-in for an engine."""
    return lambda name="a", **settings: stack.enter_context(Upstream(name, **settings))


@pytest.fixture
def short_folder(stack: ExitStack) -> Path:
    """A folder with a short name: HAProxy takes at most 97 bytes for a unix socket's path (2.6.12 and 2.8.25)."""
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="eh-gw-")))


@pytest.fixture
def start(stack: ExitStack, haproxy: str, short_folder: Path) -> Start:
    """`start(part)` starts a gateway, in a folder of its own below `short_folder`."""

    def begin(part: GatewayPart, *, edit: Edit = str) -> RunningGateway:
        folder = short_folder / str(len(list(short_folder.iterdir())))
        folder.mkdir()
        return stack.enter_context(RunningGateway(haproxy, folder, part, edit=edit))

    return begin


@pytest.fixture
def in_background(stack: ExitStack) -> InBackground:
    """`in_background(f, ...)` calls f in a thread of its own."""
    return stack.enter_context(ThreadPoolExecutor(max_workers=64)).submit
