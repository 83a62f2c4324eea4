"""Standing orders: a drained replica gets no requests, a frozen stack does not change, until somebody takes it back."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from enginehouse.converge import as_inputs, foresee, orders
from enginehouse.converge.orders import Order
from enginehouse.converge.steps import Effect
from enginehouse.errors import ConvergeFailed, Frozen
from enginehouse.gateway import ServerState
from enginehouse.planner.parts import Side
from tests.converge.conftest import new_world
from tests.converge.harness import JOURNAL, World
from tests.converge.load import load, wait_for_answers


@pytest.fixture(scope="module")
def two() -> Iterator[World]:
    """A stack with two replicas."""
    with new_world(World) as made:
        yield made


@pytest.fixture
def pair(two: World) -> World:
    """Both replicas serve, whatever the test before did."""
    two.place("chat-box-0", "drained.json").unlink(missing_ok=True)
    two.place("chat-box-1", "drained.json").unlink(missing_ok=True)
    two.reset()
    two.settings["replicas"] = 2
    two.write_model({"token_s": 0.02})
    two.up()
    two.events.clear()
    return two


def drain(world: World, index: int = 0, *, wait: bool = False, force: bool = False, reason: str = "a test") -> Order:
    return orders.drain(world.replica(index), world.context(), reason=reason, wait=wait, force=force)


def undrain(world: World, index: int = 0) -> Order | None:
    return orders.undrain(world.replica(index), world.context())


def freeze(world: World, reason: str = "the auditors are here") -> Order:
    return orders.freeze(world.plan().hosts[0], world.context(), reason=reason)


def unfreeze(world: World) -> Order | None:
    return orders.unfreeze(world.plan().hosts[0], world.context())


def usable(world: World, index: int = 0) -> list[str]:
    """The replica's servers that HAProxy sends requests to."""
    names = world.replica(index).gateway.servers.values()
    return [row.server for row in world.runtime().servers() if row.is_usable() and row.server in names]


def noted(world: World, event: str, index: int = 0) -> int:
    """How often the replica's engines have noted that so far, on either side."""
    ports = world.replica(index).ports.values()
    found = map(json.loads, (world.folder / JOURNAL).read_text().splitlines())
    return sum(line["event"] == event and line["port"] in ports for line in found)


def requests(world: World, index: int = 0) -> int:
    """How many requests of the gateway they have got so far."""
    return noted(world, "request", index)


@contextmanager
def a_long_request(pair: World) -> Iterator[Path]:
    """The first replica works on one, until the file that is given is there; in the end it has to be answered."""
    end, answers, before = pair.folder / "end", list[tuple[int, bytes]](), requests(pair)
    end.unlink(missing_ok=True)
    drain(pair, 1)
    client = threading.Thread(target=lambda: answers.append(pair.ask(until=str(end))))
    client.start()
    try:
        pair.wait_until(lambda: requests(pair) > before)
        undrain(pair, 1)
        yield end
    finally:
        end.touch()
        client.join()
    assert [status for status, _ in answers] == [200]


def assert_at_rest(world: World) -> None:
    world.connector.holds = 0
    world.up()
    assert world.connector.holds == 0


def test_draining_one_of_two_fails_no_request(pair: World) -> None:
    """Under load: after a drain that waited, its engine works on nothing and gets nothing; then it serves again."""
    with load(pair) as count:
        wait_for_answers(count, 8)
        order = drain(pair, wait=True)
        assert usable(pair) == []
        pair.wait_until(lambda: pair.runtime().sessions("be_chat", pair.engine) == 0)
        before = requests(pair)
        wait_for_answers(count, 8)
        assert requests(pair) == before
        undrain(pair)
        pair.wait_until(lambda: requests(pair) > before)
    assert count.failed == []
    assert (order.who, order.door, order.reason) == ("ada@desk", "test", "a test")
    assert usable(pair) == [pair.engine]
    assert_at_rest(pair)


def test_a_drain_that_waits_returns_when_its_requests_are_answered(pair: World) -> None:
    """It tells how many are left; the one there is ends when that was told, and not before."""
    with a_long_request(pair) as end:
        before = noted(pair, "answered")
        pair.on_event = lambda event: end.touch() if "1 requests left" in event.text else None
        drain(pair, wait=True)
        assert noted(pair, "answered") == before + 1


def test_a_drain_that_does_not_wait_returns_while_its_requests_run(pair: World) -> None:
    """Twin: the request goes on and is answered."""
    with a_long_request(pair):
        before = noted(pair, "answered")
        drain(pair)
        assert noted(pair, "answered") == before
        assert not any("requests left" in text for text in pair.texts())


def test_a_drain_holds_over_up_reload_and_restart(pair: World) -> None:
    """`up` has nothing to do and sees no drift; neither a reload nor a killed HAProxy gives the traffic back."""
    drain(pair)
    assert_at_rest(pair)
    for part in pair.plan().parts():
        seen = pair.observe(part)
        assert seen is not None
        assert (seen.inputs, seen.reasons) == (as_inputs(part), ())
    pair.settings["secrets"] = ["key-demo", "spare"]
    pair.secrets |= {"spare": pair.secrets["key-demo"]}
    pair.up()
    assert usable(pair) == []
    pair.kill("gateway-box/gateway")
    pair.wait_until(lambda: pair.ask()[0] == 200)
    assert usable(pair) == []
    pair.supervisor().stop("gateway-box")
    pair.place("gateway-box", "run", "servers.state").unlink()
    pair.up()
    assert usable(pair) == []
    assert_at_rest(pair)
    undrain(pair)
    pair.wait_until(lambda: usable(pair) == [pair.engine])
    assert_at_rest(pair)


def test_an_edit_exchanges_a_drained_replica_without_giving_it_traffic(pair: World) -> None:
    """It runs on the other side and waits; no request fails and none reaches either side. Its proof comes with them."""
    before = pair.side
    drain(pair, wait=True)
    got = requests(pair)
    with load(pair) as count:
        pair.settings["context"] = 1024
        pair.up()
        wait_for_answers(count, 8)
    assert count.failed == []
    assert requests(pair) == got
    assert pair.side is before.other()
    assert (usable(pair), len(usable(pair, 1))) == ([], 1)
    assert [mark for mark in pair.processes().values() if "chat-box-0" in mark] == [f"chat-box-0/{pair.side}"]
    assert_at_rest(pair)
    undrain(pair)
    assert usable(pair) == [pair.engine]
    pair.events.clear()
    pair.up()
    assert any("asking the endpoint as a client would" in text for text in pair.texts())
    assert_at_rest(pair)


def test_a_failed_edit_of_a_drained_replica_gives_it_no_traffic(pair: World) -> None:
    """The old release runs again, still without requests."""
    drain(pair)
    pair.settings["ready_within_s"] = 5
    pair.write_model({"text": ""})
    pair.converge(pair.plan().weights[0])
    with pytest.raises(ConvergeFailed) as failure:
        pair.converge(pair.replica())
    assert failure.value.old_serves
    assert usable(pair) == []


def test_a_gateway_that_gave_traffic_to_a_drained_replica_is_put_right(pair: World) -> None:
    """By hand or by a run that was killed: it is seen, and `up` takes the traffic away again."""
    drain(pair)
    server = pair.replica().gateway.servers[pair.side]
    pair.runtime().set_state("be_chat", server, ServerState.READY)
    seen = pair.observe(pair.gateway())
    assert seen is not None
    assert seen.inputs["drift"] == {"servers": {server: "not drain"}}
    pair.up()
    assert usable(pair) == []
    assert_at_rest(pair)


def test_orders_are_idempotent_and_told_once(pair: World) -> None:
    """Giving or taking back the same order again writes nothing; another reason replaces the old one."""
    drain(pair)
    first = pair.snapshot(), pair.journal()
    drain(pair)
    assert (pair.snapshot(), pair.journal()) == first
    assert drain(pair, reason="another").reason == "another"
    seen = pair.observe(pair.replica())
    assert seen is not None
    assert seen.drained is not None
    assert str(seen.drained).endswith("through test: another")
    assert undrain(pair) == seen.drained
    assert undrain(pair) is None
    told = [(entry.event, entry.part) for entry in pair.journal()[-3:]]
    assert told == [("drained", "chat-box-0"), ("drained", "chat-box-0"), ("undrained", "chat-box-0")]


def test_the_last_replica_is_not_drained_unless_somebody_means_it(pair: World) -> None:
    """The message says what would happen. With force, requests wait at the gateway and are answered after `undrain`."""
    drain(pair, 0)
    with pytest.raises(ConvergeFailed, match="chat-box-1 is the last replica of chat that takes requests") as failure:
        drain(pair, 1)
    assert "requests would wait 30 s at the gateway and then get 503" in failure.value.reasons[0]
    assert len(usable(pair, 1)) == 1
    assert not pair.place("chat-box-1", "drained.json").exists()
    drain(pair, 1, wait=True, force=True)
    answers: list[int] = []
    client = threading.Thread(target=lambda: answers.append(pair.ask()[0]))
    client.start()
    pair.wait_until(lambda: bool(pair.connections(pair.port)))
    pair.converge(pair.plan().endpoints[0])
    undrain(pair, 1)
    client.join()
    assert answers == [200]


def test_a_replica_that_is_not_there_is_not_drained(world: World) -> None:
    """Nothing is written."""
    with pytest.raises(ConvergeFailed, match="chat-box-0 is not on box"):
        drain(world)
    with pytest.raises(ConvergeFailed, match="box is not on box"):
        freeze(world)
    assert not world.state.exists()


def test_an_only_replica_keeps_the_order_through_a_rename(pair: World) -> None:
    """The new name is drained as the old one was."""
    drain(pair, 0)
    pair.settings |= {"deployment": "talk", "renamed_from": "chat"}
    pair.up()
    assert json.loads(pair.place("talk-box-0", "drained.json").read_text())["reason"] == "a test"
    assert usable(pair) == []
    assert len(usable(pair, 1)) == 1
    assert_at_rest(pair)
    pair.down()


def test_a_frozen_stack_does_not_change(running: World) -> None:
    """Edits, healing and destroying are refused with who, when, why and the way out; looking is not."""
    order = freeze(running)
    assert_at_rest(running)
    before, processes = running.snapshot(), running.processes()
    running.settings["context"] = 1024
    for verb in (running.converge, running.destroy):
        with pytest.raises(Frozen) as refusal:
            verb(running.replica())
        assert f"is frozen by ada@desk since {order.at} through test: the auditors are here" in str(refusal.value)
        assert f"`enginehouse unfreeze {running.stack}` ends it" in str(refusal.value)
    with pytest.raises(Frozen):
        running.destroy(running.plan().hosts[0])
    with pytest.raises(Frozen):
        drain(running, force=True)
    seen = [running.observe(part) for part in running.plan().parts()]
    assert [(part.frozen, part.reasons) for part in seen if part] == [(order, ()), *[(None, ())] * 4]
    foreseen = foresee(running.replica(), running.context())
    assert (foreseen.effect, str(order) in foreseen.reason) == (Effect.FAILS, True)
    assert (before, processes) == (running.snapshot(), running.processes())
    assert unfreeze(running) == order
    running.up()
    assert [entry.event for entry in running.journal() if entry.event.endswith("frozen")] == ["frozen", "unfrozen"]


def test_a_frozen_stack_without_claims_is_as_it_should_be(running: World) -> None:
    """It was brought before there were any; they are written once it may change."""
    files = [running.place(name, "claims") for name in ("chat-box-0", "gateway-box")]
    claims = [file.read_text() for file in files]
    for file in files:
        file.unlink()
    freeze(running)
    running.up()
    assert not any(file.exists() for file in files)
    unfreeze(running)
    running.up()
    assert [file.read_text() for file in files] == claims
    assert_at_rest(running)


def test_a_frozen_stack_is_not_healed(running: World) -> None:
    """What broke stays broken until `unfreeze`; then one `up` heals it."""
    freeze(running)
    running.supervisor().stop(running.engine)
    with pytest.raises(Frozen):
        running.up()
    assert f"chat-box-0/{running.side}" not in running.processes().values()
    unfreeze(running)
    running.up()
    assert running.ask()[0] == 200


def test_an_order_whose_file_is_broken_is_an_order(running: World) -> None:
    """Whoever touched that file meant something."""
    running.place("frozen.json").write_text("")
    running.settings["context"] = 1024
    with pytest.raises(Frozen, match="its file can't be read"):
        running.converge(running.replica())
    assert unfreeze(running) is not None
    running.up()


def test_orders_leave_with_the_stack(world: World) -> None:
    """Nothing but the weights stays after `down`, journal, history and orders included."""
    world.up()
    drain(world, force=True)
    world.down()
    assert not world.place().exists()


def test_both_sides_lose_the_traffic(pair: World) -> None:
    """A run that died between two sides may have left both at work."""
    servers = pair.replica().gateway.servers
    pair.settings["context"] = 1024
    for side in Side:
        pair.runtime().set_state("be_chat", servers[side], ServerState.READY)
    drain(pair)
    assert usable(pair) == []
