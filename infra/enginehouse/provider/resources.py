"""The five resources: what the Pulumi engine asks about them, put to converge. It translates, it never decides.

Inputs on the wire are `as_inputs(part)` and, beside them, what only the Pulumi engine needs:

    secrets      values by name, for the parts that use them
    machine_id   of the machine: an output of the Host that the part stands on
    owner        of the stack, an output of the same Host: the id by which this Pulumi state claims it; never compared
    needs        of a Host: what the stack asks of its machine, looked at before anything is put there; never compared
    generations  of the parts behind an endpoint, so that a change of any of them asks for a new proof

Ids are `<stack>/<part>@<machine id>`: another machine behind the same address is refused, never overwritten.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, replace
from typing import Any, Protocol
from uuid import uuid4

from enginehouse.converge import Context, Foresight, Observed, as_part
from enginehouse.converge.events import Listener, Notice
from enginehouse.converge.owner import Claim
from enginehouse.converge.steps import Effect
from enginehouse.errors import (
    Cancelled,
    CommandFailed,
    ConnectorError,
    ConvergeFailed,
    DeadlineExceeded,
    EnginehouseError,
    LeaseHeld,
    Owned,
    Unreachable,
    WrongMachine,
    explain,
)
from enginehouse.planner.codec import KINDS, from_plain
from enginehouse.planner.container import passwords_of
from enginehouse.planner.diff import path_text
from enginehouse.planner.digests import release_id
from enginehouse.planner.needs import Needs
from enginehouse.planner.parts import EndpointPart, GatewayPart, Part, ReplicaPart
from enginehouse.provider.wire import UNKNOWN, unsealed
from enginehouse.render.symbols import Secret

BESIDE = ("secrets", "machine_id", "owner", "needs", "generations")
"""Inputs that are no part's own; the text above says what they are for."""
FORGET = "ENGINEHOUSE_FORGET"
"""Names hosts, with commas between, that one run may let go of if they do not answer or are other machines now."""
_HOST = "host"
STOPPED_MIDWAY = (ConvergeFailed, CommandFailed, ConnectorError, Cancelled)
"""Errors that may leave something of the part on the machine, so that the part must stay in the state."""


GONE = (Unreachable, DeadlineExceeded, WrongMachine)
"""Errors that a machine gives which will never answer again."""


class Verbs(Protocol):
    """What `enginehouse.converge` offers."""

    def converge(
        self, part: Part, context: Context, *, seen_generation: int | None = None, machine_id: str | None = None
    ) -> Mapping[str, Any]: ...

    def observe(self, part: Part, context: Context, *, machine_id: str | None = None) -> Observed | None: ...

    def foresee(self, part: Part, context: Context, *, machine_id: str | None = None) -> Foresight: ...

    def destroy(self, part: Part, context: Context, *, machine_id: str | None = None) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A resource as the Pulumi engine stores it."""

    id: str
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]

    @property
    def machine_id(self) -> str:
        return self.id.rpartition("@")[2]

    @property
    def generation(self) -> int | None:
        return self.outputs.get("generation")


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An input that can't be used. The Pulumi engine prints a named property's value: never name one that is secret."""

    property: str
    reason: str


class Unhealthy(Exception):
    """The resource exists and is not what it should be; it stays in the state with the reasons."""

    def __init__(self, state: State, reasons: tuple[str, ...]) -> None:
        self.state = state
        self.reasons = reasons
        super().__init__(reasons[0])


class Resources:
    """All resources of one run; `listener` turns a URN into its listener. Methods block; many threads may call them.

    `takes_over` is the stack that the run may take from another Pulumi state, `forgets` the hosts it may let go of.
    """

    def __init__(
        self,
        context: Context,
        verbs: Verbs,
        listener: Callable[[str], Listener],
        *,
        takes_over: str = "",
        forgets: Collection[str] = (),
    ) -> None:
        self._context = context
        self._verbs = verbs
        self._listener = listener
        self._takes_over = takes_over
        self._forgets = forgets

    def check(self, kind: str, inputs: Mapping[str, Any]) -> tuple[Failure, ...]:
        """Whether the inputs are a part of that kind."""
        return tuple(_failures(kind, inputs))

    def preview(self, urn: str, kind: str, inputs: Mapping[str, Any], old: State | None) -> dict[str, Any]:
        """The outputs a converge would give as far as they can be told; the others of `old` are UNKNOWN.

        What it would do to the machine, and why, is told beside it.
        """
        self._foretell(urn, kind, inputs, old)
        kept = {"machine_id": old.machine_id, **_owner(kind, old)} if old else {}
        return {
            **dict.fromkeys(("generation", *(old.outputs if old else ())), UNKNOWN),
            **kept,
            **_derivable(as_part(kind, inputs)),
        }

    def create(self, urn: str, kind: str, inputs: Mapping[str, Any]) -> State:
        """Converge a part that the state does not know. Raises `Unhealthy` if it may be partly there."""
        part = as_part(kind, inputs)
        machine_id = inputs.get("machine_id")
        try:
            outputs = self._verbs.converge(part, self._with(urn, kind, inputs), machine_id=machine_id)
        except STOPPED_MIDWAY as error:
            if machine_id is None:  # a host whose machine has not told its id yet; nothing of ours stands on it
                raise
            begun = State(id=_id(part, machine_id), inputs=inputs, outputs={})
            raise Unhealthy(begun, tuple(explain(error))) from error
        return State(id=_id(part, outputs["machine_id"]), inputs=inputs, outputs={**outputs, **_owner(kind, None)})

    def read(self, urn: str, kind: str, state: State) -> State | None:
        """The resource as it is on its machine; None if it is not there, or if its machine is let go of.

        Raises `Unhealthy` with what is known if the machine can't be asked, if the part does not work, or if its
        creation never came to an end. Also if another machine answers: the way there is still that of the state, and
        only an update can put it right.
        """
        part = as_part(kind, state.inputs)
        try:
            seen = self._verbs.observe(part, self._looking(urn, kind, state), machine_id=state.machine_id)
        except (ConnectorError, CommandFailed, LeaseHeld, WrongMachine) as error:
            if self._lets_go(urn, part, error):
                return None
            raise Unhealthy(state, tuple(explain(error))) from error
        if state.generation is None and (seen is None or not seen.outputs):
            raise Unhealthy(state, ("its creation has not come to an end; the next `pulumi up` continues it",))
        if seen is None:
            return None
        for sentence in seen.orders():
            self._listener(urn)(Notice(part=part.name, text=sentence))
        outputs = {**seen.outputs, **_owner(kind, state)}
        now = State(id=_id(part, state.machine_id), inputs=_observed(state.inputs, seen), outputs=outputs)
        if seen.reasons:
            raise Unhealthy(now, seen.reasons)
        return now

    def update(self, urn: str, kind: str, old: State, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        """Converge a part that the state knows; its new outputs.

        If the release from before serves again, or the machine was not reached at all, the error is passed on as it is:
        the state keeps the old inputs, and the next preview shows the same change again. (The Pulumi engine stores a
        partly failed update with the *new* inputs, whatever the provider answers: its pkg/resource/deploy/step.go, read
        2026-11, 3.259.0.)
        """
        part, context = as_part(kind, inputs), self._with(urn, kind, inputs, old)
        try:
            made = self._verbs.converge(part, context, seen_generation=old.generation, machine_id=old.machine_id)
            return {**made, **_owner(kind, old)}
        except STOPPED_MIDWAY as error:
            if isinstance(error, Cancelled) or any(getattr(error, why, False) for why in ("old_serves", "untouched")):
                raise
            raise Unhealthy(replace(old, inputs=inputs), tuple(explain(error))) from error

    def delete(self, urn: str, kind: str, state: State) -> None:
        """Take the part off its machine; what stays there on purpose is told."""
        context = self._with(urn, kind, state.inputs, state)
        part = as_part(kind, state.inputs)
        try:
            stays = self._verbs.destroy(part, context, machine_id=state.machine_id)
        except GONE as error:
            if self._lets_go(urn, part, error):
                return
            way = f"`{FORGET}={part.host} pulumi up -s {part.stack}` (or `destroy`) lets go of it"
            raise EnginehouseError(f"{part.name} stays in the state; if {part.host} is lost for ever, {way}") from error
        for sentence in stays:
            context.listen(Notice(part=part.name, text=sentence))

    def _lets_go(self, urn: str, part: Part, error: Exception) -> bool:
        """Whether the part leaves the state without its machine, which is told: whatever is there stays there."""
        forgotten = part.host in self._forgets and isinstance(error, GONE)
        if forgotten:
            told = f"let go of {part.name}, which may still be on its machine: {error}"
            self._listener(urn)(Notice(part=part.name, text=told))
        return forgotten

    def _foretell(self, urn: str, kind: str, inputs: Mapping[str, Any], old: State | None) -> None:
        """Tell what `converge` would do.

        Of what is created in any case, only that it stands already, would fail, or changes the machine itself first.
        """
        part, context = as_part(kind, inputs), self._with(urn, kind, inputs, old)
        try:
            seen = self._verbs.foresee(part, context, machine_id=old.machine_id if old else None)
        except Owned:
            raise
        except EnginehouseError as error:
            if old:
                context.notice(part.name, f"{part.name}: not foreseen: {error}")
            return
        if old or seen.stands or seen.prepares or seen.effect is Effect.FAILS:
            context.notice(part.name, f"{part.name}: {seen}")

    def _looking(self, urn: str, kind: str, state: State) -> Context:
        """A look at another state's stack is refused once, at its host, and not by every part again."""
        context = self._with(urn, kind, state.inputs, state)
        return context if kind == _HOST else replace(context, claim=None)

    def _with(self, urn: str, kind: str, inputs: Mapping[str, Any], old: State | None = None) -> Context:
        values = unsealed(inputs.get("secrets", {}))
        secrets = {name: Secret(value) for name, value in values.items() if value is not UNKNOWN}
        claim = _claim(kind, inputs, old, takes_over=inputs["stack"] == self._takes_over)
        needs = from_plain(Needs, inputs["needs"]) if "needs" in inputs else None
        return replace(
            self._context,
            listen=self._listener(urn),
            secrets=secrets,
            needs=needs,
            claim=claim,
            lost=self._forgets,
        )


def _claim(kind: str, inputs: Mapping[str, Any], old: State | None, *, takes_over: bool) -> Claim | None:
    """What the state knows of its claim. None where it knows the stack, but is from before there were claims."""
    if kind == _HOST and old is None:
        return Claim(id=None, takes_over=takes_over)
    known = old.outputs.get("owner") if kind == _HOST and old else inputs.get("owner")
    return Claim(id=known, takes_over=takes_over) if isinstance(known, str) else None


def _owner(kind: str, old: State | None) -> dict[str, str]:
    """The output of a host by which its state claims the stack: as it was, or a new one."""
    if kind != _HOST:
        return {}
    return {"owner": (old.outputs.get("owner") if old else None) or uuid4().hex}


def _id(part: Part, machine_id: str) -> str:
    return f"{part.stack}/{part.name}@{machine_id}"


def _failures(kind: str, inputs: Mapping[str, Any]) -> Iterator[Failure]:
    missing = [
        f.name
        for f in fields(KINDS[kind])
        if f.default is MISSING and f.default_factory is MISSING and f.name not in inputs
    ]
    if missing:
        yield from (Failure(property=name, reason=f"a {kind} needs it") for name in missing)
        return
    try:
        part = as_part(kind, inputs)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        yield Failure(property="", reason=f"these are not the inputs of a {kind}: {error}")
        return
    yield from _secretless(part, inputs.get("secrets", {}))


def _secretless(part: Part, known: Mapping[str, Any]) -> Iterator[Failure]:
    registry = part.registry if isinstance(part, ReplicaPart | GatewayPart) else None
    passwords: list[tuple[tuple[str, ...], str | None]] = [
        (("connection", "ssh", "sudo_password"), part.connection.sudo_password),
        *((("registry", "password"), name) for name in passwords_of(registry)),
    ]
    for path, name in passwords:
        if name and name not in known:
            yield Failure(property=path_text(path), reason=f"the secret {name!r} has no value")
    if not isinstance(part, GatewayPart | EndpointPart):
        return
    if isinstance(part, GatewayPart) and part.tls and part.tls.private_key and part.tls.private_key not in known:
        reason = f"the secret {part.tls.private_key!r} has no value"
        yield Failure(property=path_text(("tls", "private_key")), reason=reason)
    for client in part.clients:
        for name in client.secrets:
            if name not in known:
                yield Failure(
                    property=path_text(("clients", client.name, "secrets")), reason=f"the secret {name!r} has no value"
                )


def _derivable(part: Part) -> dict[str, Any]:
    if isinstance(part, ReplicaPart | GatewayPart):
        return {"release": release_id(part)}
    if isinstance(part, EndpointPart):
        made = {"ca_certificate": UNKNOWN} if part.seal and part.seal.anchor is None else {}
        return {"url": part.url, "models": list(part.names), **made}
    return {}


def _observed(inputs: Mapping[str, Any], seen: Observed) -> dict[str, Any]:
    """What was observed, and of the inputs only what no machine knows; None is absent, as it is from the program.

    What an earlier refresh has seen is not kept: it may no longer be so.
    """
    beside = {name: inputs[name] for name in BESIDE if name in inputs}
    return {name: value for name, value in {**seen.inputs, **beside}.items() if value is not None}
