"""Runs that are killed or told to stop, at every step: the next run finishes, and no half-done thing stays."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from enginehouse.converge.events import Event
from enginehouse.errors import Cancelled
from tests.converge.harness import World
from tests.converge.load import load

ROOT = Path(__file__).parents[2]
MOST_STEPS = 60


def run_until_step(world: World, step: int) -> bool:
    """Start a run that dies before its `step`-th step (from 0); whether it lived to its end."""
    program = ROOT / "tests" / "converge" / "dying_run.py"
    words = [str(world.folder), str(world.port), json.dumps(world.settings), str(step)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'infra'}"}
    ended = subprocess.run([sys.executable, str(program), *words], env=environment, capture_output=True, timeout=280)
    assert ended.returncode in (0, -signal.SIGKILL), ended.stderr.decode()
    return ended.returncode == 0


def assert_settled(world: World) -> None:
    """It serves, exactly one engine runs, and another run has nothing to do."""
    assert world.ask()[0] == 200
    assert sum(mark.startswith("chat-box-0/") for mark in world.processes().values()) == 1
    world.connector.holds = 0
    world.up()
    assert world.connector.holds == 0
    assert not list(world.state.rglob("*.new"))


def test_a_first_up_that_is_killed_before_every_step_gets_there(world: World) -> None:
    """Each run dies one step later than the one before it, on what that one left."""
    runs = next(step for step in range(MOST_STEPS) if run_until_step(world, step % 7))
    assert runs > 3
    assert_settled(world)


def test_an_edit_that_is_killed_at_any_step_fails_no_request(running: World) -> None:
    """Under load: killed before step 1, 2, 3, ... of an edit, each time with another edit, then finished."""
    running.write_model({"token_s": 0.02})
    running.up()
    with load(running, clients=2) as count:
        for step in range(10):
            running.settings["context"] = 1024 + 256 * step
            run_until_step(running, step)
        running.up()
    assert count.failed == []
    assert_settled(running)


def test_a_dead_runs_lease_is_taken_over_and_told(world: World) -> None:
    """The next run says whose lease it was."""
    run_until_step(world, 1)
    world.up()
    assert any("took over the lease of a run that died: ada@desk" in text for text in world.texts())


def test_a_wish_to_stop_at_every_step_leaves_something_to_continue(running: World) -> None:
    """Stopped at step 1, 2, 3, ... of an edit: the old or the new release serves, and the last run finishes."""
    running.settings["context"] = 1024
    for step in range(1, MOST_STEPS):
        running.on_event = lambda event, step=step: stop_at(running, event, step)  # type: ignore[misc]
        try:
            running.up()
            break
        except Cancelled:
            assert running.ask()[0] == 200
    running.on_event = lambda event: None
    assert step > 3
    assert_settled(running)


def stop_at(world: World, event: Event, step: int) -> None:
    if event.text.startswith(f"[{step}/"):
        world.cancelled.set()
