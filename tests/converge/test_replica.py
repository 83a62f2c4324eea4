"""A replica: exchanged without a failed request, put back when the new one is no good, healed when something broke."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from enginehouse.converge import as_inputs, replica, runners, verbs
from enginehouse.converge.runners import Replica, Runner
from enginehouse.converge.steps import Step
from enginehouse.errors import Cancelled, ChangedElsewhere, ConvergeFailed, WrongMachine
from enginehouse.gateway import ServerState
from tests.converge.harness import HUGE_MIB, SMALL_MIB, SOON_S, World, tiny
from tests.converge.load import load, wait_for_answers


@pytest.mark.parametrize("memory_mib", [SMALL_MIB, HUGE_MIB], ids=["beside", "stop first"])
def test_an_edit_fails_no_request(running: World, memory_mib: int) -> None:
    """Streaming and other clients in a closed loop see the new release and not one failure."""
    running.write_model({"token_s": 0.02})
    running.up()
    with load(running) as count:
        wait_for_answers(count, 8)
        running.settings["context"] = 1024
        running.converge(tiny(running.replica(), memory_mib))
        wait_for_answers(count, 8)
    assert count.failed == []
    assert count.served_by == {"4096", "2048"}


@pytest.mark.alone
def test_without_draining_requests_would_fail(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twin: the same load does notice a side that is stopped while it works."""
    monkeypatch.setattr(runners, "ENGINE_STOP_S", 1)
    world.write_model({"token_s": 0.1})
    world.up()

    def stop_at_once(r: Replica, runner: Runner, why: str) -> tuple[Step, ...]:
        return replica._stop(r, runner)

    monkeypatch.setattr(replica, "_drain_and_stop", stop_at_once)
    with load(world, clients=2, repeat=16) as count:
        world.wait_until(lambda: world.connections(world.serving_port) > 1)
        world.settings["context"] = 1024
        world.converge(world.replica())
    assert count.failed != []


def test_the_title_says_why_the_old_one_stops_first(running: World) -> None:
    """The plan's reason is visible: how much memory is needed and how much is free."""
    running.settings["context"] = 1024
    running.converge(tiny(running.replica(), HUGE_MIB))
    assert any("no room for a second engine: 11000000 MiB needed" in text for text in running.texts())


def test_sides_alternate_and_two_releases_are_kept(running: World) -> None:
    """Each edit moves to the other side; of the old releases one stays for a way back."""
    sides = [running.side.value]
    for context in (1024, 512, 256):
        running.settings["context"] = context
        sides.append(running.converge(running.replica())["side"])
    assert sides[:2] * 2 == sides
    assert len(list(running.place("chat-box-0", "releases").iterdir())) == 2
    assert sorted(m for m in running.processes().values() if m.startswith("chat")) == [f"chat-box-0/{sides[-1]}"]


@pytest.mark.parametrize(
    ("behaviour", "ready_within_s", "said"),
    [
        ({"exit_after_load": 3, "load_s": 0.3}, 90, "it exited with status 3 while it was starting"),
        ({"load_s": 600}, 5, "it was not ready within 5 s"),
        ({"text": ""}, 90, "its first completion says nothing"),
        ({"status": 500}, 90, "its first completion was HTTP 500"),
    ],
    ids=["exits", "never ready", "says nothing", "fails"],
)
@pytest.mark.parametrize("memory_mib", [SMALL_MIB, HUGE_MIB], ids=["beside", "stop first"])
def test_a_release_that_is_no_good_gives_way(
    running: World, behaviour: dict[str, object], ready_within_s: int, said: str, memory_mib: int
) -> None:
    """The old release serves again, the failure says why, and the next good release goes through."""
    old = running.converge(running.replica())["release"]
    running.settings["ready_within_s"] = ready_within_s
    running.write_model(behaviour)
    running.converge(running.plan().weights[0])
    with pytest.raises(ConvergeFailed) as failure:
        running.converge(tiny(running.replica(), memory_mib))
    assert said in str(failure.value)
    assert failure.value.old_serves
    assert running.ask()[0] == 200
    running.write_model({"text": "better"})
    running.settings["ready_within_s"] = 90
    assert running.up()["chat-box-0"]["release"] != old
    assert b"better" in running.ask()[1]


def test_the_engines_last_words_are_the_reasons(running: World) -> None:
    """A flag the engine does not know: its own message, of this start only."""
    part = running.replica()
    bad = replace(part, args={**part.args, "no-such-flag": "1"})
    with pytest.raises(ConvergeFailed) as failure:
        running.converge(bad)
    assert failure.value.reasons[0] == "error: invalid argument: --no-such-flag"
    assert [reason.partition(":")[0] for reason in failure.value.reasons[1:]] == ["cause", "fix"]


def test_a_first_release_that_fails_leaves_nothing_running(world: World) -> None:
    """There is nothing to go back to, and no engine is left that restarts in a loop."""
    world.write_model({"exit_after_load": 1})
    host, weights, part, *_ = world.plan().parts()
    world.converge(host)
    world.converge(weights)
    with pytest.raises(ConvergeFailed) as failure:
        world.converge(part)
    assert not failure.value.old_serves
    assert set(world.processes().values()) == {"box/supervisor", "box/watchdog"}


def test_a_wish_to_stop_is_heard_while_waiting(running: World) -> None:
    """Within a second or two the old release serves and the run ends, which would wait for much longer."""
    running.write_model({"load_s": 600})
    running.settings["ready_within_s"] = 600
    running.converge(running.plan().weights[0])
    running.on_event = lambda event: running.cancelled.set() if "waiting for ready" in event.text else None
    began = time.monotonic()
    with pytest.raises(Cancelled):
        running.converge(running.replica())
    running.on_event = lambda event: None
    assert time.monotonic() - began < SOON_S
    assert running.ask()[0] == 200


@pytest.mark.parametrize("step", ["holding requests back", "waiting for side"])
def test_an_engine_that_was_not_stopped_yet_is_not_started_again(running: World, step: str) -> None:
    """A change with a pause that ends before its first stop is undone by giving the traffic back, and nothing more."""
    before = running.processes()
    running.settings["context"] = 1024
    running.on_event = lambda event: running.cancelled.set() if f"] {step}" in event.text else None
    with pytest.raises(Cancelled):
        running.converge(tiny(running.replica(), HUGE_MIB))
    assert running.processes() == before
    assert [text for text in running.texts() if "undoing" in text] == ["chat-box-0: undoing: giving it the traffic"]
    assert running.ask()[0] == 200


def killed_gateway_comes_back_when_waited_for(world: World) -> None:
    """As after a kill: it is gone at the first look, and the supervisor starts it with the servers it had."""
    world.supervisor().stop("gateway-box")
    world.on_event = lambda event: (
        world.supervisor().start("gateway-box") if "waiting for the gateway" in event.text else None
    )


def test_a_gateway_that_has_just_died_is_waited_for(running: World) -> None:
    """It comes back with the servers it had, so none of them is stopped before its requests are held."""
    running.settings["context"] = 1024
    killed_gateway_comes_back_when_waited_for(running)
    running.converge(tiny(running.replica(), HUGE_MIB))
    assert any("] holding requests back" in text for text in running.texts())
    assert running.ask()[0] == 200


def test_a_gateway_that_stays_away_is_not_waited_for_long(running: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twin: the engine is exchanged without a word to a gateway that nobody starts again."""
    monkeypatch.setattr(verbs, "GATEWAY_BACK_S", 0.3)
    running.settings["context"] = 1024
    running.supervisor().stop("gateway-box")
    running.converge(tiny(running.replica(), HUGE_MIB))
    assert not any("] holding requests back" in text for text in running.texts())


def test_a_taken_port_names_its_owner(running: World) -> None:
    """The other side's port belongs to somebody: nothing is started or stopped."""
    before = running.processes()
    running.settings["context"] = 1024
    part = running.replica()
    port = part.ports[running.side.other()]
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("127.0.0.1", port))
        stranger.listen()
        with pytest.raises(ConvergeFailed) as failure:
            running.converge(part)
    assert failure.value.reasons == (f"port {port} is taken by python (process {os.getpid()})",)
    assert running.processes() == before


def test_another_version_on_the_machine_is_named(running: World) -> None:
    """Both versions stand in the message."""
    with pytest.raises(ConvergeFailed) as failure:
        running.converge(replace(running.replica(), version="b11549"))
    assert failure.value.reasons[0] == "wanted: llama.cpp b11549"
    assert "version: 11434 (stand-in)" in failure.value.reasons[1]


def test_weights_that_changed_keep_an_engine_from_starting(running: World) -> None:
    """Only verified weights are loaded; the running engine is left alone."""
    part = running.replica()
    running.weights().write_text('{"text": "forged"}')
    observed = running.observe(part)
    assert observed is not None
    assert observed.inputs["drift"] == {"weights": "missing or altered on the machine"}
    with pytest.raises(ConvergeFailed, match="missing or altered"):
        running.converge(replace(part, context_tokens=512))


def kill_engine(world: World) -> None:
    world.kill(f"chat-box-0/{world.side}")


def stop_engine(world: World) -> None:
    world.supervisor().stop(world.engine)


def edit_start_script(world: World) -> None:
    script = next(world.place("chat-box-0", "releases").glob(f"*-{world.side}/start"))
    script.write_text(script.read_text() + "# edited\n")


def remove_program_file(world: World) -> None:
    world.place("box", "programs", f"{world.engine}.conf").unlink()


def damage_manifest(world: World) -> None:
    world.place("chat-box-0", "manifest.json").write_text('{"format": 1')


def remove_manifest(world: World) -> None:
    world.place("chat-box-0", "manifest.json").unlink()


def remove_folder(world: World) -> None:
    world.remove(world.place("chat-box-0"))


def disable_server(world: World) -> None:
    world.runtime().set_state("be_chat", world.engine, ServerState.MAINT)


BREAKAGES = [
    kill_engine, stop_engine, edit_start_script, remove_program_file, damage_manifest, remove_manifest, remove_folder,
    disable_server,
]  # fmt: skip


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_what_broke_is_healed_and_then_nothing_is_left_to_do(running: World, breakage: Callable[[World], None]) -> None:
    """After one converge of replica and gateway it serves, and a second one has no step."""
    breakage(running)
    running.converge(running.replica())
    running.converge(running.gateway())
    assert running.ask()[0] == 200
    running.connector.holds = 0
    running.converge(running.replica())
    running.converge(running.gateway())
    assert running.connector.holds == 0


@pytest.mark.parametrize(
    ("breakage", "seen"),
    [
        (stop_engine, {"running": False}),
        (remove_program_file, {"drift": {"files": {"programs/ENGINE.conf": "missing on the machine"}}}),
    ],
)
def test_a_break_is_observed_in_the_parts_own_words(
    running: World, breakage: Callable[[World], None], seen: dict[str, object]
) -> None:
    """The difference is exactly what was broken."""
    breakage(running)
    seen = json.loads(json.dumps(seen).replace("ENGINE", running.engine))
    observed = running.observe(running.replica())
    assert observed is not None
    planned = as_inputs(running.replica())
    assert {key: value for key, value in observed.inputs.items() if planned.get(key) != value} == seen


def test_an_edited_file_is_observed_with_its_digest(running: World) -> None:
    """Both the name below the release and a short digest are told."""
    edit_start_script(running)
    observed = running.observe(running.replica())
    assert observed is not None
    assert observed.inputs["drift"]["files"]["start"].startswith("edited on the machine (sha256 ")


def test_what_the_supervisor_healed_is_no_difference(running: World) -> None:
    """kill -9 of the engine: it is started again without us."""
    running.kill(f"chat-box-0/{running.side}")
    running.wait_until(lambda: running.ask()[0] == 200)
    observed = running.observe(running.replica())
    assert observed is not None
    assert (observed.inputs, observed.reasons) == (as_inputs(running.replica()), ())


def test_an_engine_that_is_being_started_again_gets_requests_when_it_has_answered_one(running: World) -> None:
    """kill -9 of one that takes long to load, then a run: requests are held back until its proof, and then it rests."""
    loads = running.folder / "loads"
    loads.touch()
    running.write_model({"loads_with": str(loads)})
    running.up()
    (mark,) = running.engines()
    running.events.clear()
    loads.unlink()
    killed = set(running.processes())
    running.kill(mark)
    running.wait_until(lambda: mark in {found for pid, found in running.processes().items() if pid not in killed})
    running.on_event = lambda event: loads.touch() if "waiting for ready" in event.text else None
    running.up()
    began = [text for text in running.texts() if text.startswith("chat-box-0: [") and ": " not in text[12:]]
    assert [text.partition("] ")[2] for text in began] == [
        f"holding requests back (side {running.side} is not ready)",
        "waiting for the engine",
        "giving it the traffic",
        "recording the release",
    ]
    assert running.ask()[0] == 200
    running.connector.holds = 0
    running.up()
    assert running.connector.holds == 0


def test_what_heals_keeps_the_release_from_before(running: World) -> None:
    """The last two releases stay until the next one comes."""
    running.settings["context"] = 1024
    running.up()
    folder = running.place("chat-box-0", "releases")
    before = sorted(folder.iterdir())
    running.supervisor().stop(running.engine)
    running.up()
    assert sorted(folder.iterdir()) == before


def test_somebody_elses_change_stops_the_run(running: World) -> None:
    """The generation is compare-and-swap; the message names who, when and through which door."""
    known = running.converge(running.replica())["generation"]
    running.settings["context"] = 1024
    with pytest.raises(ChangedElsewhere, match=rf"changed by ada@desk at .* \(generation {known}, this run knew 0\)"):
        running.converge(running.replica(), seen_generation=0)
    assert running.converge(running.replica(), seen_generation=known)["generation"] == known + 1


def test_another_machine_is_never_touched(running: World) -> None:
    """The id that the caller knows from before does not match: nothing happens."""
    before = running.snapshot()
    for verb in (running.converge, running.destroy):
        with pytest.raises(WrongMachine):
            verb(running.replica(), machine_id="f" * 32)
    assert before == running.snapshot()


def test_a_rename_moves_the_traffic_without_a_failed_request(world: World) -> None:
    """The new name takes over from the old one; then nothing of the old name is left."""
    world.write_model({"token_s": 0.02})
    world.up()
    old = world.plan()
    with load(world) as count:
        wait_for_answers(count, 4)
        world.settings |= {"deployment": "talk", "renamed_from": "chat"}
        new = world.plan()
        world.converge(new.weights[0])
        world.converge(new.replicas[0])
        wait_for_answers(count, 4)
        world.up()
        wait_for_answers(count, 4)
    assert count.failed == []
    assert world.ask()[0] == 200
    assert not any(world.place(part.name).exists() for part in (*old.weights, *old.replicas))
    world.connector.holds = 0
    world.up()
    assert world.connector.holds == 0


@pytest.mark.alone
def test_a_drain_that_takes_too_long_is_cut_and_told(running: World) -> None:
    """After `drain_s` the old side stops anyway."""
    running.write_model({"token_s": 0.1})
    running.up()
    running.settings |= {"drain_s": 1, "context": 1024}
    with load(running, clients=2, repeat=32) as count:
        running.wait_until(lambda: running.connections(running.serving_port) > 1)
        running.converge(running.replica())
    assert any("are cut off" in text for text in running.texts())
    assert count.failed != []
