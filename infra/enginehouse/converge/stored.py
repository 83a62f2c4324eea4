"""The weights that a machine keeps: who needs them, and removing those that nobody does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from shlex import quote

from enginehouse.converge import scripts
from enginehouse.converge.context import Context
from enginehouse.converge.leased import leased
from enginehouse.converge.probe import STATE, reading
from enginehouse.planner.parts import HostPart
from enginehouse.render.templates import render

READ_S = 60.0
REMOVE_S = 600.0
"""Some file systems take seconds to free a hundred gigabytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One folder of weights; a download that nobody finished is one, too."""

    name: str
    """How their SHA-256 begins."""
    size: int
    """Bytes on the disk."""
    users: tuple[str, ...]
    """Parts that need them, as `STACK/PART`: the one that brought them, and replicas with a kept release of them."""
    files: tuple[str, ...]


def stored(host: HostPart, context: Context) -> tuple[Stored, ...]:
    """What all stacks of the machine have brought there. One round trip."""
    script = reading(f"{render('host/stored.sh')}\nstored {STATE}")
    result = context.connect(host).run(script, deadline_s=READ_S)
    return tuple(_parsed(result.check(f"{host.host}: looking for weights").stdout))


def prune(host: HostPart, context: Context) -> tuple[Stored, ...]:
    """Remove the weights that no part of any stack needs, under the machine's lease; what was removed.

    Raises `ConvergeFailed` if the stack is not on the machine.
    """
    with leased(host, context) as (work, facts):
        script = scripts.change(render("host/stored.sh"), f"stored {quote(facts.state)} only-unused")
        return tuple(_parsed(work.do("removing weights", script, deadline_s=REMOVE_S).stdout))


def _parsed(text: str) -> Iterator[Stored]:
    for row in text.splitlines():
        name, kilobytes, users, files = row.split("\t", 3)
        yield Stored(
            name=name,
            size=int(kilobytes) * 1024,
            users=tuple(users.split()),
            files=tuple(filter(None, files.split("/"))),
        )
