"""A call of the command line inside the test's own process, for everything that needs no process of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from enginehouse.cli import main
from tests.cli.harness import DEMO, WRONG, workplace

Told: TypeAlias = tuple[int, str, str]
"""Exit code, standard output, standard error."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: one stack that is right, one that is wrong, nothing of this machine's Enginehouse."""
    monkeypatch.chdir(workplace(tmp_path, demo=DEMO, wrong=WRONG))
    monkeypatch.setenv("ENGINEHOUSE_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("ENGINEHOUSE_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def call(folder: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Told]:
    def one(*words: str) -> Told:
        try:
            code = main(words)
        except SystemExit as stop:
            code = int(stop.code or 0)
        return (code, *capsys.readouterr())

    return one
