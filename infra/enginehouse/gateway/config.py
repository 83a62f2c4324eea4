"""HAProxy's files, from a gateway part. Pure: equal parts give equal texts.

The configuration names its own files by paths relative to itself (`default-path config`), so a staged release can be
checked in place before `current` points at it. Only the runtime socket and the saved server state live outside of a
release.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from itertools import accumulate

from enginehouse.gateway.access_log import log_format
from enginehouse.gateway.replies import own_errors, refusals
from enginehouse.gateway.sizes import held, sizes
from enginehouse.planner.addresses import LOOPBACK, host_and_port
from enginehouse.planner.parts import Backend, Client, File, GatewayPart, OnChange, Route
from enginehouse.planner.seals import Tls
from enginehouse.render.symbols import literal
from enginehouse.render.templates import render

CONFIG = "haproxy.cfg"
PUBLIC_CLIENT = "public"
"""The client in logs and metrics when the endpoint asks for no key."""

SECRET_MODE = 0o600
CERTIFICATE = "certificate.pem"
MADE = "@{part}/tls/server.pem"
PRIVATE_KEY = f"{CERTIFICATE}.key"
"""Where HAProxy looks for it if it is not beside the certificate (manual 2.6, `ssl-load-extra-files`)."""


def files(part: GatewayPart, *, chain: str = "") -> tuple[File, ...]:
    """Every file of the gateway's release. All of them take effect by a reload; none restarts a stream.

    `chain` is the certificate that it is given, in PEM, with those that lead to its root. The order of clients and
    backends in a stack file is in none of the files, so that a reordering is no change.
    """
    return (*_common(part), *(_certificate(part.tls, chain) if part.tls and part.tls.private_key else ()))


def _common(part: GatewayPart) -> tuple[File, ...]:
    return (
        _file(CONFIG, _config(part)),
        _file("hold.lua", render("haproxy/hold.lua")),
        _file("engines.lua", render("haproxy/engines.lua.j2", replicas=_replicas(part), certificate=_ends(part.tls))),
        _file("keys.map", _lines(_hash(name, c) for c in part.clients for name in c.secrets), mode=SECRET_MODE),
        _file("rate.map", _lines(f"{c.name} {c.requests_per_minute}" for c in part.clients if c.requests_per_minute)),
        _file("concurrent.map", _lines(f"{c.name} {c.concurrent}" for c in part.clients if c.concurrent)),
        _file("models.map", _lines(f"{name} {_target(r)}" for r in part.routes for name in r.names)),
        _file("models.json", _models(part.routes)),
    )


def _certificate(tls: Tls, chain: str) -> tuple[File, ...]:
    key = f"@{{secret:{tls.private_key}}}\n"
    return _file(CERTIFICATE, literal(chain)), _file(PRIVATE_KEY, key, mode=SECRET_MODE)


def _shown(tls: Tls) -> str:
    """The file that HAProxy reads: one of the release, or the one that the machine makes, which lives longer."""
    return CERTIFICATE if tls.private_key else MADE


def _ends(tls: Tls | None) -> dict[str, object] | None:
    """When the certificate ends in seconds since 1970, or the file that tells; None without TLS."""
    if tls is None:
        return None
    return {"ends": int(datetime.fromisoformat(tls.ends).timestamp()) if tls.ends else None, "file": MADE}


def _config(part: GatewayPart) -> str:
    size = sizes(part)
    return render(
        "haproxy/haproxy.cfg.j2",
        bind=host_and_port(part.address, part.port),
        certificate=_shown(part.tls) if part.tls else None,
        metrics_bind=host_and_port("127.0.0.1", part.metrics_port),
        client=PUBLIC_CLIENT if part.public else None,
        only_backend=part.backends[0].name if len(part.backends) == 1 else None,
        backends=[_backend(backend) for backend in sorted(part.backends, key=lambda b: b.name)],
        splits=[_split(route) for route in sorted(part.routes, key=lambda r: r.names) if len(route.shares) > 1],
        log_format=log_format(),
        limits=part.limits,
        hold_ms=part.limits.queue_s * 1000,
        sizes=size,
        refuse=refusals(size),
        own_errors=own_errors(),
    )


def _replicas(part: GatewayPart) -> list[str]:
    """Those of this machine: how often another machine's engines hung is known there."""
    return sorted({server.replica for backend in part.backends for server in backend.servers if not server.host})


def _backend(backend: Backend) -> dict[str, object]:
    replicas = len({server.replica for server in backend.servers})
    return {
        "name": backend.name,
        "slots": backend.slots,
        "sends_key": backend.sends_key,
        "held": held(backend.slots, replicas),
        "servers": [
            {"name": s.name, "at": host_and_port(s.address or LOOPBACK, s.port), "slots": s.slots}
            for s in backend.servers
        ],
    }


def _target(route: Route) -> str:
    """What a name leads to: a backend, or a split that is still to be drawn, whose name no backend has."""
    return route.shares[0].backend if len(route.shares) == 1 else f"split:{route.names[0]}"


def _split(route: Route) -> dict[str, object]:
    """`below` is what a number drawn from 0 to `total` - 1 must be less than; shares add up in their order."""
    sums = accumulate(share.weight for share in route.shares)
    choices = [{"backend": s.backend, "below": below} for s, below in zip(route.shares, sums, strict=True)]
    return {"name": _target(route), "total": choices[-1]["below"], "choices": choices}


def _hash(secret: str, client: Client) -> str:
    return f"@{{sha256:{secret}}} {client.name}"


def _models(routes: Iterable[Route]) -> str:
    """The answer to `GET /v1/models` in OpenAI's list shape, where `created` is required; a plan has no clock, so 0."""
    names = (name for route in routes for name in route.names)
    data = [{"id": name, "object": "model", "created": 0, "owned_by": "enginehouse"} for name in names]
    return json.dumps({"object": "list", "data": data})


def _lines(lines: Iterable[str]) -> str:
    """HAProxy looks words up in maps; their order means nothing."""
    return "".join(f"{line}\n" for line in sorted(lines))


def _file(path: str, content: str, *, mode: int = 0o640) -> File:
    return File(path=path, content=content, on_change=OnChange.RELOAD, mode=mode)
