"""Fixtures for the bootstrap's tests: throw-away caches, fake programs, and the real CLI where it is installed."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bootstrap.places import find_places

FakeProgram = Callable[[Path, str], Path]


@pytest.fixture
def fake_program() -> FakeProgram:
    """Write an executable shell script: `fake_program(file, body)`."""

    def write(file: Path, body: str) -> Path:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        file.chmod(0o755)
        return file

    return write


@pytest.fixture
def real_pulumi() -> Path:
    """The CLI that `make setup` chose; its absence is a failure where everything is required."""
    program = find_places().bin / "pulumi"
    if program.exists():
        return program
    if os.environ.get("REQUIRE_ALL"):
        pytest.fail(f"{program} is missing; run `make setup`")
    pytest.skip(f"{program} is missing; `make setup` installs it")
