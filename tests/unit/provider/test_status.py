"""Lines in a resource's row come at a rate that a person can read, and none that matters is lost."""

from __future__ import annotations

from enginehouse.converge.events import Notice, Progress
from enginehouse.provider.status import BURST, LINES_PER_S, StatusLine


class Screen:
    """What was shown, and a clock that only the test moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.shown: list[tuple[str, bool]] = []
        self.line = StatusLine("urn", self.show, lambda: self.now)

    def show(self, urn: str, text: str, *, passing: bool) -> None:
        self.shown.append((text, passing))

    def progress(self, text: str) -> None:
        self.line(Progress(part="p", text=text))


def test_a_fast_upload_does_not_flood_the_terminal() -> None:
    """A thousand lines in two seconds are shown at the rate of lines, after one burst."""
    screen = Screen()
    for percent in range(1000):
        screen.now = percent / 500
        screen.progress(f"{percent}")
    assert len(screen.shown) == BURST + int(LINES_PER_S * 999 / 500)


def test_quick_steps_are_all_shown() -> None:
    screen = Screen()
    for step in range(BURST):
        screen.progress(f"[{step + 1}/{BURST}]")
    assert len(screen.shown) == BURST


def test_the_same_line_is_shown_once() -> None:
    screen = Screen()
    for _ in range(3):
        screen.progress("waiting")
    assert screen.shown == [("waiting", True)]


def test_a_notice_is_always_shown_and_stays() -> None:
    screen = Screen()
    for number in range(100):
        screen.line(Notice(part="p", text=f"{number}"))
    assert len(screen.shown) == 100
    assert not any(passing for _, passing in screen.shown)
