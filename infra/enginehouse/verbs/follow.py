"""Several scripts that never end by themselves, heard line by line until the person has seen enough."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from enginehouse.converge import Context
from enginehouse.errors import CommandFailed, ConnectorError, EnginehouseError, explain
from enginehouse.planner.parts import Part

FOREVER_S = 10.0 * 365 * 24 * 3600
"""Ctrl-C and a reader that went away end it, no deadline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A script on a part's machine, and who hears its lines."""

    part: Part
    script: str
    hear: Callable[[str], None]


def follow(sources: Iterable[Source], context: Context) -> None:
    """Hear all sources at once, one line at a time. A machine that is lost is told, and the others go on.

    Returns only by an error: the first one if all are lost, and at once what a hearer raises.
    """
    every, turn = tuple(sources), threading.Lock()
    lost: list[EnginehouseError] = []
    with ThreadPoolExecutor(len(every)) as pool:
        calls = {pool.submit(_hear, source, context, turn): source.part for source in every}
        try:
            for ended in as_completed(calls):
                try:
                    ended.result()
                except (ConnectorError, CommandFailed) as error:
                    lost.append(error)
                    if len(lost) < len(calls):
                        context.progress(calls[ended].name, "; ".join(explain(error)))
            raise lost[0]
        finally:
            context.connectors.close()  # ends the others, and lets the pool end


def _hear(source: Source, context: Context, turn: threading.Lock) -> None:
    def line(text: str) -> None:
        with turn:
            source.hear(text)

    part = source.part
    result = context.connect(part).run(source.script, deadline_s=FOREVER_S, on_line=line)
    said = result.stderr.splitlines() or ("it ended by itself",)
    raise CommandFailed(f"{part.host}: following {part.name}", result.returncode, said)
