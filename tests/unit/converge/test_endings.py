"""How a program ended and what it said: from the supervisor's log and the program's own."""

from __future__ import annotations

import pytest

from enginehouse.converge.programs import lines_of_start
from enginehouse.converge.supervisor import Ending, ending

SUPERVISOR = """\
2026-11-24 17:00:00,001 INFO spawned: 'chat-box-0-a' with pid 11
2026-11-24 17:00:02,001 INFO success: chat-box-0-a entered RUNNING state, process has stayed up for > than 1 seconds
2026-11-24 17:00:03,001 INFO spawned: 'chat-box-0-b' with pid 12
2026-11-24 17:00:03,101 WARN exited: chat-box-0-b (exit status 1; not expected)
2026-11-24 17:00:04,001 INFO spawned: 'chat-box-0-b' with pid 13
2026-11-24 17:00:05,001 WARN exited: chat-box-0-a (terminated by SIGABRT (core dumped); not expected)
2026-11-24 17:00:06,001 WARN exited: chat-box-0-b (terminated by SIGKILL; not expected)
2026-11-24 17:00:07,001 INFO spawned: 'chat-box-0-b' with pid 14
2026-11-24 17:00:08,001 WARN stopped: chat-box-0-b (terminated by SIGTERM)
"""
LOG = """\
enginehouse: release r starts on side a, port 1, process 11
old
enginehouse: release s starts on side a, port 1, process 12
loading

no
enginehouse: release s starts on side a, port 1, process 13
"""


@pytest.mark.parametrize(
    ("program", "pid", "found"),
    [
        ("chat-box-0-b", 12, Ending(status=1)),
        ("chat-box-0-b", 13, Ending(signal="SIGKILL")),
        ("chat-box-0-b", 14, None),
        ("chat-box-0-b", None, Ending(signal="SIGKILL")),
        ("chat-box-0-a", 11, Ending(signal="SIGABRT")),
        ("chat-box-0", None, None),
    ],
)
def test_how_a_process_ended(program: str, pid: int | None, found: Ending | None) -> None:
    """By its own process id, or the last end that nobody asked for."""
    assert ending(SUPERVISOR, program, pid) == found


def test_an_ending_is_a_sentence() -> None:
    assert str(Ending(status=1)) == "it exited with status 1"
    assert str(Ending(signal="SIGKILL")) == "it was ended by signal 9 (SIGKILL)"


@pytest.mark.parametrize(
    ("pid", "said"),
    [(12, ("loading", "no")), (13, ()), (11, ("old",)), (None, ("loading", "no")), (99, ("loading", "no"))],
)
def test_what_one_start_said(pid: int | None, said: tuple[str, ...]) -> None:
    """Without a known process: the last start of the same release that said anything."""
    assert lines_of_start(LOG, pid) == said


def test_a_log_without_a_start_is_shown_as_it_is() -> None:
    assert lines_of_start("cut\n\noff\n") == ("cut", "off")
