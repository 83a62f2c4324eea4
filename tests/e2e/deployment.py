"""A copy of the project in a folder of its own, with a stack that can be edited, deployed and looked at."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from enginehouse.connectors.local import LocalConnector
from enginehouse.converge.supervisor import Supervisor
from enginehouse.planner.parts import Plan
from enginehouse.planner.plan import plan
from enginehouse.spec import load
from tests.converge.harness import FORKING, parent

ROOT = Path(__file__).resolve().parents[2]
STACK = "e2e"
MODEL = "smollm2-135m"
POISON = "pOis0n-8f3c1e77-Zq"
PATIENCE_S = 200.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    project: Path
    state: Path
    env: dict[str, str]
    pulumi_program: str
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def stack_file(self) -> Path:
        return self.project / "stacks" / f"{STACK}.yaml"

    def pulumi(self, *words: str, stdin: str = "", expect: int | None = 0) -> str:
        """Run the CLI on the stack; both streams. `expect` None: any code but 0."""
        argv = [self.pulumi_program, "-C", str(self.project), "--non-interactive", *words, "-s", STACK]
        done = subprocess.run(argv, input=stdin, env=self.env, capture_output=True, text=True, timeout=600)
        output = done.stdout + done.stderr
        assert (done.returncode == expect) if expect is not None else (done.returncode != 0), output
        return output

    def adopting(self) -> Deployment:
        """The same for a person who takes the stack over."""
        return replace(self, env={**self.env, "ENGINEHOUSE_ADOPT": STACK})

    def start(self, *words: str) -> subprocess.Popen[str]:
        """The CLI at work, in a session of its own so that a test can signal it; both streams."""
        argv = [self.pulumi_program, "-C", str(self.project), "--non-interactive", *words, "-s", STACK]
        return subprocess.Popen(
            argv, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )

    def provider(self) -> int:
        """The process that serves our resources to a CLI at work on this project."""
        return next(
            pid
            for pid, line in _command_lines()
            if "enginehouse.provider" in line and Path(f"/proc/{pid}/cwd").resolve().is_relative_to(self.project)
        )

    def enginehouse(self, *words: object) -> str:
        argv = [sys.executable, "-m", "enginehouse", *map(str, words)]
        env = {**self.env, "PYTHONPATH": str(self.project / "infra")}
        done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def outputs(self) -> Any:
        return json.loads(self.pulumi("stack", "output", "--json"))

    def edit(self, old: str, new: str) -> None:
        text = self.stack_file.read_text()
        assert old in text
        self.stack_file.write_text(text.replace(old, new))

    def plan(self) -> Plan:
        loaded = load(self.stack_file)
        assert loaded.spec is not None
        return plan(loaded.spec, loaded.lock)

    def processes(self) -> dict[int, str]:
        """Process id to program mark, of everything that runs for this deployment."""
        found = {}
        for pid, environ in _environs():
            if f"ENGINEHOUSE_STATE={self.state}" in environ:
                mark = next((e for e in environ if e.startswith("ENGINEHOUSE_PROGRAM=")), None)
                if mark is not None:
                    found[pid] = mark.partition("=")[2]
        forks = {pid for pid, mark in found.items() if mark.endswith(FORKING) and found.get(parent(pid)) == mark}
        return {pid: mark for pid, mark in found.items() if pid not in forks}

    def environments(self) -> list[str]:
        return [" ".join(environ) for pid, environ in _environs() if pid in self.processes()]

    def command_lines(self) -> list[str]:
        """Of every process on the machine."""
        return [line for _, line in _command_lines()]

    def pid_of(self, program: str) -> int:
        ours = self.processes()
        return next(pid for pid, line in _command_lines() if pid in ours and program in line.split(" ")[0])

    def stop_gateway(self) -> None:
        """As somebody on the machine would: through the supervisor, so that it stays down."""
        socket = self.state / STACK / "laptop" / "run" / "supervisor.sock"
        Supervisor(LocalConnector("laptop"), str(socket), time.sleep).stop(self.plan().gateways[0].name)

    def placed(self, pattern: str) -> Path:
        """A file that was put on the machine."""
        return next(path for path in self.state.rglob(pattern) if not path.is_symlink())

    def manifest(self, part: str) -> Path:
        return self.state / STACK / part / "manifest.json"

    def engine_arguments(self) -> list[str]:
        pid = self.pid_of("llama-server")
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")

    def listening_addresses(self) -> set[str]:
        """IPv4 addresses our processes listen on; IPv6 ones in hex."""
        inodes = {
            target.removeprefix("socket:[").rstrip("]")
            for pid in self.processes()
            for target in map(_target, Path(f"/proc/{pid}/fd").iterdir())
            if target.startswith("socket:[")
        }
        found = set()
        for table in ("tcp", "tcp6"):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and fields[9] in inodes:
                    address = fields[1].split(":")[0]
                    found.add(".".join(str(b) for b in reversed(bytes.fromhex(address))) if table == "tcp" else address)
        return found

    def access_log(self) -> str:
        return "".join(p.read_text() for p in self.state.rglob("gateway-*/log/*.log"))

    def key_sha256(self) -> str:
        return hashlib.sha256(POISON.encode()).hexdigest()

    def wait_until(self, holds: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE_S
        while not holds():
            assert time.monotonic() < end, "not within the time it may take"


def create(folder: Path, pulumi_program: str, port: int) -> Deployment:
    """A deployable copy; nothing runs yet."""
    project = folder / "project"
    project.mkdir()
    for name in ("infra", "plugins", "templates", "schemas"):
        shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__"), symlinks=True)
    shutil.copy(ROOT / "Pulumi.yaml", project)
    (project / ".venv").symlink_to(Path(sys.prefix))
    (project / "models").symlink_to(ROOT / "models")
    (project / "stacks").mkdir()
    text = (ROOT / "stacks" / "laptop.yaml").read_text().replace("port: 8080", f"port: {port}")
    (project / "stacks" / f"{STACK}.yaml").write_text(text)
    state = folder / "state"
    backend = folder / "backend"
    backend.mkdir()
    env = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("PULUMI_", "ENGINEHOUSE_"))},
        **{k: v for k, v in os.environ.items() if k == "ENGINEHOUSE_CACHE"},
        "ENGINEHOUSE_STATE": str(state),
        "PULUMI_HOME": str(folder / "home"),
        "PULUMI_BACKEND_URL": f"file://{backend}",
        "PULUMI_CONFIG_PASSPHRASE": "only a test",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
    }
    return Deployment(project=project, state=state, env=env, pulumi_program=pulumi_program, port=port)


def _environs() -> list[tuple[int, list[str]]]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                found.append((int(folder.name), (folder / "environ").read_bytes().decode(errors="replace").split("\0")))
            except OSError:
                continue
    return found


def _command_lines() -> list[tuple[int, str]]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                line = (folder / "cmdline").read_bytes().decode(errors="replace")
                found.append((int(folder.name), line.replace("\0", " ")))
            except OSError:
                continue
    return found


def _target(fd: Path) -> str:
    try:
        return str(fd.readlink())
    except OSError:
        return ""
