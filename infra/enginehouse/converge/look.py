"""One look at a part's machines: the first thing every verb and every order does."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from enginehouse.connectors.base import Connector
from enginehouse.converge.context import Context
from enginehouse.converge.facts import Facts, parse
from enginehouse.converge.manifest import Manifest
from enginehouse.converge.owner import check_owner
from enginehouse.converge.places import check_state
from enginehouse.converge.probe import questions, questions_elsewhere
from enginehouse.converge.siblings import resting
from enginehouse.errors import CommandFailed, ConnectorError, Frozen, Unreachable, WrongMachine
from enginehouse.inventory.answers import BadProbe
from enginehouse.planner.parts import Part, ReplicaPart

AT_ONCE = 32
"""Other machines that are asked at the same time."""


def look(part: Part, context: Context, machine_id: str | None = None) -> Facts:
    """The part's facts, as far as its own machine knows them.

    Raises `WrongMachine` if another machine answers than the caller or the manifest knows, and `Owned` if the stack
    belongs to another state than the caller claims it for; `ConvergeFailed` if its state folder can't be one.
    """
    connector = context.connect(part)
    asked = context.looks.ask(connector, questions(part), f"looking at {part.name}")
    facts = parse(asked.answers(), part.stack)
    check_state(part.host, facts.state)
    if facts.manifest:
        facts = replace(facts, manifest=facts.manifest.reached(part))
    known = machine_id or (facts.manifest.machine if facts.manifest else None)
    if known and facts.machine != known:
        raise WrongMachine(
            f"{connector.host}: another machine answers (its id is {facts.machine or 'not set'}, expected {known}); "
            f"nothing was changed"
        )
    check_owner(part, facts.owner, context.claim)
    return facts


def look_around(part: Part, context: Context, machine_id: str | None = None) -> Facts:
    """`look`, and at the same time at the other machines that the part works with; who can't be asked is `away`."""
    ways = part.elsewhere or {}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        asked = {host: pool.submit(_elsewhere, part, context, context.reach(part, host)) for host in ways}
        facts = look(part, context, machine_id)
        answers = {host: answer.result() for host, answer in asked.items()}
    for answer in answers.values():
        if isinstance(part, ReplicaPart) and isinstance(answer, Facts):
            check_owner(part, answer.owner, context.claim)
    return _joined(facts, answers)


def with_orders(part: Part, facts: Facts, context: Context) -> Facts:
    """`facts`, and the orders of other replicas that get no requests and stand on machines that nobody has asked yet.

    The ways there are those that their gateway has.
    """
    gateway = facts.others.get(part.gateway.part) if isinstance(part, ReplicaPart) else None
    if not isinstance(part, ReplicaPart) or gateway is None:
        return facts
    far = {name: host for name, host in resting(part, facts).items() if host not in (None, part.host)}
    answers = {host: _through_gateway(gateway.part, host, context) for host in {*far.values()} if host}
    orders = {name: o for a in answers.values() if isinstance(a, Facts) for name, o in a.drained_others.items()}
    unknown = {name: why for name, host in far.items() if isinstance(why := answers[host or ""], str)}
    return replace(facts, drained_others={**facts.drained_others, **orders}, unknown_others=unknown)


def is_there(part: Part, facts: Facts) -> bool:
    """Whether the machine has anything of the part, with or without a manifest."""
    return "folder" in facts.texts or any(process.program.startswith(f"{part.name}/") for process in facts.processes)


def check_frozen(part: Part, facts: Facts) -> None:
    """Raises `Frozen` if a standing order says that nothing of the stack changes."""
    if facts.frozen:
        raise Frozen(
            f"{part.name}: {part.stack} on {part.host} is frozen {facts.frozen}; nothing was changed; "
            f"`enginehouse unfreeze {part.stack}` ends it"
        )


def gateway_away(part: Part, facts: Facts) -> str | None:
    """Why nothing of a replica can be changed while the machine of its gateway can't be asked; None if it can."""
    if not isinstance(part, ReplicaPart) or not facts.away:
        return None
    host, why = next(iter(facts.away.items()))
    return f"{part.name}: its gateway is on {host}, which would have to hold requests back and can't be asked: {why}"


def check_gateway(part: Part, facts: Facts) -> None:
    """Raises `Unreachable` if the machine of a replica's gateway can't be asked: nothing has been touched then."""
    if why := gateway_away(part, facts):
        error = Unreachable(f"{why}; nothing was changed on {part.host}")
        error.untouched = True
        raise error


def _through_gateway(gateway: Part, host: str, context: Context) -> Facts | str:
    """What the machine of a replica tells its gateway, or why it can't be asked.

    The gateway's part is what its machine says that it is, and nobody is led anywhere by what a machine says.
    """
    way = (gateway.elsewhere or {}).get(host)
    if way is None or not context.connectors.knows(host, way):
        return f"this run does not know the way to {host}"
    try:
        return _elsewhere(gateway, context, context.reach(gateway, host))
    except ConnectorError as error:
        return str(error)


def _elsewhere(part: Part, context: Context, connector: Connector) -> Facts | str:
    """What another machine knows, or why it can't be asked."""
    try:
        asked = context.looks.ask(connector, questions_elsewhere(part), f"looking at what {part.name} works with")
        facts = parse(asked.answers(), part.stack)
    except (ConnectorError, CommandFailed, BadProbe) as error:
        return str(error)
    if any(manifest.machine != facts.machine for manifest in facts.others.values()):
        return f"{connector.host}: another machine answers (its id is {facts.machine or 'not set'})"
    return replace(facts, others={name: _still(manifest, facts) for name, manifest in facts.others.items()})


def _still(manifest: Manifest, facts: Facts) -> Manifest:
    """Without what it left that no longer runs."""
    running = {process.name for process in facts.processes}
    return replace(manifest, left=tuple(left for left in manifest.left if left.program in running))


def _joined(facts: Facts, answers: Mapping[str, Facts | str]) -> Facts:
    """What all of them know."""
    there = {host: answer for host, answer in answers.items() if isinstance(answer, Facts)}
    return replace(
        facts,
        elsewhere={host: found.state for host, found in there.items()},
        away={host: answer for host, answer in answers.items() if isinstance(answer, str)},
        servers=next((found.servers for found in there.values() if found.servers is not None), facts.servers),
        engine_keys=next((found.engine_keys for found in there.values() if found.engine_keys), facts.engine_keys),
        frozen=next((found.frozen for found in there.values() if found.frozen), facts.frozen),
        others={name: m for found in (facts, *there.values()) for name, m in found.others.items()},
        drained_others={name: o for found in (*there.values(), facts) for name, o in found.drained_others.items()},
        hung_others={name: hung for found in (facts, *there.values()) for name, hung in found.hung_others.items()},
    )
