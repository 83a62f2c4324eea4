"""Whose a stack is on a machine: `owner.json` in the stack's folder names the Pulumi state that it belongs to. Pure.

Two clones can call a stack the same. What tells their states apart is an id, which is made when the state gets its
first host and is then kept in it. The parts behind the host bring it to the machine, so that it is never on a machine
before it is in a state. A stack without an owner belongs to whoever changes something first; the verbs of the command
line go by the stack file and claim nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from enginehouse.converge.signed import Signed
from enginehouse.errors import Owned
from enginehouse.planner.codec import from_plain, to_plain
from enginehouse.planner.parts import Part

ADOPT = "ENGINEHOUSE_ADOPT"
"""Names the stack that one run may take over from another owner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner(Signed):
    """The state with this id, and the run that claimed the stack for it."""

    id: str

    def __str__(self) -> str:
        return f"since {self.at} (claimed by {self.who} through {self.door})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Made by a run that works for a state. `id` is None while the state knows nothing of the stack."""

    id: str | None
    takes_over: bool = False
    """The person said that another owner's claim counts no more."""

    def is_other(self, owner: Owner | None) -> bool:
        """Whether the stack belongs to another state."""
        return owner is not None and owner.id != self.id

    def is_new(self, owner: Owner | None) -> bool:
        """Whether it has to be written down."""
        return self.id is not None and (owner is None or owner.id != self.id)


def check_owner(part: Part, owner: Owner | None, claim: Claim | None) -> None:
    """Raises `Owned` if the stack belongs to another state and is not to be taken over."""
    if claim and not claim.takes_over and claim.is_other(owner):
        raise Owned(
            f"{part.stack} on {part.host} belongs to another Pulumi state {owner}; nothing was changed; either deploy "
            f"under another name (rename stacks/{part.stack}.yaml and the stack), or, if that state is lost or shall "
            f"not own it any more, take it over once: `{ADOPT}={part.stack} pulumi up -s {part.stack}`"
        )


def to_json(owner: Owner) -> str:
    """One readable line."""
    return json.dumps(to_plain(owner), ensure_ascii=False) + "\n"


def from_json(text: str) -> Owner:
    """The inverse of `to_json`. A file that can't be read is a claim all the same, of nobody knows whom."""
    try:
        plain = json.loads(text)
        return from_plain(Owner, {name: str(value) for name, value in plain.items()})
    except (ValueError, TypeError, AttributeError):
        return Owner(run="", who="somebody", door="a file", at="an unknown time", id="")
