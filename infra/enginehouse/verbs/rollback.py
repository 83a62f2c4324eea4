"""`enginehouse rollback`: what a part was before, converged again. Its release is still staged, so it takes seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from enginehouse.connectors.environment import how_to_give
from enginehouse.converge import Context, converge, foresee
from enginehouse.converge.manifest import Manifest
from enginehouse.converge.records import history
from enginehouse.errors import ConnectorError, ConvergeFailed
from enginehouse.planner.container import passwords_of
from enginehouse.planner.parts import EndpointPart, GatewayPart, Part, Plan, ReplicaPart
from enginehouse.render.symbols import Secret, UnknownSymbol
from enginehouse.report.lines import Line, as_text
from enginehouse.report.rollback import Return, Returned, file_text, return_text, returned_text, undone_run
from enginehouse.verbs import Answer, InvalidInput
from enginehouse.verbs.machines import AT_ONCE, changing
from enginehouse.verbs.plans import parts_named, planned
from enginehouse.verbs.secrets import no_value, secret_values
from enginehouse.verbs.stacks import stack_file
from enginehouse.verbs.undo import History, Way, proof_of, undo_newest, way_back

Histories = Mapping[str, History]


def rollback(stack: str, part: str | None, *, to: int | None, dry_run: bool, progress: Callable[[str], None]) -> Answer:
    """Undo what the newest run changed, or bring one part back; replicas first, then the gateway, then a proof.

    Raises `SpecError` if the stack can't be used, `InvalidInput` if there is nothing to go back to or a secret is
    missing, and what `converge` raises.
    """
    made, file = planned(stack), stack_file(stack)
    parts = _chosen(made, part, to)
    with changing("rollback", progress, stack) as context:
        hosts = {p.host for p in parts}
        asked = [p for p in (*made.replicas, *made.gateways, *made.endpoints) if p.host in hosts]
        known = _histories(asked, context) if part else _all_histories(made, asked, context)
        chosen = {p.name: known[p.name] for p in parts}
        ways, heading = _undoing(made, chosen) if part is None else (_back(chosen, to), ())
        foreseen = (*heading, *(row for way in ways for row in return_text(_return(way))))
        ways = tuple(way for way in ways if way.changes())
        if dry_run or not ways:
            return Answer(lines=foreseen)
        proofs = tuple(_proofs(made, ways, known))
        able = replace(context, secrets=_secrets(made.stack, file, ways, proofs))
        _check_keys(made.stack, ways, able)
        for text in as_text(foreseen).splitlines():
            progress(text)
        return Answer(
            lines=(*_carry_out(ways, proofs, known, able), file_text(made.stack, str(file), _agrees(made, ways)))
        )


def _chosen(made: Plan, name: str | None, to: int | None) -> tuple[Part, ...]:
    """The parts that may go back. Raises `InvalidInput`."""
    able = tuple(part for part in parts_named(made, name) if isinstance(part, ReplicaPart | GatewayPart))
    if not able:
        raise InvalidInput(f"{name} can't be rolled back; replicas and gateways can")
    if to is not None and (name is None or len(able) > 1):
        raise InvalidInput("--to needs one part: each counts its own generations")
    return able


def _undoing(made: Plan, known: Histories) -> tuple[tuple[Way, ...], tuple[Line, ...]]:
    undoing = undo_newest(made.stack, known)
    return undoing.ways, tuple(undone_run(undoing.change, undoing.stay, zone=None))


def _back(known: Histories, to: int | None) -> tuple[Way, ...]:
    return tuple(way_back(name, kept, to) for name, kept in known.items())


def _return(way: Way) -> Return:
    now, then = way.now.generation, way.then.generation
    return Return(part=way.part.name, now=now, then=then, changes=way.changes())


def _histories(parts: Sequence[Part], context: Context) -> Histories:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip((p.name for p in parts), pool.map(lambda p: history(p, context), parts), strict=True))


def _all_histories(made: Plan, parts: Sequence[Part], context: Context) -> Histories:
    """Of the whole stack: a machine that does not answer may be the one that the newest run changed."""
    try:
        return _histories(parts, context)
    except ConnectorError as error:
        raise ConvergeFailed(
            f"the newest run of {made.stack} can't be told while a machine does not answer; nothing was changed",
            reasons=(f"`enginehouse rollback {made.stack} PART` brings one part of another machine back",),
        ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Proof:
    """An endpoint with something behind it that goes back, and its proof of then; None if it never was proved."""

    endpoint: str
    then: Manifest | None


def _proofs(made: Plan, ways: Sequence[Way], known: Histories) -> Iterator[_Proof]:
    """Each endpoint as it was when its gateway was what that will be."""
    touched = {way.part.name: way for way in ways}
    for gateway, endpoint in zip(made.gateways, made.endpoints, strict=True):
        if touched.keys().isdisjoint(endpoint.behind):
            continue
        there = next(iter(known[gateway.name]), None)
        then = touched[gateway.name].then if gateway.name in touched else there
        yield _Proof(endpoint=endpoint.name, then=proof_of(known[endpoint.name], then) if then else None)


def _secrets(stack: str, file: Path, ways: Sequence[Way], proofs: Sequence[_Proof]) -> Mapping[str, Secret]:
    """The values that are known here: for a gateway that has to be staged again, and for the proofs."""
    parts = (*(way.part for way in ways), *(proof.then.part if proof.then else None for proof in proofs))
    return secret_values(stack, file, sorted({name for part in parts for name in _names(part)}))


def _check_keys(stack: str, ways: Sequence[Way], context: Context) -> None:
    """Before anything changes. A gateway whose release is still staged needs no value of its keys.

    Raises `InvalidInput` if one is missing that is needed.
    """
    for way in ways:
        if missing := sorted(_names(way.part) - set(context.secrets)):
            try:
                foresee(way.part, context)
            except UnknownSymbol as error:
                raise no_value(stack, missing) from error


def _names(part: Part | None) -> set[str]:
    if isinstance(part, ReplicaPart):
        return set(passwords_of(part.registry))
    clients = part.clients if isinstance(part, GatewayPart | EndpointPart) else ()
    private_keys = (
        {part.tls.private_key} if isinstance(part, GatewayPart) and part.tls and part.tls.private_key else set()
    )
    passwords = passwords_of(part.registry) if isinstance(part, GatewayPart) else ()
    return {name for client in clients for name in client.secrets} | private_keys | set(passwords)


def _carry_out(ways: Sequence[Way], proofs: Sequence[_Proof], known: Histories, context: Context) -> tuple[Line, ...]:
    began = context.clock.monotonic()
    returned = [_bring_back(way, context) for way in ways]
    proved = {proof.endpoint: _prove(proof.then, known, context) for proof in proofs}
    return tuple(returned_text(returned, proved, context.clock.monotonic() - began))


def _bring_back(way: Way, context: Context) -> Returned:
    outputs = converge(way.part, context, seen_generation=way.now.generation)
    context.progress(way.part.name, f"rolled back (generation {outputs['generation']})")
    return Returned(part=way.part.name, then=way.then.generation, outputs=outputs)


def _prove(proof: Manifest | None, known: Histories, context: Context) -> str:
    """What came of it, as a sentence."""
    if proof is None or not isinstance(proof.part, EndpointPart):
        return "not proved; it never was"
    names = _names(proof.part)
    if not proof.part.public and not names & set(context.secrets):
        return f"not proved, no key has a value here; {how_to_give(proof.part.stack, min(names))}"
    last = known[proof.part.name][0]
    way = Way(now=last, then=proof)
    outputs = converge(way.part, context, seen_generation=last.generation)
    return f"proved at {outputs['url']} (generation {outputs['generation']})"


def _agrees(made: Plan, ways: Sequence[Way]) -> bool:
    """Whether the stack file asks for just what serves now."""
    planned_parts = {part.name: part for part in made.parts()}
    return all(way.then.records(planned_parts[way.part.name]) for way in ways)
