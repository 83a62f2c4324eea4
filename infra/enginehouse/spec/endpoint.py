"""The endpoint of a stack file as frozen values: who may use it, by which names, and how it is protected."""

# ruff: noqa: RUF009 - `key` makes a field

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from enginehouse.planner.parts import Scope
from enginehouse.planner.seals import Certificate, TlsMode, VerifyFrom
from enginehouse.spec.fields import (
    HOST_PATTERN,
    IMAGE_PATTERN,
    NAME_PATTERN,
    SECRET_NAME_PATTERN,
    SERVED_NAME_PATTERN,
    key,
)
from enginehouse.spec.secret_name import SecretName


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """How the endpoint is protected on the way to it."""

    mode: TlsMode = key(
        "`none`: plain HTTP, only on a loopback address. `files`: HTTPS with a certificate of yours. "
        "`own_ca`: HTTPS with a certificate that the machine makes and renews by itself, under an authority of the "
        "stack's own.",
        example="files",
        default=TlsMode.NONE,
    )
    certificate: str | None = key(
        "With `files`: the certificate for `endpoint.hostname` and those that lead from it to its root, in this order, "
        "as PEM. A path relative to the folder of the stack file.",
        example="../tls/llm.example.pem",
        default=None,
    )
    private_key: SecretName | None = key(
        "With `files`: its private key, PEM without a passphrase.", example={"secret": "tls-key"}, default=None
    )
    names: tuple[str, ...] = key(
        "With `own_ca`: further names and addresses that the certificate is for, beside `hostname` and `listen`.",
        example=["localhost", "10.9.0.11"],
        default=(),
        maxItems=64,
    )
    given: Certificate | None = None  # what the file holds, once it is read


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A client's name and the secrets that prove it."""

    name: str = key("The client's name in logs, metrics and limits.", example="demo", pattern=NAME_PATTERN)
    secrets: tuple[str, ...] = key(
        "Names of the secrets that hold this client's API keys; several while rotating.",
        example=["key-demo"],
        minItems=1,
        maxItems=8,
        items={"pattern": SECRET_NAME_PATTERN},
    )
    requests_per_minute: int | None = key(
        "Requests a minute before the answer is 429.", example=600, default=None, minimum=1, maximum=10000000
    )
    concurrent: int | None = key(
        "Requests at once before the answer is 429.", example=40, default=None, minimum=1, maximum=100000
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A model name that clients ask for, its other names, and the deployments that answer."""

    model: str = key(
        "The name in requests: the `served_name` of the deployments it leads to.",
        example="smollm2-135m",
        pattern=SERVED_NAME_PATTERN,
    )
    aliases: tuple[str, ...] = key(
        "Other names that lead to the same place; `/v1/models` lists them, too.",
        example=["gpt-4o-mini"],
        default=(),
        maxItems=64,
        items={"pattern": SERVED_NAME_PATTERN},
    )
    to: Mapping[str, int] = key(
        "Deployments and their shares of the requests, as whole numbers in proportion. Left out: every deployment that "
        "serves the name, in equal shares. A share of 0 keeps a deployment running without requests.",
        example={"chat": 90},
        default_factory=dict,
        propertyNames={"pattern": NAME_PATTERN},
        additionalProperties={"type": "integer", "minimum": 0, "maximum": 1000},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long requests and connections may wait."""

    queue_s: int = key(
        "Seconds a request may wait for a free slot before 503.", example=30, default=30, minimum=1, maximum=3600
    )
    first_token_s: int = key(
        "Seconds from the engine taking a request to its first byte, and between two pieces of a stream.",
        example=120,
        default=120,
        minimum=1,
        maximum=7200,
    )
    total_s: int = key(
        "Seconds a client connection may be silent.", example=1800, default=1800, minimum=1, maximum=86400
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """The public address of the stack, or one on each of its machines: an OpenAI-compatible API."""

    runs_on: str = key(
        "Where the gateway runs: a machine group, or one host by its name.", example="laptop", pattern=HOST_PATTERN
    )
    scope: Scope = key(
        "`shared`: one endpoint, on one host, for the engines of all hosts. `each_host`: every host of the group "
        "serves by itself, with a gateway and an endpoint of its own.",
        example="each_host",
        default=Scope.SHARED,
    )
    hostname: str = key(
        "Name or address that clients call; loopback while `tls.mode` is `none`. With `scope: each_host`, `{host}` in "
        "it is the name of the host.",
        example="llm.example",
        default="127.0.0.1",
    )
    listen: str | None = key(
        "Where the gateway listens; `::` is all, `0.0.0.0` all of IPv4. Left out: `hostname` if that is an address "
        "or `localhost`, else `0.0.0.0`. Loopback while `tls.mode` is `none`.",
        example="10.1.0.11",
        default=None,
    )
    port: int = key("TCP port of the endpoint.", example=8080, minimum=1, maximum=65535)
    image: str | None = key(
        "A container image with HAProxy, as `NAME@sha256:DIGEST`, where the machine shall not have its package. Left "
        "out: it is a program of the machine.",
        example=f"docker.io/library/haproxy@sha256:{'0123456789abcdef' * 4}",
        default=None,
        pattern=IMAGE_PATTERN,
    )
    tls: Tls = key("Transport security.", example={"mode": "none"}, default_factory=Tls)
    keys: tuple[Key, ...] | Literal["public"] = key(
        "Who may use the endpoint: a list of clients, or `public` for everybody who can reach it.",
        example=[{"name": "demo", "secrets": ["key-demo"]}],
        minItems=1,
    )
    routes: tuple[Route, ...] = key(
        "Further names for a model, and shares where several deployments serve one name. A served name that is not "
        "listed has a route of its own.",
        example=[{"model": "smollm2-135m", "aliases": ["gpt-4o-mini"]}],
        default=(),
        maxItems=1000,
    )
    verify_from: VerifyFrom = key(
        "Who proves the endpoint after a change. `gateway`: a client on its own machine, which also works behind NAT. "
        "`controller`: the machine this command runs on, over the network and by `hostname`, as clients do.",
        example="controller",
        default=VerifyFrom.GATEWAY,
    )
    timeouts: Timeouts = key("Limits on waiting.", example={"queue_s": 30}, default_factory=Timeouts)
