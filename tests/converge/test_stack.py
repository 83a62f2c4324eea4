"""A whole stack: up, up again, look, down."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from enginehouse.converge import NOT_COMPARED, as_inputs
from enginehouse.converge.facts import Facts, parse
from enginehouse.converge.look import look
from enginehouse.converge.probe import questions
from enginehouse.errors import ConvergeFailed
from enginehouse.render.symbols import Secret
from tests.converge.harness import KEY, World


def test_up_serves_behind_a_key(world: World) -> None:
    """After `up` the endpoint refuses a wrong key and answers with the right one."""
    outputs = world.up()
    assert [world.ask(key=None)[0], world.ask(key="wrong")[0], world.ask()[0]] == [401, 401, 200]
    assert outputs["endpoint"]["url"] == f"http://127.0.0.1:{world.port}"


def test_a_second_up_looks_once_at_each_part_and_writes_nothing(running: World) -> None:
    """No step: one round trip per part, no lease, no write, no process restarted."""
    before, processes = running.snapshot(), running.processes()
    running.connector.runs = running.connector.holds = 0
    running.up()
    assert (running.connector.runs, running.connector.holds) == (len(running.plan().parts()), 0), running.texts()
    assert (before, processes) == (running.snapshot(), running.processes())


def test_looks_that_go_together_see_what_each_sees_alone(running: World) -> None:
    """All parts in one script, with a real shell and real programs."""
    parts, context = running.plan().parts(), running.context()
    waiting = [context.looks.ask(running.connector, questions(part), part.name) for part in parts]
    running.connector.runs = 0
    together = [steady(parse(look.answers(), part.stack)) for look, part in zip(waiting, parts, strict=True)]
    assert running.connector.runs == 1
    assert together == [steady(look(part, context)) for part in parts]


def test_what_is_observed_is_what_was_planned(running: World) -> None:
    """A healthy stack has no difference and no complaint, and observing changes nothing."""
    before = running.snapshot()
    for part in running.plan().parts():
        observed = running.observe(part)
        assert observed is not None
        assert (observed.inputs, observed.reasons) == (as_inputs(part), ())
        assert json.loads(json.dumps(observed.inputs)) == observed.inputs
    assert before == running.snapshot()
    assert {"rendered"} == NOT_COMPARED


def test_an_endpoint_that_stopped_working_is_no_success(running: World) -> None:
    """It was proved and nothing behind it has changed, yet a client is refused: no door may call that done."""
    running.secrets = {"key-demo": Secret("a key the gateway does not know")}
    with pytest.raises(ConvergeFailed, match="does not do its work") as caught:
        running.converge(running.plan().endpoints[0])
    assert any("expected 200, got HTTP 401" in reason for reason in caught.value.reasons)


def test_a_part_that_is_not_there_is_observed_as_absent(world: World) -> None:
    """Looking at an empty machine finds nothing and leaves nothing."""
    assert [world.observe(part) for part in world.plan().parts()] == [None] * 5
    assert not world.state.exists()


def test_down_leaves_the_weights_and_says_so(world: World) -> None:
    """Nothing runs, nothing but weights and the machine's lock files is left, and a second `down` has nothing to do."""
    world.up()
    said = world.down()
    left = sorted(str(path.relative_to(world.state)) for path in world.state.rglob("*") if path.is_file())
    assert world.processes() == {}
    assert [path.split("/")[0] for path in left] == ["host", "host", "weights", "weights"]
    assert any("the weights stay in" in line for line in said)
    assert world.down() == ()


def test_parts_can_be_destroyed_in_any_order(running: World) -> None:
    """Host first: the others then find nothing of theirs."""
    for part in running.plan().parts():
        running.destroy(part)
    assert running.processes() == {}
    assert not running.place().exists()


def test_no_secret_is_anywhere_on_the_machine(running: World) -> None:
    """Only the key's hash is stored; neither files nor command lines nor environments nor events hold the key."""
    for path in running.state.rglob("*"):
        if path.is_file() and not path.is_symlink():
            assert KEY.encode() not in path.read_bytes(), path
    assert not any(KEY in text for text in running.texts())


def test_everything_is_for_its_owner_alone(running: World) -> None:
    """No folder or private file below the state folder can be opened by others."""
    folders = [running.state, *filter(Path.is_dir, running.state.rglob("*"))]
    assert {oct(path.stat().st_mode & 0o777) for path in folders} == {"0o700"}
    sockets = list(running.state.rglob("*.sock"))
    assert {oct(path.stat().st_mode & 0o777) for path in sockets} == {"0o600"}


def steady(facts: Facts) -> Facts:
    """Without what the next moment changes, and without what is told to all who look together."""
    passing = ("disk_mib", "memory_mib", "health", "stats", "processes")
    return replace(
        facts,
        texts={key: text for key, text in facts.texts.items() if key not in passing},
        disk_mib=0,
        memory_mib=0,
        health={},
        servers=facts.servers and tuple(replace(row, since_s=0, sessions=0, check="") for row in facts.servers),
        processes=tuple(sorted((replace(p, age_s=0) for p in facts.processes), key=lambda process: process.pid)),
    )
