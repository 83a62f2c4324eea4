"""Files of others that change our units: told by their names, and set aside without losing one."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

import enginehouse.converge.drop_ins as drop_ins
import enginehouse.converge.engine_unit as engine_unit
from enginehouse.converge.facts import Facts
from enginehouse.planner.parts import Runtime, Side
from tests.unit.report.plans import REPLICA

PART = replace(REPLICA, runtime=Runtime.SYSTEMD)
UNITS = {side: engine_unit.name(PART.stack, PART.name, side, "/s") for side in Side}


def facts(*paths: str) -> Facts:
    return Facts(state="/s", machine="m", memory_mib=1, texts={"drop_ins": "".join(f"{path}\n" for path in paths)})


def path_of(side: Side, name: str = "limit.conf") -> str:
    return f"/etc/systemd/system/{UNITS[side]}.d/{name}"


def test_a_file_counts_for_the_unit_that_its_folder_is_named_after() -> None:
    """Not for that of the other side, nor of a stack in another state folder."""
    other = engine_unit.name(PART.stack, PART.name, Side.A, "/another")
    found = facts(path_of(Side.A), f"/etc/systemd/system/{other}.d/limit.conf")
    assert engine_unit.altered(PART, found, Side.A) == path_of(Side.A)
    assert engine_unit.altered(PART, found, Side.B) == ""
    assert engine_unit.altered(PART, found, None) == ""
    assert drop_ins.of(UNITS[Side.A], facts()) == ()


def test_what_changes_the_next_unit_is_set_aside_with_what_changes_this_one() -> None:
    """Both sides in one step, whose title says where they are kept; nothing without any."""
    (step,) = engine_unit.set_aside(PART, facts(path_of(Side.A), path_of(Side.B)))
    kept = ", ".join(f"{path_of(side)} (kept there as limit.conf.off)" for side in Side)
    assert step.title == f"setting aside {kept}"
    assert step.script.endswith("\nsystemctl daemon-reload\n")
    assert list(engine_unit.set_aside(PART, facts())) == []


@pytest.mark.parametrize("name", ["limit.conf", "it's mine.conf", "$(id).conf"])
def test_nothing_that_was_set_aside_is_lost(tmp_path: Path, name: str) -> None:
    """Also not the file of that name from before. One that is gone by then is nothing."""
    file = tmp_path / name
    script = "\n".join(("set -eu", *drop_ins.set_aside([str(file)])))
    for content in ("first", "second"):
        file.write_text(content)
        subprocess.run(["sh", "-c", script], check=True)
        assert not file.exists()
    subprocess.run(["sh", "-c", script], check=True)
    assert sorted(path.read_text() for path in tmp_path.iterdir()) == ["first", "second"]
    assert not list(tmp_path.glob("*.conf"))
