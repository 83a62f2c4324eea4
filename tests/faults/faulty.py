"""A world in which things break at a chosen moment: its line to the machine, its processes, its disk, its clock."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from enginehouse.connectors import Connectors
from enginehouse.connectors.base import Connector, Held, Result
from enginehouse.converge import SystemClock
from enginehouse.converge.lease import Leases
from enginehouse.errors import Unreachable
from enginehouse.planner.parts import ConnectionKind, Plan
from tests.converge.disks import Disk
from tests.converge.harness import Recorder, World, parent

GUARDED = "/busy && flock"
"""What every script that changes something begins with."""
PROGRAMS = {
    "chat-box-0-a": "chat-box-0/a",
    "chat-box-0-b": "chat-box-0/b",
    "gateway-box": "gateway-box/gateway",
    "watchdog": "box/watchdog",
}
"""What the supervisor may look after, and the marks of its processes."""
QUEUE_S = 80
"""Requests wait for as long as a client does: on a busy machine two runs may take more than the usual half minute."""
KEPT = 2
"""Releases of a part that stay on a machine."""
ROOT = Path(__file__).parents[2]


class Line(Recorder):
    """A connector that can be cut, lose an answer, or lose the script on the machine in the middle of its work."""

    def __init__(self, inner: Connector) -> None:
        super().__init__(inner)
        self.changes = 0
        """Scripts that change something, so far."""
        self.is_cut = False
        self.next_is: Callable[[str], str] | None = None
        """What becomes of the next script that changes something."""
        self.next_is_unheard = False
        self.heard: Callable[[str], None] = lambda line: None
        """Hears each line of a script as it comes, before whoever runs it."""
        self._held: list[Any] = []

    def cut(self) -> None:
        """Nothing gets through any more, and what was held there notices."""
        self.is_cut = True
        for held in self._held:
            held._process.terminate()

    def mend(self) -> None:
        self.is_cut = False
        self.next_is = None
        self.next_is_unheard = False

    def run(
        self,
        script: str,
        *,
        stdin: Iterable[bytes] = (),
        deadline_s: float,
        on_line: Callable[[str], None] | None = None,
    ) -> Result:
        self._check()
        changes = GUARDED in script
        if changes:
            self.changes += 1
            if self.next_is:
                script, self.next_is = self.next_is(script), None

        def hear(line: str) -> None:
            self.heard(line)
            if on_line:
                on_line(line)

        result = super().run(script, stdin=stdin, deadline_s=deadline_s, on_line=hear)
        if changes and self.next_is_unheard:
            self.next_is_unheard = False
            raise Unreachable(f"{self.host}: the link broke before the answer came")
        return result

    def dial(self, address: str, *, deadline_s: float) -> Any:
        self._check()
        return super().dial(address, deadline_s=deadline_s)

    def hold(self, script: str, *, deadline_s: float) -> Held:
        self._check()
        held = super().hold(script, deadline_s=deadline_s)
        self._held = [*(other for other in self._held if other.alive()), held]
        return held

    def _check(self) -> None:
        if self.is_cut:
            raise Unreachable(f"{self.host}: no connection")


def killed_in_the_middle(script: str) -> str:
    """`script`, killed where it would first give a file its name; one that never does, at its end."""
    return f"mv() {{ kill -9 $$; }}\ntrap 'kill -9 $$' EXIT\n{script}"


class JumpingClock(SystemClock):
    """The controller's clock, which somebody sets."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return super().now() + self.ahead


@dataclass
class FaultyWorld(World):
    """A world whose line can be cut, with engines that need some time, and a journal of what they got.

    `memory_mib` is the estimate that decides whether the next release fits beside the one that runs.
    """

    memory_mib: int = 1
    clock: JumpingClock = field(default_factory=JumpingClock)
    disk: Disk | None = None
    edits: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.settings["timeouts"] = {"queue_s": QUEUE_S}
        self.connect()

    def connect(self) -> None:
        """A line of its own; nothing is open, nothing is held."""
        self.line = Line(self.reach())
        self.connector = self.line
        self.connectors = Connectors(dict.fromkeys(ConnectionKind, lambda host, connection: self.line))

    def plan(self) -> Plan:
        plan = super().plan()
        return replace(plan, replicas=tuple(replace(part, memory_mib=self.memory_mib) for part in plan.replicas))

    def edit_weights(self) -> None:
        """Other weights with the same behaviour: loading takes a while, and so does every answer."""
        self.edits += 1
        self.write_model({"load_s": 0.2, "token_s": 0.005, "edit": self.edits})

    def edit_release(self) -> None:
        self.edits += 1
        self.settings["context"] = 1024 + 256 * (self.edits % 64)

    def edit_gateway(self) -> None:
        self.edits += 1
        self.settings["limits"] = {"requests_per_minute": 100_000 + self.edits}

    def keep_all(self) -> None:
        """Bring as many releases and configurations as are kept, so that the next edit has one to remove."""
        while any(len(list(self.place(part, "releases").iterdir())) < KEPT for part in ("chat-box-0", "gateway-box")):
            self.edit_release()
            self.edit_gateway()
            self.up()

    @property
    def journal_file(self) -> Path:
        return self.folder / "engines.jsonl"

    def note(self, event: str, mark: str) -> None:
        """Write into the engines' journal what is done to one of them."""
        with self.journal_file.open("a") as journal:
            journal.write(json.dumps({"t": time.monotonic(), "event": event, "mark": f"{self.stack}/{mark}"}) + "\n")

    def programs(self) -> frozenset[str]:
        """Marks of what runs, also of what the supervisor has only just forked."""
        found = set(self.processes().values())
        if "box/supervisor" in found:
            for name, mark in PROGRAMS.items():
                info = self.supervisor().info(name)
                if info and not info.state.has_ended():
                    found.add(mark)
        return frozenset(found)

    def strike(self, mark: str, *, child: bool = False) -> None:
        """kill -9 of the processes with that mark, if any runs; with `child` only of those that such a one started."""
        if mark not in self.programs():
            return
        self.wait_until(lambda: self._those(mark, child) != [])
        for pid in self._those(mark, child):
            self.note("killed", mark)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _those(self, mark: str, child: bool) -> list[int]:
        pids = [pid for pid, found in self.processes().items() if found == mark]
        return [pid for pid in pids if not child or parent(pid) in pids]

    def order(self) -> dict[str, Any]:
        """What another process has to know to run what this world wants."""
        return {
            "folder": str(self.folder),
            "port": self.port,
            "settings": self.settings,
            "memory_mib": self.memory_mib,
            "secrets": {name: secret.reveal() for name, secret in self.secrets.items()},
        }

    def rival(self) -> FaultyWorld:
        """Another run of the same stack, which waits for nobody."""
        other = FaultyWorld(
            folder=self.folder, port=self.port, tools=self.tools, settings=self.settings, memory_mib=self.memory_mib
        )
        other.secrets = self.secrets
        other.leases = Leases(self.clock, lease_wait_s=0)
        other.run_id = "run-rival"
        return other


@contextmanager
def mortal_runs(module: str = "tests.faults.mortal") -> Iterator[MortalRuns]:
    """Runs in processes of their own, which may be killed; forked from one that has everything imported."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'infra'}"}
    words = [sys.executable, "-m", module]
    with subprocess.Popen(
        words, env=environment, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as server:
        yield MortalRuns(server)
        assert server.stdin
        server.stdin.close()


class MortalRuns:
    def __init__(self, server: subprocess.Popen[str]) -> None:
        self._server = server

    def run(self, world: FaultyWorld, boundary: str, *, in_a_script: bool = False) -> str:
        """A run of what `world` wants that is killed at that boundary, or in the first script after it that changes
        something, which goes on; how it ended."""
        order = {**world.order(), "boundary": boundary, "in_a_script": in_a_script}
        assert self._server.stdin and self._server.stdout
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        return self._server.stdout.readline().strip()
