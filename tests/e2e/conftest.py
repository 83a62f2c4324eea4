"""One real deployment for all tests of this folder."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from enginehouse.planner.allocate import BLOCK, block
from tests import ports
from tests.tools_available import require_tool

from .client import Client
from .deployment import POISON, STACK, Deployment, create


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The laptop stack, up; destroyed at the end whatever happened."""
    for tool in ("llama-server", "haproxy", "supervisord"):
        require_tool(tool)
    folder: Path = tmp_path_factory.mktemp("e2e")
    with ExitStack() as claim:
        while not ports.claim_block(block(STACK).start // BLOCK, claim):  # the same stack of another clone
            time.sleep(1)
        deployment = create(folder, require_tool("pulumi"), ports.free_port())
        deployment.pulumi("stack", "init")
        deployment.pulumi("config", "set", "--secret", "key-demo", stdin=POISON)
        try:
            deployment.pulumi("up", "--yes", "--skip-preview")
            yield deployment
        finally:
            deployment.adopting().pulumi("destroy", "--yes", "--skip-preview")


@pytest.fixture
def client(deployed: Deployment) -> Client:
    """A caller with the right key."""
    return Client(url=deployed.url, key=POISON)


@pytest.fixture
def free_port() -> int:
    """A port nobody listens on."""
    return ports.free_port()
