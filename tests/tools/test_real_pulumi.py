"""The CLI that `make setup` installed, with its language host, on a throw-away project and a file backend."""

import json
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.engine

PROJECT = """\
name: throwaway
runtime: {name: python, options: {toolchain: pip, virtualenv: %s}}
main: infra/
"""
EXPORTS = """\
import pulumi
config = pulumi.Config()
pulumi.export("answer", 42)
pulumi.export("stack", pulumi.get_stack())
pulumi.export("key", config.require_secret("key"))
"""
WAITS = """\
import os, pathlib, signal
pathlib.Path(os.environ["STARTED"]).write_text(str(os.getpid()))
signal.pause()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project with one stack; everything lies below one folder."""

    root: Path
    cli: Path

    @property
    def env(self) -> dict[str, str]:
        """Nothing of the user's own Pulumi settings."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")}
        return {
            **kept,
            "PULUMI_HOME": str(self.root / "home"),
            "PULUMI_BACKEND_URL": f"file://{self.root}/state",
            "PULUMI_CONFIG_PASSPHRASE": "test",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "STARTED": str(self.root / "started"),
        }

    def program(self, text: str) -> None:
        """Replace the program."""
        (self.root / "infra" / "__main__.py").write_text(text, encoding="utf-8")

    def pulumi(self, *words: str, stdin: str = "", code: int = 0) -> str:
        """Run the CLI; its output, after a check of the exit code."""
        done = subprocess.run(
            [str(self.cli), "--non-interactive", "--color=never", *words],
            cwd=self.root,
            env=self.env,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, done.stdout
        return done.stdout

    def up(self, *, code: int = 0) -> str:
        """`pulumi up` without questions."""
        return self.pulumi("up", "--yes", "--skip-preview", code=code)


@pytest.fixture
def project(tmp_path: Path, real_pulumi: Path) -> Project:
    """A project whose program exports something, and its stack `dev`."""
    project = Project(root=tmp_path, cli=real_pulumi)
    (tmp_path / "infra").mkdir()
    (tmp_path / "state").mkdir()
    (tmp_path / "Pulumi.yaml").write_text(PROJECT % sys.prefix, encoding="utf-8")
    project.program(EXPORTS)
    project.pulumi("stack", "init", "dev")
    project.pulumi("config", "set", "--secret", "key", stdin="hidden-value")
    return project


def test_preview_up_no_op_and_destroy(project: Project) -> None:
    """A program's whole life; secrets stay secret."""
    assert "+ 1 to create" in project.pulumi("preview")
    assert "+ 1 created" in project.up()
    assert "1 unchanged" in project.up()
    assert json.loads(project.pulumi("stack", "output", "--json")) == {
        "answer": 42,
        "stack": "dev",
        "key": "[secret]",
    }
    assert json.loads(project.pulumi("stack", "output", "--json", "--show-secrets"))["key"] == "hidden-value"
    assert "- 1 deleted" in project.pulumi("destroy", "--yes", "--skip-preview")
    assert "hidden-value" not in "".join(file.read_text() for file in (project.root / "state").rglob("*.json"))


def test_about_shows_the_programs_interpreter(project: Project) -> None:
    """The CLI asks the language host."""
    about = json.loads(project.pulumi("about", "--json"))
    assert about["runtime"]["executable"] == f"{sys.prefix}/bin/python"
    assert {"pulumi", "grpcio"} <= {entry["name"] for entry in about["dependencies"]}


def test_a_failing_program_shows_its_own_traceback_only(project: Project) -> None:
    """The executor explains and exits with 32; the host adds nothing of its own."""
    project.program("import pulumi\nraise ValueError('the reason')\n")
    shown = project.up(code=1)
    assert "ValueError: the reason" in shown
    assert "language_host.py" not in shown
    assert "exit code" not in shown


def test_a_program_that_exits_is_reported(project: Project) -> None:
    """Without any message of the program, the exit code is the message."""
    project.program("import sys\nsys.exit(3)\n")
    assert "Program ended with exit code 3" in project.up(code=1)


def test_interrupt_ends_everything_soon(project: Project) -> None:
    """Ctrl-C during a program that waits forever: the CLI, the host and the program are gone soon."""
    with _waiting(project) as (cli, program):
        os.killpg(cli.pid, signal.SIGINT)
        assert cli.wait(timeout=60) != 0
        assert _ended(program, within_s=60)
    project.program("")
    assert re.search(r"unchanged|created", project.up()), "no lock is left behind"


def test_a_killed_cli_leaves_no_process(project: Project) -> None:
    """kill -9 of the CLI: the host notices, and stops its program."""
    with _waiting(project) as (cli, program):
        cli.kill()
        assert _ended(program, within_s=60)


@contextmanager
def _waiting(project: Project) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    """An `up` whose program waits forever, and a descriptor of that program's process."""
    project.program(WAITS)
    started = project.root / "started"
    os.mkfifo(started)
    argv = [str(project.cli), "--non-interactive", "up", "--yes", "--skip-preview"]
    with subprocess.Popen(
        argv, cwd=project.root, env=project.env, stdout=subprocess.DEVNULL, start_new_session=True
    ) as cli:
        program = os.pidfd_open(int(started.read_text(encoding="utf-8")))
        try:
            yield cli, program
        finally:
            os.close(program)
            cli.kill()


def _ended(program: int, *, within_s: float) -> bool:
    """Whether the process behind the descriptor ends in time."""
    return bool(select.select([program], [], [], within_s)[0])
