"""What a machine remembers of runs: each part's history, and the stack's journal, which is written along the way."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from enginehouse.connectors.base import Connector
from enginehouse.converge import scripts
from enginehouse.converge.context import Context
from enginehouse.converge.journal import Entry, Word, parse
from enginehouse.converge.manifest import Manifest, from_json
from enginehouse.converge.places import Places
from enginehouse.converge.probe import history_of, journal_of
from enginehouse.errors import ChangedElsewhere, EnginehouseError, Frozen, GateClosed, LeaseHeld, Owned, WrongMachine
from enginehouse.planner.parts import HostPart, Part

READ_S = 60.0
NOTE_S = 10.0
"""Short: a note about a failure must not make a machine that hangs hang twice."""
REFUSALS = (ChangedElsewhere, Frozen, GateClosed, LeaseHeld, Owned, WrongMachine)
"""The run was not let in: not a failure of this part."""


def history(part: Part, context: Context) -> tuple[Manifest, ...]:
    """The part's manifests as they were written, newest first; damaged ones are left out. One round trip.

    A copy is written before the manifest. One that is newer than what stands is of a run that died between the two.
    """
    connector = context.connect(part)
    result = connector.run(history_of(part), deadline_s=READ_S).check(f"{part.host}: reading {part.name}'s history")
    texts = [text.partition("\t") for text in result.stdout.split("\0")]
    stands = next((from_json(text) for key, _, text in texts if key == "manifest"), None)
    kept = [from_json(text) for key, _, text in reversed(texts) if key != "manifest"]
    newest = stands.generation if isinstance(stands, Manifest) else math.inf
    found = (copy for copy in kept if isinstance(copy, Manifest) and copy.generation <= newest)
    return tuple(copy.reached(part) for copy in found)


def events(host: HostPart, context: Context) -> tuple[Entry, ...]:
    """The journal of the host part's stack, oldest first; lines that can't be read are left out. One round trip."""
    connector = context.connect(host)
    result = connector.run(journal_of(host), deadline_s=READ_S).check(f"{host.host}: reading the journal")
    return tuple(parse(result.stdout))


class Journal:
    """The journal while one part is worked on. Notes ride on scripts that run anyway; only failures need one of theirs.

    Nothing here raises: what happens to a machine matters more than the note about it.
    """

    def __init__(self, context: Context, connector: Connector, part: str, places: Places) -> None:
        self._context = context
        self._connector = connector
        self._part = part
        self._places = places
        self._waiting: list[Entry] = []

    def entry(self, word: Word, text: str, *, generation: int | None = None) -> Entry:
        """An entry about this part, signed by this run."""
        run = self._context.run
        at = self._context.clock.now().isoformat(timespec="seconds")
        return Entry(
            at=at,
            event=word,
            part=self._part,
            who=run.who,
            door=run.door,
            run=run.id,
            text=text,
            generation=generation,
        )

    def add(self, word: Word, text: str) -> None:
        """Note it with the next script, at the latest when the work ends."""
        self._waiting.append(self.entry(word, text))

    def taken_over(self, text: str) -> None:
        """A dead run's lease was taken over: tell it and note it."""
        self._context.notice(self._part, text)
        self.add(Word.LEASE_TAKEN_OVER, text)

    @contextmanager
    def along(self, entry: Entry) -> Iterator[tuple[str, ...]]:
        """Commands that note what waits and `entry`, for a script that is run inside."""
        yield self._commands([*self._waiting, entry])
        self._waiting.clear()

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Around a part's work: what makes it fail is noted, and whatever still waits in the end."""
        try:
            yield
        except REFUSALS:
            raise
        except EnginehouseError as error:
            self.add(Word.FAILED, (str(error) or type(error).__name__).splitlines()[0])
            raise
        finally:
            self._write()

    def _write(self) -> None:
        if self._waiting:
            with suppress(EnginehouseError):
                self._connector.run(scripts.change(*self._commands(self._waiting)), deadline_s=NOTE_S)

    def _commands(self, entries: list[Entry]) -> tuple[str, ...]:
        return tuple(scripts.note(self._places, (entry.line() for entry in entries)))
