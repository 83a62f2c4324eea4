"""A part as the flat inputs that the Pulumi engine stores and compares, and back.

`files` becomes a map from path to a short digest, so that a diff names the file and never prints it; the contents
travel in `rendered`, which no diff looks at. Parts with a process get `running: true`, so that a stopped one differs in
one readable line.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from enginehouse.planner.codec import KINDS, from_plain, to_plain
from enginehouse.planner.parts import GatewayPart, HostPart, Part, ReplicaPart

DRIFT = "drift"
"""What an observation adds where no input says how it should be: what it is about, and a sentence. No part has it, so
one that was stored by a refresh is told again for as long as it is true, and is forgotten with the next look."""
NOT_COMPARED = frozenset({"rendered"})
"""Inputs that never make a difference."""
_RUNNING = (HostPart, ReplicaPart, GatewayPart)


def as_inputs(part: Part) -> dict[str, Any]:
    """The part's inputs on the wire: plain, JSON-able, without secrets."""
    plain: dict[str, Any] = to_plain(part)
    if "files" in plain:
        plain["rendered"] = plain["files"]
        plain["files"] = {file["path"]: short_digest(file["content"]) for file in plain["rendered"]}
    if isinstance(part, _RUNNING):
        plain["running"] = True
    return plain


def as_part(kind: str, inputs: Mapping[str, Any]) -> Part:
    """The inverse of `as_inputs`; keys that no part has (`running`, `secrets`, ...) are ignored."""
    plain = dict(inputs)
    if "rendered" in plain:
        plain["files"] = plain["rendered"]
    return from_plain(KINDS[kind], plain)


def short_digest(content: str) -> str:
    """How a file's content shows in a diff: 12 hex digits of its SHA-256, over symbols."""
    return f"sha256 {hashlib.sha256(content.encode()).hexdigest()[:12]}"
