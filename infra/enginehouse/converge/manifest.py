"""What a machine remembers of a part: its content, its generation, and who changed it last."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from enginehouse.converge.signed import Signed
from enginehouse.planner.codec import KINDS, from_plain, kind_of, to_plain
from enginehouse.planner.parts import Part, Side

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Change(Signed):
    """Who changed a part last, when, through which door, and what."""

    what: str = ""
    """In the words of a diff, such as `args.ctx-size: 2048 => 4096`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """A program that serves on because the gateway does not know its successor yet; the gateway's converge stops it."""

    program: str
    port: int
    drain_s: int
    folder: str = ""
    """A renamed part's former folder, removed with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One part as it was last brought to its machine. Written after everything else, so it never promises too much."""

    part: Part
    generation: int
    machine: str
    change: Change
    files: Mapping[str, str] = field(default_factory=dict)
    """Path below the stack's folder to the SHA-256 of what was really written, symbols and secrets filled in."""
    modes: Mapping[str, str] = field(default_factory=dict)
    """The same paths to their permission bits, octal; empty in manifests from before these were recorded."""
    release: str = ""
    side: Side | None = None
    left: tuple[Left, ...] = ()
    seen: Mapping[str, int] = field(default_factory=dict)
    """Endpoint only: generations of the parts behind it when it was proved."""

    def reached(self, part: Part) -> Manifest:
        """The same, by the ways that lead to its machines today: what is written there may have other ones."""
        return replace(self, part=_reached(self.part, part))

    def records(self, part: Part) -> bool:
        """Whether this is just that part. How a machine is reached and a former name are not facts of the machine."""
        return replace(_reached(self.part, part), renamed_from=part.renamed_from) == part


@dataclass(frozen=True, slots=True, kw_only=True)
class Damaged:
    """A manifest that can't be read; the part is then rebuilt from what really runs."""

    reason: str


def to_json(manifest: Manifest) -> str:
    """Readable, one key a line, ends with a line end."""
    plain = {"format": FORMAT, "kind": kind_of(manifest.part), **to_plain(manifest)}
    return json.dumps(plain, indent=1, ensure_ascii=False) + "\n"


@lru_cache(maxsize=256)
def from_json(text: str) -> Manifest | Damaged:
    """The inverse of `to_json`. Never raises for content.

    A gateway's manifest is in the answers of all replicas behind it; with 50 of them that is half of what a run with
    nothing to do computes.
    """
    try:
        plain = json.loads(text)
        return _build(plain)
    except json.JSONDecodeError as error:
        return Damaged(reason=f"not JSON (line {error.lineno})")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return Damaged(reason=f"not a manifest ({type(error).__name__}: {error})")


def _reached(part: Part, now: Part) -> Part:
    return replace(part, connection=now.connection, elsewhere=now.elsewhere)


def _build(plain: Mapping[str, Any]) -> Manifest:
    if plain["format"] != FORMAT:
        return _refuse(plain["format"])
    return Manifest(
        part=from_plain(KINDS[plain["kind"]], plain["part"]),
        generation=int(plain["generation"]),
        machine=str(plain["machine"]),
        change=from_plain(Change, plain["change"]),
        files=dict(plain["files"]),
        modes=dict(plain.get("modes", {})),
        release=str(plain["release"]),
        side=Side(plain["side"]) if plain["side"] else None,
        left=tuple(from_plain(Left, left) for left in plain["left"]),
        seen=dict(plain["seen"]),
    )


def _refuse(found: object) -> Manifest:
    raise ValueError(f"format {found!r}, this version knows {FORMAT}")
