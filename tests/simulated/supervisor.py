"""A simulated supervisord: as much of XML-RPC, of program states and of their order as converge relies on."""

from __future__ import annotations

import xmlrpc.client
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from enginehouse.converge.supervisor import State
from tests.simulated.lines import Answer, http
from tests.simulated.processes import Process, Program

if TYPE_CHECKING:
    from tests.simulated.machine import Machine

BAD_NAME, CANT_REREAD, ALREADY_ADDED, NOT_RUNNING, STILL_RUNNING = 10, 92, 90, 70, 91
TRIES = 3
"""After so many starts that ended at once a program is left alone."""


@dataclass
class Group:
    program: Program
    state: State = State.STOPPED
    pid: int = 0
    tries: int = 0


@dataclass
class Supervisor(Process):
    machine: Machine = field(repr=False, kw_only=True)
    folder: str = ""
    known: dict[str, Program] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)

    @property
    def socket(self) -> str:
        return f"{self.folder}/run/supervisor.sock"

    def begin(self) -> bool:
        """Read all program files and start what they name; False if it refuses its configuration and ends."""
        found = self._read()
        if found is None:
            return False
        self.known = found
        self.machine.files.sockets.add(self.socket)
        for name in found:
            self._add(name, again=True)
        return True

    def dial(self, address: str) -> Answer | None:
        here = address == f"unix:{self.socket}" and self.socket in self.machine.files.sockets
        return http(lambda method, path, headers, body: (200, self._serve(body))) if here else None

    def ended(self, pid: int, how: str) -> None:
        """A child has ended; a program that shall run is started again with the next beat."""
        for group in self.groups.values():
            if group.pid == pid:
                group.pid = 0
                if group.state is State.STOPPING:
                    group.state = State.STOPPED
                else:
                    self.log.append(f"INFO exited: {group.program.name} ({how}; not expected)")
                    group.state = State.BACKOFF

    def passed(self) -> None:
        """Programs that were told to stop have ended by now."""
        for group in self.groups.values():
            if group.state is State.STOPPING:
                self.machine.end(group.pid, "terminated by SIGTERM")
                group.state = State.STOPPED

    def beat(self) -> None:
        for group in list(self.groups.values()):
            if group.state is State.BACKOFF:
                group.tries += 1
                group.state = State.FATAL
                if group.tries < TRIES:
                    self._start(group, again=True)
            elif group.state is State.RUNNING:
                group.tries = 0

    def _read(self) -> dict[str, Program] | None:
        """None if supervisord refuses one of them: a log's folder has to exist (4.3.0, datatypes.py)."""
        found = {}
        for path, entry in self.machine.files.below(f"{self.folder}/programs"):
            if not path.endswith(".conf"):
                continue
            program = Program.parse(entry.content)
            if program is None or not self.machine.files.has_folder(program.log.rpartition("/")[0]):
                return None
            found[program.name] = program
        return found

    def _add(self, name: str, *, again: bool) -> None:
        self.groups[name] = Group(program=self.known[name])
        self._start(self.groups[name], again=again)

    def _start(self, group: Group, *, again: bool) -> None:
        """`again`: by itself, because it ran before."""
        process = self.machine.spawn(group.program, self.pid, again=again)
        group.state, group.pid = (State.BACKOFF, 0) if process is None else (State.RUNNING, process.pid)
        if process:
            self.log.append(f"INFO spawned: '{group.program.name}' with pid {process.pid}")

    def _serve(self, body: bytes) -> bytes:
        arguments, method = xmlrpc.client.loads(body)
        try:
            answer = _METHODS[str(method).removeprefix("supervisor.")](self, *arguments)
            return xmlrpc.client.dumps((answer,), methodresponse=True).encode()
        except xmlrpc.client.Fault as fault:
            return xmlrpc.client.dumps(fault, methodresponse=True).encode()

    def _reload(self) -> Any:
        found = self._read()
        if found is None:
            raise xmlrpc.client.Fault(CANT_REREAD, "CANT_REREAD")
        self.known = found
        return [[[], [], []]]

    def _add_group(self, name: str) -> bool:
        if name not in self.known:
            raise xmlrpc.client.Fault(BAD_NAME, f"BAD_NAME: {name}")
        if name in self.groups:
            raise xmlrpc.client.Fault(ALREADY_ADDED, f"ALREADY_ADDED: {name}")
        self._add(name, again=False)
        self.machine.effect(f"the supervisor takes {name} in")
        return True

    def _stop_group(self, name: str, wait: bool) -> Any:
        group = self._group(name)
        if group.state in (State.RUNNING, State.STARTING):
            self.machine.stops(name)
            group.state = State.STOPPING
            self.machine.effect(f"the supervisor is told to stop {name}")
        elif group.state is State.BACKOFF:
            group.state = State.STOPPED
        return []

    def _remove_group(self, name: str) -> bool:
        group = self._group(name)
        if group.state is State.STOPPING:
            raise xmlrpc.client.Fault(STILL_RUNNING, f"STILL_RUNNING: {name}")
        del self.groups[name]
        self.machine.effect(f"the supervisor forgets {name}")
        return True

    def _signal(self, name: str, signal: str) -> bool:
        group = self._group(name)
        if not group.pid:
            raise xmlrpc.client.Fault(NOT_RUNNING, f"NOT_RUNNING: {name}")
        self.machine.signal(group.pid, signal)
        return True

    def _info(self, name: str) -> dict[str, int]:
        group = self._group(name)
        return {"state": int(group.state), "pid": group.pid}

    def _all_info(self) -> list[dict[str, int]]:
        """`start`: when it was started last; what it found it starts before anybody can ask."""
        return [{"start": 1} for _ in self.groups]

    def _read_log(self, offset: int, length: int) -> str:
        return "\n".join(self.log[-100:])

    def _group(self, name: str) -> Group:
        if name not in self.groups:
            raise xmlrpc.client.Fault(BAD_NAME, f"BAD_NAME: {name}")
        return self.groups[name]


_METHODS: Mapping[str, Callable[..., Any]] = {
    "reloadConfig": Supervisor._reload,
    "addProcessGroup": Supervisor._add_group,
    "stopProcessGroup": Supervisor._stop_group,
    "removeProcessGroup": Supervisor._remove_group,
    "signalProcess": Supervisor._signal,
    "getProcessInfo": Supervisor._info,
    "getAllProcessInfo": Supervisor._all_info,
    "readLog": Supervisor._read_log,
}
