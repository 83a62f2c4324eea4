"""The replica part: one running engine, exchanged without a lost request.

A replica has two sides, each with a port and a server line at the gateway. A new release starts on the side that is
free, is asked for a completion there, and only then takes the traffic. What runs is known from the processes themselves
(each carries its release in its environment), so a run that was killed half-way is continued from where it really is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import enginehouse.converge.claimed as claimed
import enginehouse.converge.engine_keys as engine_keys
import enginehouse.converge.scripts as scripts
import enginehouse.converge.sides as sides
from enginehouse.converge.facts import Facts
from enginehouse.converge.manifest import Left
from enginehouse.converge.programs import PRIVATE, end_orphans, releases_on
from enginehouse.converge.runners import Replica, Runner, split
from enginehouse.converge.standing import to_json
from enginehouse.converge.steps import (
    Activation,
    Effect,
    Place,
    Placed,
    Sh,
    StartProgram,
    Step,
    Steps,
    StopProgram,
    Undo,
    WriteManifest,
    wrong_files,
)
from enginehouse.converge.weights import is_verified
from enginehouse.errors import ConvergeFailed
from enginehouse.gateway.runtime import ServerState
from enginehouse.planner.parts import ReplicaPart, Side
from enginehouse.render.symbols import Secret


def steps(part: ReplicaPart, facts: Facts, secrets: Mapping[str, Secret]) -> Steps:
    """What makes this release the one that serves. Raises `ConvergeFailed` if something it stands on is missing."""
    replica = Replica(part, facts, secrets)
    if replica.comes_later:
        return Steps(reason=engine_keys.LATER)
    _check_ground(replica)
    if engine_keys.asks(part) and not facts.engine_keys and not facts.away:
        return engine_keys.first(replica.gateway, host=replica.gateway_host)
    return _decide(replica)


def foreseen(part: ReplicaPart, facts: Facts, secrets: Mapping[str, Secret]) -> Steps:
    """The steps once host and weights are there. Before new weights are, nobody knows what fits into memory."""
    replica = Replica(part, facts, secrets)
    if replica.comes_later:
        return Steps(reason=engine_keys.LATER)
    steps, moves = _foreseen(replica), _moving_gateway(replica)
    return replace(steps, reason=f"{steps.reason}; {moves}") if moves else steps


def _foreseen(replica: Replica) -> Steps:
    part, facts = replica.part, replica.facts
    if part.gpus and "gpus" not in facts.texts and not replica.running():
        return Steps(effect=Effect.START, reason="the engine starts once its GPUs have a driver")
    if not replica.running():
        claimed.check(part, facts, replica.claims)
    brings = bool(part.binary or part.image) and part.program not in facts.tools
    if brings and not replica.running():
        return Steps(effect=Effect.START, reason="the engine starts once its program is there")
    if not brings and (facts.texts.get("weights", "").strip() or not replica.running() or replica.serving()):
        return _decide(replica)
    return Steps(
        effect=Effect.UNDECIDED,
        reason=f"the new {'program is' if brings else 'weights are'} brought first, while the running release serves; "
        "the next one then starts beside it if there is room, else requests wait at the gateway meanwhile",
    )


def drain(part: ReplicaPart, facts: Facts, *, wait: bool) -> tuple[Step, ...]:
    """What takes the traffic from the replica, and with `wait` what lets its requests finish."""
    replica = Replica(part, facts, {})
    seats = sides.with_traffic(replica)
    pause = (sides.pause(replica, seats, "taking the traffic from it"),) if seats else ()
    return (*pause, *(sides.wait_idle(runner, cut=False) for runner in replica.running() if wait))


def undrain(part: ReplicaPart, facts: Facts) -> tuple[Step, ...]:
    """What gives the traffic back to the side that runs, if one does that does not hang and the gateway knows."""
    replica, known = Replica(part, facts, {}), facts.manifest is not None
    working = [runner for runner in replica.running()[:1] if not runner.hangs]
    return tuple(step for runner in working for step in _put_to_work(replica, runner, known=known))


def leave(part: ReplicaPart, facts: Facts) -> tuple[Step, ...]:
    """Drain and stop whatever runs of the part; the folder is removed by the caller."""
    replica = Replica(part, facts, {})
    ends = [step for runner in replica.running() for step in _retire(replica, runner)]
    orphans = tuple(end_orphans(part, facts))
    return (*ends, *(drain(part, facts, wait=False) if orphans else ()), *orphans, *_forget_idle(replica))


def _check_ground(replica: Replica) -> None:
    part, facts = replica.part, replica.facts
    if facts.supervisor is None:
        raise ConvergeFailed(f"{part.host}: the stack's process supervisor does not run; the host part starts it")
    if not is_verified(part.weights, facts, "weights"):
        raise ConvergeFailed(
            f"{part.host}: the weights of {part.deployment} are missing or altered",
            reasons=("an engine is started only with verified weights; the weights part brings and verifies them",),
        )
    if part.binary and part.program not in facts.tools:
        raise ConvergeFailed(
            f"{part.host}: the program of {part.deployment} is missing",
            reasons=(f"{part.deployment}-engine-{part.host} brings, verifies and unpacks it",),
        )


def _decide(replica: Replica) -> Steps:
    serving = replica.serving()
    return _keep(replica, serving) if serving else _exchange(replica)


def _keep(replica: Replica, serving: Runner) -> Steps:
    """The right release runs: see that it is ready, has the traffic, and is alone."""
    manifest = replica.facts.manifest
    known = manifest is not None and (manifest.release, manifest.side) == (replica.release, serving.side)
    others = [runner for runner in replica.running() if runner != serving]
    left, leaving = split(replica, serving, others)
    now = list(_put_to_work(replica, serving, known=known))
    now += [*(step for runner in leaving for step in _retire(replica, runner)), *_forget_idle(replica)]
    besides = replica.facts.moves or _unwatched(replica, serving) or _unclaimed(replica)
    if not now and known and manifest and manifest.records(replica.part) and not besides:
        return Steps(reason=f"release {replica.release} serves on side {serving.side}")
    runs_on = f"release {replica.release} runs on as it is on side {serving.side}"
    effect, more = (Effect.TRAFFIC, f"; {', '.join(step.title for step in now)}") if now else (Effect.RECORD, "")
    return Steps(
        activate=(*now, *_close(replica, serving, left, _unclaimed(replica))), effect=effect, reason=runs_on + more
    )


def _put_to_work(replica: Replica, serving: Runner, *, known: bool) -> Iterator[Step]:
    """See that it is ready, which goes without saying of one that is `known`, and has the traffic it shall have."""
    drained = replica.facts.drained
    if drained and (seats := sides.with_traffic(replica)):
        yield sides.pause(replica, seats, f"taking the traffic from it (drained {drained})")
    well = known and not replica.facts.hung and replica.facts.health.get(serving.port) == 200
    if not well or not (drained or replica.takes_traffic(serving) or serving.seat is None):
        yield _prove(replica, serving, known=known)


def _prove(replica: Replica, serving: Runner, *, known: bool) -> Activation:
    """It gets requests when it has answered one: health says of an engine that was started again that it has loaded.

    One that a run which ended had begun, and that does not get ready now, ends like one that was just started.
    """
    title = "waiting for the engine"
    loaded = replica.facts.health.get(serving.port) == 200
    hold = () if loaded or replica.facts.drained else sides.hold(replica, serving)
    ready = sides.become_ready(replica, serving, title, replica.release)
    has_it = replica.takes_traffic(serving) and not hold
    traffic = () if has_it else sides.give_traffic(replica, serving, "giving it the traffic")
    forward = (*hold, ready, *traffic)
    if known or replica.takes_traffic(serving):
        before = sides.give_traffic(replica, serving, "leaving it to the gateway's checks", wait=False)
        back = tuple(Undo(of=of, step=step) for of in hold for step in before)
    else:
        back = tuple(Undo(of=ready, step=step) for step in _stop(replica, serving))
    return Activation(title=title, forward=forward, back=back, old_serves=len(replica.running()) > 1)


def _exchange(replica: Replica) -> Steps:
    """Another release runs, or none: start this one, and end the other once it has taken over."""
    claimed.check(replica.part, replica.facts, replica.claims)
    running = replica.running()
    old = running[0] if running else None
    target = _target(replica, old)
    switch = _first_start(replica, target) if old is None else _switch(replica, old, target)
    gone = None if _fits_beside(replica) else old
    others = [runner for runner in running if runner != gone and runner.program != target.program]
    left, leaving = split(replica, target, others)
    ending = [*(step for runner in leaving for step in _retire(replica, runner)), *_forget_idle(replica, target)]
    if gone:
        ending += sides.set_state(replica, gone, ServerState.MAINT, f"taking side {gone.side} out of the gateway")
    activate = (switch, *ending, *_close(replica, target, left, _too_much(replica)))
    effect, reason = _meaning(replica, old, target)
    stage = tuple(_stage(replica, target))
    memory_mib = 0 if replica.computes_on_gpus() else replica.needed_mib()
    return Steps(stage=stage, activate=activate, effect=effect, reason=reason, memory_mib=memory_mib)


def _meaning(replica: Replica, old: Runner | None, target: Runner) -> tuple[Effect, str]:
    start, ready = (f"release {replica.release} {does} on side {target.side}" for does in ("starts", "is ready"))
    if old is None:
        return Effect.START, f"nothing of it runs; {start}"
    if old.hangs:
        effect = Effect.RESTART_BESIDE if _fits_beside(replica) else Effect.RESTART_PAUSED
        return effect, f"the engine {replica.facts.hung}; what it works on is lost, requests wait until {ready}"
    if _fits_beside(replica):
        waits = "" if _moving_gateway(replica) else "; no request waits"
        return Effect.RESTART_BESIDE, f"{start} beside the running one ({_numbers(replica)}){waits}"
    why = f"no room for a second engine ({_numbers(replica)})"
    return Effect.RESTART_PAUSED, f"{why}; requests wait at the gateway until {ready}"


def _moving_gateway(replica: Replica) -> str:
    """What it costs that another host gets the gateway, in a sentence; empty if none does."""
    record, host = replica.facts.manifest, replica.part.gateway.host
    before = record.part.gateway.host if record and isinstance(record.part, ReplicaPart) else host
    cost = "requests fail until it serves there, and clients have to be told that address"
    return f"the gateway moves from {before} to {host}: {cost}" if before != host else ""


def _stage(replica: Replica, target: Runner) -> Iterator[Step]:
    """The release's image and folder, beside what runs. Its program file comes with the start.

    Until that is through, it claims what both releases need.
    """
    yield from replica.prepare()
    *files, _ = replica.files(target.side)
    both = (*claimed.kept(replica.part, replica.facts), *replica.claims)
    if wrong := wrong_files((*files, claimed.file(replica.places, both)), replica.facts.files):
        yield Place(title=f"staging release {replica.release}", files=wrong)
    yield from replica.hand_over(target.side)


def _target(replica: Replica, old: Runner | None) -> Runner:
    """The side for the new release: not where the old one serves, and with a port that is free."""
    known = replica.facts.manifest.side if replica.facts.manifest else None
    both = sorted((replica.runner(side) for side in Side), key=lambda r: (r.side != known, r.side))
    eligible = [r for r in both if old is None or (r.program != old.program and r.port != old.port)]
    taken = {runner: replica.owner_of(runner) for runner in eligible}
    free = next((runner for runner in eligible if taken[runner] is None), None)
    if free is None:
        raise ConvergeFailed(
            f"{replica.part.name}: no port is free for the engine", reasons=tuple(_owners(replica, taken))
        )
    return free


def _owners(replica: Replica, taken: Mapping[Runner, str | None]) -> Iterator[str]:
    """Who has the ports, and what helps against moved ports if it is another part of the same stack."""
    yield from (f"port {runner.port} is taken by {owner}" for runner, owner in taken.items())
    ours = {process.pid for process in replica.facts.processes}
    if any(replica.facts.listeners[runner.port].pid in ours for runner in taken):
        stack = replica.part.stack
        yield f"an edit of the stack moved its ports; `enginehouse lock {stack}` puts them back where they are in use"


def _first_start(replica: Replica, target: Runner) -> Activation:
    title = f"starting release {replica.release} on side {target.side}"
    start = _start(replica, target, title)
    return Activation(title=title, forward=start, back=_undo_start(replica, target, start), old_serves=False)


def _switch(replica: Replica, old: Runner, target: Runner) -> Activation:
    title = f"starting release {replica.release} on side {target.side}"
    if old.places != replica.places:
        title += f", which takes over from {old.places.name}"
    numbers = _numbers(replica)
    clear = [
        step for runner in replica.running() if runner.program == target.program for step in _stop(replica, runner)
    ]
    if _fits_beside(replica):
        start = _start(replica, target, f"{title} beside the running one ({numbers})")
        back = _undo_start(replica, target, start)
        return Activation(title=title, forward=(*clear, *start), back=back, old_serves=not old.hangs)
    first = _pause_and_stop(replica, old, f"no room for a second engine: {numbers}")
    start = _start(replica, target, title)
    back = (*_undo_start(replica, target, start), *_undo_stop(replica, old, first))
    return Activation(title=title, forward=(*clear, *first, *start), back=back, old_serves=True)


def _fits_beside(replica: Replica) -> bool:
    return replica.free_mib() >= replica.needed_mib()


def _numbers(replica: Replica) -> str:
    where = " on its GPUs" if replica.computes_on_gpus() else ""
    return f"{replica.needed_mib()} MiB needed, {replica.free_mib()} free{where}"


def _start(replica: Replica, runner: Runner, title: str) -> tuple[Step, ...]:
    """A side whose engine ended keeps its traffic at the gateway; the next engine there gets it once it is ready."""
    seats = replica.open_to(runner.port)
    first = (sides.pause(replica, seats, f"holding requests back (side {runner.side} is not ready)"),) if seats else ()
    file = replica.files(runner.side)[-1]
    start = sides.start_program(runner, title, file)
    ready = sides.become_ready(replica, runner, f"side {runner.side}", replica.release)
    return (*first, start, ready, *sides.give_traffic(replica, runner, f"giving side {runner.side} the traffic"))


def _undo_start(replica: Replica, target: Runner, start: tuple[Step, ...]) -> tuple[Undo, ...]:
    program = next(step for step in start if isinstance(step, StartProgram))
    return tuple(Undo(of=program, step=step) for step in _stop(replica, target))


def _undo_stop(replica: Replica, old: Runner, first: tuple[Step, ...]) -> tuple[Undo, ...]:
    """Back to the release that ran before, which was paused, and stopped last; its folder is still there."""
    assert old.process is not None
    file = replica.program_file(old, old.process.release)
    start = sides.start_program(old, f"starting release {old.process.release} again", file)
    ready = sides.become_ready(replica, old, f"side {old.side}", old.process.release)
    traffic = sides.give_traffic(replica, old, "giving it the traffic", wait=False)
    # One that had no traffic, or hangs, gets it only together with its proof.
    of = first[0] if replica.takes_traffic(old) and not old.hangs else first[-1]
    return (*(Undo(of=first[-1], step=step) for step in (start, ready)), *(Undo(of=of, step=step) for step in traffic))


def _drain_and_stop(replica: Replica, runner: Runner, why: str) -> tuple[Step, ...]:
    """One that hangs finishes nothing, so nobody waits for it."""
    if runner.hangs:
        return _stop(replica, runner)
    drain = sides.set_state(replica, runner, ServerState.DRAIN, f"draining side {runner.side} ({why})")
    return (*drain, *((sides.wait_idle(runner),) if drain else ()), *_stop(replica, runner))


def _pause_and_stop(replica: Replica, runner: Runner, why: str) -> tuple[Step, ...]:
    """Stop the only engine of a backend: requests wait at the gateway until the next one is ready."""
    stop = StopProgram(title=f"stopping {runner.program}", program=runner.program, file=runner.file)
    if runner.seat is None:
        return (stop,)
    wait = () if runner.hangs else (sides.wait_idle(runner),)
    return (sides.pause(replica, (runner.seat,), f"holding requests back ({why})"), *wait, stop)


def _retire(replica: Replica, runner: Runner) -> tuple[Step, ...]:
    return _drain_and_stop(replica, runner, "its requests finish first")


def _forget_idle(replica: Replica, target: Runner | None = None) -> Iterator[Step]:
    """Programs other than `target` without a process: the supervisor would start them again at any time."""
    for runner in replica.idle():
        if runner.file in replica.facts.files and not (target and runner.program == target.program):
            yield _forget(replica, runner)


def _forget(replica: Replica, runner: Runner) -> Step:
    """A program without a process may be one that crashes again and again; its file would outlive its folder."""
    title = f"forgetting {runner.program}"
    if replica.facts.supervisor:
        return StopProgram(title=title, program=runner.program, file=runner.file)
    return Sh(title=title, script=scripts.remove(runner.file))


def _stop(replica: Replica, runner: Runner) -> tuple[Step, ...]:
    out = sides.set_state(replica, runner, ServerState.MAINT, f"taking side {runner.side} out of the gateway")
    return (*out, StopProgram(title=f"stopping {runner.program}", program=runner.program, file=runner.file))


def _close(replica: Replica, serving: Runner, left: tuple[Left, ...], claims: tuple[Placed, ...]) -> Iterator[Step]:
    """What ends every change: old releases go, a former name's folder goes, the manifest is written."""
    manifest, places = replica.facts.manifest, replica.places
    now = f"{replica.release}-{serving.side}"
    before = f"{manifest.release}-{manifest.side}" if manifest else now
    kept = (now, before)
    # What only heals leaves the release from before where it is.
    if before != now and releases_on(replica.facts, places) - set(kept):
        yield Sh(title="removing releases before the last two", script=scripts.keep_releases(places, kept))
    if replica.facts.moves and replica.facts.drained:
        order = Placed(path=places.drained, content=to_json(replica.facts.drained), mode=PRIVATE)
        yield Place(title="keeping the order that it is drained", files=(order,))
    if replica.facts.moves and replica.part.renamed_from and not left:
        former = places.other(replica.part.renamed_from).part
        yield Sh(title=f"removing the folder of {replica.part.renamed_from}", script=scripts.remove(former))
    if unwatched := _unwatched(replica, serving):
        yield Place(title="telling the watchdog", files=unwatched)
    if claims:
        yield Place(title="claiming what it needs", files=claims)
    if replica.facts.hung:
        yield Sh(title="forgetting that it hung", script=scripts.remove(places.hung))
    keys = (found,) if (found := replica.keys(serving.side)) else ()
    yield WriteManifest(
        title="recording the release",
        files=(*replica.files(serving.side), *keys, replica.watched(serving.side), _claims(replica)),
        tools=replica.tool.line(),
        release=replica.release,
        side=serving.side,
        left=left,
    )


def _claims(replica: Replica) -> Placed:
    return claimed.file(replica.places, replica.claims)


def _unclaimed(replica: Replica) -> tuple[Placed, ...]:
    return claimed.missing(_claims(replica), replica.facts)


def _too_much(replica: Replica) -> tuple[Placed, ...]:
    """Its claims, if others are written down beside them while releases are exchanged."""
    before = {str(claim) for claim in claimed.kept(replica.part, replica.facts)}
    return (_claims(replica),) if before - {str(claim) for claim in replica.claims} else ()


def _unwatched(replica: Replica, serving: Runner) -> tuple[Placed, ...]:
    return wrong_files((replica.watched(serving.side),), replica.facts.files)
