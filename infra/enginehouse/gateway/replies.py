"""What the gateway itself answers: errors in the OpenAI shape, as arguments of HAProxy's `return` and `http-error`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from enginehouse.gateway.sizes import Sizes
from enginehouse.render.templates import quote_haproxy

RETRY_AFTER_S = 5
"""A replica swap takes some seconds, and the usual client libraries retry twice: shorter would waste both tries."""

_INVALID = "invalid_request_error"
_LIMITED = "rate_limit_error"
_SERVER = "server_error"

_MODEL = "%[var(txn.model),json(utf8s)]"
"""The model name a client sent, cut and escaped by HAProxy, so that it can stand inside a JSON string."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One refusal. `message` may hold HAProxy samples (`%[...]`) only if `samples` is set."""

    status: int
    kind: str
    code: str
    message: str
    headers: Mapping[str, str]
    samples: bool = False


@cache
def refusals(sizes: Sizes) -> Mapping[str, str]:
    """Name to the arguments of `http-request return`, for requests the gateway turns away."""
    return {name: _arguments(reply) for name, reply in _refusals(sizes).items()}


@cache
def own_errors() -> tuple[str, ...]:
    """Arguments of `http-error` for each status HAProxy produces by itself for a request it has read.

    Bytes that are no HTTP at all get its built-in 400 page, which nothing replaces (measured 2026-11, HAProxy 2.6.12
    and 2.8.25).
    """
    return tuple(_arguments(reply) for reply in _own_errors())


def _refusals(sizes: Sizes) -> Mapping[str, Reply]:
    return {
        "no_key": _reply(
            401,
            _INVALID,
            "invalid_api_key",
            "Missing or unknown API key. Send it as `Authorization: Bearer KEY`.",
            **{"WWW-Authenticate": 'Bearer realm="enginehouse"'},
        ),
        "no_path": _reply(
            404,
            _INVALID,
            "unknown_url",
            "This path is not served here. Served: /v1/chat/completions, /v1/completions, /v1/models, /health.",
        ),
        "needs_get": _reply(405, _INVALID, "method_not_allowed", "This path takes GET only.", Allow="GET, HEAD"),
        "needs_post": _reply(405, _INVALID, "method_not_allowed", "This path takes POST only.", Allow="POST"),
        "no_model": _reply(
            400, _INVALID, "missing_model", "The body must be a JSON object with a `model`; GET /v1/models lists them."
        ),
        "wrong_model": Reply(
            status=404,
            kind=_INVALID,
            code="model_not_found",
            message=f"The model `{_MODEL}` is not served here; GET /v1/models lists those that are.",
            headers={},
            samples=True,
        ),
        "too_large": _reply(
            413,
            _INVALID,
            "request_too_large",
            f"The body is larger than {sizes.routable_bytes} bytes, more than the largest context here can take.",
        ),
        "too_often": _reply(
            429,
            _LIMITED,
            "rate_limit_exceeded",
            "This key's requests per minute are used up.",
            # Seconds in which the limit lets one more request through, rounded up.
            **{"Retry-After": "%[int(60),div(txn.rate),add(1)]"},
        ),
        "too_many": _reply(
            429,
            _LIMITED,
            "concurrency_limit_exceeded",
            "This key already has as many requests in progress as it may.",
            **{"Retry-After": "1"},
        ),
        "not_ready": _unavailable("A model has no replica that can answer."),
    }


def _own_errors() -> tuple[Reply, ...]:
    return (
        _reply(400, _INVALID, "bad_request", "The request is not valid HTTP."),
        _reply(408, _INVALID, "request_timeout", "The request did not arrive in time."),
        _reply(500, _SERVER, "internal_error", "The gateway failed."),
        _reply(502, _SERVER, "bad_gateway", "The engine ended the connection before it answered."),
        _unavailable("No replica could take the request in time."),
        _reply(504, _SERVER, "gateway_timeout", "The engine sent nothing for too long."),
    )


def _unavailable(message: str) -> Reply:
    return _reply(503, _SERVER, "unavailable", message, **{"Retry-After": str(RETRY_AFTER_S)})


def _reply(status: int, kind: str, code: str, message: str, **headers: str) -> Reply:
    return Reply(status=status, kind=kind, code=code, message=message, headers=headers)


def _arguments(reply: Reply) -> str:
    error = {"message": reply.message, "type": reply.kind, "param": None, "code": reply.code}
    words = ["status", str(reply.status), "content-type", "application/json"]
    words += ["lf-string" if reply.samples else "string", quote_haproxy(json.dumps({"error": error}))]
    for name, value in reply.headers.items():
        words += ["hdr", name, quote_haproxy(value)]
    return " ".join(words)
