"""Who of a deployment gets no requests, and whether somebody wants it so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from enginehouse.connectors import Connectors
from enginehouse.connectors.base import Connector
from enginehouse.connectors.fake import FakeConnector
from enginehouse.converge.facts import Facts
from enginehouse.converge.look import with_orders
from enginehouse.converge.siblings import drained, has_traffic, held_back, resting
from enginehouse.errors import Unreachable
from enginehouse.gateway.stats import ServerRow
from enginehouse.planner.parts import Connection, ConnectionKind, Part
from tests.simulated.plans import ORDER, Settings, planned
from tests.simulated.world import World
from tests.unit.converge.test_kinds import machine, remembered

PLAN = planned(Settings(replicas=3))
FIRST, GATEWAY = PLAN.replicas[0], PLAN.gateways[0]
READY, OUT, DRAINED, PAUSED = "UP", "MAINT", "DRAIN", "no check"


def seen(*, of: Part = GATEWAY, **states: str) -> Facts:
    """The gateway has the replicas' sides in these states: `chat_box_1_a="UP"`; the others are out of it."""
    rows = tuple(
        ServerRow(
            backend=backend.name,
            server=server.name,
            status=states.get(server.name.replace("-", "_"), OUT),
            sessions=0,
            queued=0,
            check="L7OK",
            since_s=1,
        )
        for backend in GATEWAY.backends
        for server in backend.servers
    )
    return machine(servers=rows, others={GATEWAY.name: remembered(of)})


@pytest.mark.parametrize("state", [DRAINED, PAUSED])
def test_a_replica_that_gets_no_requests_is_held_back_unless_somebody_ordered_it(state: str) -> None:
    facts = seen(chat_box_0_a=READY, chat_box_1_b=state, chat_box_2_a=READY)
    assert resting(FIRST, facts) == {"chat-box-1": None}
    assert held_back(FIRST, facts) == {"chat-box-1"}
    ordered = replace(facts, drained_others={"chat-box-1": ORDER, "other-box-0": ORDER})
    assert held_back(FIRST, ordered) == frozenset()
    assert drained(FIRST, ordered) == {"chat-box-1": str(ORDER)}
    assert held_back(FIRST, replace(facts, unknown_others={"chat-box-1": "no route"})) == frozenset()


def test_a_side_that_ends_while_the_other_one_serves_is_nobody_held_back() -> None:
    """As a run leaves it that dies while the old side finishes its requests."""
    assert resting(FIRST, seen(chat_box_1_a=DRAINED, chat_box_1_b=READY)) == {}


def test_a_replica_that_was_never_started_is_nobody_held_back() -> None:
    assert resting(FIRST, seen(chat_box_0_a=READY)) == {}


def test_the_host_of_who_rests_is_told() -> None:
    """So that it can be asked for its orders."""
    (backend,) = GATEWAY.backends
    servers = tuple(replace(s, host="far") if s.replica == "chat-box-1" else s for s in backend.servers)
    gateway = replace(GATEWAY, backends=(replace(backend, servers=servers),))
    assert resting(FIRST, seen(of=gateway, chat_box_1_a=PAUSED)) == {"chat-box-1": "far"}


def test_a_machine_leads_nobody_to_another_one() -> None:
    """A gateway's part is what its machine says: it may name any host, with any way to it, and that is not gone. The
    twin goes there, because a part of this run has led there already, by just that way."""
    (backend,) = GATEWAY.backends
    servers = tuple(replace(s, host="far") if s.replica == "chat-box-1" else s for s in backend.servers)
    way = Connection(kind=ConnectionKind.LOCAL)
    gateway = replace(GATEWAY, backends=(replace(backend, servers=servers),), elsewhere={"far": way})
    facts, gone = seen(of=gateway, chat_box_1_a=PAUSED), list[str]()

    def opened(host: str, connection: Connection) -> Connector:
        gone.append(host)
        raise Unreachable(f"{host} does not answer")

    context = replace(World().run().context, connectors=Connectors({ConnectionKind.LOCAL: opened}))
    assert with_orders(FIRST, facts, context).unknown_others == {"chat-box-1": "this run does not know the way to far"}
    assert gone == []
    far = FakeConnector("far")
    far.on(lambda call: True, Unreachable("far does not answer"))
    known = Connectors({ConnectionKind.LOCAL: lambda host, connection: far})
    known.connect(replace(FIRST, host="far", connection=way))
    told = with_orders(FIRST, facts, replace(context, connectors=known)).unknown_others
    assert told == {"chat-box-1": "far does not answer"}


def test_it_is_no_sibling_of_its_own() -> None:
    """Nor under its former name."""
    facts = seen(chat_box_0_a=PAUSED)
    assert (resting(FIRST, facts), has_traffic(FIRST, facts)) == ({}, False)
    assert resting(replace(PLAN.replicas[1], renamed_from="chat-box-0"), facts) == {}
    assert has_traffic(FIRST, seen(chat_box_0_b=READY))
