"""The process supervisor's own interface: XML-RPC over its unix socket. `supervisorctl` would cost 0.3 s a call.

Methods and fault codes: supervisor 4.3.0, supervisor/rpcinterface.py and supervisor/xmlrpc.py (read 2026-11).
"""

from __future__ import annotations

import re
import signal
import xmlrpc.client
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from enginehouse.connectors.base import Connector
from enginehouse.converge.ask import ask
from enginehouse.errors import DeadlineExceeded, EnginehouseError, Unreachable

ANSWER_S = 10.0
"""For calls that supervisord answers from memory; it has one thread, and a machine may swap."""
STOP_S = 60.0
"""Longer than the `stopwaitsecs` of any program we write."""
START_S = 10.0
"""It forks once for each program; this is for a machine that is swapping."""
POLL_S = 0.05
LOG_BYTES = 16_384
"""Of the supervisor's own log, enough for the starts and ends of some minutes."""
_BAD_NAME = 10
_STILL_RUNNING = 91


class State(IntEnum):
    """A program's state in supervisor's numbers."""

    STOPPED = 0
    STARTING = 10
    RUNNING = 20
    BACKOFF = 30
    STOPPING = 40
    EXITED = 100
    FATAL = 200
    UNKNOWN = 1000

    def has_ended(self) -> bool:
        """The process is not there, whatever the supervisor plans next."""
        return self not in (State.STARTING, State.RUNNING, State.STOPPING)


class SupervisorFault(EnginehouseError):
    """supervisord refused a call; the text is its own."""

    def __init__(self, code: int, text: str) -> None:
        self.code = code
        super().__init__(f"the process supervisor refused: {text}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramInfo:
    state: State
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a process ended by itself: one of the two is set."""

    status: int | None = None
    signal: str | None = None

    def __str__(self) -> str:
        if self.signal is None:
            return f"it exited with status {self.status}"
        return f"it was ended by signal {signal.Signals[self.signal].value} ({self.signal})"


class Supervisor:
    """The supervisor of one stack on one machine. Raises `Unreachable`, `DeadlineExceeded` and `SupervisorFault`."""

    def __init__(self, connector: Connector, socket: str, pause: Callable[[float], None]) -> None:
        """`pause` lets some seconds pass; it may raise to end a wait."""
        self._connector = connector
        self._socket = socket
        self._pause = pause

    def start(self, program: str) -> None:
        """Take `program` in as its file stands now and start it, stopped first if it runs. Returns while it starts."""
        self.stop(program)
        self._call("supervisor.reloadConfig")
        self._call("supervisor.addProcessGroup", program)

    def await_started(self) -> None:
        """Return when every program it found was started once: it begins with that just after its socket answers."""
        for _ in range(int(START_S / POLL_S)):
            if all(found["start"] for found in self._call("supervisor.getAllProcessInfo")):
                return
            self._pause(POLL_S)
        raise DeadlineExceeded(f"the process supervisor did not start its programs within {START_S:g} s")

    def stop(self, program: str) -> None:
        """Stop `program`, wait for its end, and forget it. One that is not there is fine.

        Asking often is quick and safe: it wakes supervisord, which else looks for ended processes once a second
        (measured 2026-11, 4.3.0), and it catches a program that crashed a moment ago and is just being started again.
        """
        for _ in range(int(STOP_S / POLL_S)):
            try:
                self._call("supervisor.stopProcessGroup", program, False)
                self._call("supervisor.removeProcessGroup", program)
            except SupervisorFault as fault:
                if fault.code == _BAD_NAME:
                    return
                if fault.code != _STILL_RUNNING:
                    raise
            else:
                return
            self._pause(POLL_S)
        raise DeadlineExceeded(f"{program} did not end within {STOP_S:g} s")

    def signal(self, program: str, name: str) -> None:
        """Send a signal, such as `USR2`, to the program's process."""
        self._call("supervisor.signalProcess", program, name)

    def info(self, program: str) -> ProgramInfo | None:
        """How `program` is; None if the supervisor does not know it."""
        try:
            found = self._call("supervisor.getProcessInfo", program)
        except SupervisorFault as fault:
            if fault.code == _BAD_NAME:
                return None
            raise
        return ProgramInfo(state=State(found["state"]), pid=found["pid"])

    def ending(self, program: str, pid: int | None) -> Ending | None:
        """How `program` ended by itself last; with `pid`, how that process did. None if the supervisor's log lacks it.

        The answer to `info` knows no signal, and no status of a program that ended within its first second.
        """
        return ending(self._call("supervisor.readLog", -LOG_BYTES, 0), program, pid)

    def _call(self, method: str, *arguments: Any) -> Any:
        answer = ask(
            self._connector,
            f"unix:{self._socket}",
            "POST",
            "/RPC2",
            body=xmlrpc.client.dumps(arguments, method).encode(),
            headers={"Content-Type": "text/xml"},
            deadline_s=ANSWER_S,
        )
        if answer.status != 200:
            raise Unreachable(f"the process supervisor answered {method} with HTTP {answer.status}")
        try:
            values, _ = xmlrpc.client.loads(answer.body)
        except xmlrpc.client.Fault as fault:
            raise SupervisorFault(fault.faultCode, fault.faultString) from None
        return values[0]


def ending(log: str, program: str, pid: int | None) -> Ending | None:
    """`Supervisor.ending`, from the log's text (supervisor 4.3.0, supervisor/process.py, read 2026-11)."""
    name = re.escape(program)
    line = re.compile(
        rf" spawned: '{name}' with pid (?P<pid>\d+)$"
        rf"| exited: {name} \((?:exit status (?P<status>\d+)|terminated by (?P<signal>SIG\w+))",
        re.MULTILINE,
    )
    running, found = None, None
    for event in line.finditer(log):
        if event["pid"]:
            running = int(event["pid"])
        elif pid in (None, running):
            found = Ending(status=int(event["status"]) if event["status"] else None, signal=event["signal"])
    return found
