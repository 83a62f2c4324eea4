"""`enginehouse facts`: what the machines of a stack are and have."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from enginehouse.converge import Context
from enginehouse.converge.inventory import take
from enginehouse.errors import EnginehouseError, ExitCode, explain
from enginehouse.planner.parts import HostPart
from enginehouse.report.facts import MachineFacts, facts_plain, facts_text
from enginehouse.report.lines import json_lines
from enginehouse.verbs import Answer, Format
from enginehouse.verbs.machines import AT_ONCE, looking
from enginehouse.verbs.plans import planned


def facts(stack: str, output: Format, progress: Callable[[str], None]) -> Answer:
    """All machines at once, each with one script. Code `FAILED` if one can't be asked; the others are shown.

    Raises `SpecError` if the stack can't be used.
    """
    made = planned(stack)
    progress(f"{made.stack}: asking {', '.join(host.name for host in made.hosts)}")
    with ThreadPoolExecutor(AT_ONCE) as pool, looking("facts", progress, stack) as context:
        machines = tuple(pool.map(lambda host: _ask(host, context), made.hosts))
    code = ExitCode.OK if all(machine.facts for machine in machines) else ExitCode.FAILED
    if output is Format.JSON:
        return Answer(lines=json_lines(facts_plain(made.stack, machines)), code=code)
    return Answer(lines=facts_text(machines), code=code)


def _ask(host: HostPart, context: Context) -> MachineFacts:
    address = host.connection.ssh.address if host.connection.ssh else ""
    try:
        return MachineFacts(host=host.name, address=address, facts=take(host, context))
    except EnginehouseError as error:
        return MachineFacts(host=host.name, address=address, facts=None, problem=tuple(explain(error)))
