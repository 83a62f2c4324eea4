"""This machine as a connector: scripts are child processes, addresses are dialled directly."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping

from enginehouse.connectors.addresses import connect
from enginehouse.connectors.base import TAIL_LINES, Held, Result
from enginehouse.connectors.environment import script_environment
from enginehouse.connectors.exchange import Exchange
from enginehouse.connectors.held import LocalHeld
from enginehouse.connectors.process import GRACE_S, Process
from enginehouse.connectors.shell import parcel
from enginehouse.errors import Cancelled, CommandFailed, DeadlineExceeded, Unreachable

SHELL = "/bin/sh"


class LocalConnector:
    """The machine this process runs on. See `connectors.base.Connector` for what the methods promise.

    `on_line` is called, and `stdin` is read, in the thread that called `run`: an exception of either ends the script
    and is passed on, a slow one holds up the look at the deadline. The last `KEPT_BYTES` of each output are kept.
    `close` ends what runs: those calls, and all later ones, raise `Cancelled`.
    """

    def __init__(self, host: str, *, environment: Mapping[str, str] | None = None) -> None:
        """`environment` is what the scripts' environment is chosen from; this process's if not given."""
        self._host = host
        self._environment = script_environment(os.environ if environment is None else environment)
        self._lock = threading.Lock()
        self._closed = False
        self._running: set[Process] = set()
        self._held: tuple[LocalHeld, ...] = ()

    @property
    def host(self) -> str:
        return self._host

    def run(
        self,
        script: str,
        *,
        stdin: Iterable[bytes] = (),
        deadline_s: float,
        on_line: Callable[[str], None] | None = None,
    ) -> Result:
        ends = time.monotonic() + deadline_s

        def check() -> None:
            self._refuse_if_closed()
            if time.monotonic() >= ends:
                raise self._too_slow(deadline_s, exchange.tail(TAIL_LINES))

        packed = parcel(script)
        with self._child(packed.command) as process, contextlib.closing(process):
            exchange = Exchange(process, itertools.chain((packed.head,), stdin), check=check, on_line=on_line)
            result = exchange.run()
            self._refuse_if_closed()
        return result

    def dial(self, address: str, *, deadline_s: float) -> socket.socket:
        self._refuse_if_closed()
        return connect(address, deadline_s=deadline_s)

    def hold(self, script: str, *, deadline_s: float) -> Held:
        packed = parcel(script)
        with self._child(packed.command) as process:
            held = LocalHeld(process, packed.head)
            if not held.spoke(deadline_s):
                self._refuse_if_closed()
                raise self._never_spoke(held.result, deadline_s)
            with self._lock:
                self._refuse_if_closed()
                self._held = (*(other for other in self._held if other.alive()), held)
        return held

    def close(self) -> None:
        with self._lock:
            self._closed = True
            running, held = tuple(self._running), self._held
        for process in running:
            process.terminate()
        by = time.monotonic() + GRACE_S
        for process in running:
            process.finish(by=by)
        for script in held:
            script.release()

    @contextlib.contextmanager
    def _child(self, command: str) -> Iterator[Process]:
        """Start a child that `close` knows of while the block runs; it does not outlive an exception."""
        with self._lock:
            self._refuse_if_closed()
            process = self._start(command)
            self._running.add(process)
        try:
            yield process
        except BaseException:
            process.stop()
            raise
        finally:
            with self._lock:
                self._running.discard(process)

    def _start(self, command: str) -> Process:
        try:
            return Process((SHELL, "-c", command), self._environment)
        except OSError as error:
            raise Unreachable(f"{self._host}: {SHELL} can't be started") from error

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise Cancelled(f"{self._host}: stopped")

    def _never_spoke(self, result: Result | None, deadline_s: float) -> Exception:
        if result is None:
            return self._too_slow(deadline_s, ())
        lines = result.stderr.splitlines()[-TAIL_LINES:]
        return CommandFailed(f"{self._host}: a script that was to stay ended at once", result.returncode, lines)

    def _too_slow(self, deadline_s: float, tail: tuple[str, ...]) -> DeadlineExceeded:
        return DeadlineExceeded(f"{self._host}: a script took longer than {deadline_s:g} s", tail=tail)
