"""What can be done to a machine, as data. Kinds compute steps from facts; `execute` carries them out.

Staging puts things beside what runs; activating switches to them. Both are kept apart, so that each can be run alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from enginehouse.converge.facts import Stored
from enginehouse.converge.manifest import Left
from enginehouse.gateway.runtime import ServerState
from enginehouse.planner.parts import EndpointPart, Side

SCRIPT_DEADLINE_S = 60.0
"""For scripts that move files and ask programs; long work has deadlines of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing to do. `title` says what and, where it was a choice, why."""

    title: str
    host: str | None = None
    """The other machine on which it is done; None: on the part's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A file as it will be on the machine: absolute path, content with secrets filled in, permission bits."""

    path: str
    content: str = field(repr=False)
    mode: int

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """A file that is on the machine as it shall be; what is in it, only the machine knows."""

    path: str
    sha256: str
    mode: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sh(Step):
    """Run a script that changes something; its stdout lines are shown as progress."""

    script: str = field(repr=False)
    stdin: str = field(default="", repr=False)
    """Where secrets come from: a script is text that a log may hold."""
    deadline_s: float = SCRIPT_DEADLINE_S


@dataclass(frozen=True, slots=True, kw_only=True)
class StartSupervisor(Sh):
    """Start the supervisor with that script, and wait until it has started every program it knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place(Step):
    """Put files: mode before content, complete or not at all."""

    files: tuple[Placed, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOver(Step):
    """Put a file that is on another machine, unless it is another one there by now. Only the run's memory holds it."""

    keeper: str | None
    """The machine that has it, at `source`; None: it is the part's own."""
    source: str
    file: Staged


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload(Step):
    """Bring a file of ours to `target`, continuing where an earlier upload ended; checked before it gets its name."""

    source: str
    """Path of the file on this side; a relative one starts at the context's `uploads_from`."""
    sha256: str
    target: str
    record: str
    free_mib: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch(Step):
    """Bring a file that other machines of this run may have by now: from one of them, else as `origin` does."""

    origin: Step
    sha256: str
    target: str
    record: str
    address: str
    """Of this machine, in the network that it shares with them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartProgram(Step):
    """Give a program to the supervisor, which starts it; one of the same name is stopped first."""

    program: str
    file: Placed
    folders: tuple[str, ...]
    """Made first if they are missing: where the program writes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopProgram(Step):
    """Stop a program and make the supervisor forget it. One that is not there is fine."""

    program: str
    file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BecomeReady(Step):
    """Wait until an engine is healthy and has given one real completion. Fails at once when it exits."""

    engine: str
    """Whose known failures explain its log."""
    program: str
    address: str
    """Where the engine listens: host and port."""
    asked_from: str | None = None
    """The other machine that asks for the completion, as it will send requests; None: the engine's own."""
    health_path: str
    model: str
    within_s: int
    log: str
    """The engine's log, whose last lines become the reasons of a failure."""
    keys: str | None = None
    """The file with the keys that it accepts, on its own machine, if it asks for one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """One server line at the gateway."""

    backend: str
    server: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetServers(Step):
    """Put servers into these states, then save all states for the next start of the gateway."""

    socket: str
    saved: str
    """The file for the states."""
    wanted: Mapping[Seat, ServerState]
    paused: tuple[Seat, ...] = ()
    """Servers that get nothing new while the requests that wait for them go on waiting."""
    unsaved: frozenset[str] = frozenset()
    """Server names whose state is not saved: a saved line also holds the port, and wins over a new configuration."""
    usable_within_s: int = 0
    """How long those that become ready may take to pass their health check; 0 does not wait for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitIdle(Step):
    """Wait until nobody is connected to a port of a drained engine; after `within_s` go on with a notice."""

    port: int
    within_s: int
    cut: bool = True
    """Whether what follows ends the requests that are still running then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitGateway(Step):
    """Wait until HAProxy's runtime socket answers. Fails at once when the program exits."""

    program: str
    socket: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reload(Step):
    """Make the running HAProxy read `current` again; done when its new worker answers."""

    program: str
    socket: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prove(Step):
    """Use the endpoint as a client would: keys refused and accepted, models listed, real answers."""

    part: EndpointPart


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteManifest(Step):
    """Record the part; generation, machine and author are added when it is written."""

    files: tuple[Placed | Staged, ...] = ()
    tools: str = ""
    """Lines for the probe's cache of known programs."""
    release: str = ""
    side: Side | None = None
    left: tuple[Left, ...] = ()
    seen: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Undo:
    """A step of a way back, and the step of the way there without which it has nothing to put right."""

    of: Step
    step: Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation(Step):
    """Steps that either all succeed or are undone by `back`, as far as they were begun."""

    forward: tuple[Step, ...]
    back: tuple[Undo, ...]
    old_serves: bool
    """Whether the release from before serves again once the way back is through."""

    def undoing(self, begun: Collection[Step]) -> tuple[Step, ...]:
        """The way back when just these of `forward` were begun."""
        return tuple(undo.step for undo in self.back if undo.of in begun)


class Effect(StrEnum):
    """What steps mean for those who use the part; the words a preview begins with."""

    NOTHING = "nothing"
    RECORD = "record only"
    """What is remembered of the part is written anew; nothing else."""
    FILES = "files only"
    """Files that nothing that runs reads before its next start."""
    FETCH = "fetch"
    PROOF = "proof"
    TRAFFIC = "traffic"
    """What runs stays; who gets requests is put right."""
    RELOAD = "reload"
    START = "start"
    """Nothing of the part runs."""
    RESTART_BESIDE = "restart"
    """The next one starts beside the one that runs, and takes over when it is ready."""
    RESTART_PAUSED = "restart with a pause"
    """The one that runs ends before the next one starts."""
    UNDECIDED = "restart, beside or with a pause"
    """Only in a preview: what decides it comes with another part."""
    FAILS = "fails"
    """Only in a preview: as the machine is now, this part can't be brought."""

    def exchanges(self) -> bool:
        """Whether something that runs is exchanged."""
        return self in (Effect.RESTART_BESIDE, Effect.RESTART_PAUSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """What a part needs, what that means, and why. No steps have the effect `NOTHING`."""

    prepare: tuple[Step, ...] = ()
    """What has to be done before the others can be computed: then there are no others yet."""
    stage: tuple[Step, ...] = ()
    activate: tuple[Step, ...] = ()
    effect: Effect = Effect.NOTHING
    reason: str
    memory_mib: int = 0
    """What an engine that they start may take."""

    def all(self) -> tuple[Step, ...]:
        return (*self.prepare, *self.stage, *self.activate)


def wrong_files(files: Iterable[Placed | Staged], stored: Mapping[str, Stored]) -> tuple[Placed, ...]:
    """Those of `files` that are missing on the machine or have another content or mode there."""
    ours = (file for file in files if isinstance(file, Placed))
    return tuple(f for f in ours if stored.get(f.path) != Stored(sha256=f.sha256, mode=f.mode))
