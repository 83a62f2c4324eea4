"""A project of its own for each test: the real program, the real Pulumi CLI, a file backend, a scripted machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.project import Project
from tests.tools_available import require_tool


@pytest.fixture(scope="session")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """What every test's project is a copy of."""
    return Project.create(tmp_path_factory.mktemp("engine") / "blank", Path(require_tool("pulumi")))


@pytest.fixture(scope="session")
def running(blank: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The same after one `pulumi up`."""
    running = blank.copy(tmp_path_factory.mktemp("engine") / "running")
    running.up()
    running.forget_calls()
    return running


@pytest.fixture
def project(blank: Project, tmp_path: Path) -> Iterator[Project]:
    """The stack `box` with two replicas and its secret, nothing deployed."""
    project = blank.copy(tmp_path / "project")
    yield project
    project.stop()


@pytest.fixture
def deployed(running: Project, tmp_path: Path) -> Iterator[Project]:
    """The stack `box`, deployed."""
    deployed = running.copy(tmp_path / "project")
    yield deployed
    deployed.stop()
