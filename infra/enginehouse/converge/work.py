"""One part on one machine while steps are carried out: scripts under the lease, progress, and the wish to stop."""

from __future__ import annotations

import re
import shlex
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

from enginehouse.catalog.explain import reasons
from enginehouse.connectors.base import Connector, Result
from enginehouse.converge.context import Context
from enginehouse.converge.facts import Facts
from enginehouse.converge.lease import LEASE_LOST, mutating
from enginehouse.converge.places import Places
from enginehouse.converge.programs import lines_of_start
from enginehouse.converge.records import Journal
from enginehouse.converge.steps import SCRIPT_DEADLINE_S
from enginehouse.converge.supervisor import Supervisor
from enginehouse.converge.transfer import Pace, share
from enginehouse.errors import ConnectorError, ConvergeFailed, LeaseHeld
from enginehouse.planner.parts import Part

T = TypeVar("T")

LOG_LINES = 500
"""How much of a program's log is read to find out why it failed: usage texts and traces run to a hundred lines."""
_TICK_S = 0.1
_SHARE = re.compile(r"(\d+) (\d+)(?: (.+))?")


class Work:
    """What executors share. `run`, `pause` and `patiently` raise `Cancelled` as soon as the person asks to stop."""

    def __init__(
        self,
        context: Context,
        connector: Connector,
        part: str,
        places: Places,
        elsewhere: Mapping[str, tuple[Connector, Places]] | None = None,
    ) -> None:
        self.context = context
        self.connector = connector
        self.part = part
        self.places = places
        self.journal = Journal(context, connector, part, places)
        self.supervisor = Supervisor(connector, places.supervisor_socket, self.pause)
        self._elsewhere = elsewhere or {}
        self._line = ""
        self._pace = Pace()
        self._deaf = threading.Event()

    @classmethod
    def on(cls, part: Part, context: Context, facts: Facts) -> Work:
        """On the part's machine, and on the others that it works with."""
        places = Places.of(part, facts.state)
        elsewhere = {
            host: (context.reach(part, host), replace(places, host=host, state=state))
            for host, state in facts.elsewhere.items()
        }
        return cls(context, context.connect(part), part.name, places, elsewhere)

    def at(self, host: str | None) -> Work:
        """The same work on that machine; None: on the part's own."""
        if host is None:
            return self
        there = Work(self.context, self._elsewhere[host][0], self.part, self._elsewhere[host][1])
        there._deaf, there._line = self._deaf, self._line
        return there

    def begin(self, line: str) -> None:
        """Show what is done now; details follow behind it."""
        self.check()
        self._line = line
        self._pace = Pace()
        self.context.progress(self.part, line)

    def tell(self, detail: str) -> None:
        self.context.progress(self.part, f"{self._line}: {detail}")

    def notice(self, text: str) -> None:
        self.context.notice(self.part, text)

    def check(self) -> None:
        if not self._deaf.is_set():
            self.context.check_cancelled()

    @contextmanager
    def deaf(self) -> Iterator[None]:
        """The wish to stop is not heard inside: for putting things back."""
        before = self._deaf.is_set()
        self._deaf.set()
        try:
            yield
        finally:
            if not before:
                self._deaf.clear()

    def pause(self, seconds: float) -> None:
        self.context.clock.wait(threading.Event() if self._deaf.is_set() else self.context.cancelled, seconds)
        self.check()

    def now(self) -> float:
        return self.context.clock.monotonic()

    def run(self, script: str, *, stdin: Iterable[bytes] = (), deadline_s: float = SCRIPT_DEADLINE_S) -> Result:
        """Run a script that changes something. Raises `LeaseHeld` if this run's lease was taken over meanwhile."""
        guarded = mutating(script, state_folder=self.places.state, run=self.context.run)
        result = self.connector.run(guarded, stdin=stdin, deadline_s=deadline_s, on_line=self._heard)
        if result.returncode == LEASE_LOST:
            raise LeaseHeld(f"{self.connector.host}: another run took over this machine; run again")
        return result

    def do(
        self,
        title: str,
        script: str,
        *,
        stdin: Iterable[bytes] = (),
        deadline_s: float = SCRIPT_DEADLINE_S,
        expected: Collection[int] = (0,),
    ) -> Result:
        """`run`, and any other exit code raises `ConvergeFailed` with what the script said."""
        result = self.run(script, stdin=stdin, deadline_s=deadline_s)
        if result.returncode not in expected:
            said = (result.stderr.strip() or result.stdout.strip()).splitlines()
            raise ConvergeFailed(f"{title} failed", reasons=reasons(said) or (f"exit code {result.returncode}",))
        return result

    def patiently(self, call: Callable[[], T]) -> T:
        """The result of a blocking call. On a wish to stop it is left alone; its own deadline ends it."""
        future: Future[T] = Future()

        def work() -> None:
            try:
                future.set_result(call())
            except BaseException as error:  # noqa: BLE001 -- it is raised again where the result is asked for
                future.set_exception(error)

        threading.Thread(target=work, daemon=True).start()
        while not future.done():
            wait([future], timeout=_TICK_S)
            self.check()
        return future.result()

    def log(self, file: str, pid: int | None = None) -> tuple[str, ...]:
        """What a program said as the process `pid`, or in its last start that said anything; nothing if unreadable."""
        return self.said(f"tail -n {LOG_LINES} {shlex.quote(file)} 2>/dev/null", pid)

    def said(self, script: str, pid: int | None = None) -> tuple[str, ...]:
        """`log`, of what that script prints."""
        try:
            result = self.connector.run(script, deadline_s=SCRIPT_DEADLINE_S)
        except ConnectorError:
            return ()
        return lines_of_start(result.stdout, pid)

    def tell_share(self, done: int, total: int, what: str = "") -> None:
        """Show how far a transfer is, or `what` else goes through all bytes, at a bearable rate."""
        now = self.now()
        self._pace.see(now, done)
        if self._pace.is_due(now):
            said = share(done, total, self._pace.bytes_per_s())
            self.tell(f"{what}: {said}" if what else said)

    def _heard(self, line: str) -> None:
        """A line of a running script: those that begin with `progress` are shown."""
        self.check()
        word, _, detail = line.partition(" ")
        if word != "progress":
            return
        if found := _SHARE.fullmatch(detail):
            self.tell_share(int(found[1]), int(found[2]), found[3] or "")
        else:
            self.tell(detail)
