"""Several scripts that never end by themselves, heard line by line until the person has seen enough."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass

from enginehouse.converge import Context
from enginehouse.errors import CommandFailed
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
    """Hear all sources at once, one line at a time. Returns only by an error: the first one of any source."""
    every, turn = tuple(sources), threading.Lock()
    with ThreadPoolExecutor(len(every)) as pool:
        calls = [pool.submit(_hear, source, context, turn) for source in every]
        try:
            for ended in wait(calls, return_when=FIRST_EXCEPTION).done:
                ended.result()
        finally:
            context.connectors.close()  # ends the others, and lets the pool end


def _hear(source: Source, context: Context, turn: threading.Lock) -> None:
    def line(text: str) -> None:
        with turn:
            source.hear(text)

    part = source.part
    result = context.connectors.connect(part).run(source.script, deadline_s=FOREVER_S, on_line=line)
    said = result.stderr.splitlines() or ("it ended by itself",)
    raise CommandFailed(f"{part.host}: following {part.name}", result.returncode, said)
