"""A stack on a machine that is reached over SSH: the same world as on this machine, through a real sshd."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from enginehouse.connectors import OPENERS, Connectors
from enginehouse.connectors.base import Connector, Result
from enginehouse.connectors.ssh.settings import CONFIG_VARIABLE
from enginehouse.planner.parts import ConnectionKind
from tests.converge.conftest import new_world
from tests.converge.harness import Recorder, World
from tests.ssh.server import Client, Server, sshd

CHANGES = "set -eu\n"
"""How every changing script starts, after its guard."""
PASSED = ("ENGINEHOUSE_STATE", "ENGINEHOUSE_CACHE", "PATH")
"""What the machine's logins find in their environment."""


@dataclass(kw_only=True)
class SshWorld(World):
    """The way to the machine is what the stack file says."""

    server: Server
    client: Client

    def reach(self) -> Connector:
        host = self.plan().hosts[0]
        return OPENERS[host.connection.kind](host.host, host.connection)

    def machine(self) -> Mapping[str, Any]:
        ssh = self.server.ssh()
        host = {"address": ssh.address, "port": ssh.port}
        return {"ssh": {"user": ssh.user, "key_file": str(self.client.key), "hosts": {"box": host}}}

    def cut_in_script(self, text: str) -> threading.Event:
        """Break the connection in the middle of the next changing script that holds `text`; the event tells.

        The script would go on after a minute; its keeper is there to see to it that it does not.
        """
        done = threading.Event()
        run = self.connector.run

        def cutting(script: str, **more: Any) -> Result:
            if text in script and CHANGES in script and not done.is_set():
                done.set()
                pids = " ".join(map(str, self.server.sessions()))
                script = script.replace(CHANGES, f"{CHANGES}kill -s KILL {pids}\nsleep 60\n", 1)
            return run(script, **more)

        self.connector.run = cutting  # type: ignore[method-assign, assignment]
        return done

    def another_run(self) -> None:
        """As after a new start of the command: nothing is open, nothing is held."""
        self.connectors.close()
        self.connector = Recorder(self.reach())
        self.connectors = Connectors(dict.fromkeys(ConnectionKind, lambda host, connection: self.connector))
        self.run_id = f"{self.run_id}-again"

    def cut(self) -> None:
        """Break every connection to the machine."""
        for pid in self.server.sessions():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def ssh_world() -> Iterator[SshWorld]:
    """A world behind an sshd of its own, which its client knows."""
    with contextlib.ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        found: list[tuple[Server, Client]] = []

        def make(folder: Path, port: int, tools: Path) -> SshWorld:
            if not found:
                local = World(folder=folder, port=port, tools=tools)
                local.connectors.close()
                environment = [f"{name}={local.environment()[name]}" for name in PASSED]
                server = stack.enter_context(sshd(folder / "sshd", environment=environment))
                client = Client.make(folder / "client")
                server.admit(Path(f"{client.key}.pub"))
                client.known_hosts.write_text(server.known_line + "\n")
                patch.setenv(CONFIG_VARIABLE, str(client.config))
                found.append((server, client))
            server, client = found[0]
            return SshWorld(folder=folder, port=port, tools=tools, server=server, client=client)

        with new_world(make) as made:
            yield made
