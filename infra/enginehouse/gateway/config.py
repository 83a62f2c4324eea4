"""HAProxy's files, from a gateway part. Pure: equal parts give equal texts.

The configuration names its own files by paths relative to itself (`default-path config`), so a staged release can be
checked in place before `current` points at it. Only the runtime socket and the saved server state live outside of a
release.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from enginehouse.gateway.access_log import log_format
from enginehouse.gateway.replies import own_errors, refusals
from enginehouse.gateway.sizes import held, sizes
from enginehouse.planner.parts import Backend, Client, File, GatewayPart, OnChange
from enginehouse.render.templates import render

CONFIG = "haproxy.cfg"
PUBLIC_CLIENT = "public"
"""The client in logs and metrics when the endpoint asks for no key."""

SECRET_MODE = 0o600


def files(part: GatewayPart) -> tuple[File, ...]:
    """Every file of the gateway's release. All of them take effect by a reload; none restarts a stream."""
    return (
        _file(CONFIG, _config(part)),
        _file("hold.lua", render("haproxy/hold.lua")),
        _file("keys.map", _lines(_hash(name, c) for c in part.clients for name in c.secrets), mode=SECRET_MODE),
        _file("rate.map", _lines(f"{c.name} {c.requests_per_minute}" for c in part.clients if c.requests_per_minute)),
        _file("concurrent.map", _lines(f"{c.name} {c.concurrent}" for c in part.clients if c.concurrent)),
        _file("models.map", _lines(f"{b.served_name} {b.name}" for b in part.backends)),
        _file("models.json", _models(part.backends)),
    )


def _config(part: GatewayPart) -> str:
    size = sizes(part)
    return render(
        "haproxy/haproxy.cfg.j2",
        bind=_bind(part.address, part.port),
        metrics_bind=_bind("127.0.0.1", part.metrics_port),
        client=PUBLIC_CLIENT if part.public else None,
        only_backend=part.backends[0].name if len(part.backends) == 1 else None,
        backends=[_backend(backend) for backend in part.backends],
        log_format=log_format(),
        limits=part.limits,
        hold_ms=part.limits.queue_s * 1000,
        sizes=size,
        refuse=refusals(size),
        own_errors=own_errors(),
    )


def _bind(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _backend(backend: Backend) -> dict[str, object]:
    replicas = len({server.replica for server in backend.servers})
    return {
        "name": backend.name,
        "slots": backend.slots,
        "held": held(backend.slots, replicas),
        "servers": backend.servers,
    }


def _hash(secret: str, client: Client) -> str:
    return f"@{{sha256:{secret}}} {client.name}"


def _models(backends: Iterable[Backend]) -> str:
    """The answer to `GET /v1/models` in OpenAI's list shape, where `created` is required; a plan has no clock, so 0."""
    data = [{"id": b.served_name, "object": "model", "created": 0, "owned_by": "enginehouse"} for b in backends]
    return json.dumps({"object": "list", "data": data})


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _file(path: str, content: str, *, mode: int = 0o640) -> File:
    return File(path=path, content=content, on_change=OnChange.RELOAD, mode=mode)
