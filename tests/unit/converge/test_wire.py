"""Parts on the wire: what has a name is known by it, and comes back as it was."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from enginehouse.converge import as_inputs, as_part
from enginehouse.gateway import files
from enginehouse.planner.codec import to_plain
from enginehouse.planner.diff import differing, in_words
from enginehouse.planner.parts import GatewayPart, Plan
from enginehouse.planner.plan import plan
from enginehouse.provider.wire import to_plain as from_wire
from enginehouse.provider.wire import to_struct
from enginehouse.spec import load_text
from enginehouse.spec.lock import NOTHING_LOCKED

DEPLOYMENT = (
    '{{engine: llama-cpp, version: "b11434", runs_on: box, '
    'model: {{source: "upload://{0}.gguf", sha256: {1}, served_name: {0}.5}}}}'
)
CLIENTS = ("{name: search, secrets: [s-2, s-1]}", "{name: demo, secrets: [key-demo], concurrent: 4}")
DEPLOYMENTS = tuple(f"{name}: {DEPLOYMENT.format(name, digit * 64)}" for name, digit in (("tiny", "a"), ("big", "b")))
ROUTES = ("{model: tiny.5, aliases: [gpt-4o, gpt-4]}", "{model: big.5, to: {big: 3}}")


def stack(clients: tuple[str, ...], deployments: tuple[str, ...], routes: tuple[str, ...]) -> Plan:
    text = (
        f"enginehouse: 1\nmachines: {{box: {{local: {{}}}}}}\ndeployments: {{{', '.join(deployments)}}}\n"
        f"endpoint: {{runs_on: box, port: 8123, keys: [{', '.join(clients)}], routes: [{', '.join(routes)}]}}\n"
    )
    loaded = load_text(text, name="demo", display="demo.yaml")
    assert loaded.spec is not None, loaded.diagnostics
    return plan(loaded.spec, NOTHING_LOCKED)


def gateway(clients: tuple[str, ...] = CLIENTS, routes: tuple[str, ...] = ROUTES) -> GatewayPart:
    return stack(clients, DEPLOYMENTS, routes).gateways[0]


def on_the_wire(part: GatewayPart) -> dict[str, Any]:
    return from_wire(to_struct(as_inputs(part)))


def by_name(part: GatewayPart) -> GatewayPart:
    """The part with its lists in the only order that is left after the wire."""
    return replace(
        part,
        clients=tuple(sorted(part.clients, key=lambda c: c.name)),
        backends=tuple(sorted(part.backends, key=lambda b: b.deployment)),
        routes=tuple(sorted(part.routes, key=lambda r: r.names)),
    )


def test_a_part_comes_back_by_name() -> None:
    assert as_part("gateway", on_the_wire(gateway())) == by_name(gateway())


def test_a_state_from_before_has_lists_and_means_the_same_part() -> None:
    part = gateway()
    lists = {name: to_plain(getattr(part, name)) for name in ("clients", "backends", "routes")}
    assert as_part("gateway", {**as_inputs(part), **lists}) == part


def test_a_changed_limit_is_told_by_the_clients_name() -> None:
    """As a diff and in the words of a history, also if the client moved in the list."""
    newer = gateway(clients=(CLIENTS[1].replace("4", "8"), CLIENTS[0]))
    assert in_words(on_the_wire(gateway()), on_the_wire(newer)) == ("clients.demo.concurrent: 4 => 8",)


def test_routes_and_servers_are_told_by_name() -> None:
    newer = gateway(routes=("{model: tiny.5, aliases: [gpt-4o]}", ROUTES[1]))
    assert [d.text for d in differing(on_the_wire(gateway()), on_the_wire(newer))] == ['routes["tiny.5"].aliases[1]']
    part = gateway()
    server = replace(part.backends[0].servers[1], port=9)
    moved = replace(part.backends[0], servers=(part.backends[0].servers[0], server))
    newer = replace(part, backends=(moved, part.backends[1]))
    (difference,) = differing(on_the_wire(part), on_the_wire(newer))
    assert difference.text == "backends.tiny.servers.tiny-box-0-b.port"


def test_a_reordered_stack_file_is_no_difference() -> None:
    """Of clients and routes: what they say is the same, and so are the files."""
    newer = gateway(clients=CLIENTS[::-1], routes=ROUTES[::-1])
    assert differing(on_the_wire(gateway()), on_the_wire(newer)) == ()
    assert files(newer) == files(gateway())
