"""What a machine has of a stack, by its own word: for a person whose Pulumi state was lost, or who takes over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from enginehouse.converge import scripts
from enginehouse.converge.context import Context
from enginehouse.converge.journal import Word
from enginehouse.converge.leased import leased
from enginehouse.converge.look import check_frozen
from enginehouse.converge.manifest import Manifest, from_json
from enginehouse.converge.owner import Owner
from enginehouse.converge.owner import from_json as owner_from_json
from enginehouse.converge.probe import standing_of
from enginehouse.converge.standing import Order
from enginehouse.converge.standing import from_json as order_from_json
from enginehouse.planner.parts import HostPart

READ_S = 60.0
_OWNER = "owner"
_FROZEN = "frozen"
_MANIFEST = "manifest."


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What stands on one machine."""

    owner: Owner | None
    """None: nobody's."""
    frozen: Order | None
    parts: tuple[Manifest, ...]
    """Each as it was last brought, with the way to its machine as it is now."""
    damaged: tuple[str, ...]
    """Names of parts whose manifest can't be read."""


def standing(host: HostPart, context: Context) -> Standing:
    """What the machine has of the host part's stack. One round trip; changes nothing."""
    result = context.connect(host).run(standing_of(host), deadline_s=READ_S)
    texts = dict(_texts(result.check(f"{host.host}: looking for parts of {host.stack}").stdout))
    known = {key.removeprefix(_MANIFEST): from_json(text) for key, text in texts.items() if key.startswith(_MANIFEST)}
    return Standing(
        owner=owner_from_json(texts[_OWNER]) if _OWNER in texts else None,
        frozen=order_from_json(texts[_FROZEN]) if _FROZEN in texts else None,
        parts=tuple(_reached(one, host) for one in known.values() if isinstance(one, Manifest)),
        damaged=tuple(name for name, one in known.items() if not isinstance(one, Manifest)),
    )


def _reached(manifest: Manifest, host: HostPart) -> Manifest:
    """By the way to its machine as it is now; those to other machines are as they were."""
    return replace(manifest, part=replace(manifest.part, connection=host.connection))


def release(host: HostPart, owner: Owner, context: Context) -> None:
    """Let the stack on the machine be nobody's, so that the next state to change something owns it.

    Raises `Frozen` if a standing order forbids it, and `ConvergeFailed` if the host part is not there.
    """
    with leased(host, context) as (work, facts):
        check_frozen(host, facts)
        said = f"{host.stack} on {host.host} is nobody's any more; it belonged to a Pulumi state {owner}"
        with work.journal.along(work.journal.entry(Word.TAKEN_OVER, said)) as notes:
            work.do("letting go of the stack", scripts.remove(work.places.owner, then=notes))


def _texts(printed: str) -> Iterator[tuple[str, str]]:
    for fact in printed.split("\0"):
        key, tab, text = fact.partition("\t")
        if tab:
            yield key, text
