"""Which logs a part has on its machine, and the scripts that show them. Pure; the scripts write nothing.

The shell functions are in `templates/host/logs.sh`.
"""

from __future__ import annotations

from shlex import quote

from enginehouse.converge.places import GATEWAY, NOTICES, Places
from enginehouse.converge.probe import STATE, reading
from enginehouse.planner.parts import GatewayPart, HostPart, Part, ReplicaPart, Side
from enginehouse.render.templates import render

SUPERVISORD = "supervisord"
"""The name that the supervisor's configuration gives its own log."""


def has_logs(part: Part) -> bool:
    """Whether a process of the part writes one."""
    return isinstance(part, HostPart | ReplicaPart | GatewayPart)


def has_notices(part: Part) -> bool:
    """Whether what its program says itself is in a log of its own."""
    return isinstance(part, GatewayPart)


def last_lines(part: Part, lines: int, *, notices: bool = False) -> str:
    """The script that prints the last lines of the part's log: of a replica, of the side that serves."""
    if notices:
        places = Places.of(part, STATE)
        return _script(f"notices {places.log(NOTICES)} {places.log(GATEWAY)} {lines}")
    return _script(f"last {_log(part)} {lines}")


def before_hang(part: ReplicaPart, lines: int) -> str:
    """The script that prints the last lines that the watchdog kept when the replica's engine hung last."""
    return _script(f"before_hang {Places.of(part, STATE).part}/log {lines}")


def last_notices(gateway: Places, lines: int) -> str:
    """The script that prints what a gateway's HAProxy said last, for a machine whose state folder is known."""
    return f"{render('host/logs.sh')}\nnotices {quote(gateway.log(NOTICES))} {quote(gateway.log(GATEWAY))} {lines}\n"


def following(part: Part, lines: int, *, notices: bool = False) -> tuple[str, ...]:
    """Scripts that together print the same and then every new line, without end.

    A replica has one for each side: whichever is started next is heard from its first line on.
    """
    if isinstance(part, ReplicaPart):
        return tuple(_script(_follow_side(part, side, lines)) for side in Side)
    log = Places.of(part, STATE).log(NOTICES) if notices else _log(part)
    return (_script(f"follow {log} {lines}"),)


def following_journal(part: Part) -> str:
    """The script that prints the whole journal of the part's stack and then every new line, without end."""
    return reading(f"exec tail -n +1 -F {Places.of(part, STATE).journal} 2>/dev/null")


def _log(part: Part) -> str:
    places = Places.of(part, STATE)
    match part:
        case ReplicaPart():
            return f'{places.part}/log/"$(serving {places.part} {" ".join(Side)})".log'
        case GatewayPart():
            return places.log(GATEWAY)
        case _:
            return places.log(SUPERVISORD)


def _follow_side(part: ReplicaPart, side: Side, lines: int) -> str:
    places = Places.of(part, STATE)
    serves = f'[ "$(serving {places.part} {" ".join(Side)})" = {side} ]'
    return f"{serves} && lines={lines} || lines=0\nfollow {places.log(side)} $lines"


def _script(command: str) -> str:
    return reading(f"{render('host/logs.sh')}\n{command}")
