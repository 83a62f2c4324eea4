"""Carries out steps on a machine, one after the other, and tells how far it is. It decides nothing but when to stop.

Every wait ends: at success, at failure, at its deadline, or when the person asks to stop.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from typing import Any

from enginehouse.converge import scripts
from enginehouse.converge.fetch import fetch
from enginehouse.converge.journal import Word
from enginehouse.converge.manifest import Manifest, to_json
from enginehouse.converge.proof import prove
from enginehouse.converge.steps import (
    Activation,
    AwaitGateway,
    BecomeReady,
    Fetch,
    HandOver,
    Place,
    Placed,
    Prove,
    Reload,
    SetServers,
    Sh,
    StartProgram,
    StartSupervisor,
    Step,
    StopProgram,
    Upload,
    WaitIdle,
    WriteManifest,
)
from enginehouse.converge.traffic import await_gateway, reload, set_servers
from enginehouse.converge.upload import upload
from enginehouse.converge.waits import become_ready, wait_idle
from enginehouse.converge.work import Work
from enginehouse.errors import Cancelled, ConvergeFailed, EnginehouseError, explain

KEPT = 50
"""Generations in a part's history: months of work on one part, and at most a few megabytes."""

Stamp = Callable[[WriteManifest], Manifest]
"""Adds generation, machine and author to what a step records."""


def execute(steps: tuple[Step, ...], work: Work, stamp: Stamp | None = None) -> Manifest | None:
    """Carry out `steps` in order and return the manifest that was written, if one was; that takes a `stamp`.

    Raises `ConvergeFailed` at the first step that fails, `Cancelled` when asked to stop; an activation is undone first.
    """
    return _Executor(work, stamp, _count(steps)).run(steps)


class _Executor:
    def __init__(self, work: Work, stamp: Stamp | None, total: int) -> None:
        self._work = work
        self._stamp = stamp
        self._total = total
        self._done = 0
        self._written: Manifest | None = None

    def run(self, steps: tuple[Step, ...]) -> Manifest | None:
        for step in steps:
            self._one(step)
        return self._written

    def _one(self, step: Step) -> None:
        if isinstance(step, Activation):
            self._activate(step)
            return
        self._begin(step)
        self._carry_out(step)

    def _begin(self, step: Step) -> None:
        self._done += 1
        self._work.begin(f"[{self._done}/{self._total}] {step.title}")

    def _carry_out(self, step: Step) -> None:
        if isinstance(step, WriteManifest):
            assert self._stamp, "who records a part signs it"
            self._written = _write_manifest(self._work, step, self._stamp)
        else:
            _EXECUTORS[type(step)](self._work.at(step.host), step)

    def _activate(self, step: Activation) -> None:
        begun: list[Step] = []
        try:
            for inner in step.forward:
                self._begin(inner)
                begun.append(inner)
                self._carry_out(inner)
        except EnginehouseError as cause:
            self._put_back(step, step.undoing(begun), cause)

    def _put_back(self, step: Activation, back: tuple[Step, ...], cause: EnginehouseError) -> None:
        """Undo, then raise: `Cancelled` if that was the cause, else `ConvergeFailed` that says what serves now."""
        reasons = cause.reasons if isinstance(cause, ConvergeFailed) else tuple(explain(cause))[1:]
        try:
            with self._work.deaf():
                for inner in back:
                    self._work.begin(f"undoing: {inner.title}")
                    self._carry_out(inner)
        except EnginehouseError as second:
            reasons = (*reasons, "putting the old release back failed, too:", *explain(second))
            raise ConvergeFailed(f"{step.title} failed: {cause}", reasons=reasons) from cause
        if isinstance(cause, Cancelled):
            raise cause
        outcome = "the release from before serves" if step.old_serves else "nothing serves"
        raise ConvergeFailed(f"{cause}; {outcome}", reasons=reasons, old_serves=step.old_serves) from cause


def _count(steps: tuple[Step, ...]) -> int:
    return sum(len(step.forward) if isinstance(step, Activation) else 1 for step in steps)


def _sh(work: Work, step: Sh) -> None:
    stdin = (step.stdin.encode(),) if step.stdin else ()
    work.do(step.title, step.script, stdin=stdin, deadline_s=step.deadline_s)


def _place(work: Work, step: Place) -> None:
    script, stdin = scripts.place(step.files)
    work.do(step.title, script, stdin=stdin)


def _hand_over(work: Work, step: HandOver) -> None:
    keys = work.at(step.keeper).do(step.title, f"cat {shlex.quote(step.source)}").stdout
    file = Placed(path=step.file.path, content=keys, mode=step.file.mode)
    if file.sha256 != step.file.sha256:
        raise ConvergeFailed(f"{step.title} failed: it was changed meanwhile; run again")
    script, stdin = scripts.place([file])
    work.do(step.title, script, stdin=stdin)


def _start(work: Work, step: StartProgram) -> None:
    script, stdin = scripts.place([step.file], folders=step.folders)
    work.do(step.title, script, stdin=stdin)
    work.supervisor.start(step.program)


def _start_supervisor(work: Work, step: StartSupervisor) -> None:
    """A look at the machine while programs start would take them for missing, and their ports for somebody else's."""
    _sh(work, step)
    work.supervisor.await_started()


def _stop(work: Work, step: StopProgram) -> None:
    work.supervisor.stop(step.program)
    work.do(step.title, scripts.remove(step.file))


def _fetch(work: Work, step: Fetch) -> None:
    fetch(work, step, lambda: _EXECUTORS[type(step.origin)](work, step.origin))


def _prove(work: Work, step: Prove) -> None:
    prove(step.part, work)


def _write_manifest(work: Work, step: WriteManifest, stamp: Stamp) -> Manifest:
    manifest = stamp(step)
    files = [Placed(path=work.places.tools, content=step.tools, mode=0o600)] if step.tools else []
    places = (f"{work.places.history}/{manifest.generation}.json", work.places.manifest)
    files += [Placed(path=path, content=to_json(manifest), mode=0o600) for path in places]
    changed = work.journal.entry(Word.CHANGED, manifest.change.what, generation=manifest.generation)
    with work.journal.along(changed) as notes:
        script, stdin = scripts.place(files, then=(scripts.keep_newest(work.places.history, KEPT), *notes))
        work.do(step.title, script, stdin=stdin)
    return manifest


_EXECUTORS: Mapping[type[Step], Callable[[Work, Any], None]] = {
    Sh: _sh,
    StartSupervisor: _start_supervisor,
    Place: _place,
    Upload: upload,
    Fetch: _fetch,
    HandOver: _hand_over,
    StartProgram: _start,
    StopProgram: _stop,
    BecomeReady: become_ready,
    SetServers: set_servers,
    WaitIdle: wait_idle,
    AwaitGateway: await_gateway,
    Reload: reload,
    Prove: _prove,
}
