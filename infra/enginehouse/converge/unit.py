"""The system's own unit for a stack's supervisor, where there is systemd and we are root: what runs comes back after a
reboot, and after the end of the supervisor itself. Pure."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator

import enginehouse.converge.drop_ins as drop_ins
import enginehouse.converge.scripts as scripts
from enginehouse.connectors.environment import SYSTEM_PATH
from enginehouse.converge.facts import Facts
from enginehouse.converge.places import SAVED_SERVERS, SUPERVISOR, Places
from enginehouse.converge.programs import PRIVATE, START
from enginehouse.converge.steps import Placed, Sh
from enginehouse.planner.parts import HostPart
from enginehouse.render.templates import render

STOP_S = 90
"""supervisord stops its programs one after the other and waits for each."""
_FOLDER = "/etc/systemd/system"
_PROTECTED = ("/usr/", "/etc/", "/boot/", "/efi/")
"""What `ProtectSystem=full` keeps from being written (systemd.exec(5)); a state folder there is an exception."""


def possible(facts: Facts) -> bool:
    """Whether the machine has systemd, and we may give it a unit."""
    return "systemd" in facts.texts


def name(stack: str, state: str) -> str:
    """A stack's unit. Two state folders of a machine may hold stacks of the same name. The probe says the same."""
    return f"enginehouse-{stack}-{hashlib.sha256(state.encode()).hexdigest()[:8]}.service"


def start_script(part: HostPart, places: Places, facts: Facts) -> Placed:
    """What the unit runs. Nothing in it depends on who is logged in."""
    environment = {
        "HOME": "/root",
        "USER": "root",
        "PATH": SYSTEM_PATH,
        "LANG": "C.UTF-8",
        "ENGINEHOUSE_STATE": places.state,
        "ENGINEHOUSE_PROGRAM": f"{part.stack}/{part.name}/{SUPERVISOR}",
    }
    text = render(
        "systemd/start.sh.j2",
        stack=part.stack,
        socket=places.supervisor_socket,
        folder=places.stack_folder,
        saved=SAVED_SERVERS,
        variables=" ".join(f"{key}={shlex.quote(value)}" for key, value in environment.items()),
        program=facts.tools["supervisord"].path,
        configuration=f"{places.part}/supervisord.conf",
    )
    return Placed(path=_start(places), content=text, mode=PRIVATE)


def install(part: HostPart, places: Places, facts: Facts) -> Iterator[Sh]:
    """What gives the machine the unit, and starts it at boot; a supervisor that runs already is not touched."""
    if possible(facts) and _wrong(part, places, facts):
        unit = name(part.stack, places.state)
        strange = drop_ins.of(unit, facts)
        script = scripts.install_unit(f"{_FOLDER}/{unit}", _content(part, places), unit, drop_ins.set_aside(strange))
        also = f", and {drop_ins.title(strange)}" if strange else ""
        yield Sh(title=f"giving the supervisor a unit of systemd, {unit}{also}", script=script)


def difference(part: HostPart, places: Places, facts: Facts) -> str:
    """What is wrong with the unit; empty if nothing is."""
    return _wrong(part, places, facts) if possible(facts) else ""


def remove(part: HostPart, places: Places, facts: Facts) -> Iterator[Sh]:
    """What stops the unit with all that runs in it, and takes it away."""
    if "unit" in facts.texts or "unit_enabled" in facts.texts:
        unit = name(part.stack, places.state)
        script = scripts.remove_unit(f"{_FOLDER}/{unit}", unit)
        yield Sh(title=f"stopping and removing {unit}", script=script, deadline_s=STOP_S + 30)


def _wrong(part: HostPart, places: Places, facts: Facts) -> str:
    found = facts.texts.get("unit")
    if found is None:
        return "missing on the machine"
    if found != _content(part, places):
        return "edited on the machine"
    if "unit_enabled" not in facts.texts:
        return "not started at boot"
    strange = drop_ins.of(name(part.stack, places.state), facts)
    return f"changed by {', '.join(strange)}" if strange else ""


def _content(part: HostPart, places: Places) -> str:
    """No sign that a state folder may have means anything to systemd in double quotes."""
    return render(
        "systemd/supervisor.service.j2",
        stack=part.stack,
        folder=places.stack_folder,
        start=_start(places),
        stop_s=STOP_S,
        writes=places.state if places.state.startswith(_PROTECTED) else "",
    )


def _start(places: Places) -> str:
    return f"{places.part}/{START}"
