"""Command lines around HAProxy."""

from __future__ import annotations

from enginehouse.gateway import commands
from enginehouse.render.symbols import fill

SYMBOLS = {"part": "/s/p", "release": "/s/p/releases/7"}


def filled(words: tuple[str, ...]) -> str:
    return " ".join(fill(word, SYMBOLS, {}) for word in words)


def test_what_runs_is_current_and_what_is_checked_is_the_staged_release() -> None:
    assert filled(commands.start("/bin/haproxy")) == "/bin/haproxy -W -db -f /s/p/current/haproxy.cfg"
    assert filled(commands.check("/bin/haproxy")) == "/bin/haproxy -c -f /s/p/releases/7/haproxy.cfg"
