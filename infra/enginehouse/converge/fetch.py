"""Weights or a program that other machines of the run may have: copied from one of them, else from where they come.

The one that has the file offers it at its private address for a moment, to the address of the one that lacks it, under
a name that nobody can guess. What comes is checked like what comes from anywhere.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from enginehouse.connectors.base import Held
from enginehouse.converge import scripts
from enginehouse.converge.context import Context
from enginehouse.converge.facts import Facts
from enginehouse.converge.neighbours import Neighbour
from enginehouse.converge.steps import Fetch
from enginehouse.converge.weights import CHECK_S, FETCH_S, is_verified, neighbourly
from enginehouse.converge.work import Work
from enginehouse.errors import CommandFailed, ConnectorError
from enginehouse.planner.parts import Part, WeightsPart
from enginehouse.render.symbols import fill

OFFER_S = 30.0
"""From asking a neighbour for a file to its being there to be taken."""


def note(part: Part, facts: Facts, context: Context) -> None:
    """Remember a machine that was seen to have a verified file, if others reach it."""
    if not isinstance(part, WeightsPart) or (address := neighbourly(part)) is None:
        return
    if is_verified(part.sha256, facts, "stat"):
        path, connector = fill(part.path, {"state": facts.state}, {}), context.connectors.connect(part)
        context.neighbours.add(part.sha256, Neighbour(host=part.host, address=address, path=path, connector=connector))


def fetch(work: Work, step: Fetch, origin: Callable[[], None]) -> None:
    """Bring the file; `origin` does so from where it comes. Whatever a neighbour does wrong, there is another way."""
    neighbours, refused = work.context.neighbours, set[str]()
    me = Neighbour(host=work.connector.host, address=step.address, path=step.target, connector=work.connector)
    if _is_there(work, step):
        neighbours.add(step.sha256, me)
        return
    while True:
        with neighbours.turn(
            step.sha256, me.host, refused, tell=work.tell, check=work.check, now=work.now
        ) as neighbour:
            if neighbour is None:
                origin()
            elif trouble := _copy(work, step, neighbour, refused):
                work.notice(f"{step.title}: nothing came from {neighbour.host}: {trouble}")
                continue
            neighbours.add(step.sha256, me)
            return


def _is_there(work: Work, step: Fetch) -> bool:
    """Whether only its record is missing."""
    script = _script(step, "if present; then echo complete; fi")
    return "complete" in work.do("the look for an earlier copy", script, deadline_s=CHECK_S).stdout.splitlines()


def _copy(work: Work, step: Fetch, neighbour: Neighbour, refused: set[str]) -> str:
    """Why nothing came; empty if it did, and is right. One that offers nothing is out of it for all machines."""
    token = secrets.token_urlsafe(24)
    offer = scripts.offer(file=neighbour.path, address=neighbour.address, peer=step.address, token=token)
    try:
        held = neighbour.connector.hold(offer, deadline_s=OFFER_S)
    except (ConnectorError, CommandFailed) as error:
        work.context.neighbours.drop(step.sha256, neighbour.host)
        return str(error)
    try:
        return _take(work, step, neighbour, held, token, refused)
    finally:
        held.release()


def _take(work: Work, step: Fetch, neighbour: Neighbour, held: Held, token: str, refused: set[str]) -> str:
    """`_copy` of what is offered. One that continued wrong bytes of somebody else may be right, and is asked again."""
    port, _, size = held.first_line.partition(" ")
    if not (port.isdecimal() and size.isdecimal()):
        refused.add(neighbour.host)
        return f"it said {held.first_line!r}"
    command = scripts.copy(
        name=neighbour.host,
        address=neighbour.address,
        port=int(port),
        size=int(size),
        token=token,
        me=step.address,
    )
    result = work.run(_script(step, command, 'finish "$before"'), deadline_s=FETCH_S)
    if result.returncode == 0:
        return ""
    if result.returncode != scripts.STALE:
        refused.add(neighbour.host)
    return next(reversed(result.stderr.strip().splitlines()), f"exit code {result.returncode}")


def _script(step: Fetch, *commands: str) -> str:
    return scripts.weights(file=step.target, sha256=step.sha256, record=step.record, commands=commands)
