"""Looks at a machine that are asked for at the same time go there together, as one script.

A session and a shell cost more than what most parts ask, and the parts of one machine ask much the same. While a script
runs, whoever comes waits; then one of them goes for all who wait. So nobody is given what was read before it asked.
"""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from enginehouse.connectors.base import Connector
from enginehouse.converge.probe import Questions, answers, probe
from enginehouse.errors import Cancelled, CommandFailed, ConnectorError, DeadlineExceeded
from enginehouse.inventory.answers import BadProbe, Values

PROBE_S = 60.0
"""A probe takes a tenth of a second; the first one asks programs for their versions."""
GATHER_S = 0.005
"""How long the first one waits for others: threads that were started together come within so long, and the cheapest
look takes ten times as long."""
MOST_TOGETHER = 64
"""Their answer has to stay far below what a connector keeps of an output (4 MiB); a replica's takes 20 KB."""


class Looks:
    """One for all looks of a process. Methods may be called from many threads."""

    def __init__(self, gather_s: float = GATHER_S) -> None:
        self._gather_s = gather_s
        self._lock = threading.Lock()
        self._queues: dict[Connector, _Queue] = {}

    def ask(self, connector: Connector, questions: Questions, what: str) -> Look:
        """Queue the questions; `what` is what an error calls them. They are asked when somebody wants an answer."""
        with self._lock:
            queue = self._queues.setdefault(connector, _Queue(connector, self._gather_s))
        look = Look(queue, questions, f"{connector.host}: {what}")
        queue.add(look)
        return look


class Look:
    """Questions that are on their way, or answered."""

    def __init__(self, queue: _Queue, questions: Questions, what: str) -> None:
        self._queue = queue
        self.questions = questions
        self.what = what
        self.outcome: Values | _Failure | None = None
        """None before it was asked."""

    def answers(self) -> Values:
        """Wait for the answers. Raises what running a script raises, `CommandFailed`, and `BadProbe`."""
        self._queue.serve(self)
        outcome = self.outcome
        assert outcome is not None, "it has been served"
        if not isinstance(outcome, _Failure):
            return outcome
        if outcome.may_be_of_another:
            return _asked(self._queue.connector, (self,))[0]
        if outcome.alone:
            raise outcome.error
        raise copy.copy(outcome.error) from outcome.error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failure:
    """Why a script has no answers, and whether it was for one look only."""

    error: Exception
    alone: bool
    late: bool

    @property
    def may_be_of_another(self) -> bool:
        """Whether the questions of another look may be the reason."""
        of_script = isinstance(self.error, CommandFailed | BadProbe)
        return not self.alone and (of_script or (self.late and isinstance(self.error, DeadlineExceeded)))


class _Queue:
    """The looks at one machine: those that wait, and whether a script is on its way for others."""

    def __init__(self, connector: Connector, gather_s: float) -> None:
        self.connector = connector
        self._gather_s = gather_s
        self._changed = threading.Condition()
        self._waiting: list[Look] = []
        self._busy = False

    def add(self, look: Look) -> None:
        with self._changed:
            self._waiting.append(look)

    def serve(self, look: Look) -> None:
        """Return when `look` has an outcome; go for those who wait while nobody else is on the way."""
        while True:
            leads = False
            try:
                with self._changed:
                    self._changed.wait_for(lambda: look.outcome is not None or not self._busy)
                    if look.outcome is not None:
                        return
                    leads = self._busy = True
                time.sleep(self._gather_s)
                self._go(look)
            finally:
                if leads:
                    with self._changed:
                        self._busy = False
                        self._changed.notify_all()

    def _go(self, mine: Look) -> None:
        with self._changed:
            together, self._waiting = self._waiting[:MOST_TOGETHER], self._waiting[MOST_TOGETHER:]
        began = time.monotonic()
        try:
            outcomes: Sequence[Values | _Failure] = _asked(self.connector, together)
        except (ConnectorError, CommandFailed, BadProbe, Cancelled) as error:
            late = time.monotonic() - began >= PROBE_S
            outcomes = [_Failure(error=error, alone=len(together) == 1, late=late)] * len(together)
        except BaseException:
            with self._changed:
                self._waiting = [*(look for look in together if look is not mine), *self._waiting]
            raise
        for look, outcome in zip(together, outcomes, strict=True):
            look.outcome = outcome


def _asked(connector: Connector, looks: Sequence[Look]) -> tuple[Values, ...]:
    """One round trip. Raises what `Look.answers` does."""
    questions = [look.questions for look in looks]
    what = looks[0].what if len(looks) == 1 else f"{connector.host}: looking at {len(looks)} parts"
    return answers(connector.run(probe(*questions), deadline_s=PROBE_S).check(what).stdout, *questions)
