"""The judge notices what must never happen: each rule with an event that breaks it, and one real gateway put wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from enginehouse.converge.events import Event
from enginehouse.gateway import ServerState
from tests.converge.harness import is_taken
from tests.faults.conftest import faulty_world
from tests.faults.faulty import FaultyWorld
from tests.faults.judge import UNNOTICED_S, Judge
from tests.faults.settled import violations

LIFE = ("started", "loaded", "awaited", "proved")
LINE = {"id": "r", "server": "chat-box-0-a", "end": "SC", "ended": 1000.0}


def happened(*events: str, pid: int = 7, release: str = "r1", t: float = 100.0) -> Iterator[dict[str, Any]]:
    """A life of one process, one event a millisecond; a request of the gateway is called `r`."""
    for number, event in enumerate(events):
        yield {
            "t": t + number / 1000,
            "event": event,
            "pid": pid,
            "mark": "chat-box-0/a",
            "release": release,
            **({"id": "r"} if event == "request" else {}),
        }


def judged(*lives: Iterator[dict[str, Any]]) -> list[str]:
    judge = Judge()
    for life in lives:
        judge.hear(life)
    return judge.violations


def test_a_proved_engine_may_get_requests() -> None:
    """And so may its successor that the supervisor started, as soon as it has loaded."""
    again = happened("started", "loaded", "request", pid=8, t=200)
    assert judged(happened(*LIFE, "request"), again) == []


@pytest.mark.parametrize(
    ("events", "said"),
    [
        (("started", "request"), "while it was loading"),
        (("started", "loaded", "request"), "before its release had ever proved itself"),
        (("started", "loaded", "awaited", "request", "proved"), "to the run that waits for it"),
        ((*LIFE, "told to stop", "request"), "after it was told to stop"),
    ],
)
def test_a_request_too_early_or_too_late_is_a_violation(events: tuple[str, ...], said: str) -> None:
    """Each rule by itself."""
    assert said in " ".join(judged(happened(*events)))


def test_only_what_the_gateway_cannot_know_yet_is_let_pass() -> None:
    """A loading successor of an engine that was killed just now, and not of one that was killed long ago."""
    for age_s, expected in ((1.0, 0), (UNNOTICED_S + 1, 1)):
        again = happened("started", "request", pid=8, t=100 + age_s)
        assert len(judged(happened(*LIFE, "killed"), again)) == expected


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ({}, 1),
        ({"dying": 101.0}, 0),
        ({"dying": 101.0, "killed": 150.0}, 0),
        ({"dying": 101.0, "killed": 145.0}, 1),
    ],
    ids=str,
)
def test_who_is_told_to_stop_may_get_requests_only_while_it_is_being_killed(
    before: dict[str, float], expected: int
) -> None:
    """From the kill's begin, however long it takes, to some seconds after its end."""
    kill = (event for name, t in before.items() for event in happened(name, t=t))
    lives = happened(*LIFE), kill, happened("told to stop", "request", t=150.0)
    assert len(judged(*lives)) == expected


def test_a_request_that_no_engine_took_is_a_violation() -> None:
    """HAProxy's log names a server, and the engines' journal knows nothing of it."""
    judge = Judge()
    judge.compare([LINE], now=100.0, wall=1000.0)
    assert len(judge.violations) == 1
    judge.hear(happened(*LIFE, "killed", t=98.0))
    judge.compare([LINE], now=100.0, wall=1000.0)
    assert len(judge.violations) == 1


def test_a_log_of_another_server_does_not_fit() -> None:
    """The two are really joined: a request in the log of side b that side a got."""
    judge = Judge()
    judge.hear(happened(*LIFE, "request"))
    judge.compare([{**LINE, "server": "chat-box-0-b"}], now=100.0, wall=1000.0)
    assert "is in the log for a request that chat-box-0/a got" in judge.violations[0]


def test_a_server_that_is_enabled_by_hand_too_early_is_noticed() -> None:
    """Twin: the check that never fails in the fault tests does fail, with a real gateway and its clients."""
    with faulty_world() as world:
        judge = Judge()
        assert violations(world, judge) == []
        world.edit_release()
        loads = world.folder / "loads"
        world.write_model({"loads_with": str(loads)})
        world.on_event = lambda event: enable_too_early(world, event, loads)
        world.up()
        said = violations(world, judge)
        assert any("got a request while it was loading" in violation for violation in said), said


def enable_too_early(world: FaultyWorld, event: Event, loads: Path) -> None:
    """While the run waits for the new side, which listens already, a request goes there."""
    if "waiting for ready" in event.text and not loads.exists():
        world.wait_until(lambda: is_taken(world.replica().ports[world.side.other()]))
        world.runtime().set_state("be_chat", f"chat-box-0-{world.side.other()}", ServerState.READY)
        world.runtime().set_state("be_chat", world.engine, ServerState.DRAIN)
        world.ask()
        loads.touch()
