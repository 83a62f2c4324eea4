"""A part as the flat inputs that the Pulumi engine stores and compares, and back.

`files` becomes a map from path to a short digest, so that a diff names the file and never prints it; the contents
travel in `rendered`, which no diff looks at. Clients, routes, backends and servers, lists in a part, become maps by
name, so that a diff says whose they are and their order is no difference. Parts with a process get `running: true`, so
that a stopped one differs in one readable line.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from functools import partial
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
    return {name: _NAMED[name](value) if name in _NAMED else value for name, value in plain.items()}


def as_part(kind: str, inputs: Mapping[str, Any]) -> Part:
    """The inverse of `as_inputs`; keys that no part has (`running`, `secrets`, ...) are ignored."""
    plain = dict(inputs)
    if "rendered" in plain:
        plain["files"] = plain["rendered"]
    for name, listed in _LISTED.items():
        if isinstance(plain.get(name), Mapping):  # a state from before has lists
            plain[name] = listed(plain[name])
    return from_plain(KINDS[kind], plain)


def short_digest(content: str) -> str:
    """How a file's content shows in a diff: 12 hex digits of its SHA-256, over symbols."""
    return f"sha256 {hashlib.sha256(content.encode()).hexdigest()[:12]}"


def _by(key: str, items: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Each item under its name, which it then no longer holds."""
    return {item[key]: {name: value for name, value in item.items() if name != key} for item in items}


def _items(key: str, named: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The inverse of `_by`."""
    return [{key: name, **item} for name, item in named.items()]


def _backends(listed: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    named = _by("deployment", listed)
    return {name: {**backend, "servers": _by("name", backend["servers"])} for name, backend in named.items()}


def _backend_list(named: Mapping[str, Any]) -> list[dict[str, Any]]:
    listed = _items("deployment", named)
    return [{**backend, "servers": _items("name", backend["servers"])} for backend in listed]


def _routes(listed: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """By the model's own name, its other names beside the shares by backend."""
    return {
        route["names"][0]: {
            "aliases": route["names"][1:],
            "shares": {share["backend"]: share["weight"] for share in route["shares"]},
        }
        for route in listed
    }


def _route_list(named: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "names": [model, *route["aliases"]],
            "shares": [{"backend": backend, "weight": weight} for backend, weight in route["shares"].items()],
        }
        for model, route in named.items()
    ]


_NAMED: Mapping[str, Callable[[Any], dict[str, Any]]] = {
    "clients": partial(_by, "name"),
    "backends": _backends,
    "routes": _routes,
}
_LISTED: Mapping[str, Callable[[Any], list[dict[str, Any]]]] = {
    "clients": partial(_items, "name"),
    "backends": _backend_list,
    "routes": _route_list,
}
"""From what is on the wire to what a part has."""
