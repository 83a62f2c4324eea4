"""Replicas of one run wait at the gate of their deployment before something that runs is exchanged."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

from enginehouse.converge.facts import Facts
from enginehouse.converge.steps import Effect
from enginehouse.errors import GateClosed
from enginehouse.planner.parts import GatewayPart, ReplicaPart
from enginehouse.rollout.gate import Exchange, Gate, too_few_left
from enginehouse.spec.wording import listed

LOOK_S = 0.2
"""How soon a waiting replica hears a wish to stop; an opened gate wakes it at once."""


def exchange(part: ReplicaPart, facts: Facts, effect: Effect) -> Exchange:
    """What the steps with that effect mean to the part's deployment."""
    return Exchange(
        name=part.name,
        serves=effect.exchanges() and not (facts.drained or facts.hung),
        pauses=effect is Effect.RESTART_PAUSED,
        drained={name: str(order) for name, order in facts.drained_others.items() if name in _siblings(part, facts)},
    )


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

    @contextmanager
    def passing(
        self,
        part: ReplicaPart,
        wanted: Exchange,
        look: Callable[[], Exchange],
        tell: Callable[[str], None],
        check: Callable[[], None],
    ) -> Iterator[None]:
        """Inside, `part` may be exchanged as `wanted` says or, after a wait, as `look` said last.

        `tell` hears what it waits for, `check` raises to end the wait. An error inside closes the gate for those that
        wait and those that come later. They raise `GateClosed`, and so does one that would leave too few.
        """
        while not self._enter(part, wanted):
            self._wait(part, wanted, tell, check)
            wanted = look()
        try:
            yield
        except BaseException:
            self._set(part, lambda gate: gate.fail(part.name))
            raise
        self._set(part, lambda gate: gate.leave(part.name))

    def _enter(self, part: ReplicaPart, wanted: Exchange) -> bool:
        with self._changed:
            if not self._admits(part, wanted):
                return False
            self._gates[_key(part)] = self._gate(part).enter(wanted, part.max_unavailable)
            return True

    def _wait(
        self, part: ReplicaPart, wanted: Exchange, tell: Callable[[str], None], check: Callable[[], None]
    ) -> None:
        """Until the gate admits it."""
        with self._changed:
            while not self._admits(part, wanted):
                check()
                tell(f"waiting for {self._gate(part).waits_for()}")
                self._changed.wait(LOOK_S)

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
            self._changed.notify_all()


def _key(part: ReplicaPart) -> tuple[str, str]:
    return part.stack, part.deployment


def _siblings(part: ReplicaPart, facts: Facts) -> set[str]:
    """The other replicas that the running gateway gives the deployment's requests to."""
    gateway = facts.others.get(part.gateway.part)
    backends = cast(GatewayPart, gateway.part).backends if gateway else ()
    names = {server.replica for b in backends if b.name == part.gateway.backend for server in b.servers}
    return names - {part.name, part.renamed_from}
