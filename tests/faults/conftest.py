"""Worlds that things break in, several at once: a case mostly waits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest

from tests.converge.conftest import new_world
from tests.converge.disks import disk
from tests.faults.cases import Case
from tests.faults.faulty import FaultyWorld, MortalRuns, mortal_runs
from tests.faults.judge import Judge
from tests.faults.play import play

AT_ONCE = 4
"""On two cores: a run waits for engines, checks and timers most of its time."""
_making = threading.Lock()
"""Worlds are made one after the other: each looks for free ports."""


@contextmanager
def faulty_world() -> Iterator[FaultyWorld]:
    """A stack that is up, on a disk of its own."""
    with ExitStack() as stack:
        with _making:
            world = stack.enter_context(new_world(FaultyWorld))
            world.disk = stack.enter_context(disk(world))
            world.up()
        yield world


class Plays:
    """Cases that are played in their order by several worlds at once; one in which a case failed is thrown away."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self._mine = threading.local()
        self._worlds: list[ExitStack] = []
        self._pool = ThreadPoolExecutor(AT_ONCE)
        self._futures: dict[Case, Future[None]] = {case: self._pool.submit(self._play, case) for case in cases}

    def outcome(self, case: Case) -> None:
        """Return when it was played. Raises what went wrong."""
        self._futures[case].result()

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        for world in self._worlds:
            world.close()

    def _play(self, case: Case) -> None:
        world, judge, mortal = self._world()
        try:
            play(case, world, judge, mortal)
        except BaseException as error:
            error.add_note("\n".join(["What it told:", *world.texts()]))
            self._mine.things = None
            self._mine.stack.close()
            raise

    def _world(self) -> tuple[FaultyWorld, Judge, MortalRuns]:
        things: tuple[FaultyWorld, Judge, MortalRuns] | None = getattr(self._mine, "things", None)
        if things is None:
            self._mine.stack = ExitStack()
            self._worlds.append(self._mine.stack)
            world = self._mine.stack.enter_context(faulty_world())
            things = self._mine.things = (world, Judge(), self._mine.stack.enter_context(mortal_runs()))
        return things


@pytest.fixture(scope="session")
def plays() -> Iterator[Callable[[Sequence[Case]], Plays]]:
    """Begins to play cases; they end with the session."""
    begun: list[Plays] = []

    def begin(cases: Sequence[Case]) -> Plays:
        if not begun:
            begun.append(Plays(cases))
        return begun[0]

    yield begin
    for play_all in begun:
        play_all.close()
