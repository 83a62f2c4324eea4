"""Engines that hang are found and restarted, those that only work hard are left alone. With a real watchdog."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from enginehouse.converge import foresee, orders
from enginehouse.converge.logs import before_hang
from enginehouse.errors import LeaseHeld
from enginehouse.spec.schema import stack_schema
from tests.converge.conftest import new_world
from tests.converge.harness import World, install_real_engine
from tests.converge.load import load, wait_for_answers
from tests.converge.test_real_engine import MODEL
from tests.tools_available import require_tool

HANG_AFTER_S = 2
LOWEST_S = stack_schema()["$defs"]["Health"]["properties"]["hang_after_s"]["minimum"]
STOP_MAIN_THREAD = Path(__file__).with_name("stop_main_thread.py")
HUNG = f"no progress and no answer for {HANG_AFTER_S} s"


@pytest.fixture(scope="module")
def one() -> Iterator[World]:
    with new_world(World) as made:
        yield made


@pytest.fixture
def watched(one: World) -> World:
    """A stack that is up, whose replica is watched."""
    one.reset()
    one.settings["hang_after_s"] = HANG_AFTER_S
    one.up()
    wait_for_watcher(one)
    return one


def load_when_told(world: World) -> Path:
    """From its next start on the engine has loaded once the file that this returns is there; it is."""
    loads = world.folder / "loads"
    loads.touch()
    world.write_model({"loads_with": str(loads)})
    return loads


def wait_for_watcher(world: World) -> None:
    """The watchdog looks for new replicas every few seconds."""
    world.wait_until(lambda: bool(watchers(world)))


def watchers(world: World) -> list[int]:
    """Processes that watch a replica."""
    wanted = f"{world.state}\0{world.stack}\0watch\0".encode()
    return [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline") if wanted in _read(path)]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def engine(world: World) -> int:
    """The process of the serving engine; 0 without one."""
    return next((pid for pid, mark in world.processes().items() if mark == f"chat-box-0/{world.side}"), 0)


def hang(world: World) -> int:
    """From now on the engine answers nothing but health requests; its process."""
    pid = engine(world)
    os.kill(pid, signal.SIGUSR1)
    return pid


def mark(world: World) -> Path:
    return world.place("chat-box-0", "run", "hung")


def metric(world: World, name: str) -> int:
    """A number about the replica, as Prometheus reads it from the gateway."""
    url = f"http://127.0.0.1:{world.gateway().metrics_port}/metrics/engines"
    text = urllib.request.urlopen(url, timeout=60).read().decode()
    return int(text.partition(f'\n{name}{{replica="chat-box-0"}} ')[2].split()[0])


def usable(world: World) -> list[str]:
    """Servers that HAProxy sends requests to."""
    return [row.server for row in world.runtime().servers() if row.is_usable()]


def words(world: World) -> list[str]:
    """What the watchdog has written into the journal."""
    return [entry.event for entry in world.journal() if entry.door == "supervisor"]


@contextmanager
def frozen(world: World) -> Iterator[None]:
    host = world.plan().hosts[0]
    orders.freeze(host, world.context(), reason="a test")
    try:
        yield
    finally:
        orders.unfreeze(host, world.context())


def test_a_hung_engine_is_restarted_while_requests_wait(watched: World) -> None:
    """What it worked on is lost; what comes once that is known waits and is answered by its successor.

    It is counted, which a reload of the gateway does not forget, and the last lines of its log are kept.
    """
    before = words(watched), metric(watched, "enginehouse_engine_hangs_total")
    last_line = watched.place("chat-box-0", "log", f"{watched.side}.log").read_text().splitlines()[-1]
    hung = hang(watched)
    lost = threading.Thread(target=watched.ask)
    lost.start()
    watched.wait_until(lambda: not usable(watched))
    assert metric(watched, "enginehouse_engine_hung") == 1
    assert watched.ask()[0] == 200
    lost.join()
    watched.wait_until(lambda: not mark(watched).exists())
    assert engine(watched) not in (0, hung)
    assert words(watched) == [*before[0], "hung", "recovered"]
    watched.settings["limits"] = {"concurrent": 40}
    watched.up()
    assert any("reloading HAProxy" in text for text in watched.texts())
    assert metric(watched, "enginehouse_engine_hangs_total") == before[1] + 1
    kept = watched.connector.run(before_hang(watched.replica(), 1), deadline_s=10).stdout
    assert kept == f"{last_line}\n"
    observed = watched.observe(watched.replica())
    assert observed is not None
    assert (observed.reasons, observed.hangs and observed.hangs.count) == ((), before[1] + 1)


def test_a_run_is_told_that_the_watchdog_works_and_what_hangs(watched: World) -> None:
    """While it heals it has the machine's lease, and nobody calls the replica ready."""
    loads = load_when_told(watched)
    watched.up()
    hang(watched)
    loads.unlink()
    watched.wait_until(mark(watched).exists)
    watched.wait_until(lambda: (watched.state / "host" / "lease.note").exists())
    observed = watched.observe(watched.replica())
    assert observed is not None
    assert [reason.rpartition(": ")[2] for reason in observed.reasons] == [HUNG]
    assert observed.inputs["drift"]["engine"].startswith("hung since ")
    watched.settings["context"] = 1024
    watched.impatient()
    with pytest.raises(LeaseHeld, match=r"the watchdog, which restarts chat-box-0, since .* through supervisor"):
        watched.converge(watched.replica())
    loads.touch()
    watched.wait_until(lambda: not mark(watched).exists())
    watched.converge(watched.replica())
    assert watched.ask()[0] == 200


def test_without_a_watchdog_the_hang_stays_until_an_up_starts_it(watched: World) -> None:
    """Twin: nobody else restarts an engine that answers health requests. A stopped watchdog is drift."""
    watched.supervisor().stop("watchdog")
    hung = hang(watched)
    until = time.monotonic() + 2 * HANG_AFTER_S
    watched.wait_until(lambda: time.monotonic() > until)
    assert (mark(watched).exists(), engine(watched)) == (False, hung)
    host = watched.plan().hosts[0]
    observed = watched.observe(host)
    assert observed is not None
    assert observed.inputs["drift"] == {"watchdog": "does not run"}
    watched.converge(host)
    watched.wait_until(lambda: engine(watched) not in (0, hung) and not mark(watched).exists())
    assert watched.ask()[0] == 200


def test_a_busy_engine_that_gets_on_is_left_alone(watched: World) -> None:
    """Every slot is taken for longer than an engine may go without progress, so the watchdog's own request waits."""
    watched.write_model({"queue": True, "token_s": 0.1})
    watched.settings["slots"] = 1
    watched.up()
    busy, before = engine(watched), words(watched)
    answer = watched.ask(repeat=10)
    assert answer[0] == 200
    assert (engine(watched), words(watched), mark(watched).exists()) == (busy, before, False)


def test_without_the_engines_counter_the_same_load_would_look_like_a_hang(watched: World) -> None:
    """Twin: it is the counter that tells a busy engine from one that hangs."""
    watched.write_model({"queue": True, "token_s": 0.1})
    watched.settings["slots"] = 1
    watched.up()
    file = watched.place("chat-box-0", "watch")
    file.write_text(file.read_text().replace("llamacpp:n_decode_total", "-"))
    request = threading.Thread(target=watched.ask, kwargs={"repeat": 200})  # until the engine is restarted
    request.start()
    watched.wait_until(mark(watched).exists)
    request.join()
    watched.wait_until(lambda: not mark(watched).exists())


def test_a_frozen_stack_is_only_told_about_and_an_up_heals_it(watched: World) -> None:
    """Nothing heals while it is frozen. An `up` then exchanges the engine and waits for nothing that it works on."""
    watched.settings["drain_s"] = 250
    watched.up()
    with frozen(watched):
        hung = hang(watched)
        stuck = threading.Thread(target=watched.ask)
        stuck.start()
        watched.wait_until(lambda: words(watched)[-1:] == ["hung"])
        watched.supervisor().stop("watchdog")
        assert engine(watched) == hung
    foreseen = foresee(watched.replica(), watched.context())
    assert (foreseen.effect, "no request waits" in foreseen.reason) == ("restart", False)
    assert HUNG in foreseen.reason
    began = time.monotonic()
    watched.converge(watched.replica())
    assert time.monotonic() - began < watched.settings["drain_s"]
    stuck.join()
    assert (mark(watched).exists(), engine(watched) == hung, watched.ask()[0]) == (False, False, 200)


def test_one_that_goes_on_by_itself_is_not_restarted(watched: World) -> None:
    """Its traffic was not taken yet, because the stack was frozen."""
    pid = engine(watched)
    with frozen(watched):
        os.kill(pid, signal.SIGSTOP)
        watched.wait_until(mark(watched).exists)
        os.kill(pid, signal.SIGCONT)
        watched.wait_until(lambda: not mark(watched).exists())
    assert engine(watched) == pid
    assert watched.ask()[0] == 200


def test_a_drained_replica_is_restarted_and_stays_without_requests(watched: World) -> None:
    orders.drain(watched.replica(), watched.context(), reason="a test", wait=False, force=True)
    hung = hang(watched)
    watched.wait_until(lambda: engine(watched) not in (0, hung) and not mark(watched).exists())
    assert usable(watched) == []
    orders.undrain(watched.replica(), watched.context())
    assert watched.ask()[0] == 200


def test_a_watchdog_that_was_killed_at_it_is_finished_by_its_next_start(watched: World) -> None:
    """What it had begun is left at once, and the engine that loads meanwhile is not restarted again."""
    loads = load_when_told(watched)
    watched.up()
    hung = hang(watched)
    loads.unlink()
    watched.wait_until(lambda: mark(watched).exists() and engine(watched) not in (0, hung))
    loading, before = engine(watched), set(watchers(watched))
    watchdog = next(pid for pid, found in watched.processes().items() if found == "box/watchdog")
    os.kill(watchdog, signal.SIGKILL)
    watched.wait_until(lambda: bool(found := set(watchers(watched))) and not found & before)
    loads.touch()
    watched.wait_until(lambda: not mark(watched).exists())
    assert engine(watched) == loading
    assert watched.ask()[0] == 200


def test_one_killed_before_it_restarted_the_engine_restarts_it_at_its_next_start(watched: World) -> None:
    """A mark of a process that still runs: it was not restarted yet."""
    watched.supervisor().stop("watchdog")
    hung = hang(watched)
    start = Path(f"/proc/{hung}/stat").read_text().rpartition(") ")[2].split()[19]
    mark(watched).parent.mkdir(exist_ok=True)
    mark(watched).write_text(f"{hung} {start} 2026-11-24T12:00:00+00:00 {HUNG}\ntraffic taken\n")
    watched.runtime().pause("be_chat", watched.engine)
    watched.converge(watched.plan().hosts[0])
    watched.wait_until(lambda: engine(watched) not in (0, hung) and not mark(watched).exists())
    assert watched.ask()[0] == 200


def test_one_that_does_not_become_ready_is_restarted_again(watched: World) -> None:
    """It is given as long as a start may take, no requests meanwhile, and up is not given."""
    weights = watched.weights()
    watched.settings["ready_within_s"] = 5
    watched.up()
    before = words(watched)
    content = weights.read_text()
    weights.write_text('{"load_s": 600}')
    hang(watched)
    watched.wait_until(lambda: words(watched)[len(before) :][:2] == ["hung", "not-recovered"])
    assert usable(watched) == []
    weights.write_text(content)
    watched.wait_until(lambda: not mark(watched).exists(), within_s=200)
    told = words(watched)[len(before) :]
    assert (told[0], set(told[1:-1]), told[-1]) == ("hung", {"not-recovered"}, "recovered")
    assert watched.ask()[0] == 200


def test_one_that_becomes_ready_late_is_not_ended_for_it(watched: World) -> None:
    """It loads longer than a start may take; pauses grow, and one that works when its pause is over is left alone."""
    weights = watched.weights()
    watched.settings["ready_within_s"] = 5
    watched.up()
    before = words(watched)
    content = weights.read_text()
    weights.write_text('{"load_s": 8}')
    hang(watched)
    watched.wait_until(mark(watched).exists)
    watched.wait_until(lambda: not mark(watched).exists(), within_s=200)
    told = words(watched)[len(before) :]
    assert (told[0], set(told[1:-1]), told[-1]) == ("hung", {"not-recovered"}, "recovered")
    assert watched.ask()[0] == 200
    weights.write_text(content)


def test_where_curl_speaks_no_gopher_socat_speaks_to_the_gateway(watched: World) -> None:
    """A curl that was built without it says so for such an address, and requests wait all the same."""
    curl, refused = require_tool("curl"), watched.folder / "refused"
    wrapper = watched.tools / "curl"
    wrapper.write_text(f'#!/bin/sh\ncase "$*" in *gopher:*) echo >>{refused}; exit 1 ;; esac\nexec {curl} "$@"\n')
    wrapper.chmod(0o755)
    before = set(watchers(watched))
    watched.kill("box/watchdog")
    watched.wait_until(lambda: bool(found := set(watchers(watched))) and not found & before)
    hung = hang(watched)
    watched.wait_until(lambda: not usable(watched))
    watched.wait_until(lambda: engine(watched) not in (0, hung) and not mark(watched).exists())
    wrapper.unlink()
    wrapper.symlink_to(curl)
    assert refused.exists()
    watched.wait_until(lambda: usable(watched) == [watched.engine])


def test_two_that_hang_at_once_are_both_restarted(watched: World) -> None:
    """Each has its watcher, and neither waits for the machine's lease of the other."""
    watched.settings["replicas"] = 2
    watched.up()
    watched.wait_until(lambda: len(watchers(watched)) == 2)
    serving = {f"{name}/{watched.manifest(name)['side']}" for name in ("chat-box-0", "chat-box-1")}
    hung = {pid for pid, found in watched.processes().items() if found in serving}
    before = words(watched)
    for pid in hung:
        os.kill(pid, signal.SIGUSR1)
    watched.wait_until(lambda: words(watched)[len(before) :].count("recovered") == 2)
    now = {pid for pid, found in watched.processes().items() if found in serving}
    assert (len(hung), len(now), now & hung) == (2, 2, set())
    assert watched.ask()[0] == 200


@pytest.mark.alone
def test_a_hang_is_noticed_within_half_as_much_again_at_the_lowest_limit(watched: World) -> None:
    """From a moment at which it worked to the mark."""
    watched.settings["hang_after_s"] = LOWEST_S
    watched.up()
    assert watched.ask()[0] == 200
    began = time.monotonic()
    hang(watched)
    watched.wait_until(mark(watched).exists, within_s=3 * LOWEST_S)
    assert LOWEST_S < time.monotonic() - began < 1.5 * LOWEST_S
    watched.wait_until(lambda: not mark(watched).exists())


def test_a_real_engine_whose_main_thread_is_stuck_is_restarted(world: World) -> None:
    """Its threads for HTTP go on: health is good, completions and metrics do not come."""
    if not MODEL.exists():
        reason = f"{MODEL} is missing; `make setup` brings it"
        pytest.fail(reason) if os.environ.get("REQUIRE_ALL") == "1" else pytest.skip(reason)
    install_real_engine(world)
    world.model = MODEL.resolve()
    world.settings |= {"source": f"host://{world.model}", "ready_within_s": 90, "hang_after_s": 4}
    world.up()
    wait_for_watcher(world)
    with load(world, clients=2) as count:
        wait_for_answers(count, 4)
    stuck = engine(world)
    with subprocess.Popen([sys.executable, STOP_MAIN_THREAD, str(stuck)], stdout=subprocess.PIPE, text=True) as tracer:
        assert tracer.stdout is not None
        assert tracer.stdout.readline() == "stopped\n"
        assert urllib.request.urlopen(f"http://127.0.0.1:{world.serving_port}/health", timeout=60).status == 200
        world.wait_until(lambda: not usable(world))
        assert world.ask(max_tokens=4)[0] == 200
    world.wait_until(lambda: not mark(world).exists())
    assert engine(world) not in (0, stuck)
    assert words(world) == ["hung", "recovered"]
