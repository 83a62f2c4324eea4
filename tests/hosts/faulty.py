"""A stack on a machine of the lab while things break there, or on the way."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from enginehouse.connectors import base
from enginehouse.connectors.ssh import link
from enginehouse.converge.lease import Leases
from tests.converge.harness import KEY, STANDIN
from tests.faults.faulty import FaultyWorld
from tests.hosts.census import STATE
from tests.hosts.world import ENGINE, HostWorld

JOURNAL = "/var/log/standin.jsonl"
ASKER = Path(__file__).with_name("asker.py")
SILENT_S = 8
"""Instead of 45, so that a cut costs a test seconds; a busy machine keeps silent for some."""
LEASE_WAIT_S = 30
"""A run that follows at once may find the machine not free yet."""
WIPE = f"""
systemctl disable -q --now 'enginehouse-*' 2>/dev/null || :
rm -f /etc/systemd/system/enginehouse-*
systemctl daemon-reload
find {STATE} -mindepth 1 -maxdepth 1 ! -name lost+found ! -name others -exec rm -rf {{}} +
"""
MARKS = "grep -sza '^ENGINEHOUSE_PROGRAM=' /proc/[0-9]*/environ | tr '\\0' '\\n'"


def be_impatient(put: Callable[[object, str, object], None]) -> None:
    """What takes a minute in earnest takes seconds here: to believe that a link is dead, on both sides."""
    put(link, "DEAD_AFTER_S", SILENT_S)
    put(link, "KEEP_ALIVE_S", 1)
    put(link, "CONNECT_S", 10.0)
    put(base, "ALIVE_EVERY_S", 0.5)


@dataclass(kw_only=True)
class FaultyHostWorld(HostWorld, FaultyWorld):
    """`state` is a copy of what is on the machine, as of the last `up` or `pull`."""

    damage: ExitStack = field(default_factory=ExitStack)
    """Mends what was broken."""
    days: int = 0
    """How often somebody set the clock."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.leases = Leases(self.clock, lease_wait_s=LEASE_WAIT_S, silent_s=SILENT_S)

    def another_run(self) -> None:
        self.connectors.close()
        self.connect()
        self.run_id = f"{self.run_id}-again"

    def up(self) -> dict[str, dict[str, Any]]:
        outputs = super().up()
        self.pull()
        return outputs

    def pull(self) -> None:
        shutil.rmtree(self.state, ignore_errors=True)
        self.state.mkdir()
        words = ("tar", "-C", STATE, "--exclude=./lost+found", "-cf", "-", ".")
        packed = self.bare.lab.docker("exec", self.bare.name, *words).stdout
        subprocess.run(("tar", "-C", self.state, "-xf", "-"), input=packed, check=True)
        self.journal_file.write_text(self.bare.run(f"cat {JOURNAL} 2>/dev/null || :"))

    def here(self, path: str) -> Path:
        return self.state / Path(path).relative_to(STATE)

    def wipe(self) -> None:
        """Nothing of ours is on the machine."""
        self.bare.run(WIPE)

    def install_standin(self) -> None:
        """One that keeps a journal."""
        self.bare.put("/opt/standin.py", STANDIN.read_bytes())
        script = f'#!/bin/sh\nexport STANDIN_JOURNAL={JOURNAL}\nexec python3 -S -E /opt/standin.py "$@"\n'
        self.bare.put(ENGINE, script.encode())
        self.bare.put("/opt/asker.py", ASKER.read_bytes())

    def note(self, event: str, mark: str) -> None:
        line = json.dumps({"t": time.monotonic(), "event": event, "mark": f"{self.stack}/{mark}"})
        self.bare.run(f"cat >>{JOURNAL}", stdin=f"{line}\n".encode())

    def order(self) -> dict[str, Any]:
        lab = self.bare.lab
        return {
            **super().order(),
            "machine": {
                "lab": lab.number,
                "folder": str(lab.folder),
                "client": str(lab.client.folder),
                "name": self.bare.name,
                "address": self.bare.address,
            },
            "login": dict(self.login),
        }

    def rival(self) -> FaultyHostWorld:
        other = FaultyHostWorld(
            folder=self.folder,
            port=self.port,
            tools=self.tools,
            settings=self.settings,
            memory_mib=self.memory_mib,
            bare=self.bare,
            login=self.login,
            run_id="run-rival",
        )
        other.leases = Leases(self.clock, lease_wait_s=0)
        return other

    @contextlib.contextmanager
    def asking(self) -> Iterator[list[str]]:
        """A client on the machine asks now and then; gives the answers that are none when it is over."""
        failed: list[str] = []
        with self.bare.talk("python3", "/opt/asker.py", str(self.port)) as client:
            client.say(KEY)
            yield failed
            failed += client.rest()

    def _processes(self) -> Iterator[tuple[int, str]]:
        for line in self.bare.run(MARKS).splitlines():
            path, _, mark = line.partition(":ENGINEHOUSE_PROGRAM=")
            yield int(path.split("/")[2]), mark.removeprefix(f"{self.stack}/")
