"""One endpoint for the engines of two hosts: up, exchanged under load, drained, cut off, healed, down."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from enginehouse.converge import as_inputs, converge, destroy, foresee, orders, passing
from enginehouse.converge.events import Event
from enginehouse.errors import ConvergeFailed, GateClosed, Unreachable, explain
from enginehouse.render.symbols import Secret
from tests.converge.conftest import new_world
from tests.converge.harness import HUGE_MIB, SMALL_MIB, tiny
from tests.converge.load import load, wait_for_answers
from tests.converge.two_hosts import FAR, TwoHosts


@pytest.fixture(scope="module")
def shared() -> Iterator[TwoHosts]:
    with new_world(TwoHosts) as made:
        yield made


@pytest.fixture
def running(shared: TwoHosts) -> TwoHosts:
    """A stack that is up and as planned, whatever the test before did to it."""
    shared.reset()
    shared.up()
    shared.events.clear()
    return shared


def test_the_engines_of_both_hosts_stand_behind_one_gateway(running: TwoHosts) -> None:
    """The one beside the gateway listens on loopback, the other one on its own address only."""
    assert running.ask()[0] == 200
    assert running.usable() == {"chat-box-0-a", "chat-far-0-a"}
    assert [r.args["host"] for r in running.plan().replicas] == ["127.0.0.1", running.address]
    assert not running.far_place("gateway-box").exists()


def test_a_second_up_looks_once_at_each_part_and_machine_and_writes_nothing(running: TwoHosts) -> None:
    """A replica of the other host looks at its gateway as well, gateway and endpoint at that host."""
    before, processes = running.snapshot(), running.processes()
    for way in running.ways.values():
        way.runs = way.holds = 0
    running.up()
    assert (before, processes) == (running.snapshot(), running.processes())
    parts = running.plan().parts()
    trips = sum(1 + len(part.elsewhere or {}) for part in parts)
    assert (sum(way.runs for way in running.ways.values()), running.connector.holds) == (trips, 0), running.texts()


def test_the_gateway_tells_of_hangs_on_its_own_machine_only(running: TwoHosts) -> None:
    """How often an engine elsewhere hung is known there, and `status` tells it; a 0 would be made up."""
    running.far_place("chat-far-0", "run").mkdir(exist_ok=True)
    running.far_place("chat-far-0", "run", "hangs").write_text("3 2026-11-24T12:00:00+00:00\n")
    text = running.metrics()
    assert 'enginehouse_engine_hangs_total{replica="chat-box-0"} 0\n' in text
    assert 'enginehouse_engine_hung{replica="chat-box-0"} 0\n' in text
    assert "chat-far-0" not in text
    observed = running.observe(running.on(FAR))
    assert observed is not None and observed.hangs is not None and observed.hangs.count == 3
    running.far_place("chat-far-0", "run", "hangs").unlink()


def test_what_is_observed_is_what_was_planned(running: TwoHosts) -> None:
    """A healthy stack has no difference and no complaint."""
    for part in running.plan().parts():
        observed = running.observe(part)
        assert observed is not None
        assert (observed.inputs, observed.reasons) == (as_inputs(part), ())


def test_an_exchange_on_the_other_host_fails_no_request(running: TwoHosts) -> None:
    """Beside the running release and after it; every replica takes the next one in its turn."""
    with load(running) as count:
        wait_for_answers(count, 8)
        for context, memory_mib in ((4096, SMALL_MIB), (8192, HUGE_MIB)):
            running.settings["context"] = context
            for replica in running.plan().replicas:
                running.converge(tiny(replica, memory_mib))
        wait_for_answers(count, 8)
    assert count.failed == []
    running.up()
    assert running.far_manifest("chat-far-0")["part"]["args"]["ctx-size"] == str(8192 * 2)


def test_an_engine_that_its_gateway_does_not_reach_gets_no_traffic(running: TwoHosts) -> None:
    """The release from before goes on, and the sentence names both ends."""
    side = running.far_manifest("chat-far-0")["side"]
    running.settings["context"] = 4096
    running.ways["box"].closed = f"tcp:{running.address}:"
    with pytest.raises(ConvergeFailed, match="ready, but box, where the gateway is, does not reach it at") as failure:
        running.converge(running.on(FAR))
    assert failure.value.old_serves
    assert f"chat-far-0-{side}" in running.usable()
    assert running.far_manifest("chat-far-0")["side"] == side


def test_a_gateways_machine_that_is_lost_in_the_middle_is_no_firewall(running: TwoHosts) -> None:
    """It is said that it can't be asked, and the next run goes on."""

    def lose(event: Event) -> None:
        running.ways["box"].cut = running.ways["box"].cut or "starting release" in event.text

    running.settings["context"] = 4096
    running.on_event = lose
    with pytest.raises(ConvergeFailed, match="failed: box: no route") as failure:
        running.converge(running.on(FAR))
    assert "firewall" not in str(explain(failure.value))
    running.on_event = lambda event: None
    running.ways["box"].cut = False
    running.up()
    assert len(running.usable()) == 2


def test_a_drained_replica_stays_drained_when_the_gateway_changes(running: TwoHosts) -> None:
    """The order is on the replica's machine, and the gateway's run reads it there."""
    far = running.on(FAR)
    orders.drain(far, running.context(), reason="a test", wait=True)
    running.settings["timeouts"] = {"queue_s": 7}
    running.up()
    assert running.usable() == {f"chat-box-0-{running.side}"}
    orders.undrain(far, running.context())
    running.wait_until(lambda: len(running.usable()) == 2)


def test_what_is_drained_elsewhere_counts_as_missing(running: TwoHosts) -> None:
    """An exchange that makes requests wait is refused while the only other replica is drained on its own machine."""
    orders.drain(running.on(FAR), running.context(), reason="a test", wait=False)
    running.settings["context"] = 4096
    paused = tiny(running.on("box"), HUGE_MIB)
    assert "while chat-far-0 is drained by ada@desk since" in str(foresee(paused, running.context()))
    with pytest.raises(GateClosed, match="while chat-far-0 is drained by ada@desk since"):
        running.converge(paused)
    orders.undrain(running.on(FAR), running.context())
    running.converge(paused)


def test_what_nobody_can_be_asked_about_counts_as_drained(running: TwoHosts) -> None:
    """It gets no requests, and the machine that has its orders does not answer."""
    orders.drain(running.on(FAR), running.context(), reason="a test", wait=False)
    running.ways[FAR].cut = True
    running.settings["context"] = 4096
    paused = tiny(running.on("box"), HUGE_MIB)
    with pytest.raises(GateClosed, match="while chat-far-0 gets no requests, and far: no route, and"):
        running.converge(paused)
    running.ways[FAR].cut = False
    orders.undrain(running.on(FAR), running.context())


def test_the_run_after_one_that_died_finishes_one_replica_after_the_other(
    running: TwoHosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one beside the gateway comes first and nobody else comes meanwhile: it waits some time, and goes on."""
    monkeypatch.setattr(passing, "MEND_WITHIN_S", 0.5)
    die_holding_far_back(running)
    for replica in running.plan().replicas:
        running.converge(tiny(replica, HUGE_MIB))
    assert waiting(running) == ["chat-box-0: waiting for chat-far-0, which a run that ended may have held back"]
    assert len(running.usable()) == 2
    running.up()


def test_the_run_after_one_that_died_first_mends_what_that_one_held_back(
    running: TwoHosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both come at once: the one that has all the traffic keeps it until the other has its share again."""
    monkeypatch.setattr(passing, "MEND_WITHIN_S", 60.0)
    die_holding_far_back(running)
    paused: list[set[str]] = []

    def hear(event: Event) -> None:
        if event.part == "chat-box-0" and "holding requests back" in event.text:
            paused.append(running.usable())

    running.on_event = hear
    together(running)
    assert [{server.rpartition("-")[0] for server in usable} for usable in paused] == [{"chat-box-0", "chat-far-0"}]
    assert len(running.usable()) == 2
    running.on_event = lambda event: None
    running.up()


def test_one_that_fails_where_another_run_held_it_back_leaves_the_last_one_alone(
    running: TwoHosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its engine had ended already, so that it starts without a gate; the one with all the traffic is not touched."""
    monkeypatch.setattr(passing, "MEND_WITHIN_S", 60.0)
    die_holding_far_back(running, before="starting release")
    side = running.side
    running.ways["box"].closed = f"tcp:{running.address}:"
    with pytest.raises(ConvergeFailed, match="does not reach it at"):
        together(running)
    assert running.usable() == {f"chat-box-0-{side}"}
    running.ways["box"].closed = "-"
    together(running)
    running.up()
    assert len(running.usable()) == 2


def test_an_engine_of_the_other_host_that_died_gets_requests_again_when_it_is_ready(running: TwoHosts) -> None:
    """Only what it was working on is lost. HAProxy gives it nothing while its model loads, and then its share."""
    loads = running.folder / "loads"
    loads.touch()
    running.write_model({"loads_with": str(loads)})
    running.up()
    program = f"chat-far-0/{running.far_manifest('chat-far-0')['side']}"
    loads.unlink()
    with load(running) as count:
        running.kill(program)
        running.wait_until(lambda: len(running.usable()) == 1)
        wait_for_answers(count, 8)
        loads.touch()
        running.wait_until(lambda: len(running.usable()) == 2)
        wait_for_answers(count, 8)
    assert {status for status, _ in count.failed} <= {200, 502}
    assert len(count.failed) <= 4  # at most the one that each client had there, or was just sending there


def test_a_host_that_does_not_answer_fails_only_its_own_parts(running: TwoHosts) -> None:
    """The gateway takes another key, and what it knows of the other host's engine stays as it is."""
    running.ways[FAR].cut = True
    running.settings["secrets"] = ["key-demo", "key-next"]
    running.secrets["key-next"] = Secret("sk-next-0123456789")
    running.converge(running.gateway())
    running.converge(running.plan().endpoints[0])
    assert running.ask(key="sk-next-0123456789")[0] == 200
    assert len(running.usable()) == 2
    for act in (running.converge, running.observe, running.destroy):
        with pytest.raises(Unreachable, match="far: no route"):
            act(running.on(FAR))


def test_without_the_gateways_machine_nothing_of_a_replica_changes(running: TwoHosts) -> None:
    """Nobody could hold requests back. A replica that is as it should be is none of its business."""
    running.ways["box"].cut = True
    observed = running.observe(running.on(FAR))
    assert observed is not None and observed.reasons == ()
    running.converge(running.on(FAR))
    before = running.processes()
    running.settings["context"] = 4096
    assert "its gateway is on box" in str(foresee(running.on(FAR), running.context()))
    with pytest.raises(Unreachable, match="its gateway is on box, which would have to hold requests back") as refusal:
        running.converge(running.on(FAR))
    assert refusal.value.untouched
    with pytest.raises(ConvergeFailed, match="its gateway is on box"):
        running.destroy(running.on(FAR))
    assert running.processes() == before


def test_a_replica_leaves_without_a_gateway_that_is_lost_for_ever(running: TwoHosts) -> None:
    """The person says so; then its own machine is enough."""
    running.ways["box"].cut = True
    destroy(running.on(FAR), replace(running.context(), lost=["box"]))
    assert not running.far_place("chat-far-0").exists()


def test_another_machine_in_the_place_of_the_gateways_is_not_touched(running: TwoHosts) -> None:
    """It would be told to hold back requests that it does not have."""
    manifest = running.place("gateway-box", "manifest.json")
    written = manifest.read_text()
    manifest.write_text(written.replace('"machine": "', '"machine": "0'))
    running.settings["context"] = 4096
    with pytest.raises(Unreachable, match="box: another machine answers"):
        running.converge(running.on(FAR))
    manifest.write_text(written)


@pytest.mark.parametrize("host", ["box", FAR])
def test_a_gateway_that_moves_to_another_host_is_told_with_what_it_costs(running: TwoHosts, host: str) -> None:
    """At each replica, since a new gateway is nothing that differs yet. Twin: another edit says that nobody waits."""
    running.front_host = FAR
    seen = str(foresee(tiny(running.on(host), SMALL_MIB), running.context()))
    cost = "requests fail until it serves there, and clients have to be told that address"
    told = f"; the gateway moves from box to far: {cost}"
    assert (seen.startswith("restart: "), seen.endswith(told)) == (True, True), seen
    assert "no request waits" not in seen
    running.reset()
    running.settings["context"] = 4096
    seen = str(foresee(tiny(running.on(host), SMALL_MIB), running.context()))
    assert (seen.endswith("; no request waits"), "moves" in seen) == (True, False), seen


def test_a_rename_leaves_nothing_of_the_old_name_on_the_other_host(running: TwoHosts) -> None:
    """The gateway's run ends there what had to serve until it knew the new name."""
    with load(running) as count:
        wait_for_answers(count, 4)
        running.settings |= {"deployment": "talk", "renamed_from": "chat"}
        running.lock = running._apart()
        running.up()
        wait_for_answers(count, 4)
    assert count.failed == []
    assert {mark.split("/")[0] for mark in running.processes().values() if "0/" in mark} == {"talk-box-0", "talk-far-0"}
    assert not running.far_place("chat-far-0").exists()
    running.settings |= {"deployment": "chat", "renamed_from": "talk"}
    running.lock = running._apart()
    running.up()


def test_down_leaves_nothing_that_runs_on_either_host(running: TwoHosts) -> None:
    running.down()
    assert running.processes() == {}
    assert running.down() == ()


class Died(BaseException):
    """kill -9 of a run: nobody undoes anything."""


def die_holding_far_back(running: TwoHosts, before: str = "stopping chat-far-0") -> None:
    """A run that dies in an exchange with a pause of the replica on the other host; the edit is still to be made."""

    def die(event: Event) -> None:
        if before in event.text and "holding requests back" in "".join(running.texts()):
            raise Died

    running.settings["context"] = 4096
    running.on_event = die
    with pytest.raises(Died):
        running.converge(tiny(running.on(FAR), HUGE_MIB))
    running.on_event = lambda event: None
    running.events.clear()
    assert running.usable() == {f"chat-box-0-{running.side}"}


def together(running: TwoHosts) -> None:
    """A run whose replicas come at once, the one beside the gateway a moment earlier. Raises what the first raised that
    failed by itself."""
    context = running.context()
    with ThreadPoolExecutor() as pool:
        first = pool.submit(converge, tiny(running.on("box"), HUGE_MIB), context)
        running.wait_until(lambda: waiting(running) != [])
        second = pool.submit(converge, tiny(running.on(FAR), HUGE_MIB), context)
    if second.exception():
        with pytest.raises(GateClosed, match="chat-box-0 was not exchanged, because chat-far-0"):
            first.result()
    second.result()
    first.result()


def waiting(running: TwoHosts) -> list[str]:
    """What was told of a wait, once each."""
    return list(dict.fromkeys(text for text in running.texts() if ": waiting for chat-" in text))
