"""The key of engines on other machines than their gateway: asked for, sent, in nobody else's hands, and exchanged."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import enginehouse.converge.runners as runners
import enginehouse.planner.stands as stands
from enginehouse.connectors.base import Result
from enginehouse.converge import as_inputs, foresee
from enginehouse.converge.wire import DRIFT
from enginehouse.errors import ConvergeFailed
from enginehouse.planner.codec import to_plain
from tests.converge.conftest import new_world
from tests.converge.load import load, wait_for_answers
from tests.converge.test_watchdog import HANG_AFTER_S
from tests.converge.two_hosts import FAR, TwoHosts, direct, far_side, keys

HOLDERS = {"engine_keys", "engine.keys", "engines.map"}
"""What the files with the key are called: of the gateway's machine, of an engine's release, of HAProxy's."""


@pytest.fixture(scope="module")
def shared() -> Iterator[TwoHosts]:
    with new_world(TwoHosts) as made:
        yield made


@pytest.fixture
def running(shared: TwoHosts) -> TwoHosts:
    """A stack that is up and as planned, whatever the test before did to it."""
    shared.reset()
    shared.up()
    if direct(shared, None) == 200:  # after a test in which nobody asked for a key this up has only told the gateway
        shared.up()
    shared.events.clear()
    return shared


@pytest.fixture
def before(running: TwoHosts, monkeypatch: pytest.MonkeyPatch) -> TwoHosts:
    """The same as before engines asked for a key, until `monkeypatch` is undone."""
    monkeypatch.setattr(stands, "_asks", lambda *_: False)
    running.up()
    assert direct(running, None) == 200
    running.events.clear()
    return running


def engines_of(world: TwoHosts) -> dict[int, str]:
    return {pid: mark for pid, mark in world.processes().items() if mark.startswith("chat-")}


def far_engine(world: TwoHosts) -> int:
    """Its process."""
    return next(pid for pid, mark in world.processes().items() if mark == f"chat-far-0/{far_side(world)}")


def noting(scripts: list[str], run: Callable[..., Result]) -> Callable[..., Result]:
    """The same, and each script is kept."""

    def noted(script: str, **more: Any) -> Result:
        scripts.append(script)
        return run(script, **more)

    return noted


def statuses(world: TwoHosts, count: int = 10) -> set[int]:
    return {world.ask()[0] for _ in range(count)}


def drift(world: TwoHosts, part: Any) -> dict[str, Any]:
    observed = world.observe(part)
    assert observed is not None
    found: dict[str, Any] = observed.inputs.get(DRIFT, {})
    return found


def files_with(world: TwoHosts, text: str) -> dict[Path, int]:
    """Every file of both state folders that holds it, with its permission bits."""
    found: dict[Path, int] = {}
    for path in (path for state in world.states() for path in Path(state).rglob("*") if path.is_file()):
        with suppress(FileNotFoundError):  # one that was there for a moment
            found |= {path: path.stat().st_mode & 0o777} if text.encode() in path.read_bytes() else {}
    return found


def processes_with(text: str) -> list[str]:
    """Every process of the machine that has it among its words or in its environment."""
    found = []
    for folder in (path for path in Path("/proc").iterdir() if path.name.isdecimal()):
        for file in (folder / "cmdline", folder / "environ"):
            try:
                found += [str(file)] if text.encode() in file.read_bytes() else []
            except OSError:
                continue
    return found


def test_an_engine_on_another_machine_answers_only_its_gateway(running: TwoHosts) -> None:
    """Without a key and with a wrong one it answers 401; also what clients send the gateway is none."""
    key = keys(running)[0]
    assert len(key) == 64
    assert {running.ask()[0] for _ in range(4)} == {200}
    assert [direct(running, wrong) for wrong in (None, "", "wrong", key[:-1], key + "0", "sk-demo")] == [401] * 6
    assert [direct(running, None, path, "GET") for path in ("/metrics", "/slots", "/health")] == [401, 401, 200]
    assert direct(running, key) == 200


def test_an_engine_beside_its_gateway_is_asked_as_ever(running: TwoHosts) -> None:
    """It listens on loopback only, so it asks for nothing, and its start script is as it was."""
    beside, apart = running.on("box"), running.on(FAR)
    assert [part.args.get("api-key-file") for part in (beside, apart)] == [None, "@{keys}"]
    [start] = running.place("chat-box-0").glob("releases/*/start")
    assert "key" not in start.read_text()


def test_the_key_is_in_three_files_that_only_their_owner_reads_and_nowhere_else(
    running: TwoHosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not in a plan, state, manifest, script, progress, journal, log, command line or environment."""
    scripts: list[str] = []
    for way in running.ways.values():
        monkeypatch.setattr(way, "run", noting(scripts, way.run))
    seen: list[str] = []
    key = keys(running)[0]
    running.on_event = lambda event: seen.extend(processes_with(key))
    running.settings |= {"context": 4096, "timeouts": {"queue_s": 7}}
    outputs = running.up()
    assert running.place("engine_keys").exists() and scripts
    held = files_with(running, key)
    assert ({path.name for path in held}, set(held.values())) == (HOLDERS, {0o600})
    plan = running.plan()
    observed = [running.observe(part) for part in plan.parts()]
    told = (scripts, outputs, to_plain(plan), [as_inputs(part) for part in plan.parts()], observed, running.texts())
    assert key not in repr((*told, running.journal()))
    assert seen + processes_with(key) == []


def test_a_key_that_got_out_would_be_found(running: TwoHosts, tmp_path: Path) -> None:
    """Twin: in a file, and among the words of a command."""
    key = keys(running)[0]
    leaked = running.far_place("chat-far-0", "log", "leak.log")
    leaked.write_text(f"got {key}\n")
    try:
        assert leaked in files_with(running, key)
    finally:
        leaked.unlink()
    pid = os.spawnlp(os.P_NOWAIT, "sh", "sh", "-c", "read -r line || :; kill -STOP $$", key)
    try:
        running.wait_until(lambda: f"/proc/{pid}/cmdline" in processes_with(key))
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_engines_from_before_are_told_to_ask_once_their_gateway_sends_a_key(
    before: TwoHosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first `up` changes the gateway and says so; the second one restarts the far engine; no request fails."""
    monkeypatch.undo()
    engines = engines_of(before)
    with load(before) as count:
        wait_for_answers(count, 4)
        assert "the next `pulumi up` restarts the engine" in str(foresee(before.on(FAR), before.context()))
        before.up()
        assert any("chat-far-0: runs on as it is" in text for text in before.texts())
        assert engines_of(before) == engines
        wait_for_answers(count, 4)
        before.up()
        wait_for_answers(count, 4)
    assert count.failed == []
    assert direct(before, None) == 401
    after = engines_of(before)
    assert {mark.split("/")[0] for pid, mark in after.items() if pid not in engines} == {"chat-far-0"}
    snapshot = before.snapshot()
    before.up()
    assert (before.snapshot(), engines_of(before)) == (snapshot, after)


def test_an_engine_that_asks_before_its_gateway_sends_would_refuse_requests(
    before: TwoHosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twin: what is waited for is needed."""
    monkeypatch.undo()
    monkeypatch.setattr(runners.Replica, "is_let_in", True)
    before.converge(before.on(FAR))
    assert 401 in statuses(before)


def test_one_that_starts_with_a_key_gets_no_request_until_the_gateway_sends_it(
    before: TwoHosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of it runs, so it starts at once; the other replica answers meanwhile."""
    before.destroy(before.on(FAR))
    monkeypatch.undo()
    before.converge(before.on(FAR))
    assert direct(before, None) == 401
    assert (before.usable(), statuses(before)) == ({f"chat-box-0-{before.side}"}, {200})
    before.up()
    assert (len(before.usable()), statuses(before)) == (2, {200})


def test_one_from_before_that_does_not_work_is_exchanged_at_once(
    before: TwoHosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would fail, and the gateway's turn would never come."""
    monkeypatch.undo()
    os.kill(far_engine(before), signal.SIGSTOP)
    before.converge(before.on(FAR))
    assert direct(before, None) == 401
    before.up()
    assert (len(before.usable()), statuses(before)) == (2, {200})


def test_a_gateway_from_before_is_refused_while_engines_ask_for_a_key(
    running: TwoHosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rollback of the gateway alone would have every request of theirs refused."""
    monkeypatch.setattr(stands, "_asks", lambda *_: False)
    with pytest.raises(ConvergeFailed, match="chat-far-0 ask for a key, and this configuration sends none"):
        running.converge(running.gateway())
    monkeypatch.undo()
    assert statuses(running) == {200}


def test_another_key_costs_no_request(running: TwoHosts) -> None:
    """One that is removed is drift. The next one is made, and engines accept what the gateway still sends."""
    old = keys(running)[0]
    running.place("engine_keys").unlink()
    assert drift(running, running.on(FAR))["key"] == "the engine does not have it as the gateway's machine does"
    assert drift(running, running.gateway())["key of the engines"] == "HAProxy does not have it as it is"
    with load(running) as count:
        wait_for_answers(count, 4)
        running.converge(running.on(FAR))
        wait_for_answers(count, 4)
        running.up()
        wait_for_answers(count, 4)
    assert count.failed == []
    new, former = keys(running)
    assert (new != old, former) == (True, old)
    assert [direct(running, key) for key in (new, old, None)] == [200, 200, 401]
    assert running.place("gateway-box", "current", "engines.map").read_text() == f"engines Bearer {new}\n"
    running.place("engine_keys").unlink()
    running.up()
    assert [direct(running, key) for key in (new, old, None)] == [200, 401, 401]


def test_a_key_that_comes_without_the_former_one_would_cost_requests(running: TwoHosts) -> None:
    """Twin: it is the second line that lets the gateway in until it is told."""
    running.place("engine_keys").write_text("0" * 64 + "\n")
    running.converge(running.on(FAR))
    assert 401 in statuses(running)
    running.up()
    assert statuses(running) == {200}


def test_a_key_that_others_may_read_or_that_is_damaged_is_put_right(running: TwoHosts) -> None:
    """Rights are put right without a restart; half a key is another one."""
    file, engine = running.place("engine_keys"), far_engine(running)
    [key, *_] = keys(running)
    file.chmod(0o644)
    assert drift(running, running.gateway())
    running.up()
    assert (file.stat().st_mode & 0o777, far_engine(running)) == (0o600, engine)
    file.write_text(key[:20])
    running.up()
    assert [direct(running, k) for k in (keys(running)[0], key[:20], None)] == [200, 401, 401]
    assert statuses(running) == {200}


def test_what_haproxy_sends_is_put_right_by_a_reload(running: TwoHosts) -> None:
    """The engine runs on."""
    map_file, engine = running.place("gateway-box", "current", "engines.map"), far_engine(running)
    map_file.write_text("engines Bearer wrong\n")
    assert drift(running, running.gateway())["key of the engines"] == "HAProxy does not have it as it is"
    running.up()
    assert map_file.read_text() == f"engines Bearer {keys(running)[0]}\n"
    assert (far_engine(running), statuses(running)) == (engine, {200})


def test_an_engine_whose_key_is_gone_does_not_start_and_the_next_up_brings_it(running: TwoHosts) -> None:
    """With an empty file it would ask for none."""
    running.far_place("chat-far-0", "releases").joinpath(release(running), "engine.keys").write_text("")
    assert "engine.keys" in drift(running, running.on(FAR))["files"]
    running.kill(f"chat-far-0/{far_side(running)}")
    running.wait_until(lambda: "its key is missing" in far_log(running))
    running.up()
    assert direct(running, None) == 401
    assert len(running.usable()) == 2


def test_an_engine_that_hangs_is_found_and_healed_with_its_key(running: TwoHosts) -> None:
    """The watchdog of the other machine asks it, and knows no gateway."""
    running.settings["hang_after_s"] = HANG_AFTER_S
    running.up()
    before = told(running).count('"recovered"')
    os.kill(far_engine(running), signal.SIGUSR1)
    running.wait_until(lambda: told(running).count('"recovered"') == before + 1, within_s=60)
    assert direct(running, None) == 401
    assert len(running.usable()) == 2


def test_a_watchdog_without_the_key_would_take_it_for_one_that_hangs(running: TwoHosts) -> None:
    """Twin: an idle engine that answers it 401 neither moves nor completes anything."""
    running.settings["hang_after_s"] = HANG_AFTER_S
    running.up()
    before = told(running).count('"hung"')
    watch = running.far_place("chat-far-0", "watch")
    first, rest = watch.read_text().split("\n", 1)
    watch.write_text(f"{first.rpartition(' ')[0]}\n{rest}")
    running.wait_until(lambda: told(running).count('"hung"') > before, within_s=60)


def release(world: TwoHosts) -> str:
    """The folder of the release that serves on the other host."""
    manifest = world.far_manifest("chat-far-0")
    return f"{manifest['release']}-{manifest['side']}"


def far_log(world: TwoHosts) -> str:
    return world.far_place("chat-far-0", "log", f"{far_side(world)}.log").read_text()


def told(world: TwoHosts) -> str:
    """What the other host's journal says of its replica."""
    lines = world.far_place("events.jsonl").read_text().splitlines()
    return "\n".join(line for line in lines if '"chat-far-0"' in line)
