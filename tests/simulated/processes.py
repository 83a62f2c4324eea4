"""What runs on a simulated machine: engines, HAProxy, and others' programs."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from enginehouse.converge import completion
from tests.simulated.lines import Answer, http

if TYPE_CHECKING:
    from tests.simulated.machine import Machine

LOAD_S = 0.3
"""From an engine's start to health 200."""


class Mood(StrEnum):
    """How an engine does after its start."""

    WELL = "well"
    ENDS = "ends"
    NEVER_READY = "never ready"
    NONSENSE = "nonsense"


@dataclass
class Process:
    """`mark` is its ENGINEHOUSE_PROGRAM; somebody else's process has none."""

    pid: int
    parent: int
    command: str
    started: float
    mark: str = ""
    release: str = ""
    state: str = ""

    def ports(self) -> tuple[int, ...]:
        return ()

    def dial(self, address: str) -> Answer | None:
        """Who answers at `tcp:127.0.0.1:PORT` or `unix:PATH`; None if it does not listen there."""
        return None


@dataclass
class Stranger(Process):
    """Somebody else's program: it answers 200 to whatever it is asked."""

    port: int = 0

    def ports(self) -> tuple[int, ...]:
        return (self.port,)

    def dial(self, address: str) -> Answer | None:
        return http(lambda *request: (200, b"{}")) if address == f"tcp:127.0.0.1:{self.port}" else None


@dataclass
class Engine(Process):
    """`proved` once it has given an answer to a first completion. `again`: the supervisor started it by itself, because
    it ended or the machine did; until converge looks, its health check is all that HAProxy has."""

    machine: Machine = field(repr=False, kw_only=True)
    port: int = 0
    model: str = ""
    mood: Mood = Mood.WELL
    proved: bool = False
    again: bool = False

    def ports(self) -> tuple[int, ...]:
        return (self.port,)

    def is_ready(self) -> bool:
        return self.mood is not Mood.NEVER_READY and self.machine.clock.seconds >= self.started + LOAD_S

    def dial(self, address: str) -> Answer | None:
        return http(self._answer) if address == f"tcp:127.0.0.1:{self.port}" else None

    def complete(self, body: bytes) -> tuple[int, bytes]:
        """A completion, whoever asks for it."""
        if not self.is_ready():
            return 503, b'{"error": "loading"}'
        asked = json.loads(body)
        said = "!!!!!!!!" if self.mood is Mood.NONSENSE else "Hello."
        if asked.get("stream"):
            return 200, b'data: {"x": 1}\n\ndata: [DONE]\n\n'
        return 200, json.dumps({"choices": [{"message": {"content": said}}]}).encode()

    def _answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        if path == "/health":
            return (200, b"ok") if self.is_ready() else (503, b"loading")
        answer = self.complete(body) if path == completion.PATH else (404, b"")
        self.proved = self.proved or (answer[0] == 200 and self.mood is not Mood.NONSENSE)
        return answer


@dataclass(frozen=True, slots=True)
class Program:
    """One of the supervisor's program files, and what its start script becomes."""

    name: str
    script: str
    folder: str
    mark: str
    release: str
    log: str

    @classmethod
    def parse(cls, text: str) -> Program | None:
        """None for a text that supervisord would refuse."""
        values = dict(line.split(" = ", 1) for line in text.splitlines() if " = " in line)
        name = re.search(r"^\[program:(.+)\]$", text, re.MULTILINE)
        environment = re.findall(r'(\w+)="([^"]*)"', values.get("environment", ""))
        if name is None or not environment or "stdout_logfile" not in values:
            return None
        script = shlex.split(values["command"])[-1]
        mark, release = (dict(environment)[f"ENGINEHOUSE_{key}"] for key in ("PROGRAM", "RELEASE"))
        return cls(name[1], script, values["directory"], mark, release, values["stdout_logfile"])


def words_of(script: str) -> list[str]:
    """The command line that a start script ends with."""
    line = next((line for line in script.splitlines() if line.startswith("exec ")), "")
    return shlex.split(line.removeprefix("exec "))


def flag(words: list[str], name: str) -> str:
    return words[words.index(name) + 1] if name in words else ""
