"""The gateway: reloaded without a cut stream, put back when a configuration is no good, healed when something broke."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from enginehouse.converge import as_inputs, configuration, gateway, traffic
from enginehouse.converge.events import Event
from enginehouse.converge.steps import Placed
from enginehouse.errors import ConvergeFailed
from enginehouse.gateway import ServerState
from enginehouse.gateway import files as gateway_files
from enginehouse.planner.digests import release_id
from enginehouse.planner.parts import GatewayPart, OnChange
from enginehouse.render.symbols import Secret, UnknownSymbol
from tests.converge.harness import KEY, SOON_S, World
from tests.converge.load import load, wait_for_answers

ROTATED = "sk-demo-rotated"


def test_a_changed_key_takes_effect_by_a_reload(running: World) -> None:
    """Another value under the same name: the plan is the same, the old key is refused, HAProxy lives on."""
    masters = pids(running)
    running.secrets["key-demo"] = Secret(ROTATED)
    running.converge(running.gateway())
    assert (running.ask(key=KEY)[0], running.ask(key=ROTATED)[0]) == (401, 200)
    assert masters & pids(running)


def test_reloads_fail_no_request(running: World) -> None:
    """Keys come and go under load."""
    running.write_model({"token_s": 0.02})
    running.up()
    with load(running) as count:
        for number in range(3):
            running.secrets["spare"] = Secret(f"spare-{number}")
            running.settings["secrets"] = ["key-demo", "spare"]
            running.converge(running.gateway())
            wait_for_answers(count, 4)
    assert count.failed == []


def test_a_stream_lives_through_a_reload(running: World) -> None:
    """The old worker finishes what it has."""
    running.write_model({"token_s": 0.2})
    running.up()
    answers: list[tuple[int, bytes]] = []
    client = threading.Thread(target=lambda: answers.append(running.ask(stream=True, repeat=3)))
    client.start()
    running.wait_until(lambda: running.connections(running.serving_port) > 0)
    running.secrets["key-demo"] = Secret(ROTATED)
    running.converge(running.gateway())
    client.join()
    assert answers[0][0] == 200
    assert answers[0][1].endswith(b"data: [DONE]\n\n")


def test_a_configuration_that_haproxy_refuses_is_never_activated(running: World) -> None:
    """Its own words are the reasons, and nothing that runs was touched."""
    part = running.gateway()
    before = running.processes()
    with pytest.raises(ConvergeFailed) as failure:
        running.converge(with_more(part, "nonsense here\n"))
    assert any("nonsense" in reason for reason in failure.value.reasons)
    assert running.processes() == before
    assert running.ask()[0] == 200
    assert running.place("gateway-box", "current").readlink().name.startswith(running.converge(part)["release"])


def test_a_reload_that_fails_goes_back(running: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that was taken between check and reload: the old configuration serves, the next good one goes through.

    Its statistics are found where they were: without them a probe would take the gateway for gone.
    """
    part = running.gateway()
    moved = replace(part, metrics_port=part.metrics_port + 150, files=())
    moved = replace(moved, files=gateway_files(moved))
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        port = stranger.getsockname()[1]
        give_up_soon(running, monkeypatch)
        with pytest.raises(ConvergeFailed) as failure:
            running.converge(with_more(moved, f"frontend more\n    bind 127.0.0.1:{port}\n"))
    assert failure.value.old_serves
    assert_own_words(failure.value, port)
    assert running.ask()[0] == 200
    observed = running.observe(part)
    assert observed is not None
    assert observed.inputs == as_inputs(part)
    running.converge(part)
    assert running.ask()[0] == 200


def test_a_gateway_that_an_older_version_started_runs_on(running: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both logs in one file until its next start: its words are found all the same, then they are apart."""
    running.destroy(running.gateway())
    with monkeypatch.context() as before:
        for name in ("program_file", "start_script"):
            before.setattr(gateway, name, without_notices(getattr(gateway, name)))
        running.converge(running.gateway())
    masters = pids(running)
    assert running.ask()[0] == 200
    with socket.create_server(("127.0.0.1", 0)) as stranger, pytest.raises(ConvergeFailed) as failure:
        port = stranger.getsockname()[1]
        give_up_soon(running, monkeypatch)
        running.converge(with_more(running.gateway(), f"frontend more\n    bind 127.0.0.1:{port}\n"))
    assert_own_words(failure.value, port)
    running.converge(running.gateway())
    assert masters & pids(running)
    assert not running.place("gateway-box", "log", "notices.log").exists()
    running.supervisor().stop("gateway-box")
    running.converge(running.gateway())
    assert "the gateway starts" in running.place("gateway-box", "log", "notices.log").read_text()


def test_a_rotation_whose_reload_fails_is_undone(running: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old key is taken by what runs and by the next start, the new one by neither; the next run brings it."""
    fail_a_rotation(running, monkeypatch)
    assert [running.ask(key=key)[0] for key in (KEY, ROTATED)] == [200, 401]
    start_again(running)
    assert [running.ask(key=key)[0] for key in (KEY, ROTATED)] == [200, 401]
    running.converge(running.gateway())
    assert [running.ask(key=key)[0] for key in (KEY, ROTATED)] == [401, 200]


def test_keys_written_into_the_release_that_serves_are_not(running: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twin: the name of a release does not know the values."""
    monkeypatch.setattr(configuration, "_name", lambda part, facts, content: release_id(part))
    running.up()
    fail_a_rotation(running, monkeypatch)
    assert [running.ask(key=key)[0] for key in (KEY, ROTATED)] == [401, 200]


def test_no_value_is_told_by_what_a_person_sees(running: World) -> None:
    """Outputs, progress and journal are the same whatever the key is."""
    before = running.converge(running.gateway())
    running.secrets["key-demo"] = Secret(ROTATED)
    after = running.converge(running.gateway())
    name = running.place("gateway-box", "current").readlink().name
    assert after["release"] == before["release"] == release_id(running.gateway())
    assert name.partition("-")[2] not in " ".join([*running.texts(), *(entry.text for entry in running.journal())])


def test_a_staged_configuration_needs_no_values(running: World) -> None:
    """The release before is brought back without them; one with a damaged file is not."""
    before = running.gateway()
    running.settings["limits"] = {"concurrent": 9}
    running.converge(running.gateway())
    running.secrets.clear()
    running.converge(before)
    assert running.ask()[0] == 200
    for keys in running.place("gateway-box", "releases").glob("*/keys.map"):
        keys.write_text("nobody\n")
    with pytest.raises(UnknownSymbol, match="key-demo"):
        running.converge(before)


def test_a_taken_port_names_its_owner(world: World) -> None:
    """Before anything is started."""
    for part in world.plan().parts()[:3]:
        world.converge(part)
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", world.port))
        stranger.listen()
        with pytest.raises(ConvergeFailed) as failure:
            world.converge(world.gateway())
    assert f"port {world.port} is taken by" in failure.value.reasons[0]
    assert "gateway-box/gateway" not in world.processes().values()


def test_a_key_without_a_value_is_named(world: World) -> None:
    """The name of the secret, before anything is staged."""
    world.secrets.clear()
    world.converge(world.plan().hosts[0])
    with pytest.raises(UnknownSymbol, match="key-demo"):
        world.converge(world.gateway())


def fail_a_rotation(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another value of the key, and HAProxy's master does not hear of it until it is too late."""
    info = world.supervisor().info("gateway-box")
    assert info

    give_up_soon(world, monkeypatch)
    undoing = world.on_event

    def on_event(event: Event) -> None:
        undoing(event)
        if "] reloading HAProxy" in event.text:
            os.kill(info.pid, signal.SIGSTOP)
        elif event.text == "undoing: reloading HAProxy":
            os.kill(info.pid, signal.SIGCONT)

    world.on_event = on_event
    world.secrets["key-demo"] = Secret(ROTATED)
    with pytest.raises(ConvergeFailed) as failure:
        world.converge(world.gateway())
    assert failure.value.old_serves
    world.on_event = lambda event: None


def give_up_soon(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a reload that has no effect; what undoes it, and all that comes then, has as long as it takes."""
    monkeypatch.setattr(traffic, "START_S", 5.0)

    def on_event(event: Event) -> None:
        if event.text.startswith("undoing: "):
            monkeypatch.setattr(traffic, "START_S", SOON_S)

    world.on_event = on_event


def start_again(world: World) -> None:
    """HAProxy dies, and the supervisor starts it."""
    before = pids(world)
    world.kill("gateway-box/gateway")
    world.wait_until(lambda: not before & world.processes().keys() and world.ask(key=None)[0] == 401)


def pids(world: World) -> set[int]:
    """HAProxy's processes."""
    return {pid for pid, mark in world.processes().items() if mark == "gateway-box/gateway"}


def without_notices(make: Callable[..., Placed]) -> Callable[..., Placed]:
    """As it was made before there was a log for them."""
    return lambda *args, **kwargs: make(*args, **{**kwargs, "notices": ""})


def assert_own_words(failure: ConvergeFailed, port: int) -> None:
    """What HAProxy said about one reload, and nothing that was there before."""
    assert traffic.RELOADING in failure.reasons[0]
    assert sum(traffic.RELOADING in reason for reason in failure.reasons) == 1
    assert any(f"127.0.0.1:{port}" in reason for reason in failure.reasons), failure.reasons
    assert not [reason for reason in failure.reasons if reason.startswith("{")]


def with_more(part: GatewayPart, lines: str) -> GatewayPart:
    """The part with these lines at the end of its configuration."""
    files = (replace(f, content=f"{f.content}\n{lines}") if f.path == "haproxy.cfg" else f for f in part.files)
    return replace(part, files=tuple(files))


def stop_haproxy(world: World) -> None:
    world.supervisor().stop("gateway-box")


def edit_configuration(world: World) -> None:
    file = next(world.place("gateway-box", "releases").glob("*/haproxy.cfg"))
    file.write_text(file.read_text() + "# edited\n")


def open_up_keys(world: World) -> None:
    next(world.place("gateway-box", "releases").glob("*/keys.map")).chmod(0o644)


def remove_keys(world: World) -> None:
    next(world.place("gateway-box", "releases").glob("*/keys.map")).unlink()


def remove_link(world: World) -> None:
    world.place("gateway-box", "current").unlink()


def remove_folder(world: World) -> None:
    world.remove(world.place("gateway-box"))


def enable_the_wrong_side(world: World) -> None:
    world.runtime().set_state("be_chat", f"chat-box-0-{world.side.other()}", ServerState.READY)


def drain_the_right_side(world: World) -> None:
    world.runtime().set_state("be_chat", world.engine, ServerState.DRAIN)


def pause_the_right_side(world: World) -> None:
    world.runtime().pause("be_chat", world.engine)


BREAKAGES = [
    stop_haproxy, edit_configuration, open_up_keys, remove_keys, remove_link, remove_folder, enable_the_wrong_side,
    drain_the_right_side, pause_the_right_side,
]  # fmt: skip


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_what_broke_is_healed_and_then_nothing_is_left_to_do(running: World, breakage: Callable[[World], None]) -> None:
    """After one converge it serves, and a second one has no step."""
    breakage(running)
    running.converge(running.gateway())
    assert running.ask()[0] == 200
    running.connector.holds = 0
    running.converge(running.gateway())
    assert running.connector.holds == 0


@pytest.mark.parametrize(
    ("breakage", "seen"),
    [
        (stop_haproxy, {"running": False}),
        (remove_link, {"drift": {"current": "points to another configuration"}}),
        (drain_the_right_side, {"drift": {"servers": {"ENGINE": "not ready"}}}),
    ],
)
def test_a_break_is_observed_in_the_parts_own_words(
    running: World, breakage: Callable[[World], None], seen: dict[str, object]
) -> None:
    """The difference is exactly what was broken."""
    breakage(running)
    seen = json.loads(json.dumps(seen).replace("ENGINE", running.engine))
    observed = running.observe(running.gateway())
    assert observed is not None
    planned = as_inputs(running.gateway())
    assert {key: value for key, value in observed.inputs.items() if planned.get(key) != value} == seen


def test_kill_of_haproxy_is_healed_by_the_supervisor_with_the_right_servers(running: World) -> None:
    """The saved server state puts the traffic back without us."""
    running.kill("gateway-box/gateway")
    running.wait_until(lambda: running.ask()[0] == 200)
    observed = running.observe(running.gateway())
    assert observed is not None
    assert observed.inputs == as_inputs(running.gateway())


def test_every_file_of_the_gateway_asks_for_a_reload_at_most(running: World) -> None:
    """The claim that HAProxy is never restarted rests on this."""
    assert {file.on_change for file in running.gateway().files} <= {OnChange.RELOAD, OnChange.NONE}


def test_a_moved_port_is_handed_over_by_the_gateway(running: World) -> None:
    """The replica starts on its new port and leaves the old side serving; the gateway moves the traffic."""
    running.write_model({"token_s": 0.02})
    running.up()
    plan = running.plan()
    ports = {side: port + 100 for side, port in plan.replicas[0].ports.items()}
    moved = replace(plan.replicas[0], ports=ports)
    with load(running) as count:
        wait_for_answers(count, 4)
        running.converge(moved)
        wait_for_answers(count, 4)
        running.converge(running.gateway_with_ports(plan.gateways[0], ports))
        wait_for_answers(count, 4)
    assert count.failed == []
    engines = [mark for mark in running.processes().values() if mark.startswith("chat-box-0/")]
    assert len(engines) == 1
