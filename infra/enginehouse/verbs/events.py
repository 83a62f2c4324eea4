"""`enginehouse events`: the journal of a stack, which every run, every order and the watchdog write on its machines."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from enginehouse.converge.journal import Entry, parse
from enginehouse.converge.logs import following_journal
from enginehouse.converge.records import events as events_on
from enginehouse.report.events import event_json, event_line
from enginehouse.report.lines import Line
from enginehouse.verbs import Answer, Format, Show
from enginehouse.verbs.each import of_each
from enginehouse.verbs.follow import Source, follow
from enginehouse.verbs.machines import AT_ONCE, looking
from enginehouse.verbs.plans import planned


def events(stack: str, output: Format, *, forever: bool, show: Show, progress: Callable[[str], None]) -> Answer:
    """Every event of all machines, oldest first; with `forever`, then each new one as it comes.

    Code `FAILED` if a machine can't be asked; the others' are shown. Raises `SpecError` if the stack can't be used.
    """
    hosts = planned(stack).hosts
    with ThreadPoolExecutor(AT_ONCE) as pool, looking("events", progress, stack) as context:
        told, code = of_each(hosts, lambda host: events_on(host, context), progress, pool)
        found = sorted((entry for _, entries in told for entry in entries), key=lambda entry: entry.at)
        if forever:
            show(tuple(_line(entry, output) for entry in found))
            news = _News(found, output, show)
            follow((Source(part=host, script=following_journal(host), hear=news.hear) for host, _ in told), context)
    return Answer(lines=tuple(_line(entry, output) for entry in found), code=code)


class _News:
    """Shows what was not shown yet: a journal is heard from its start, and again when it was cut."""

    def __init__(self, shown: list[Entry], output: Format, show: Show) -> None:
        self._shown = set(shown)
        self._output = output
        self._show = show

    def hear(self, text: str) -> None:
        new = [entry for entry in parse(text) if entry not in self._shown]
        self._shown.update(new)
        self._show(tuple(_line(entry, self._output) for entry in new))


def _line(entry: Entry, output: Format) -> Line:
    return event_json(entry) if output is Format.JSONL else event_line(entry, zone=None)
