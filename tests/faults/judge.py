"""Was a request ever sent to an engine that was not ready? From the stand-in engine's journal and HAProxy's access log.

A process may get a request of the gateway
- when it has loaded and was not told to stop, and
- when it proved itself, or when the supervisor started it again by itself and its release had proved itself before.
A process that converge waits for gets none between the first question and its proof. What HAProxy cannot have noticed
yet is no fault: from when something begins to end an engine until `UNNOTICED_S` after that has ended, it may still try
the dying process, and meet its loading successor. Who is told to stop by converge gets none from then on.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

UNNOTICED_S = 4.0
"""Two failed checks, a second apart, and the check that was on its way."""

Event = Mapping[str, Any]


@dataclass
class Process:
    """What the journal has told about one engine process so far."""

    loaded: bool = False
    awaited: bool = False
    proved: bool = False
    told_to_stop: bool = False


@dataclass
class Judge:
    """Reads events in their order; `violations` are sentences."""

    processes: dict[tuple[str, int], Process] = field(default_factory=dict)
    """By mark and number: in containers the same numbers come again."""
    proved: set[tuple[str, str]] = field(default_factory=set)
    """Mark and release that once proved themselves."""
    killed: dict[str, float] = field(default_factory=dict)
    """When an engine with that mark was killed last; infinite while something is at it."""
    arrived: dict[str, Event] = field(default_factory=dict)
    """Requests of the gateway by their name, as the engine saw them."""
    violations: list[str] = field(default_factory=list)
    read: int = 0
    """Characters of the journal that were heard already."""

    def hear(self, events: Iterable[Event]) -> None:
        for event in events:
            process = self.processes.setdefault((event["mark"], event.get("pid", 0)), Process())
            match event["event"]:
                case "started":
                    self.processes[event["mark"], event["pid"]] = Process()
                case "dying":
                    self.killed[event["mark"]] = math.inf
                case "killed":
                    self.killed[event["mark"]] = event["t"]
                case "loaded":
                    process.loaded = True
                case "awaited":
                    process.awaited = True
                case "proved":
                    process.proved = True
                    self.proved.add((event["mark"], event["release"]))
                case "told to stop":
                    process.told_to_stop = True
                case "request":
                    self.arrived[event["id"]] = event
                    self.violations += self._wrong(process, event)

    def compare(self, access_log: Iterable[Event], now: float, wall: float) -> None:
        """Each request that HAProxy sent to a server has to have arrived at the engine of that server.

        `now` and `wall` are the same moment on the engines' clock and on the one of the access log.
        """
        for line in access_log:
            arrived = self.arrived.get(line["id"])
            mark = _mark(line["server"])
            if arrived and arrived["mark"] != mark:
                self.violations.append(f"{line['server']} is in the log for a request that {arrived['mark']} got")
            if mark and not arrived and not self._unnoticed(mark, now - wall + line["ended"]):
                self.violations.append(f"{line['server']} was sent a request that no engine took: {dict(line)}")

    def _wrong(self, process: Process, event: Event) -> Iterator[str]:
        who = f"{event['mark']} (process {event['pid']}, release {event['release']})"
        if process.told_to_stop and not self._unnoticed(event["mark"], event["t"]):
            yield f"{who} got a request after it was told to stop"
        if not process.loaded and not self._unnoticed(event["mark"], event["t"]):
            yield f"{who} got a request while it was loading"
        if process.proved:
            return
        if process.awaited:
            yield f"{who} got a request before it had proved itself to the run that waits for it"
        elif (event["mark"], event["release"]) not in self.proved:
            yield f"{who} got a request before its release had ever proved itself"

    def _unnoticed(self, mark: str, t: float) -> bool:
        return t - self.killed.get(mark, -UNNOTICED_S) < UNNOTICED_S


def read_journal(text: str) -> Iterator[Event]:
    yield from (json.loads(line) for line in text.splitlines())


def read_access_log(file: Path) -> Iterator[Event]:
    """HAProxy's lines with the second in which each request ended as `ended`; what is not JSON are its own words."""
    for line in file.read_text(errors="replace").splitlines() if file.exists() else ():
        if line.startswith("{") and line.endswith("}"):
            found = json.loads(line)
            yield {**found, "ended": datetime.fromisoformat(found["time"]).timestamp()}


def _mark(server: str) -> str:
    """The program behind a server's name: `STACK/chat-box-0/a` without the stack; empty if none was chosen."""
    replica, _, side = server.rpartition("-")
    return f"{replica}/{side}" if side in ("a", "b") else ""
