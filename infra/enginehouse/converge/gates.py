"""Replicas of one run wait at the gate of their deployment before something that runs is exchanged."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from enginehouse.errors import GateClosed
from enginehouse.planner.parts import ReplicaPart
from enginehouse.rollout.gate import Gate

LOOK_S = 0.2
"""How soon a waiting replica hears a wish to stop; an opened gate wakes it at once."""


class Gates:
    """The gates of this process; safe to use from several threads. A run needs one of these."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._gates: dict[tuple[str, str], Gate] = {}

    @contextmanager
    def passing(self, part: ReplicaPart, tell: Callable[[str], None], check: Callable[[], None]) -> Iterator[bool]:
        """Inside, `part` may be exchanged; gives whether it had to wait for that.

        `tell` hears what it waits for, `check` raises to end the wait. An error inside closes the gate for those that
        wait and those that come later: they raise `GateClosed`.
        """
        waited = self._enter(part, tell, check)
        try:
            yield waited
        except BaseException:
            self._set(part, lambda gate: gate.fail(part.name))
            raise
        self._set(part, lambda gate: gate.leave(part.name))

    def _enter(self, part: ReplicaPart, tell: Callable[[str], None], check: Callable[[], None]) -> bool:
        waited = False
        with self._changed:
            while not (gate := self._gate(part)).admits(part.max_unavailable):
                check()
                if gate.failed:
                    raise GateClosed(
                        f"{part.name} was not exchanged, because {gate.refusal()}; nothing was changed on it, "
                        f"and the next run continues"
                    )
                tell(f"waiting for {gate.waits_for()}")
                waited = True
                self._changed.wait(LOOK_S)
            self._gates[_key(part)] = gate.enter(part.name, part.max_unavailable)
        return waited

    def _gate(self, part: ReplicaPart) -> Gate:
        return self._gates.get(_key(part), Gate())

    def _set(self, part: ReplicaPart, event: Callable[[Gate], Gate]) -> None:
        with self._changed:
            self._gates[_key(part)] = event(self._gate(part))
            self._changed.notify_all()


def _key(part: ReplicaPart) -> tuple[str, str]:
    return part.stack, part.deployment
