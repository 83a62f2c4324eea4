"""A machine made of rules, for tests: scripts are answered from a list, addresses are served by functions.

Strict: a script or an address that no rule knows is an `Unexpected` error that names it.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from enginehouse.connectors.base import Held, Result
from enginehouse.errors import CommandFailed


class Unexpected(AssertionError):
    """The code under test did something its test did not foresee."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One script that was run."""

    script: str
    stdin: bytes
    deadline_s: float


Matcher: TypeAlias = str | Callable[[Call], bool]
"""A text the script holds, or a predicate."""

Answer: TypeAlias = str | Result | Exception | Callable[[Call], str | Result]
"""What a script gets: stdout with code 0, a whole result, an error to raise, or a function that makes the first two."""

Handler: TypeAlias = Callable[[socket.socket], None]
"""Speaks the listening end of a connection; the socket is closed when it returns."""


class FakeConnector:
    """See `connectors.base.Connector`. `calls` holds every script in order, those of `hold` too."""

    def __init__(self, host: str = "fake") -> None:
        self._host = host
        self._lock = threading.Lock()
        self._rules: list[tuple[Matcher, Answer]] = []
        self._breaks: dict[int, tuple[Exception, bool]] = {}
        self._listeners: dict[str, Handler | Exception] = {}
        self._threads: list[threading.Thread] = []
        self._failures: list[Exception] = []
        self.calls: list[Call] = []
        self.held: list[FakeHeld] = []

    @property
    def host(self) -> str:
        return self._host

    def on(self, what: Matcher, answer: Answer) -> None:
        """Answer scripts that match. The newest matching rule counts, so a test can refine what a fixture set up."""
        self._rules.append((what, answer))

    def break_at(self, number: int, error: Exception, *, after: bool = False) -> None:
        """Let call `number` (from 1) end with `error`; with `after`, once its answer was made, as when a link drops."""
        self._breaks[number] = error, after

    def listen(self, address: str, handler: Handler | Exception) -> None:
        """Serve each `dial` of `address` with `handler` in a thread, or refuse it with an error (`Unreachable`)."""
        self._listeners[address] = handler

    def run(
        self,
        script: str,
        *,
        stdin: Iterable[bytes] = (),
        deadline_s: float,
        on_line: Callable[[str], None] | None = None,
    ) -> Result:
        result = self._answer(Call(script=script, stdin=b"".join(stdin), deadline_s=deadline_s))
        if on_line:
            for line in result.stdout.splitlines():
                on_line(line)
        return result

    def dial(self, address: str, *, deadline_s: float) -> socket.socket:
        handler = self._listeners.get(address)
        if handler is None:
            raise Unexpected(f"{self._host}: nobody expected a connection to {address}")
        if isinstance(handler, Exception):
            raise handler
        ours, theirs = socket.socketpair()
        ours.settimeout(deadline_s)
        theirs.settimeout(deadline_s)
        thread = threading.Thread(target=self._serve, args=(handler, theirs), name=f"fake {address}", daemon=True)
        self._threads.append(thread)
        thread.start()
        return ours

    def hold(self, script: str, *, deadline_s: float) -> Held:
        result = self._answer(Call(script=script, stdin=b"", deadline_s=deadline_s))
        if not result.stdout:
            tail = result.stderr.splitlines()
            raise CommandFailed(f"{self._host}: a script that was to stay ended at once", result.returncode, tail)
        held = FakeHeld(result.stdout.splitlines()[0])
        self.held.append(held)
        return held

    def close(self) -> None:
        """Let go of everything. Raises what a listener's handler raised, so that it does not go unseen."""
        for held in self.held:
            held.release()
        for thread in self._threads:
            thread.join()
        if self._failures:
            raise self._failures.pop()

    def _answer(self, call: Call) -> Result:
        with self._lock:
            self.calls.append(call)
            error, after = self._breaks.get(len(self.calls), (None, False))
        if error and not after:
            raise error
        result = self._made(call)
        if error:
            raise error
        return result

    def _made(self, call: Call) -> Result:
        answer = self._rule(call)
        if isinstance(answer, Exception):
            raise answer
        made = answer(call) if callable(answer) else answer
        return Result(returncode=0, stdout=made, stderr="") if isinstance(made, str) else made

    def _rule(self, call: Call) -> Answer:
        for what, answer in reversed(self._rules):
            if what in call.script if isinstance(what, str) else what(call):
                return answer
        raise Unexpected(f"{self._host}: nobody expected this script:\n{call.script}")

    def _serve(self, handler: Handler, connection: socket.socket) -> None:
        with connection:
            try:
                handler(connection)
            except Exception as error:  # noqa: BLE001 - handed to the test by `close`
                self._failures.append(error)


class FakeHeld:
    """A held script that lives until it is released; set `dead` to let it die early."""

    def __init__(self, first_line: str) -> None:
        self.first_line = first_line
        self.dead = False

    def alive(self) -> bool:
        return not self.dead

    def release(self) -> None:
        self.dead = True
