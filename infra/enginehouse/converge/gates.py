"""Replicas of one run wait at the gate of their deployment before something that runs is exchanged."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import cast

from enginehouse.converge.facts import Facts
from enginehouse.converge.steps import Effect, Steps
from enginehouse.errors import GateClosed
from enginehouse.planner.parts import GatewayPart, ReplicaPart
from enginehouse.rollout.gate import Exchange, Gate, too_few_left
from enginehouse.spec.wording import listed

LOOK_S = 0.2
"""How soon a waiting replica hears a wish to stop; an opened gate wakes it at once."""


def exchange(part: ReplicaPart, facts: Facts, steps: Steps) -> Exchange:
    """What the steps mean to the part's deployment and machine."""
    return Exchange(
        name=part.name,
        serves=steps.effect.exchanges() and not (facts.drained or facts.hung),
        pauses=steps.effect is Effect.RESTART_PAUSED,
        memory_mib=steps.memory_mib,
        drained={name: str(order) for name, order in facts.drained_others.items() if name in _siblings(part, facts)},
    )


def foreseen_together(part: ReplicaPart, facts: Facts, steps: Steps) -> Steps:
    """What a preview says of them where several may be exchanged at once: which of those get the room, nobody knows."""
    together = min(part.max_unavailable, 1 + len(_siblings(part, facts)))
    if steps.effect is not Effect.RESTART_BESIDE or facts.memory_mib >= together * steps.memory_mib:
        return steps
    reason = (
        f"{together} replicas may be exchanged at once, and there is no room for so many engines more "
        f"({steps.memory_mib} MiB needed for each, {facts.memory_mib} free); where there is none, requests wait at the "
        "gateway"
    )
    return replace(steps, effect=Effect.UNDECIDED, reason=reason)


def check_enough_left(part: ReplicaPart, wanted: Exchange) -> None:
    """Raises `GateClosed` if those that are drained leave no room for an exchange that makes requests wait."""
    if too_few_left(wanted, part.max_unavailable):
        first = min(wanted.drained)
        away = listed(f"{name} is drained {order}" for name, order in sorted(wanted.drained.items()))
        raise GateClosed(
            f"{part.name} was not exchanged: there is no room for a second engine beside it, so its requests would "
            f"wait, while {away}, and "
            f"`rollout.max_unavailable: {part.max_unavailable}` lets no more be missing; nothing was changed on it. "
            f"`enginehouse undrain {part.stack} {first}`, or a larger `max_unavailable`, and the next run continues"
        )


class Gates:
    """The gates of this process; safe to use from several threads. A run needs one of these."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._gates: dict[tuple[str, str], Gate] = {}
        self._promised: dict[tuple[str, str], int] = {}

    @contextmanager
    def passing(
        self,
        part: ReplicaPart,
        decide: Callable[[int], Exchange],
        look: Callable[[], None],
        tell: Callable[[str], None],
        check: Callable[[], None],
    ) -> Iterator[None]:
        """Inside, `part` may be exchanged as `decide` said last.

        `decide` is given the MiB that others of its machine are about to take and is called from what `look` saw last,
        at first and after a wait. `tell` hears what it waits for, `check` raises to end the wait. An error inside
        closes the gate for those that wait and those that come later. They raise `GateClosed`, and so does one that
        would leave too few.
        """
        while not self._enter(part, decide):
            self._wait(part, decide, tell, check)
            look()
        try:
            yield
        except BaseException:
            self._set(part, lambda gate: gate.fail(part.name))
            raise
        self._set(part, lambda gate: gate.leave(part.name))

    @contextmanager
    def starting(self, part: ReplicaPart, memory_mib: int) -> Iterator[None]:
        """Inside, an engine starts where none runs: that waits for nobody, but nobody counts on its memory."""
        with self._changed:
            self._promised[part.host, part.name] = memory_mib
        try:
            yield
        finally:
            with self._changed:
                del self._promised[part.host, part.name]

    def _enter(self, part: ReplicaPart, decide: Callable[[int], Exchange]) -> bool:
        with self._changed:
            wanted = decide(self._elsewhere(part))
            if not self._admits(part, wanted):
                return False
            self._gates[_key(part)] = self._gate(part).enter(wanted, part.max_unavailable)
            self._promised[part.host, part.name] = wanted.memory_mib
            return True

    def _wait(
        self,
        part: ReplicaPart,
        decide: Callable[[int], Exchange],
        tell: Callable[[str], None],
        check: Callable[[], None],
    ) -> None:
        """Until the gate admits it."""
        with self._changed:
            while not self._admits(part, decide(self._elsewhere(part))):
                check()
                tell(f"waiting for {self._gate(part).waits_for()}")
                self._changed.wait(LOOK_S)

    def _elsewhere(self, part: ReplicaPart) -> int:
        """What others of its machine may not have taken yet; one that loads is counted until it is through."""
        return sum(mib for (host, name), mib in self._promised.items() if host == part.host and name != part.name)

    def _admits(self, part: ReplicaPart, wanted: Exchange) -> bool:
        gate = self._gate(part)
        if gate.failed:
            raise GateClosed(
                f"{part.name} was not exchanged, because {gate.refusal()}; nothing was changed on it, "
                f"and the next run continues"
            )
        check_enough_left(part, wanted)
        return gate.admits(wanted, part.max_unavailable)

    def _gate(self, part: ReplicaPart) -> Gate:
        return self._gates.get(_key(part), Gate())

    def _set(self, part: ReplicaPart, event: Callable[[Gate], Gate]) -> None:
        with self._changed:
            self._gates[_key(part)] = event(self._gate(part))
            self._promised.pop((part.host, part.name))
            self._changed.notify_all()


def _key(part: ReplicaPart) -> tuple[str, str]:
    return part.stack, part.deployment


def _siblings(part: ReplicaPart, facts: Facts) -> set[str]:
    """The other replicas that the running gateway gives the deployment's requests to."""
    gateway = facts.others.get(part.gateway.part)
    backends = cast(GatewayPart, gateway.part).backends if gateway else ()
    names = {server.replica for b in backends if b.name == part.gateway.backend for server in b.servers}
    return names - {part.name, part.renamed_from}
