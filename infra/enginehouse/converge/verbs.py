"""The verbs: converge, foresee, observe, destroy, and what a machine remembers."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from enginehouse.connectors.base import Connector
from enginehouse.converge import certificates, packages, scripts
from enginehouse.converge.claims import make_claim
from enginehouse.converge.context import Context
from enginehouse.converge.execute import execute
from enginehouse.converge.facts import Facts, Stored
from enginehouse.converge.fetch import note
from enginehouse.converge.gates import check_enough_left, exchange
from enginehouse.converge.hangs import Hangs
from enginehouse.converge.journal import Word, shortened
from enginehouse.converge.kinds import kind_of
from enginehouse.converge.leased import check_reach, leases
from enginehouse.converge.look import check_frozen, check_gateway, is_there, look, look_around, with_orders
from enginehouse.converge.looks import PROBE_S
from enginehouse.converge.manifest import Change, Manifest
from enginehouse.converge.passing import passing
from enginehouse.converge.places import Places
from enginehouse.converge.preflight import ready
from enginehouse.converge.room import check_room, room_named
from enginehouse.converge.standing import Order
from enginehouse.converge.steps import Effect, Sh, Steps, WriteManifest
from enginehouse.converge.turns import turn
from enginehouse.converge.wire import DRIFT, as_inputs
from enginehouse.converge.work import Work
from enginehouse.errors import (
    ChangedElsewhere,
    ConnectorError,
    ConvergeFailed,
    Frozen,
    GateClosed,
    Unreachable,
    explain,
)
from enginehouse.planner.diff import in_words
from enginehouse.planner.parts import GatewayPart, HostPart, Part, ReplicaPart

GATEWAY_BACK_S = 10.0
"""supervisord notices within a second that HAProxy ended, and a busy machine takes some to start it."""
GATEWAY_LOOK_S = 0.2
NOT_OF_MACHINE = ("connection", "elsewhere", "renamed_from")
"""Inputs that no machine can be asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """A part as it really is: `inputs` are `as_inputs` of what the machine remembers, the truth where it differs."""

    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    reasons: tuple[str, ...]
    """Why it does not do its work, as sentences; empty means healthy."""
    frozen: Order | None = None
    """Told once for the whole stack on a machine, by its host part."""
    drained: Order | None = None
    hangs: Hangs | None = None
    """How often its engine hung; no fault of what runs now."""
    certificate_ends: datetime | None = None
    """Of a gateway with TLS."""

    def orders(self) -> tuple[str, ...]:
        """The standing orders as sentences; they explain what is seen and are no fault."""
        standing = {"the stack is frozen": self.frozen, "drained": self.drained}
        return tuple(f"{what} {order}" for what, order in standing.items() if order)


@dataclass(frozen=True, slots=True, kw_only=True)
class Foresight:
    """What a converge would do, in one word and one sentence with its reason."""

    effect: Effect
    reason: str
    stands: bool
    """Whether the machine has something of the part already."""
    prepares: bool = False
    """Whether something of the machine itself changes first, beside what is ours."""

    def __str__(self) -> str:
        return f"{self.effect}: {self.reason}"


def converge(
    part: Part, context: Context, *, seen_generation: int | None = None, machine_id: str | None = None
) -> dict[str, Any]:
    """Bring `part` to its machine and return its outputs; with nothing to do that is one round trip and no write.

    `seen_generation` and `machine_id` are outputs that the caller knows from before, if any. Raises `ChangedElsewhere`
    if somebody else changed the part since, `WrongMachine` if another machine answers, `Owned` if the stack belongs to
    another state than the context claims it for, `LeaseHeld` if another run works there, `Frozen` if a standing order
    forbids what is needed, `GateClosed` if another replica failed before this one's turn came or too few would be left,
    `ConvergeFailed` with reasons, and `Cancelled`.
    """
    try:
        facts = look_around(part, context, machine_id)
    except ConnectorError as error:
        error.untouched = True
        raise
    note(part, facts, context)
    work = Work.on(part, context, facts)
    connector = work.connector
    if adopting := _adoption(facts, seen_generation):
        context.notice(part.name, adopting)
    steps_now = kind_of(part).steps
    with work.journal.kept():
        with ready(part, context, facts):
            steps = steps_now(part, facts, context.secrets)
        if facts.manifest and not steps.all() and not _claims(context, facts):
            return _rest(part, context, connector, facts, facts.manifest, steps.reason)
        check_frozen(part, facts)
        check_room(part, facts)
        check_gateway(part, facts)
        with room_named(part, context), leases(part, work, facts), turn(part):
            facts = _settled(part, context, machine_id)
            check_gateway(part, facts)
            _check_generation(part, facts, seen_generation)
            check_frozen(part, facts)
            steps = steps_now(part, facts, context.secrets)
            if steps.prepare:
                execute(steps.prepare, work)
                facts = look_around(part, context, machine_id)
                steps = steps_now(part, facts, context.secrets)
            if steps.prepare:
                raise ConvergeFailed(f"{part.name}: {steps.prepare[0].title} changed nothing")
            if context.claim and _claims(context, facts):
                make_claim(part, work, context.claim)

            def again() -> tuple[Facts, Steps]:
                nonlocal facts, steps
                facts = _settled(part, context, machine_id)
                check_gateway(part, facts)
                steps = steps_now(part, facts, context.secrets)
                return facts, steps

            with passing(part, context, (facts, steps), again):
                if adopting:
                    work.journal.add(Word.ADOPTED, adopting)
                stamp = _Stamp(part, context, connector, facts, seen_generation, _what(part, facts, steps))
                manifest = execute(steps.all(), work, stamp) or facts.manifest
            assert manifest is not None, "steps that change something end with the manifest"
            return _outputs(part, manifest, facts)


def foresee(part: Part, context: Context, *, machine_id: str | None = None) -> Foresight:
    """What `converge` would do to `part` as the machine is now. Changes nothing, takes no lease."""
    facts = look_around(part, context, machine_id)
    stands = is_there(part, facts)
    try:
        with ready(part, context, facts):
            steps = kind_of(part).foreseen(part, facts, context.secrets)
        if steps.effect is not Effect.NOTHING:
            check_frozen(part, facts)
            check_room(part, facts)
            check_gateway(part, facts)
        if isinstance(part, ReplicaPart) and steps.effect.exchanges():
            check_enough_left(part, exchange(part, with_orders(part, facts, context), steps))
    except (ConvergeFailed, Frozen, GateClosed, Unreachable) as error:
        return Foresight(effect=Effect.FAILS, reason="; ".join(explain(error)), stands=stands)
    return Foresight(effect=steps.effect, reason=steps.reason, stands=stands, prepares=bool(steps.prepare))


def observe(part: Part, context: Context, *, machine_id: str | None = None) -> Observed | None:
    """Look at `part` without changing anything; None if the machine has none of it. Takes no lease."""
    connector = context.connect(part)
    facts = look_around(part, context, machine_id)
    note(part, facts, context)
    if facts.manifest is None:
        return _unrecorded(part, facts)
    known = facts.manifest.part
    kind = kind_of(known)
    inputs = as_inputs(known)
    inputs |= {key: value for key, value in as_inputs(part).items() if key in NOT_OF_MACHINE}
    edited = _edited(facts, Places.of(part, facts.state), facts.manifest)
    if "files" in inputs:
        inputs["files"] = {name: edited.pop(name, digest) for name, digest in inputs["files"].items()}
    inputs |= kind.differences(known, facts)
    drift = {"files": edited} if edited else {}
    if _claims(context, facts) and facts.owner:
        drift["owner"] = {part.stack: f"another Pulumi state {facts.owner}"}
    if drift:
        inputs[DRIFT] = {**drift, **inputs.get(DRIFT, {})}
    return Observed(
        inputs=inputs,
        outputs=_outputs(known, facts.manifest, facts),
        reasons=kind.complaints(known, facts, connector, context.secrets),
        frozen=facts.frozen if isinstance(part, HostPart) else None,
        drained=facts.drained,
        hangs=facts.hangs,
        certificate_ends=certificates.ends(known, facts) if isinstance(known, GatewayPart) else None,
    )


def recorded(part: Part, context: Context) -> Manifest | None:
    """What the machine remembers of `part`, under its former name if it has not moved yet. Changes nothing."""
    facts = look(part, context)
    if facts.damaged:
        raise ConvergeFailed(f"{part.name}: the manifest on the machine is damaged", reasons=(facts.damaged.reason,))
    return facts.manifest or facts.former


def destroy(part: Part, context: Context, *, machine_id: str | None = None) -> tuple[str, ...]:
    """Take the part's own things off its machine; sentences say what stays on purpose. Idempotent, in any order.

    Raises `Frozen` if a standing order forbids it.
    """
    facts = look_around(part, context, machine_id)
    if not is_there(part, facts) and not packages.unfinished(facts):
        return ()
    check_frozen(part, facts)
    check_reach(part, facts, context)
    kind, work = kind_of(part), Work.on(part, context, facts)
    places = work.places
    with work.journal.kept(), room_named(part, context), leases(part, work, facts):
        facts = look_around(part, context, machine_id)
        check_frozen(part, facts)
        check_reach(part, facts, context)
        with work.journal.along(work.journal.entry(Word.REMOVED, "removed from the machine")) as notes:
            gone = Sh(title=f"removing {places.part}", script=scripts.remove(places.part, then=notes))
            execute((*kind.leave(part, facts), gone), work)
        return kind.stays(part, facts)


class _Stamp:
    """Signs what is recorded: one generation more, this machine, this run."""

    def __init__(
        self,
        part: Part,
        context: Context,
        connector: Connector,
        facts: Facts,
        seen_generation: int | None,
        what: str,
    ) -> None:
        self._part = part
        self._context = context
        self._connector = connector
        self._facts = facts
        self._seen_generation = seen_generation
        self._what = what

    def __call__(self, step: WriteManifest) -> Manifest:
        run, places = self._context.run, Places.of(self._part, self._facts.state)
        at = self._context.clock.now().isoformat(timespec="seconds")
        return Manifest(
            part=self._part,
            generation=self._generation() + 1,
            machine=self._facts.machine or _own_machine_id(self._connector, self._facts.state),
            change=Change(run=run.id, who=run.who, door=run.door, at=at, what=self._what),
            files={places.inside(file.path): file.sha256 for file in step.files},
            modes={places.inside(file.path): f"{file.mode:o}" for file in step.files},
            release=step.release,
            side=step.side,
            left=step.left,
            seen=step.seen,
        )

    def _generation(self) -> int:
        """The one before. Where the manifest was lost, history and caller keep the count from starting over."""
        before = self._facts.manifest or self._facts.former
        return before.generation if before else max(self._seen_generation or 0, self._facts.newest_generation)


def _settled(part: Part, context: Context, machine_id: str | None) -> Facts:
    """A look at the machine, once a gateway that has just died is back.

    Without it a replica's sides seem to get no requests. One would be stopped at once, and the gateway that the
    supervisor starts meanwhile, with the servers it had, would send to it.
    """
    facts = look_around(part, context, machine_id)
    if not _misses_gateway(part, facts):
        return with_orders(part, facts, context)
    context.progress(part.name, "waiting for the gateway, which does not answer")
    until = context.clock.monotonic() + GATEWAY_BACK_S
    while _misses_gateway(part, facts) and context.clock.monotonic() < until:
        context.pause(GATEWAY_LOOK_S)
        facts = look_around(part, context, machine_id)
    return with_orders(part, facts, context)


def _misses_gateway(part: Part, facts: Facts) -> bool:
    """Whether a replica's gateway is there and does not answer, and somebody would start it again."""
    if not isinstance(part, ReplicaPart) or facts.supervisor is None:
        return False
    return part.gateway.part in facts.others and facts.servers is None


def _rest(
    part: Part, context: Context, connector: Connector, facts: Facts, manifest: Manifest, reason: str
) -> dict[str, Any]:
    """Nothing to do. Raises `ConvergeFailed` if the part does not do its work all the same."""
    if complaints := kind_of(part).complaints(part, facts, connector, context.secrets):
        raise ConvergeFailed(f"{part.name} is as it should be, but does not do its work", reasons=complaints)
    tell = context.progress if manifest.records(part) else context.notice  # what was asked for is still to come
    tell(part.name, reason)
    return _outputs(part, manifest, facts)


def _claims(context: Context, facts: Facts) -> bool:
    """Whether the run has a claim to write down."""
    return context.claim is not None and context.claim.is_new(facts.owner)


def _adoption(facts: Facts, seen: int | None) -> str | None:
    """What is told when the machine knows the part and the caller does not: its state was lost, or is another clone."""
    if seen is not None or facts.manifest is None:
        return None
    return f"adopted: last changed by {facts.manifest.change} (generation {facts.manifest.generation})"


def _what(part: Part, facts: Facts, steps: Steps) -> str:
    """What a converge changes, in the words of a diff."""
    before = facts.manifest or facts.former
    if before is None:
        return "new on the machine"
    changes = in_words(as_inputs(before.part), as_inputs(part))
    done = (step.title for step in steps.all() if not isinstance(step, WriteManifest))
    return shortened(", ".join(changes) or f"as planned before; {', '.join(done) or 'recorded again'}")


def _check_generation(part: Part, facts: Facts, seen: int | None) -> None:
    manifest = facts.manifest
    if seen is None or manifest is None or manifest.generation == seen:
        return
    raise ChangedElsewhere(
        f"{part.name}: changed by {manifest.change} (generation {manifest.generation}, this run knew {seen}); run again"
    )


def _outputs(part: Part, manifest: Manifest, facts: Facts) -> dict[str, Any]:
    return {
        "generation": manifest.generation,
        "machine_id": manifest.machine,
        "changed_at": manifest.change.at,
        **kind_of(part).outputs(part, manifest, facts),
    }


def _unrecorded(part: Part, facts: Facts) -> Observed | None:
    """A part whose manifest is damaged or missing while something of it is there."""
    if facts.damaged:
        reason = f"the manifest on the machine is damaged: {facts.damaged.reason}"
        return Observed(inputs={**as_inputs(part), DRIFT: {"manifest": "damaged"}}, outputs={}, reasons=(reason,))
    if is_there(part, facts):
        return Observed(inputs={**as_inputs(part), DRIFT: {"manifest": "missing"}}, outputs={}, reasons=())
    return None


def _edited(facts: Facts, places: Places, manifest: Manifest) -> dict[str, str]:
    """Placed files that are not as they were written, by their name below the release."""
    stored = {path: facts.files.get(f"{places.stack_folder}/{path}") for path in manifest.files}
    return {_short(path): edit for path in manifest.files if (edit := _edit(path, stored[path], manifest))}


def _edit(path: str, stored: Stored | None, manifest: Manifest) -> str:
    """What was done to a placed file; empty if it is as it was written."""
    if stored is None:
        return "missing on the machine"
    if stored.sha256 != manifest.files[path]:
        return f"edited on the machine (sha256 {stored.sha256[:12]})"
    found, written = f"{stored.mode:o}", manifest.modes.get(path)
    return f"mode {found} on the machine, written with {written}" if written not in (None, found) else ""


def _short(path: str) -> str:
    """A placed file's path as the part's `files` name it."""
    rest = path.partition("/")[2]
    _, release, inner = rest.partition("releases/")
    return inner.partition("/")[2] if release else rest


def _own_machine_id(connector: Connector, state: str) -> str:
    result = connector.run(f"cat {shlex.quote(state)}/host/machine-id", deadline_s=PROBE_S)
    return result.check("reading the machine's id").stdout.strip()
