"""The stack of a simulated machine, planned from what a person edits; tests of pure code use its parts, too."""

from __future__ import annotations

import atexit
import hashlib
import json
import shutil
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from enginehouse.converge.standing import Order
from enginehouse.planner.parts import Plan
from enginehouse.planner.plan import plan
from enginehouse.render.symbols import Secret
from enginehouse.spec import load_text
from enginehouse.spec.lock import NOTHING_LOCKED

STACK = "demo"
PORT = 8080
SECRETS = {name: Secret(f"value of {name}") for name in ("key-1", "key-2")}


@dataclass(frozen=True, slots=True)
class Settings:
    """What a person edits in the stack file."""

    deployment: str = "chat"
    renamed_from: str | None = None
    replicas: int = 1
    context: int = 1024
    weights: str = "first"
    batch: int | None = None
    key: str = "key-1"
    alias: str | None = None
    max_unavailable: int = 1
    port: int = PORT


@cache
def planned(settings: Settings) -> Plan:
    deployment = {
        "engine": "llama-cpp",
        "version": "b11434",
        "runs_on": "box",
        "model": {
            "source": f"upload://{settings.weights}.gguf",
            "sha256": hashlib.sha256(settings.weights.encode()).hexdigest(),
            "served_name": "tiny",
        },
        "context_tokens": settings.context,
        "replicas_per_host": settings.replicas,
        "options": {} if settings.batch is None else {"batch-size": settings.batch},
    }
    if settings.renamed_from:
        deployment["renamed_from"] = settings.renamed_from
    endpoint: dict[str, Any] = {
        "runs_on": "box",
        "port": settings.port,
        "keys": [{"name": "demo", "secrets": [settings.key]}],
    }
    if settings.alias:
        endpoint["routes"] = [{"model": "tiny", "aliases": [settings.alias], "to": {settings.deployment: 100}}]
    stack = {
        "enginehouse": 1,
        "machines": {"box": {"local": {}}},
        "deployments": {settings.deployment: deployment},
        "endpoint": endpoint,
        "rollout": {"max_unavailable": settings.max_unavailable},
    }
    loaded = load_text(json.dumps(stack), name=STACK, display="demo.yaml")
    assert loaded.spec is not None, loaded.diagnostics
    return plan(loaded.spec, NOTHING_LOCKED)


@cache
def uploads() -> Path:
    """The weights on this side, written once."""
    folder = Path(tempfile.mkdtemp(prefix="enginehouse-weights-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name in ("first", "second"):
        (folder / f"{name}.gguf").write_text(name)
    return folder


CONTEXTS = (1024, 2048, 4096)
PLANS = {context: planned(Settings(context=context)) for context in CONTEXTS}
ORDER = Order(run="run-0", who="ada@desk", door="test", at="2026-11-24T12:00:00+00:00", reason="a test")
