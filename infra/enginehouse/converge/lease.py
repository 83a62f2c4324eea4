"""The lease of a machine: one run works on it at a time, a dead run never blocks, and its orphans are waited for.

A keeper script holds an exclusive `flock` on `host/lease` for as long as this process lives: its stdin ends with the
process, and the kernel frees the lock. So it does when nothing was heard of this process for `SILENT_S`.
`host/lease.note` says whose lease it is. A run that ends well takes its note away, so a note left under a free lock is
a dead run's, and the next holder tells about it.

What a dead run has left running on the machine is waited for with a second lock: every script that changes something
holds `host/busy` shared (`mutating`), and a new holder waits until nobody does. The note is the fence for scripts that
are late: it is written before that wait, and a script that finds another run's note changes nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shlex
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime

from enginehouse.connectors.base import Connector, Held
from enginehouse.converge.run import Clock, Run
from enginehouse.errors import ConvergeFailed, LeaseHeld

LEASE_WAIT_S = 3
"""A holder that was just killed lets go within milliseconds, over a slow link within a second or two."""

BUSY_WAIT_S = 60
"""Orphaned scripts lose their streams and mostly end at once; what still works after this is something to look at."""

SILENT_S = 45
"""Four signs of life that do not come; as long as it takes us to believe that a connection is broken."""

START_S = 20
"""What a machine may take to start a shell, on top of the waits."""

BUSY_FD = 8
"""The descriptor a mutating script holds the busy lock with. A daemon must not inherit it: start it with `8>&-`."""

LEASE_LOST = 75
"""Exit code of a mutating script whose run no longer holds the lease (EX_TEMPFAIL of sysexits.h)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Who holds, or held, a lease."""

    run: str
    who: str
    door: str
    since: str
    """UTC, ISO 8601."""
    controller: str
    """The process that holds it, and its machine."""

    def __str__(self) -> str:
        return f"{self.who}, since {self.since}, through {self.door} (run {self.run}, {self.controller})"


class Leases:
    """The leases this process holds; safe to use from several threads. A process needs one of these.

    A lease is re-entrant: the parts of one run share it, and the last to leave gives it back. Another run in the same
    process is refused like one in another process.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        lease_wait_s: int = LEASE_WAIT_S,
        busy_wait_s: int = BUSY_WAIT_S,
        silent_s: int = SILENT_S,
    ) -> None:
        self._clock = clock
        self._silent_s = silent_s
        self._lease_wait_s = lease_wait_s
        self._busy_wait_s = busy_wait_s
        self._lock = threading.Lock()
        self._leases: dict[tuple[str, str], _Lease] = {}

    @contextlib.contextmanager
    def hold(self, connector: Connector, state_folder: str, run: Run, notice: Callable[[str], None]) -> Iterator[None]:
        """Hold the lease of the machine whose state folder is `state_folder` (made if missing) during the block.

        `notice` is told when a dead run's lease was taken over. Raises `LeaseHeld` if another run works there, or if
        what a dead run left there still does, and `ConvergeFailed` if the machine can't lock.
        """
        with self._lock:
            lease = self._leases.setdefault((connector.host, state_folder), _Lease())
        lease.enter(connector.host, run.id, lambda: self._take(connector, state_folder, run, notice))
        try:
            yield
        finally:
            lease.leave()

    def _take(self, connector: Connector, state_folder: str, run: Run, notice: Callable[[str], None]) -> Held:
        note = _note(run, self._clock.now())
        script = keeper(state_folder, note, self._lease_wait_s, self._busy_wait_s, self._silent_s)
        held = connector.hold(script, deadline_s=self._lease_wait_s + self._busy_wait_s + START_S)
        word, _, line = held.first_line.partition(" ")
        if word != "taken":
            held.release()
            raise _refusal(connector.host, state_folder, held.first_line)
        before = _read(line)
        if line and (before is None or before.run != run.id):
            notice(f"{connector.host}: took over the lease of a run that died: {before or 'its note is not readable'}")
        return held


def keeper(state_folder: str, note: Note, lease_wait_s: int, busy_wait_s: int, silent_s: int) -> str:
    """The script that takes a lease and keeps it until its stdin ends or brings nothing for `silent_s`.

    Its first line is `taken`, `held`, `busy` or `no-flock`, then the note that was there before, if one was.
    """
    state, mine = shlex.quote(state_folder), shlex.quote(_line(note))
    return f"""set -eu
command -v flock >/dev/null || {{ echo no-flock; exit; }}
mkdir -p -m 700 {state} {state}/host
cd {state}/host
umask 077
say() {{ printf '%s %s\\n' "$1" "$2"; }}
write_note() {{ printf '%s\\n' "$1" >lease.note.new; mv -f lease.note.new lease.note; }}
there() {{ [ ! -s lease.note ] || head -n 1 lease.note; }}
exec 9<>lease
flock -w {lease_wait_s} 9 || {{ say held "$(there)"; exit; }}
before=$(there)
write_note {mine}
exec {BUSY_FD}<>busy
flock -w {busy_wait_s} {BUSY_FD} || {{ write_note "$before"; say busy "$before"; exit; }}
exec {BUSY_FD}>&-
say taken "$before"
while :; do
    word=$(timeout --foreground {silent_s} sh -c 'read -r word && echo "$word"' 9>&-) || exit
    [ "$word" ] || break
done
rm -f lease.note
"""


def mutating(script: str, *, state_folder: str, run: Run) -> str:
    """`script`, made to run only while `run` holds the lease, and to be waited for by whoever holds it next.

    It ends with `LEASE_LOST` and changes nothing if the lease is another run's. Descriptor `BUSY_FD` is taken; a daemon
    that `script` starts must be started with it closed (`8>&-`), or the next run waits for the daemon.
    """
    host = shlex.quote(f"{state_folder}/host")
    mine = shlex.quote(f'{{"run": {json.dumps(run.id)},')
    lost = f"{{ echo 'the lease of this machine is no longer held by this run' >&2; exit {LEASE_LOST}; }}"
    return f"""exec {BUSY_FD}<>{host}/busy && flock -s {BUSY_FD} || exit
case $(head -n 1 {host}/lease.note 2>/dev/null) in {mine}*) ;; *) {lost} ;; esac
{script}"""


@dataclass(slots=True)
class _Lease:
    """One machine's lease in this process. `lock` is held while it is taken: others of the run wait for the outcome."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    inside: int = 0
    run: str = ""
    held: Held | None = None

    def enter(self, host: str, run: str, take: Callable[[], Held]) -> None:
        with self.lock:
            if self.held is None or not self.held.alive():
                self.held, self.run = take(), run
            elif self.run != run:
                raise LeaseHeld(f"{host}: run {self.run} of this process works on this machine; wait for its end")
            self.inside += 1

    def leave(self) -> None:
        with self.lock:
            self.inside -= 1
            if self.inside == 0 and self.held is not None:
                self.held.release()
                self.held = None


def _note(run: Run, now: datetime) -> Note:
    since = now.isoformat(timespec="seconds")
    return Note(
        run=run.id, who=run.who, door=run.door, since=since, controller=f"process {os.getpid()} on {platform.node()}"
    )


def _line(note: Note) -> str:
    """One line that starts with the run's id; `mutating` compares just that."""
    return json.dumps(asdict(note))


def _read(line: str) -> Note | None:
    """The note in `line`; None if it is empty or something else wrote it."""
    try:
        return Note(**json.loads(line))
    except (ValueError, TypeError):
        return None


def _refusal(host: str, state_folder: str, answer: str) -> Exception:
    """What the keeper's first line means when it is not `taken`."""
    word, _, line = answer.partition(" ")
    if word == "held":
        who = _read(line) or "a run that has not signed yet"
        return LeaseHeld(f"{host}: another run works on this machine: {who}; wait for its end, then run again")
    if word == "busy":
        return LeaseHeld(
            f"{host}: commands of a run that died still work on this machine: {_read(line) or 'it left no note'}; "
            f"wait for their end, then run again (`fuser -v {state_folder}/host/busy` shows them)"
        )
    if word == "no-flock":
        return ConvergeFailed(f"{host}: `flock` is missing", reasons=("install the package util-linux there",))
    return ConvergeFailed(f"{host}: the lease could not be taken", reasons=(f"the keeper said {answer!r}",))
