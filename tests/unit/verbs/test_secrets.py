"""Values come from the environment or from Pulumi's configuration, and are shown nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from enginehouse.planner.parts import Connection, ConnectionKind, Part
from enginehouse.render.symbols import Secret
from enginehouse.verbs.secrets import Passwords, no_value, secret_values

POISON = "pOis0n-8f3c1e77-Zq"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The stack's file in a Pulumi project, on a machine without Pulumi and without values."""
    monkeypatch.delenv("ENGINEHOUSE_SECRET_KEY_DEMO", raising=False)
    monkeypatch.setenv("ENGINEHOUSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    (tmp_path / "Pulumi.yaml").touch()
    (tmp_path / "stacks").mkdir()
    return tmp_path / "stacks" / "demo.yaml"


def pulumi(folder: Path, script: str) -> None:
    folder.mkdir(parents=True)
    (folder / "pulumi").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "pulumi").chmod(0o755)


def test_the_environment_comes_first(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pulumi is not even asked."""
    pulumi(file.parents[1] / "bin", f"touch {file}.asked")
    monkeypatch.setenv("ENGINEHOUSE_SECRET_KEY_DEMO", POISON)
    assert secret_values("demo", file, ["key-demo"]) == {"key-demo": Secret(POISON)}
    assert not Path(f"{file}.asked").exists()


@pytest.mark.parametrize("where", ["bin", "cache/bin"])
def test_pulumi_is_asked_for_the_stack_of_this_project(file: Path, where: str) -> None:
    """The clone's own program, or the one that Enginehouse brought."""
    root = file.parents[1]
    pulumi(root / where, f'echo "$*" >{root}/asked; echo {POISON}')
    assert secret_values("demo", file, ["key-demo"]) == {"key-demo": Secret(POISON)}
    asked = (root / "asked").read_text()
    assert asked == f"--cwd {root} --non-interactive config get key-demo --stack demo\n"


def test_spaces_of_a_password_are_its_own(file: Path) -> None:
    """Only the line end is Pulumi's."""
    pulumi(file.parents[1] / "bin", "printf ' two words \\n'")
    assert secret_values("demo", file, ["ops-sudo"]) == {"ops-sudo": Secret(" two words ")}


@pytest.mark.parametrize("script", ["echo no such key >&2; exit 255", "exit 0"])
def test_what_pulumi_does_not_know_has_no_value(file: Path, script: str) -> None:
    pulumi(file.parents[1] / "bin", script)
    assert secret_values("demo", file, ["key-demo"]) == {}


def test_without_pulumi_and_outside_of_a_project_there_is_no_value(file: Path, tmp_path: Path) -> None:
    assert secret_values("demo", file, ["key-demo"]) == {}
    (tmp_path / "Pulumi.yaml").unlink()
    assert secret_values("demo", file, ["key-demo"]) == {}


def test_a_password_for_sudo_is_looked_up_once_for_each_stack(file: Path) -> None:
    """By whichever machine needs it first. Another stack's password of that name is another one."""
    root = file.parents[1]
    pulumi(root / "bin", f'echo "$6 $8" >>{root}/asked; [ $8 = demo ] && echo {POISON}')
    passwords = Passwords([str(file), str(file.with_name("other.yaml"))])
    here = Connection(kind=ConnectionKind.LOCAL)
    parts = [Part(name="chat-0", stack=s, host="box", connection=here) for s in ("demo", "demo", "other", "other")]
    assert [passwords(part, "ops-sudo") for part in parts] == [Secret(POISON), Secret(POISON), None, None]
    assert (root / "asked").read_text() == "ops-sudo demo\nops-sudo other\n"


def test_a_missing_value_is_told_with_both_ways_to_give_it() -> None:
    """The first one as an example; all of them by name."""
    assert str(no_value("demo", ["key-demo"])) == (
        "the secret key-demo has no value here; set ENGINEHOUSE_SECRET_KEY_DEMO, "
        "or run `pulumi config set --stack demo --secret key-demo`"
    )
    assert str(no_value("demo", ["key-ci", "key-demo"])).startswith("no value here: key-ci, key-demo; set ENGINEHOUSE_")
