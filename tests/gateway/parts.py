"""Gateway parts for tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from enginehouse.planner.parts import (
    Backend,
    Client,
    Connection,
    ConnectionKind,
    GatewayPart,
    Limits,
    Route,
    Server,
    Share,
    Side,
)

DEMO = Client(name="demo", secrets=("key-demo",))


def gateway_part(
    models: Sequence[str] = ("chat",),
    *,
    replicas: int = 1,
    clients: Sequence[Client] = (DEMO,),
    public: bool = False,
    ports: Iterator[int] | None = None,
    queue_s: int = 30,
    slots: int = 4,
    first_token_s: int = 120,
    routes: Sequence[Route] = (),
) -> GatewayPart:
    """A gateway in front of one deployment for each model. `ports`: endpoint, metrics, each side of each replica."""
    ports = ports or iter(range(20000, 21000))
    return GatewayPart(
        name="gateway-laptop",
        stack="laptop",
        host="laptop",
        connection=Connection(kind=ConnectionKind.LOCAL),
        address="127.0.0.1",
        port=next(ports),
        metrics_port=next(ports),
        public=public,
        clients=() if public else tuple(clients),
        backends=tuple(_backend(model, replicas, slots, ports) for model in models),
        routes=tuple(routes or (route(model) for model in models)),
        limits=Limits(queue_s=queue_s, first_token_s=first_token_s, total_s=1800),
    )


def route(model: str, *aliases: str, **shares: int) -> Route:
    """`org/MODEL:1` and its aliases, led to the model's own backend or to those in `shares`."""
    led = shares or {model: 1}
    return Route(
        names=(f"org/{model}:1", *aliases),
        shares=tuple(Share(backend=f"be_{name}", weight=weight) for name, weight in led.items()),
    )


def _backend(model: str, replicas: int, slots: int, ports: Iterator[int]) -> Backend:
    names = [f"{model}-laptop-{index}" for index in range(replicas)]
    return Backend(
        name=f"be_{model}",
        deployment=model,
        slots=slots,
        context_tokens=2048,
        servers=tuple(
            Server(name=f"{name}-{side.value}", replica=name, side=side, port=next(ports))
            for name in names
            for side in Side
        ),
    )


def elsewhere(part: GatewayPart) -> GatewayPart:
    """The second replica of its first backend is on another machine, whose engines ask for a key."""
    first, *others = part.backends
    servers = tuple(
        replace(server, host="far", address="10.9.0.12") if "-1-" in server.name else server for server in first.servers
    )
    return replace(part, backends=(replace(first, servers=servers, sends_key=True), *others))
