"""The real Pulumi CLI, the real provider and the command line, on a machine that is reached over SSH."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from enginehouse.connectors.ssh.settings import CONFIG_VARIABLE
from enginehouse.planner.allocate import allocate
from enginehouse.spec import load_text
from enginehouse.spec.lock import Lock, lock_text
from tests.cli.harness import run
from tests.engine.project import POISON, REPOSITORY, STACK, Project
from tests.ssh.world import SshWorld, ssh_world
from tests.tools_available import require_tool

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]


@dataclass(kw_only=True)
class SshProject(Project):
    """A project whose machine is the world's."""

    world: SshWorld

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, CONFIG_VARIABLE: os.environ[CONFIG_VARIABLE]}

    def enginehouse(self, *words: str) -> str:
        """What a verb of the command line says; it must end well."""
        done = run(*words, cwd=self.root, environ={**os.environ, **self.environment})
        assert done.returncode == 0, done.stderr
        return done.stdout


PASSWORD = f"{POISON}-of-sudo"
SUDO = f"""\
#!/bin/sh
[ "$1 $2" = "-S -p" ] || exit 9
printf %s "$3" >&2
IFS= read -r password
[ "$password" = "{PASSWORD}" ] || exit 1
shift 3
exec "$@"
"""
"""Asks for a password, and changes nothing of who runs what. tests/hosts/test_sudo.py has the real one."""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[SshProject]:
    with ssh_world() as world:
        blank = Project.create(tmp_path / "project", Path(require_tool("pulumi")))
        project = SshProject(folder=blank.folder, pulumi=blank.pulumi, world=world)
        shutil.copy(
            REPOSITORY / "plugins" / "enginehouse" / "pulumi-resource-enginehouse",
            project.root / "plugins" / "enginehouse",
        )
        shutil.copy(world.model, project.root / "stacks")
        (world.tools / "sudo").write_text(SUDO)
        (world.tools / "sudo").chmod(0o755)
        project.run("config", "set", "--secret", "ops-sudo", PASSWORD)
        password = '"become": {"sudo": {"password": {"secret": "ops-sudo"}}}'
        project.stack_file.write_text(world.yaml().replace('"ssh": {', f'"ssh": {{{password}, ', 1))
        project.stack_file.with_suffix(".lock.yaml").write_text(lock_text(ports_of(world), STACK))
        yield project
        project.stop()


def ports_of(world: SshWorld) -> Lock:
    """Those of the world, which are free."""
    spec = load_text(world.yaml(), name=world.stack, display="stack.yaml").spec
    assert spec is not None
    return allocate(spec).lock()


def test_from_up_to_an_endpoint_and_down_again(project: SshProject) -> None:
    """What works on this machine works on another: up, look, drain, another way there, down.

    Everything goes through sudo, whose password every part has from the state, and every verb from the configuration.
    """
    world = project.world
    project.up()
    assert project.outputs()["url"] == f"http://127.0.0.1:{world.port}"
    assert [world.ask(key="wrong")[0], world.ask(key=POISON)[0]] == [401, 200]

    assert "9 unchanged" in project.preview()
    assert "chat-box-0" in project.enginehouse("status", STACK)
    assert "first deployed" in project.enginehouse("history", STACK)
    project.enginehouse("drain", STACK, "chat-box-0", "--force", "--reason", "a test")
    assert "drained" in project.preview()
    project.enginehouse("undrain", STACK, "chat-box-0")

    assert "chat-box-0" in project.enginehouse("logs", STACK)
    assert POISON not in project.run("stack", "export")

    running = world.processes()
    world.client.config.write_text(f"Host elsewhere\n  HostName 127.0.0.1\n{world.client.config.read_text()}")
    project.edit_stack('"address": "127.0.0.1"', '"address": "elsewhere"')
    steps, ours = project.planned(), project.resources()
    assert {step["op"] for name, step in steps.items() if name in ours} == {"update"}
    difference = {"connection.ssh.address": {"kind": "update", "inputDiff": True}}
    assert {name: step["detailedDiff"] for name, step in steps.items() if name == "box"} == {"box": difference}
    project.up()
    assert world.processes() == running

    project.run("destroy", "--yes", "--skip-preview")
    assert world.processes() == {}
