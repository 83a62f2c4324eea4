"""Digests of parts: what a restart depends on, and what the files are. Independent of key order."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from enginehouse.planner.codec import to_plain
from enginehouse.planner.parts import File, GatewayPart, OnChange, ReplicaPart


def digest(value: Any) -> str:
    """SHA-256 hex over the value's canonical JSON."""
    text = json.dumps(to_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def file_digest(files: tuple[File, ...]) -> str:
    """Over path, content and mode of every file."""
    return digest(sorted((f.path, f.content, f.mode) for f in files))


def restart_digest(part: ReplicaPart | GatewayPart) -> str:
    """Over what can only change with a restart: a comment in a file that needs none is not in it."""
    files = sorted((f.path, f.content) for f in part.files if f.on_change is OnChange.RESTART)
    if isinstance(part, GatewayPart):
        return digest({"files": files, **({"image": part.image} if part.image else {})})
    return digest(
        {
            "engine": part.engine,
            "version": part.version,
            "args": list(part.args.items()),
            "env": part.env,
            "weights": part.weights,
            **({"binary": part.binary} if part.binary else {}),
            **({"image": part.image} if part.image else {}),
            **({"runtime": part.runtime} if part.runtime else {}),
            **({"memory_limit_mib": part.memory_limit_mib} if part.memory_limit_mib else {}),
            **({"container": part.container} if part.container else {}),
            **({"gpus": part.gpus} if part.gpus else {}),
            "ports": part.ports,
            "files": files,
        }
    )


def release_id(part: ReplicaPart | GatewayPart) -> str:
    """The short name of a release, as outputs show it: 12 hex digits. A file that needs no restart begins none."""
    if isinstance(part, ReplicaPart):
        return restart_digest(part)[:12]
    return digest([restart_digest(part), file_digest(part.files)])[:12]
