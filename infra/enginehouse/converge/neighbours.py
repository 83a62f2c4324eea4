"""Machines of one run that give each other what they have: one gets a file from where it comes, the others copy it.

Nothing of this is planned or remembered. A machine that was seen to have a verified file may be asked for it, as long
as the run lasts; what any of them says or fails to say decides about speed, never about content.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from enginehouse.connectors.base import Connector
from enginehouse.errors import ConvergeFailed
from enginehouse.spec.wording import listed

MOST_COPIES = 2
"""That one machine serves at once. One would spread a file fastest; the second keeps a slow one from holding all up."""
MOST_FAILURES = 2
"""When so many could not get a file from where it comes, the matter is not the machine: the others try side by side."""
MOST_REFUSED = 3
"""From so many neighbours one machine tries to copy: where none of them is reached, it is for the same reason."""
LONGEST_WAIT_S = 4 * 3600.0
"""For the machine that gets a file first. After that each gets it by itself."""
LOOK_S = 0.2
"""How soon one that waits hears a wish to stop; news wakes it at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """A machine that has a verified file, and where others reach it."""

    host: str
    address: str
    """Of the network that it shares with them."""
    path: str
    connector: Connector = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """Who has one file, who copies it from whom, and who gets it from where it comes."""

    owners: Mapping[str, Neighbour] = field(default_factory=dict)
    copies: Mapping[str, int] = field(default_factory=dict)
    """How many a machine serves right now."""
    fetching: str | None = None
    failures: int = 0
    """How often that was given up."""

    def free(self, host: str, refused: Collection[str]) -> Neighbour | None:
        """The least busy of those who may serve one more, for `host`, to whom nothing came from those it refused."""
        able = (owner for owner in self._able(host, refused) if self.copies.get(owner.host, 0) < MOST_COPIES)
        return min(able, key=lambda owner: (self.copies.get(owner.host, 0), owner.host), default=None)

    def waits_for(self, host: str, refused: Collection[str]) -> str | None:
        """What `host` has to wait for while nobody is free; None if there is nothing to wait for.

        One to whom nothing came from a neighbour does not wait for another one to become it.
        """
        if busy := [owner.host for owner in self._able(host, refused)]:
            return f"{listed(sorted(busy))}, which {'gives' if len(busy) == 1 else 'give'} it to others first"
        if self.fetching and not refused and self.failures < MOST_FAILURES:
            return f"{self.fetching}, which gets it first"
        return None

    def count(self, host: str, more: int) -> Shelf:
        return replace(self, copies={**self.copies, host: self.copies.get(host, 0) + more})

    def _able(self, host: str, refused: Collection[str]) -> list[Neighbour]:
        if len(refused) >= MOST_REFUSED:
            return []
        return [owner for name, owner in self.owners.items() if name not in refused and name != host]


class Neighbours:
    """The shelves of this process, by SHA-256; safe to use from several threads. A run needs one of these."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._shelves: dict[str, Shelf] = {}

    def add(self, sha256: str, owner: Neighbour) -> None:
        """That machine has the file, verified."""
        self._set(sha256, lambda shelf: replace(shelf, owners={**shelf.owners, owner.host: owner}))

    def drop(self, sha256: str, host: str) -> None:
        """Nobody asks that machine any more."""
        self._set(sha256, lambda shelf: replace(shelf, owners={h: o for h, o in shelf.owners.items() if h != host}))

    @contextmanager
    def turn(
        self,
        sha256: str,
        host: str,
        refused: Collection[str],
        *,
        tell: Callable[[str], None],
        check: Callable[[], None],
        now: Callable[[], float],
    ) -> Iterator[Neighbour | None]:
        """The block gets the file from that neighbour, or, with None, from where it comes. Waits until there is a way.

        `refused` are neighbours from whom it did not come. `tell` hears what is waited for; `check` raises to end that.
        """
        way = self._await_way(sha256, host, refused, tell, check, now() + LONGEST_WAIT_S, now)
        try:
            yield way
        except ConvergeFailed:
            self._set(sha256, lambda shelf: replace(shelf, failures=shelf.failures + (way is None)))
            raise
        finally:
            self._set(sha256, lambda shelf: shelf.count(way.host, -1) if way else _without(shelf, host))

    def _await_way(
        self,
        sha256: str,
        host: str,
        refused: Collection[str],
        tell: Callable[[str], None],
        check: Callable[[], None],
        until: float,
        now: Callable[[], float],
    ) -> Neighbour | None:
        with self._changed:
            while True:
                shelf = self._shelves.get(sha256, Shelf())
                if found := shelf.free(host, refused):
                    self._shelves[sha256] = shelf.count(found.host, 1)
                    return found
                waits_for = shelf.waits_for(host, refused)
                if waits_for is None or now() >= until:
                    self._shelves[sha256] = replace(shelf, fetching=shelf.fetching or host)
                    return None
                check()
                tell(f"waiting for {waits_for}")
                self._changed.wait(LOOK_S)

    def _set(self, sha256: str, event: Callable[[Shelf], Shelf]) -> None:
        with self._changed:
            self._shelves[sha256] = event(self._shelves.get(sha256, Shelf()))
            self._changed.notify_all()


def _without(shelf: Shelf, host: str) -> Shelf:
    return replace(shelf, fetching=None) if shelf.fetching == host else shelf
