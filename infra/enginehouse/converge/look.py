"""One look at a part's machine: the first thing every verb and every order does."""

from __future__ import annotations

from dataclasses import replace

from enginehouse.connectors.base import Connector
from enginehouse.converge.facts import Facts, parse
from enginehouse.converge.owner import Claim, check_owner
from enginehouse.converge.places import check_state
from enginehouse.converge.probe import probe
from enginehouse.errors import Frozen, WrongMachine
from enginehouse.planner.parts import Part

PROBE_S = 60.0
"""A probe takes a tenth of a second; the first one asks programs for their versions."""


def look(part: Part, connector: Connector, machine_id: str | None = None, claim: Claim | None = None) -> Facts:
    """The part's facts.

    Raises `WrongMachine` if another machine answers than the caller or the manifest knows, and `Owned` if the stack
    belongs to another state than the caller claims it for; `ConvergeFailed` if its state folder can't be one.
    """
    result = connector.run(probe(part), deadline_s=PROBE_S).check(f"{connector.host}: looking at {part.name}")
    facts = parse(result.stdout, part.stack)
    check_state(part.host, facts.state)
    if facts.manifest:
        facts = replace(facts, manifest=facts.manifest.reached(part.connection))
    known = machine_id or (facts.manifest.machine if facts.manifest else None)
    if known and facts.machine != known:
        raise WrongMachine(
            f"{connector.host}: another machine answers (its id is {facts.machine or 'not set'}, expected {known}); "
            f"nothing was changed"
        )
    check_owner(part, facts.owner, claim)
    return facts


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
