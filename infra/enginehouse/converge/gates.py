"""Replicas of one run wait at the gate of their deployment before something that runs is exchanged."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from enginehouse.converge.facts import Facts
from enginehouse.converge.siblings import drained
from enginehouse.converge.steps import Effect, Steps
from enginehouse.errors import GateClosed
from enginehouse.planner.parts import ReplicaPart
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
        free_mib=facts.memory_mib,
        drained=drained(part, facts),
        unknown=facts.unknown_others,
    )


def check_enough_left(part: ReplicaPart, wanted: Exchange) -> None:
    """Raises `GateClosed` if those that are drained leave no room for an exchange that makes requests wait."""
    if too_few_left(wanted, part.max_unavailable):
        away = [f"{name} is drained {order}" for name, order in sorted(wanted.drained.items())]
        away += [f"{name} gets no requests, and {why}" for name, why in sorted(wanted.unknown.items())]
        undrain = f"`enginehouse undrain {part.stack} {min(wanted.drained)}`" if wanted.drained else "Once it answers"
        raise GateClosed(
            f"{part.name} was not exchanged: there is no room for a second engine beside it, so its requests would "
            f"wait, while {listed(away)}, and "
            f"`rollout.max_unavailable: {part.max_unavailable}` lets no more be missing; nothing was changed on it. "
            f"{undrain}, or a larger `max_unavailable`, and the next run continues"
        )


class Gates:
    """The gates of this process; safe to use from several threads. A run needs one of these."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._gates: dict[tuple[str, str], Gate] = {}
        self._taking: dict[tuple[str, str], int] = {}
        """MiB by host and part."""
        self._unstarted: set[tuple[str, str]] = set()
        """Stack and name of those whose start failed: that closes no gate."""

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
        wait and those that come later. They raise `GateClosed`, and so does one that would leave too few. One that
        starts beside what runs also waits for its memory while others of its machine may still take it.
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

    @contextmanager
    def starting(self, part: ReplicaPart, memory_mib: int) -> Iterator[None]:
        """Inside, an engine starts where none runs: that waits for nobody, but nobody counts on its memory."""
        with self._changed:
            self._taking[part.host, part.name] = memory_mib
        try:
            yield
        except BaseException:
            with self._changed:
                self._unstarted.add((part.stack, part.name))
            raise
        finally:
            self._through(part)

    def starts(self, part: ReplicaPart, siblings: Iterable[str]) -> bool:
        """Whether one of its deployment is being started."""
        with self._changed:
            return not {name for _, name in self._taking}.isdisjoint(siblings)

    def exchanged(self, part: ReplicaPart) -> frozenset[str]:
        """Who is inside: others wait for them at the gate."""
        with self._changed:
            gate = self._gate(part)
            return gate.inside | gate.aside

    def check_open(self, part: ReplicaPart, missing: Iterable[str]) -> None:
        """Raises `GateClosed` if somebody failed who was inside, or one of those that are `missing` at its start."""
        with self._changed:
            self._check_open(part)
            failed = sorted(name for name in missing if (part.stack, name) in self._unstarted)
        if failed:
            raise _closed(part, f"{listed(failed)}, which gets no requests either, failed")

    def _enter(self, part: ReplicaPart, wanted: Exchange) -> bool:
        with self._changed:
            if not self._admits(part, wanted):
                return False
            self._gates[_key(part)] = self._gate(part).enter(wanted, part.max_unavailable)
            self._taking[part.host, part.name] = wanted.memory_mib
            return True

    def _wait(
        self, part: ReplicaPart, wanted: Exchange, tell: Callable[[str], None], check: Callable[[], None]
    ) -> None:
        """Until the gate admits it."""
        with self._changed:
            while not self._admits(part, wanted):
                check()
                tell(f"waiting for {self._waits_for(part, wanted)}")
                self._changed.wait(LOOK_S)

    def _waits_for(self, part: ReplicaPart, wanted: Exchange) -> str:
        gate = self._gate(part)
        if not gate.admits(wanted, part.max_unavailable):
            return gate.waits_for()
        return f"memory that {listed(sorted(self._others(part)))} may take first"

    def _admits(self, part: ReplicaPart, wanted: Exchange) -> bool:
        gate = self._gate(part)
        self._check_open(part)
        check_enough_left(part, wanted.without(gate.inside | gate.aside))
        return gate.admits(wanted, part.max_unavailable) and wanted.fits(sum(self._others(part).values()))

    def _check_open(self, part: ReplicaPart) -> None:
        gate = self._gate(part)
        if gate.failed:
            raise _closed(part, gate.refusal())

    def _others(self, part: ReplicaPart) -> dict[str, int]:
        """What others of its machine may not have taken yet; who loads an engine is counted until it is through."""
        return {name: mib for (host, name), mib in self._taking.items() if host == part.host and name != part.name}

    def _gate(self, part: ReplicaPart) -> Gate:
        return self._gates.get(_key(part), Gate())

    def _set(self, part: ReplicaPart, event: Callable[[Gate], Gate]) -> None:
        with self._changed:
            self._gates[_key(part)] = event(self._gate(part))
        self._through(part)

    def _through(self, part: ReplicaPart) -> None:
        with self._changed:
            del self._taking[part.host, part.name]
            self._changed.notify_all()


def _key(part: ReplicaPart) -> tuple[str, str]:
    return part.stack, part.deployment


def _closed(part: ReplicaPart, why: str) -> GateClosed:
    return GateClosed(
        f"{part.name} was not exchanged, because {why}; nothing was changed on it, and the next run continues"
    )
