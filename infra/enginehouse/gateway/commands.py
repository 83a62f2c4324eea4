"""Command lines around HAProxy, with symbols. Pure: who runs them is decided elsewhere.

A reload is: save the server state (`RuntimeSocket.dump_state`), check the new release, point `current` at it, send the
master `RELOAD_SIGNAL`, and wait until `RuntimeSocket.worker` gives another process id. The master reads the same path
again; if the new configuration fails, the old worker goes on serving and the process id stays.

- Requests parked in the old worker (see `hold.lua`) are sent away with 503 and Retry-After: bring servers up before a
  reload, not after it.
- For some milliseconds after the new worker answers, the old one still accepts connections, with the old keys (measured
  2026-11, HAProxy 2.8.25): whoever proves a change from outside tries again.
"""

from __future__ import annotations

from enginehouse.gateway.config import CONFIG

RELOAD_SIGNAL = "USR2"
"""To the master process (management guide of HAProxy 2.8, section 4): new worker, old one finishes its streams."""

SIGNAL_AGAIN_S = 1.0
"""Without a new worker after this time, signal again: a master that has just started or reloaded loses the signal,
although its worker answers already (measured 2026-11, HAProxy 2.6.12 and 2.8.25: lost at 0 ms, taken at 20 ms on an
idle machine). One signal too many costs nothing but another worker."""


def start(haproxy: str) -> tuple[str, ...]:
    """Master and worker in the foreground, for a process supervisor."""
    return (haproxy, "-W", "-db", "-f", f"@{{part}}/current/{CONFIG}")


def check(haproxy: str) -> tuple[str, ...]:
    """Exit code 0 if the staged release is sound, else the reasons on stderr; touches nothing that runs."""
    return (haproxy, "-c", "-f", f"@{{release}}/{CONFIG}")
