"""What is done with one side of a replica, as steps: its program, its place at the gateway, its requests. Pure."""

from __future__ import annotations

import enginehouse.converge.engine_keys as engine_keys
from enginehouse.converge.runners import Replica, Runner
from enginehouse.converge.steps import BecomeReady, Placed, Seat, SetServers, StartProgram, Step, WaitIdle
from enginehouse.gateway.runtime import ServerState
from enginehouse.planner.addresses import host_and_port

USABLE_S = 10
"""The gateway checks a server every second; an engine that has just completed a request passes the first check."""


def start_program(runner: Runner, title: str, file: Placed) -> StartProgram:
    return StartProgram(title=title, program=runner.program, file=file, folders=(f"{runner.places.part}/log",))


def become_ready(replica: Replica, runner: Runner, title: str, release: str) -> BecomeReady:
    return BecomeReady(
        title=title,
        engine=replica.engine.name,
        program=runner.program,
        address=host_and_port(runner.address, runner.port),
        asked_from=replica.gateway_host,
        health_path=replica.engine.health_path,
        model=runner.model,
        within_s=replica.part.ready_within_s,
        log=runner.log,
        keys=engine_keys.file(runner.places, release, runner.side) if replica.part.address else None,
    )


def hold(replica: Replica, runner: Runner) -> tuple[Step, ...]:
    """What keeps requests from an engine that the gateway would use as soon as it has loaded."""
    if runner.seat is None or not replica.takes_traffic(runner):
        return ()
    return (pause(replica, (runner.seat,), f"holding requests back (side {runner.side} is not ready)"),)


def give_traffic(replica: Replica, runner: Runner, title: str, *, wait: bool = True) -> tuple[Step, ...]:
    """Nothing, if the runner has no place at the gateway or asks for a key that this does not send yet; nothing either
    while the replica is drained."""
    if runner.seat is None or replica.facts.drained or not replica.is_let_in:
        return ()
    return (_set(replica, runner.seat, ServerState.READY, title, usable_within_s=USABLE_S if wait else 0),)


def pause(replica: Replica, seats: tuple[Seat, ...], title: str) -> SetServers:
    return SetServers(
        title=title,
        host=replica.gateway_host,
        socket=replica.gateway_socket,
        saved=replica.saved_servers,
        wanted={},
        paused=seats,
    )


def with_traffic(replica: Replica) -> tuple[Seat, ...]:
    """Server lines that take requests, also those whose engine is just being started again."""
    return tuple(seat for seat in replica.seats() if replica.state_of(seat) is ServerState.READY)


def wait_idle(runner: Runner, *, cut: bool = True) -> WaitIdle:
    title = f"waiting for side {runner.side} to finish"
    return WaitIdle(title=title, port=runner.port, within_s=runner.drain_s, cut=cut)


def set_state(replica: Replica, runner: Runner, state: ServerState, title: str) -> tuple[Step, ...]:
    """Nothing, if the runner has no place at the gateway."""
    return (_set(replica, runner.seat, state, title),) if runner.seat else ()


def _set(replica: Replica, seat: Seat, state: ServerState, title: str, *, usable_within_s: int = 0) -> SetServers:
    return SetServers(
        title=title,
        host=replica.gateway_host,
        socket=replica.gateway_socket,
        saved=replica.saved_servers,
        wanted={seat: state},
        usable_within_s=usable_within_s,
    )
