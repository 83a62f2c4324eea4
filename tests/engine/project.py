"""A copy of the project in a folder, and the Pulumi CLI on it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

REPOSITORY = Path(__file__).resolve().parents[2]
STACK = "box"
POISON = "poison-8f2c"
"""The secret's value: it must be in no state and no output."""
DEADLINE_S = 240.0
T = TypeVar("T")

STACK_FILE = """\
enginehouse: 1
machines:
  box:
    local: {}
deployments:
  chat:
    engine: llama-cpp
    version: "b11434"
    runs_on: box
    model:
      source: host:///models/tiny.gguf
      sha256: b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
      served_name: tiny
    replicas_per_host: 2
    context_tokens: 2048
    slots: 2
endpoint:
  runs_on: box
  port: 18080
  keys:
    - name: demo
      secrets: [key-demo]
"""

SCRIPTED_LAUNCHER = f"""\
#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
export PYTHONPATH={REPOSITORY}:{REPOSITORY}/infra
exec {sys.executable} -u {REPOSITORY}/tests/standins/scripted_provider.py "$here/../../../machine" "$@"
"""

PASSED = ("HOME", "LANG", "ENGINEHOUSE_CACHE", "ENGINEHOUSE_FORGET")
"""What the CLI gets of our own environment, beside the PATH."""


@dataclass(kw_only=True)
class Project:
    """`folder` holds a clone with its own backend, the folder of the scripted converge, and the CLI's home.

    It can be copied.
    """

    folder: Path
    pulumi: Path
    deadline_s: float = DEADLINE_S
    """For one call of the CLI."""
    _running: list[subprocess.Popen[str]] = field(default_factory=list)

    @classmethod
    def create(cls, folder: Path, pulumi: Path) -> Project:
        """A stack with its secret, nothing deployed."""
        project = cls(folder=folder, pulumi=pulumi)
        plugin = project.root / "plugins" / "enginehouse"
        for new in (project.root / "stacks", project.root / "bin", plugin, project.machine, folder / "home"):
            new.mkdir(parents=True)
        shutil.copy2(REPOSITORY / "bin" / "pulumi", project.shim)
        shutil.copy(REPOSITORY / "Pulumi.yaml", project.root)
        shutil.copytree(REPOSITORY / "infra", project.root / "infra", ignore=shutil.ignore_patterns("__pycache__"))
        for shared in ("templates", "schemas"):
            (project.root / shared).symlink_to(REPOSITORY / shared)
        (project.root / ".venv").symlink_to(sys.prefix)
        launcher = plugin / "pulumi-resource-enginehouse"
        launcher.write_text(SCRIPTED_LAUNCHER)
        launcher.chmod(0o755)
        project.stack_file.write_text(STACK_FILE)
        project.run("stack", "init", STACK)
        project.run("config", "set", "--secret", "key-demo", POISON)
        return project

    def copy(self, folder: Path) -> Project:
        shutil.copytree(self.folder, folder, symlinks=True)
        return Project(folder=folder, pulumi=self.pulumi)

    @property
    def root(self) -> Path:
        return self.folder / "clone"

    @property
    def shim(self) -> Path:
        return self.root / "bin" / "pulumi"

    @property
    def state(self) -> Path:
        """The clone's own backend."""
        return self.root / ".pulumi" / "state"

    @property
    def machine(self) -> Path:
        return self.folder / "machine"

    @property
    def stack_file(self) -> Path:
        return self.root / "stacks" / f"{STACK}.yaml"

    @property
    def environment(self) -> dict[str, str]:
        return {
            **{name: os.environ[name] for name in PASSED if name in os.environ},
            "PATH": f"{self.pulumi.parent}:{os.environ['PATH']}",
            "PULUMI_HOME": str(self.folder / "home"),
            "PULUMI_BACKEND_URL": f"file://{self.root.resolve()}/.pulumi/state",
            "PULUMI_STACK": STACK,
            "PULUMI_CONFIG_PASSPHRASE": "test",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_PARALLEL": "16",
        }

    def edit_stack(self, old: str, new: str) -> None:
        text = self.stack_file.read_text()
        assert old in text
        self.stack_file.write_text(text.replace(old, new))

    def script(self, **parts: Mapping[str, Any]) -> None:
        """What the scripted converge does with parts; `-` of part names is written `_`."""
        text = json.dumps({name.replace("_", "-"): script for name, script in parts.items()})
        (self.machine / "script.json").write_text(text)

    def run(self, *words: str, expect: int = 0) -> str:
        """The CLI's output, both streams together; its exit code must be `expect`."""
        process = self.start(*words)
        output, _ = process.communicate(timeout=self.deadline_s)
        self._running.remove(process)
        assert process.returncode == expect, f"pulumi {' '.join(words)}: exit code {process.returncode}\n{output}"
        return output

    def start(self, *words: str) -> subprocess.Popen[str]:
        """The CLI in a session of its own, so that a test can signal all of it."""
        process = subprocess.Popen(
            [str(self.shim), *words, "--non-interactive"],
            cwd=self.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._running.append(process)
        return process

    def up(self, *words: str, expect: int = 0) -> str:
        return self.run("up", "--yes", "--skip-preview", *words, expect=expect)

    def preview(self, *words: str, expect: int = 0) -> str:
        return self.run("preview", *words, expect=expect)

    def planned(self) -> dict[str, dict[str, Any]]:
        """What a preview would do to each resource, by name; the looks at the machine before it are left out."""
        steps = json.loads(self.preview("--json"))["steps"]
        return {step["urn"].split("::")[-1]: step for step in steps if step["op"] != "refresh"}

    def resources(self) -> dict[str, dict[str, Any]]:
        """Our resources in the state, by name."""
        exported = json.loads(self.run("stack", "export"))
        entries = exported["deployment"].get("resources", [])
        return {r["urn"].split("::")[-1]: r for r in entries if r.get("custom") and "enginehouse:index" in r["urn"]}

    def outputs(self) -> dict[str, Any]:
        return dict(json.loads(self.run("stack", "output", "--json")))

    def pending(self) -> list[str]:
        """The resources whose last change has neither come to an end nor been given up, as the state sees it."""
        exported = json.loads(self.run("stack", "export"))["deployment"]
        return sorted(o["resource"]["urn"].split("::")[-1] for o in exported.get("pending_operations", []))

    def calls(self) -> list[dict[str, Any]]:
        """What converge was asked, in order."""
        file = self.machine / "calls.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def forget_calls(self) -> None:
        (self.machine / "calls.jsonl").unlink(missing_ok=True)

    def parts(self) -> dict[str, Any]:
        """What is on the machine, by part name."""
        file = self.machine / "machine.json"
        return dict(json.loads(file.read_text())["parts"]) if file.exists() else {}

    def stop(self) -> None:
        """End what a failed test left running."""
        for process in self._running:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def wait_for(what: str, look: Callable[[], T | None]) -> T:
    """The first true value that `look` gives; fails after the deadline."""
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what} did not happen within {DEADLINE_S:g} s")
