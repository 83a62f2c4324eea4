"""What is said of a transfer can be read, and is true as soon as it is said."""

from __future__ import annotations

import pytest

from enginehouse.converge.transfer import SELDOM_S, SETTLED_S, WINDOW_S, Pace, share, time_text

MB = 10**6


@pytest.mark.parametrize(
    ("done", "total", "bytes_per_s", "text"),
    [
        (60, 98, None, "61 % of 0 kB"),
        (60 * MB, 98 * MB, None, "61 % of 98 MB"),
        (60 * MB, 98 * MB, 12.4 * MB, "61 % of 98 MB, 12 MB/s, 3 s left"),
        (60 * MB, 98 * MB, 0.0, "61 % of 98 MB, 0 kB/s"),
        (5 * 10**9, 0, None, "5.0 GB"),
        (5 * 10**9, 0, 950_000.0, "5.0 GB, 950 kB/s"),
        (2, 1, 1.0, "100 % of 0 kB, 0 kB/s"),
    ],
)
def test_progress_is_readable(done: int, total: int, bytes_per_s: float | None, text: str) -> None:
    """Per cent of a size, or a size alone while the whole is unknown; the time left only where there is one."""
    assert share(done, total, bytes_per_s) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "1 s"), (99.4, "99 s"), (100, "2 min"), (5900, "98 min"), (7800, "2 h 10 min")]
)
def test_a_time_has_two_figures_that_matter(seconds: float, text: str) -> None:
    assert time_text(seconds) == text


def test_the_speed_is_that_of_the_last_seconds() -> None:
    """A link that became slow is shown as it is now, and the start of a continued transfer counts for nothing."""
    pace = Pace()
    for second in range(60):
        pace.see(float(second), 500 * MB + second * MB)
    assert pace.bytes_per_s() == MB
    for second in range(60, 60 + int(WINDOW_S) + 1):
        pace.see(float(second), 560 * MB)
    assert pace.bytes_per_s() == 0


def test_no_speed_is_guessed() -> None:
    """Neither from one moment, nor after a transfer has begun anew."""
    pace = Pace()
    assert pace.bytes_per_s() is None
    pace.see(0.0, 0)
    pace.see(SETTLED_S / 2, 10 * MB)
    assert pace.bytes_per_s() is None
    pace.see(SETTLED_S, 20 * MB)
    assert pace.bytes_per_s() == 20 * MB
    pace.see(SETTLED_S + 1, 0)
    assert pace.bytes_per_s() is None


def test_a_long_transfer_is_told_of_less_often() -> None:
    """At first some times a second, then less and less: a day is not a hundred thousand lines of a log."""
    pace, told = Pace(), []
    for tick in range(24 * 3600 * 4):
        now = tick / 4
        pace.see(now, tick)
        if pace.is_due(now):
            told.append(now)
    assert told[:4] == [0.0, 0.25, 0.5, 0.75]
    assert told[-1] - told[-2] == SELDOM_S
    assert len(told) < 9000
