"""The running gateway: which servers take requests, and reloads without a lost stream."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from enginehouse.catalog.explain import reasons
from enginehouse.converge import scripts
from enginehouse.converge.logs import last_notices
from enginehouse.converge.steps import AwaitGateway, Placed, Reload, Seat, SetServers
from enginehouse.converge.turns import turn_at
from enginehouse.converge.work import LOG_LINES, Work
from enginehouse.errors import ConnectorError, ConvergeFailed
from enginehouse.gateway.commands import RELOAD_SIGNAL, SIGNAL_AGAIN_S
from enginehouse.gateway.runtime import Refused, RuntimeSocket, ServerState
from enginehouse.gateway.stats import ServerRow

START_S = 10.0
"""HAProxy binds and forks within milliseconds; this is for a machine that is swapping."""
POLL_S = 0.05
ALERT = "[ALERT]"
"""How its line begins that says why something did not work."""
RELOADING = "Reloading HAProxy"
"""What the master says first at each reload (HAProxy 2.6.12 and 2.8.25, measured 2026-11)."""


def set_servers(work: Work, step: SetServers) -> None:
    """Set the states, wait for those that shall be usable, and save what HAProxy now says."""
    gateway = RuntimeSocket(work.connector, step.socket)
    for seat, state in step.wanted.items():
        gateway.set_state(seat.backend, seat.server, state)
    for seat in step.paused:
        gateway.pause(seat.backend, seat.server)
    if step.usable_within_s:
        _await_usable(work, gateway, step)
    with turn_at(work.connector.host, step.saved):
        file = Placed(path=step.saved, content=_without(gateway.dump_state(), step.unsaved), mode=0o600)
        script, stdin = scripts.place([file])
        work.do("saving the server states", script, stdin=stdin)


def await_gateway(work: Work, step: AwaitGateway) -> None:
    gateway = RuntimeSocket(work.connector, step.socket)
    failure = "it did not answer on its runtime socket"
    _until(work, step, lambda: gateway.worker() > 0, failure, lambda: _said(work))


def reload(work: Work, step: Reload) -> None:
    """Tell the master to start a new worker from `current`, and wait until that one answers."""
    gateway = RuntimeSocket(work.connector, step.socket)
    before = gateway.worker()
    signal_at, signals = work.now(), 0

    def switched() -> bool:
        nonlocal signal_at, signals
        if gateway.worker() != before:
            return True
        if work.now() >= signal_at:
            work.supervisor.signal(step.program, RELOAD_SIGNAL)
            signal_at, signals = work.now() + SIGNAL_AGAIN_S, signals + 1
        return False

    _until(work, step, switched, "its new configuration did not take effect", lambda: _of_reloads(_said(work), signals))


def _await_usable(work: Work, gateway: RuntimeSocket, step: SetServers) -> None:
    wanted = {seat for seat, state in step.wanted.items() if state is ServerState.READY}
    until = work.now() + step.usable_within_s
    while missing := [row for row in gateway.servers() if _seat(row) in wanted and not row.is_usable()]:
        if work.now() >= until:
            names = ", ".join(sorted(row.server for row in missing))
            raise ConvergeFailed(
                f"the gateway could not use {names} within {step.usable_within_s} s",
                reasons=[f"{row.server} at {row.where}: its health check says {row.check}" for row in missing],
            )
        work.pause(POLL_S)


def _seat(row: ServerRow) -> Seat:
    return Seat(backend=row.backend, server=row.server)


def _without(dump: str, servers: frozenset[str]) -> str:
    """A state dump without these servers' lines; the fourth word is the name (HAProxy 2.8, `show servers state`)."""
    lines = dump.splitlines(keepends=True)
    return "".join(line for line in lines if len(words := line.split()) < 4 or words[3] not in servers)


def _until(
    work: Work,
    step: AwaitGateway | Reload,
    done: Callable[[], bool],
    failure: str,
    said: Callable[[], tuple[str, ...]],
) -> None:
    until = work.now() + START_S
    while not _answers(done):
        info = work.supervisor.info(step.program)
        if info is None or info.state.has_ended():
            raise ConvergeFailed("the gateway exited", reasons=reasons(said()))
        if work.now() >= until:
            raise ConvergeFailed(f"the gateway: {failure} within {START_S:g} s", reasons=reasons(said()))
        work.pause(POLL_S)


def _said(work: Work) -> tuple[str, ...]:
    """HAProxy's own words since its start."""
    return work.said(last_notices(work.places, LOG_LINES))


def _of_reloads(lines: tuple[str, ...], count: int) -> tuple[str, ...]:
    """What was said at the most telling of the last `count` reloads; everything if there was none.

    At the last one, which may have begun a moment ago, HAProxy need not have said yet what is wrong; and workers that
    were replaced before tell at any time that they end.
    """
    began = [number for number, line in enumerate(lines) if RELOADING in line][-count:] if count else []
    told = [lines[start:end] for start, end in pairwise((*began, len(lines)))]
    return max(told, key=lambda said: (sum(ALERT in line for line in said), len(said)), default=lines)


def _answers(done: Callable[[], bool]) -> bool:
    """Whether `done` says yes; a socket between two workers counts as no."""
    try:
        return done()
    except (ConnectorError, Refused):
        return False
