"""The script itself, with the shell of this machine and a stand-in for `nvidia-smi`."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from enginehouse.inventory import Inventory, question, read
from enginehouse.render.templates import render
from tests.standins import nvidia_smi
from tests.unit.inventory.captures import FOLDER

PATIENCE_S = 1
Ask = Callable[[str], Inventory]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """Asks this machine as if its `nvidia-smi` were the one whose captures are in that folder."""

    def once(captures: str) -> Inventory:
        script = f'#!/bin/sh\nexec {sys.executable} -S {nvidia_smi.__file__} {FOLDER / captures} "$@"\n'
        (tmp_path / "nvidia-smi").write_text(script)
        (tmp_path / "nvidia-smi").chmod(0o755)
        environ = {"PATH": f"{tmp_path}:/usr/bin:/bin:/usr/sbin", "HOME": "/nowhere", "LC_ALL": "de_DE.UTF-8"}
        argv = ["sh", "-c", question(patience_s=PATIENCE_S)]
        done = subprocess.run(argv, env=environ, capture_output=True, text=True, timeout=60, check=True)
        assert done.stderr == ""
        return read(done.stdout, asked_at=0, answered_at=1e10)

    return once


def test_the_script_writes_nothing() -> None:
    """It redirects into nothing but /dev/null, and no command of it changes files."""
    commands = re.sub(r"#.*|'[^']*'", "", question())
    assert set(re.findall(r"(?<![<=-])>+ ?(&?[^\s)|;&]+)", commands)) <= {"/dev/null", "&1"}
    assert not re.search(r"^\s*(rm|mv|mkdir|touch|chmod|ln|tee|install|dd|cp) ", question(), re.MULTILINE)


@pytest.mark.parametrize(("captures", "name"), [("h100-mig", "NVIDIA H100 80GB HBM3"), ("l40s", "NVIDIA L40S")])
def test_a_machine_is_asked_in_one_go(ask: Ask, captures: str, name: str) -> None:
    """What is real here is real, and the questions to `nvidia-smi` are those that were captured."""
    found = ask(captures)
    assert [gpu.name for gpu in found.graphics.gpus] == [name]
    assert found.graphics.driver and found.graphics.driver.cuda
    assert (len(found.graphics.gpus[0].slices) == 4) == (captures == "h100-mig")
    assert found.graphics.gpus[0].processes
    assert found.memory and found.memory.total_mib > 0
    assert found.disk and found.disk.size_mib > 0
    assert found.cpu.threads > 0
    assert found.system.kernel and found.system.architecture
    assert found.clock_off_s == 0


def test_one_that_can_not_even_be_killed_is_not_waited_for(ask: Ask, tmp_path: Path) -> None:
    """It hangs, and something that nobody can end goes on holding its output; the rest of the answer is there."""
    (tmp_path / "captures").mkdir()
    (tmp_path / "captures" / "hangs").touch()
    found = ask(str(tmp_path / "captures"))
    assert found.graphics.trouble == "nvidia-smi does not answer"
    assert found.cpu.threads > 0


def test_one_that_fails_is_quoted(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "captures").mkdir()
    shutil.copy(FOLDER / "failures" / "mismatch.txt", tmp_path / "captures" / "failure.txt")
    assert ask(str(tmp_path / "captures")).graphics.trouble.startswith("Failed to initialize NVML")


@pytest.mark.parametrize(
    ("environ", "mark"),
    [
        ({"ENGINEHOUSE_PROGRAM": "demo/box/a", "ENGINEHOUSE_STATE": "/my state"}, "demo/box/a\n"),
        ({"ENGINEHOUSE_PROGRAM": "demo/box/a", "ENGINEHOUSE_STATE": "/other"}, "/other: demo/box/a\n"),
        ({"ENGINEHOUSE_STATE": "/my state"}, ""),
        ({"NOTES": "two\nENGINEHOUSE_PROGRAM=demo/box/a", "ENGINEHOUSE_STATE": "/my state"}, ""),
        ({"ENGINEHOUSE_PROGRAM": "demo/box/a\nb", "ENGINEHOUSE_STATE": "/my state"}, "demo/box/a\1b\n"),
    ],
)
def test_a_program_is_ours_only_in_our_state_folder(environ: dict[str, str], mark: str) -> None:
    """Another user of the machine may call a stack the same. A value of several lines is one value."""
    with subprocess.Popen(["sleep", "60"], env={"PATH": "/usr/bin:/bin", **environ}) as process:
        script = f"{render('host/gpus.sh')}\nstate='/my state'\nmark_of {process.pid}\n"
        done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=60, check=True)
        process.kill()
    assert (done.stdout, done.stderr) == (mark, "")


def test_claims_are_those_of_all_parts(tmp_path: Path) -> None:
    """By a shell, from the folders of all stacks; weights that are called like that are none."""
    for part, text in {
        "demo/chat-box-0": "port 1\ngpu 0 GPU-1\n",
        "shop/gateway": "port 2\n",
        "weights/abc": "x\n",
    }.items():
        (tmp_path / part).mkdir(parents=True)
        (tmp_path / part / "claims").write_text(text)
    script = f"{render('host/probe.sh')}\nclaims_in {tmp_path}\nclaims_in {tmp_path}/nothing\n"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=60, check=True)
    lines = "demo/chat-box-0\tport 1\ndemo/chat-box-0\tgpu 0 GPU-1\nshop/gateway\tport 2\n"
    assert (done.stdout, done.stderr) == (f"\0claims\t{lines}\0claims\t", "")
