"""Shell functions for weights, when a machine's disk fails under them."""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
from pathlib import Path

import pytest

import enginehouse.converge.scripts as scripts
from enginehouse.render.templates import render

CONTENT = b"weights"
RIGHT = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a partial file that holds everything."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "m.part").write_bytes(CONTENT)
    return tmp_path


def run(folder: Path, command: str, *broken: str, sha256: str = RIGHT) -> int:
    """The exit code, where programs of these names fail."""
    for name in broken:
        (folder / "bin" / name).write_text("#!/bin/sh\nexit 5\n")
        (folder / "bin" / name).chmod(0o755)
    names = {"file": folder / "m", "record": folder / "m.verified", "sha256": sha256}
    lines = (f"{name}={shlex.quote(str(value))}" for name, value in names.items())
    script = scripts.change(render("host/weights.sh"), *lines, command)
    environ = {"PATH": os.pathsep.join([str(folder / "bin"), os.environ["PATH"]])}
    return subprocess.run(["sh"], input=script, env=environ, text=True, capture_output=True, timeout=60).returncode


def test_what_is_right_gets_its_name(folder: Path) -> None:
    """The twin of those below."""
    assert run(folder, "finish 3") == 0
    assert (folder / "m").read_bytes() == CONTENT
    assert (folder / "m.verified").read_text().startswith(RIGHT)


def test_what_is_wrong_is_removed_and_whose_fault_it_may_be_is_told(folder: Path) -> None:
    assert run(folder, "finish 3", sha256="00" * 32) == scripts.STALE
    assert not (folder / "m.part").exists()
    (folder / "m.part").write_bytes(CONTENT)
    assert run(folder, "finish 0", sha256="00" * 32) == 1
    assert not (folder / "m.part").exists()


def test_a_file_that_does_not_get_its_name_is_not_recorded(folder: Path) -> None:
    assert run(folder, "finish 3", "mv") == 5
    assert (folder / "m.part").exists() and not (folder / "m.verified").exists()


@pytest.mark.parametrize("command", ["finish 3", "if present; then echo complete; fi"])
def test_what_can_not_be_read_is_not_taken_for_wrong(folder: Path, command: str) -> None:
    """It may be fifty gigabytes that are right."""
    (folder / "m").write_bytes(CONTENT)
    assert run(folder, command, "sha256sum") == 5
    assert (folder / "m.part").exists() and (folder / "m").exists()
