"""Several hosts behind one gateway: where everything stands, and what an edit of the list of hosts does not move."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enginehouse.gateway.config import CONFIG
from enginehouse.planner.allocate import allocate
from enginehouse.planner.codec import from_plain, to_plain
from enginehouse.planner.digests import restart_digest
from enginehouse.planner.parts import GatewayPart, Plan, ReplicaPart, Runtime
from enginehouse.planner.plan import plan
from enginehouse.render.symbols import fill
from enginehouse.spec import load_text
from enginehouse.spec.lock import NOTHING_LOCKED, Lock
from enginehouse.spec.model import Settings, Spec, Variant, Where
from tests.unit.planner.test_plan import STACK

HOSTS = ("node-1", "node-2.example", "node-3", "node-10")
OTHERS = HOSTS[1:]
ORDERS = st.permutations(OTHERS).flatmap(lambda hosts: st.integers(0, len(hosts)).map(lambda n: tuple(hosts[:n])))


def spec(*hosts: str, front: str = HOSTS[0]) -> Spec:
    """`front` has the gateway; the last number of each host's address is that of its name."""
    named = ", ".join(f"{host}: {{private_address: {address(host)}}}" for host in hosts)
    text = STACK.replace("{box: {local: {}}}", f"{{box: {{ssh: {{hosts: {{{named}}}}}}}}}")
    loaded = load_text(
        text.replace("  runs_on: box\n  port", f"  runs_on: {front}\n  port"), name="demo", display="demo.yaml"
    )
    assert loaded.spec is not None, loaded.diagnostics
    return loaded.spec


def address(host: str) -> str:
    return f"10.9.0.{host.removesuffix('.example').rpartition('-')[2]}"


def planned(*hosts: str, front: str = HOSTS[0], lock: Lock = NOTHING_LOCKED) -> Plan:
    return plan(spec(*hosts, front=front), lock)


def by_name(made: Plan) -> dict[str, ReplicaPart]:
    return {replica.name: replica for replica in made.replicas}


def test_only_one_host_has_a_gateway() -> None:
    """And only there HAProxy is needed."""
    made = planned(*HOSTS)
    assert [(gateway.name, gateway.host) for gateway in made.gateways] == [("gateway-node-1", "node-1")]
    assert [host.name for host in made.hosts if "haproxy" in host.tools] == ["node-1"]
    assert [endpoint.name for endpoint in made.endpoints] == ["endpoint"]


def test_only_the_gateways_host_needs_what_its_image_needs() -> None:
    """Docker instead of HAProxy, wherever that host is written."""
    made = spec(*HOSTS)
    made = plan(replace(made, endpoint=replace(made.endpoint, image=f"haproxy@sha256:{'0' * 64}")), NOTHING_LOCKED)
    assert {host.name: {"docker", "haproxy"} & host.tools.keys() for host in made.hosts} == {
        host: {"docker"} if host == "node-1" else set() for host in HOSTS
    }


def test_engines_listen_where_the_gateway_reaches_them() -> None:
    """Those beside it on loopback; the others know how it is reached."""
    made = planned("node-1", "node-3")
    found = {r.name: (r.args["host"], r.address, [*(r.elsewhere or {})]) for r in made.replicas if r.index == 0}
    assert found == {
        "chat-node-1-0": ("127.0.0.1", None, []),
        "chat-node-3-0": ("10.9.0.3", "10.9.0.3", ["node-1"]),
    }
    servers = {server.replica: (server.host, server.address) for server in made.gateways[0].backends[0].servers}
    assert (servers["chat-node-1-0"], servers["chat-node-3-0"]) == ((None, None), ("node-3", "10.9.0.3"))
    assert [[*(part.elsewhere or {})] for part in (*made.gateways, *made.endpoints)] == [["node-3"], ["node-3"]]


def test_a_text_of_the_person_is_never_taken_for_an_address() -> None:
    """What looks like the symbol of one arrives as it was written."""
    made = spec("node-1", "node-3")
    chat = replace(made.deployments["chat"], options={"chat-template": "@{address} @@{address}"})
    for replica in plan(replace(made, deployments={"chat": chat}), NOTHING_LOCKED).replicas:
        assert fill(str(replica.args["chat-template"]), {}, {}) == "@{address} @@{address}"


def test_the_gateway_alone_on_a_host_has_ports_there() -> None:
    """Every host gives its own ports; the metrics port is the gateway's host's."""
    ports = allocate(spec(*HOSTS), NOTHING_LOCKED).hosts
    assert [name for name, given in ports.items() if given.metrics_port is not None] == ["node-1"]
    assert all(len(given.replicas) == 2 for given in ports.values())


@pytest.mark.parametrize("front", HOSTS)
def test_the_lock_keeps_every_port(front: str) -> None:
    """Written and obeyed, it gives the same plan."""
    lock = allocate(spec(*HOSTS, front=front), NOTHING_LOCKED).lock()
    assert planned(*HOSTS, front=front, lock=lock) == planned(*HOSTS, front=front)


@given(ORDERS)
def test_what_stays_is_not_moved_by_others(others: tuple[str, ...]) -> None:
    """Hosts that are added, removed or reordered change no replica, and no address of one at the gateway."""
    made, whole = planned(*others, HOSTS[0]), planned(*HOSTS)
    assert by_name(made).items() <= by_name(whole).items()
    assert servers_of(made) <= servers_of(whole)


@given(st.permutations(HOSTS))
def test_an_order_means_nothing(hosts: list[str]) -> None:
    """Not even a reload."""
    made, whole = planned(*hosts), planned(*HOSTS)
    assert (made.gateways, made.endpoints, made.replicas) == (whole.gateways, whole.endpoints, whole.replicas)


def test_one_host_is_planned_as_ever() -> None:
    """Named as a host or as its group."""
    assert planned("node-1") == planned("node-1", front="box")


def test_a_second_host_restarts_nothing_of_the_first() -> None:
    """The one that has the gateway already."""
    before, after = by_name(planned("node-1")), by_name(planned("node-1", "node-3"))
    assert {name: restart_digest(part) for name, part in before.items()} == {
        name: restart_digest(after[name]) for name in before
    }


def test_engines_on_other_hosts_ask_for_a_key_and_their_gateway_sends_it() -> None:
    """Those beside it are asked as ever; without others it sends none. No value of it is in a plan."""
    made = planned("node-1", "node-3")
    assert {r.name: r.args.get("api-key-file") for r in made.replicas if r.index == 0} == {
        "chat-node-1-0": None,
        "chat-node-3-0": "@{keys}",
    }
    assert [backend.sends_key for backend in made.gateways[0].backends] == [True]
    assert [backend.sends_key for backend in planned("node-1").gateways[0].backends] == [None]
    assert "engines.map" not in str(planned("node-1").gateways[0].files)


def test_a_unit_gets_its_key_from_a_systemd_that_can_keep_it_from_others() -> None:
    """247 on hosts whose engines ask for one, 241 elsewhere."""
    made = spec("node-1", "node-3")
    chat = replace(made.deployments["chat"], runtime=Runtime.SYSTEMD)
    hosts = plan(replace(made, deployments={"chat": chat}), NOTHING_LOCKED).hosts
    assert {host.name: host.tools["systemd-run"] for host in hosts} == {"node-1": "241", "node-3": "247"}


def test_a_host_with_fewer_slots_says_so_at_its_servers() -> None:
    """The backend has the most of any host."""
    made = spec("node-1", "node-3")
    fewer = Variant(where=Where(host="node-3"), set=Settings(slots=1))
    chat = replace(made.deployments["chat"], variants=(fewer,))
    gateway = plan(replace(made, deployments={"chat": chat}), NOTHING_LOCKED).gateways[0]
    assert {(server.host, server.slots) for server in gateway.backends[0].servers} == {(None, None), ("node-3", 1)}
    config = next(file.content for file in gateway.files if file.path == CONFIG)
    assert [line.split()[2:] for line in config.splitlines() if "server chat-node-3-0-a" in line] == [
        ["10.9.0.3:29601", "maxconn", "1"]
    ]


def test_parts_that_know_other_machines_survive_the_wire() -> None:
    made = planned(*HOSTS)
    gateway, replica = made.gateways[0], made.replicas[-1]
    assert from_plain(GatewayPart, to_plain(gateway)) == gateway
    assert from_plain(ReplicaPart, to_plain(replica)) == replica


def servers_of(made: Plan) -> set[tuple[str, str | None, int]]:
    return {(s.name, s.address, s.port) for s in made.gateways[0].backends[0].servers}


def counted(total: int, *hosts: str) -> dict[str, int]:
    """How many of so many replicas each host has; those without any have no weights either."""
    written = spec(*hosts)
    shared = {name: replace(deployment, replicas=total) for name, deployment in written.deployments.items()}
    made = plan(replace(written, deployments=shared), NOTHING_LOCKED)
    name, *_ = shared
    found = {host: sum((r.host, r.deployment) == (host, name) for r in made.replicas) for host in hosts}
    assert {part.host for part in made.weights} == {host for host, count in found.items() if count}
    return found


@given(hosts=st.permutations(HOSTS), total=st.integers(1, 12))
def test_replicas_of_all_machines_together_are_spread_evenly(hosts: list[str], total: int) -> None:
    """Wherever a host stands in the file."""
    found = counted(total, *hosts)
    assert sum(found.values()) == total
    assert max(found.values()) - min(found.values()) <= 1
    assert found == counted(total, *HOSTS)


@given(total=st.integers(1, 12), host=st.sampled_from(OTHERS))
def test_one_host_more_takes_replicas_and_gives_the_others_none(total: int, host: str) -> None:
    before, after = counted(total, *(name for name in HOSTS if name != host)), counted(total, *HOSTS)
    assert all(after[name] <= count for name, count in before.items())
