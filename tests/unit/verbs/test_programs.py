"""Programs are found, asked and judged; one that hangs, fails or babbles is a finding like any other."""

from __future__ import annotations

from pathlib import Path

import pytest

from enginehouse.report.doctor import Health
from enginehouse.verbs import programs
from enginehouse.verbs.programs import Program, at_least, first_version, look, numbers, one_of

TOOL = Program(
    name="tool", ask=("--version",), judge=at_least("2.6", with_text="with Lua"), needed="2.6 or newer", remedy="get it"
)


def machine(folder: Path, script: str) -> dict[str, str]:
    """An environment whose PATH has one program."""
    program = folder / "tool"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin"}


@pytest.mark.parametrize(
    ("says", "health", "version"),
    [
        ("tool version 2.10.1, built with Lua", Health.OK, "2.10.1"),
        ("tool version 2.10.1", Health.WRONG, "2.10.1"),
        ("tool version 2.4.30, built with Lua", Health.OLD, "2.4.30"),
        ("who are you?", Health.WRONG, ""),
    ],
)
def test_what_a_program_says_is_judged(tmp_path: Path, says: str, health: Health, version: str) -> None:
    finding = look(TOOL, machine(tmp_path, f"echo '{says}'"))
    assert (finding.health, finding.version, finding.where) == (health, version, str(tmp_path / "tool"))


def test_a_version_on_standard_error_counts(tmp_path: Path) -> None:
    assert look(TOOL, machine(tmp_path, "echo 3.0 with Lua >&2")).version == "3.0"


def test_a_program_that_is_not_there_is_missing(tmp_path: Path) -> None:
    finding = look(TOOL, {"PATH": str(tmp_path)})
    assert (finding.health, finding.needed, finding.remedy) == (Health.MISSING, "2.6 or newer", "get it")


def test_a_program_that_can_not_run_is_wrong(tmp_path: Path) -> None:
    environ = machine(tmp_path, "")
    (tmp_path / "tool").write_text("#!/no/such/interpreter\n")
    assert look(TOOL, environ).health is Health.WRONG


def test_a_program_that_hangs_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "ASK_S", 0.2)
    assert look(TOOL, machine(tmp_path, "exec sleep 20")).health is Health.WRONG


def test_a_program_without_a_version_is_not_run(tmp_path: Path) -> None:
    present = Program(name="tool", ask=(), needed="", remedy="")
    finding = look(present, machine(tmp_path, f"touch {tmp_path}/ran"))
    assert (finding.health, (tmp_path / "ran").exists()) == (Health.OK, False)


def test_a_link_is_shown_as_what_it_leads_to(tmp_path: Path) -> None:
    environ = machine(tmp_path, "echo 3.0 with Lua")
    (tmp_path / "tool").rename(tmp_path / "real")
    (tmp_path / "tool").symlink_to("real")
    assert look(TOOL, environ).where == str(tmp_path / "real")


def test_versions_are_compared_as_numbers() -> None:
    assert numbers("2.10") > numbers("2.9.9")
    assert first_version("flock from util-linux 2.38.1") == "2.38.1"
    assert first_version("none") is None


def test_an_exact_judge_takes_no_other_build() -> None:
    judge = one_of(("b1", "b2"))
    assert (judge("b2", ""), judge("b3", "")) == (Health.OK, Health.WRONG)
