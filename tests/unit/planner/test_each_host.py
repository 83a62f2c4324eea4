"""Several hosts, each with an endpoint of its own: what is planned for one has nothing to do with the others."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from enginehouse.planner.allocate import allocate
from enginehouse.planner.parts import Part, Plan
from enginehouse.planner.plan import plan
from enginehouse.spec import load_text
from enginehouse.spec.lock import NOTHING_LOCKED, Lock
from enginehouse.spec.model import Spec
from tests.unit.planner.test_plan import STACK

HOSTS = ("shop-1", "shop-2.example", "shop-3", "shop-10")
ORDERS = st.permutations(HOSTS).flatmap(lambda hosts: st.integers(1, len(hosts)).map(lambda n: tuple(hosts[:n])))


def spec(*hosts: str, scope: str = "each_host") -> Spec:
    given = ", ".join(f"{host}: {{}}" for host in hosts)
    text = STACK.replace("{box: {local: {}}}", f"{{box: {{ssh: {{hosts: {{{given}}}}}}}}}")
    loaded = load_text(
        text.replace("  port: 8080", f"  scope: {scope}\n  port: 8080"), name="demo", display="demo.yaml"
    )
    assert loaded.spec is not None, loaded.diagnostics
    return loaded.spec


def planned(*hosts: str, scope: str = "each_host", lock: Lock = NOTHING_LOCKED) -> Plan:
    return plan(spec(*hosts, scope=scope), lock)


def by_host(made: Plan) -> dict[str, list[Part]]:
    return {host.name: [part for part in made.parts() if part.host == host.name] for host in made.hosts}


def test_every_host_is_a_small_stack_of_its_own() -> None:
    """Named after the host."""
    assert {host: [part.name for part in parts] for host, parts in by_host(planned("a", "b.example")).items()} == {
        "a": ["a", "chat-weights-a", "chat-a-0", "chat-a-1", "gateway-a", "endpoint-a"],
        "b.example": [
            "b.example",
            "chat-weights-b.example",
            "chat-b.example-0",
            "chat-b.example-1",
            "gateway-b.example",
            "endpoint-b.example",
        ],
    }


def test_a_gateway_knows_the_engines_of_its_own_host_only() -> None:
    """And so does the proof."""
    made = planned("a", "b")
    for gateway, endpoint in zip(made.gateways, made.endpoints, strict=True):
        replicas = [r.name for r in made.replicas if r.host == gateway.host]
        assert [*dict.fromkeys(s.replica for b in gateway.backends for s in b.servers)] == replicas
        assert [*endpoint.behind] == [*replicas, gateway.name]
        assert {r.gateway.part for r in made.replicas if r.host == gateway.host} == {gateway.name}


@given(before=ORDERS, after=ORDERS)
def test_a_host_that_comes_goes_or_moves_changes_nothing_of_the_others(
    before: tuple[str, ...], after: tuple[str, ...]
) -> None:
    """Part by part, ports and files included, and without a lock file."""
    old, new = by_host(planned(*before)), by_host(planned(*after))
    for host in old.keys() & new.keys():
        assert old[host] == new[host]


def test_the_scope_changes_names_and_not_the_number_of_hosts() -> None:
    """Twin: with one endpoint for all it is called like that, as it always was."""
    assert [part.name for part in planned("a").endpoints] == ["endpoint-a"]
    assert [part.name for part in planned("a", scope="shared").endpoints] == ["endpoint"]
    names = [[part.name for part in planned("a", scope=scope).parts()][:-1] for scope in ("shared", "each_host")]
    assert names[0] == names[1]


def test_a_lock_keeps_the_ports_of_each_host() -> None:
    """A deployment in front moves the ports of a host that is not locked, and of no other."""
    kept = Lock(enginehouse=1, hosts={"a": allocate(spec("a", "b")).lock().hosts["a"]})
    chat = spec("a", "b").deployments["chat"]
    edited = replace(spec("a", "b"), deployments={"ahead": chat, "chat": chat})
    before, after = planned("a", "b"), plan(edited, kept)
    ports = [{r.name: r.ports for r in made.replicas} for made in (before, after)]
    assert ports[0]["chat-a-0"] == ports[1]["chat-a-0"]
    assert ports[0]["chat-b-0"] != ports[1]["chat-b-0"]


def test_each_host_has_a_name_of_its_own() -> None:
    """For clients, and in the certificate that its machine makes."""
    tls = (
        '  hostname: "{host}.shops.example"\n  tls: {mode: own_ca, names: ["{host}"]}\n  scope: each_host\n  port: 8080'
    )
    text = STACK.replace("{box: {local: {}}}", "{box: {ssh: {hosts: {berlin: {}, rome: {}}}}}").replace(
        "  port: 8080", tls
    )
    loaded = load_text(text, name="demo", display="demo.yaml")
    assert loaded.spec is not None
    assert loaded.diagnostics == ()
    made = plan(loaded.spec, NOTHING_LOCKED)
    assert [part.url for part in made.endpoints] == [
        "https://berlin.shops.example:8080",
        "https://rome.shops.example:8080",
    ]
    assert [part.tls and part.tls.names for part in made.gateways] == [
        ("DNS:berlin.shops.example", "DNS:berlin"),
        ("DNS:rome.shops.example", "DNS:rome"),
    ]
