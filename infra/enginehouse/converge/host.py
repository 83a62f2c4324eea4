"""The host part: folders, required programs, and the supervisor that keeps a stack's programs running."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import enginehouse.converge.drivers as drivers
import enginehouse.converge.packages as packages
import enginehouse.converge.scripts as scripts
import enginehouse.converge.toolkit as toolkit
import enginehouse.converge.unit as unit
import enginehouse.converge.watch as watch
from enginehouse.converge.facts import Facts, Tool
from enginehouse.converge.places import LONGEST_SOCKET_PATH, SUPERVISOR, WATCHDOG, Places
from enginehouse.converge.programs import PRIVATE, placed
from enginehouse.converge.steps import (
    Effect,
    Place,
    Placed,
    Sh,
    StartProgram,
    StartSupervisor,
    Step,
    Steps,
    WriteManifest,
    wrong_files,
)
from enginehouse.converge.wire import DRIFT
from enginehouse.errors import ConvergeFailed
from enginehouse.inventory.checks import Check, devices_check, gpus_check
from enginehouse.inventory.gpus import graphics
from enginehouse.planner.parts import SYSTEMD_RUN, HostPart
from enginehouse.render.symbols import Secret
from enginehouse.render.templates import render

_OURS_ALONE = "700"
_VERSION = re.compile(r"\d+(?:\.\d+)+|\d+")


def steps(part: HostPart, facts: Facts, secrets: Mapping[str, Secret]) -> Steps:
    """What makes the machine ready for this stack's programs.

    Raises `ConvergeFailed` naming every program that is too old, or is missing and can't be installed; also if the
    machine is another host of the stack, since both would have the same processes, unit and folder for theirs.
    """
    places = Places.of(part, facts.state)
    _check_name(part, facts)
    _check_systemd(part, facts)
    _check_tools(part, facts)
    _check_nvidia(part, facts)
    _check_gpus(part, facts)
    if prepare := tuple(_preparing(part, facts)):
        titles = ", ".join(step.title for step in prepare)
        return Steps(prepare=prepare, effect=Effect.START, reason=f"{titles}, then what is missing of ours")
    _check_docker(part, facts)
    _check_socket_path(part, places)
    files = _files(part, places, facts, secrets)
    wrong = wrong_files(files, facts.files)
    stage = (*_folders(places, facts, wrong), *unit.install(part, places, facts))
    activate = (*_supervisor(part, places, facts), *_watchdog(part, places, facts, wrong))
    if not stage and not activate and facts.manifest and facts.manifest.records(part):
        return Steps(reason="the machine is ready and its supervisor runs")
    tools = "".join(tool.line() for tool in facts.tools.values())
    record = WriteManifest(title="recording the host", files=files, tools=tools)
    effect, reason = _meaning(stage, activate)
    return Steps(stage=stage, activate=(*activate, record), effect=effect, reason=reason)


def folders(places: Places) -> tuple[str, ...]:
    """Every folder the host part makes inside the state folder; all are for their owner alone."""
    inner = tuple(f"{places.part}/{name}" for name in ("log", "run", "programs"))
    return (f"{places.state}/host", f"{places.state}/weights", places.stack_folder, places.part, *inner)


def version_of(text: str) -> str:
    """The first thing in a program's answer that looks like a version; empty without one."""
    found = _VERSION.search(text)
    return found[0] if found else ""


def is_at_least(found: str, lowest: str) -> bool:
    """Whether dotted numbers `found` are not below `lowest`."""
    return _numbers(found) >= _numbers(lowest)


def _check_name(part: HostPart, facts: Facts) -> None:
    if other := facts.texts.get("other_host", "").strip():
        raise ConvergeFailed(
            f"{part.host}: this machine is host {other} of {part.stack} already",
            reasons=(
                f"a machine is one host of a stack, by one name; call it {other}, or first run `pulumi up` without "
                f"{other} (`pulumi destroy`, if it is the only host), then with {part.host}",
            ),
        )


def _check_systemd(part: HostPart, facts: Facts) -> None:
    if SYSTEMD_RUN in part.tools and (lacking := _lacking_for_units(part, facts)):
        raise ConvergeFailed(f"{part.host}: no engine can have a unit of its own here", reasons=(lacking,))


def _lacking_for_units(part: HostPart, facts: Facts) -> str:
    """What stands in the way of `runtime: systemd`, with what helps; empty if nothing does."""
    if "booted" not in facts.texts:
        return "systemd does not run the machine; `runtime: supervisor` does without"
    if not unit.possible(facts):
        how = "`become: sudo` in the stack file" if part.connection.ssh else "running this command as root"
        user = facts.texts.get("user", "").strip()
        return f"only root may tell systemd to, and this is {user}; {how} helps, and `runtime: supervisor` does without"
    return "" if "bus" in facts.texts else "systemd has no message bus; get it from your system's package dbus"


def _check_tools(part: HostPart, facts: Facts) -> None:
    absent, hindrance = packages.missing(part, facts), packages.hindrance(part, facts)
    problems = [text for tool in facts.tools.values() if (text := _too_old(tool, part))]
    if absent and (problems or hindrance):
        missing = [f"{name} (at least {part.tools[name]}) is not on the PATH; {_get(name, part)}" for name in absent]
        problems = [*missing, *problems, *([hindrance] if hindrance and part.connection.ssh else [])]
    if problems:
        raise ConvergeFailed(f"{part.host}: required programs are missing or too old", reasons=problems)


def _preparing(part: HostPart, facts: Facts) -> Iterator[Sh]:
    """What is installed into the system, in an order in which each finds what it needs."""
    steps = (packages.install(part, facts), drivers.verdict(part, facts).step, toolkit.verdict(part, facts).step)
    yield from (step for step in steps if step)


def _check_nvidia(part: HostPart, facts: Facts) -> None:
    """What was as it shall be and is not any more is drift, and what mends the rest goes on."""
    known = facts.manifest.part if facts.manifest else None
    if isinstance(known, HostPart) and (known.driver, known.toolkit) == (part.driver, part.toolkit):
        return
    if refusals := (*drivers.verdict(part, facts).refusals, *toolkit.verdict(part, facts).refusals):
        raise ConvergeFailed(f"{part.host} can't have NVIDIA's software", reasons=tuple(dict.fromkeys(refusals)))


def _check_gpus(part: HostPart, facts: Facts) -> None:
    """Where they were what they are said to be, and one broke since, the others and what mends them go on."""
    known = facts.manifest.part if facts.manifest else None
    if isinstance(known, HostPart) and known.gpus == part.gpus:
        return
    if untrue := _untrue_gpus(part, facts):
        raise ConvergeFailed(f"{part.host} has not the GPUs that the stack file says", reasons=(str(untrue),))


def _untrue_gpus(part: HostPart, facts: Facts) -> Check | None:
    """None also if the probe did not ask, because it was that of the part without them."""
    if part.gpus is None or "pci" not in facts.texts:
        return None
    found = graphics(facts.texts)
    check = devices_check(part.gpus, found) if drivers.is_awaited(part, facts) else gpus_check(part.gpus, found)
    return None if check.ok else check


def _too_old(tool: Tool, part: HostPart) -> str:
    found, lowest = version_of(tool.version), part.tools[tool.name]
    if is_at_least(found, lowest):
        return ""
    version = found or "without a version"
    return f"{tool.name} {version} at {tool.path} is too old, at least {lowest} is needed; {_get(tool.name, part)}"


def _get(name: str, part: HostPart) -> str:
    if name in packages.BY_HAND:
        return f"get it from {packages.BY_HAND[name]}"
    package = f"your system's package {packages.PACKAGES.get(name, name)}"
    setup = part.connection.ssh is None and name in ("haproxy", "supervisord")
    return f"get it from `make setup`, or {package}" if setup else f"get it from {package}"


def _check_docker(part: HostPart, facts: Facts) -> None:
    """It is started by its package and by systemd, so one that does not answer is a person's business."""
    if said := facts.texts.get("docker_error", "").strip():
        remedy = "`systemctl start docker` starts it; a user that is not root has to be in the group `docker`"
        raise ConvergeFailed(f"{part.host}: Docker does not answer", reasons=(*said.splitlines()[-3:], remedy))


def _check_socket_path(part: HostPart, places: Places) -> None:
    length = len(places.supervisor_socket.encode())
    if length > LONGEST_SOCKET_PATH:
        raise ConvergeFailed(
            f"{part.host}: the folder {places.state} has too long a name",
            reasons=(
                f"the supervisor's socket would have a path of {length} bytes, {LONGEST_SOCKET_PATH} are allowed; "
                "set ENGINEHOUSE_STATE to a shorter folder",
            ),
        )


def _files(part: HostPart, places: Places, facts: Facts, secrets: Mapping[str, Secret]) -> tuple[Placed, ...]:
    user = facts.texts.get("user", "").strip()
    text = render("supervisor/supervisord.conf.j2", stack=part.stack, host=part.host, folder=places.part, user=user)
    own = Placed(path=f"{places.part}/supervisord.conf", content=text, mode=PRIVATE)
    more = placed(part.files, places.part, {"state": places.state, "part": places.part}, secrets)
    start = (unit.start_script(part, places, facts),) if unit.possible(facts) else ()
    return (own, *start, *more, *watch.program(part, places))


def _folders(places: Places, facts: Facts, wrong: tuple[Placed, ...]) -> Iterator[Step]:
    if _wrong_folders(places, facts):
        yield Sh(title="making folders", script=scripts.make_folders(places.state, folders(places)))
    if facts.machine is None:
        yield Sh(title="giving the machine an id", script=scripts.write_machine_id(places.state))
    if wrong:
        yield Place(title="writing the files of supervisor and watchdog", files=wrong)


def _wrong_folders(places: Places, facts: Facts) -> dict[str, str]:
    """What is wrong with folders, by path, for those with which something is."""
    there = dict(line.split(" ", 1)[::-1] for line in facts.texts.get("folders", "").splitlines())
    modes = {folder: there.get(folder) for folder in folders(places)}
    return {
        folder: f"mode {mode}, not {_OURS_ALONE}" if mode else "missing on the machine"
        for folder, mode in modes.items()
        if (mode or "")[-3:] != _OURS_ALONE  # a set-group-id bit is inherited from the state folder
    }


def _supervisor(part: HostPart, places: Places, facts: Facts) -> Iterator[Step]:
    answers = _supervises(facts)
    if stray := [process.pid for process in (facts.orphans() if answers else facts.processes)]:
        lost = facts.supervisor is not None and not answers
        what = "a supervisor whose socket is gone" if lost else "programs whose supervisor is gone"
        yield Sh(
            title=f"stopping {what} ({len(stray)} processes)",
            script=scripts.end_processes(part.stack, stray),
            deadline_s=unit.STOP_S,
        )
    if not answers:
        yield StartSupervisor(title="starting the supervisor", script=_start(part, places, facts))


def _watchdog(part: HostPart, places: Places, facts: Facts, wrong: tuple[Placed, ...]) -> Iterator[Step]:
    """A supervisor that is started finds it among its programs; one that runs has to be told."""
    files = watch.program(part, places)
    if _supervises(facts) and (not _watches(part, facts) or set(files) & set(wrong)):
        yield StartProgram(title="starting the watchdog", program=WATCHDOG, file=files[-1], folders=())


def _supervises(facts: Facts) -> bool:
    """Whether the supervisor runs and can be talked to."""
    return facts.supervisor is not None and "socket" in facts.texts


def _watches(part: HostPart, facts: Facts) -> bool:
    return facts.running(f"{part.name}/{WATCHDOG}") is not None


def _start(part: HostPart, places: Places, facts: Facts) -> str:
    if unit.possible(facts):
        return scripts.start_unit(places, unit.name(part.stack, places.state))
    environment = {
        "HOME": facts.texts.get("home", "/"),
        "USER": facts.texts.get("user", "").strip(),
        "PATH": facts.texts.get("path", ""),
        "LANG": "C.UTF-8",
        "ENGINEHOUSE_STATE": places.state,
        "ENGINEHOUSE_PROGRAM": f"{part.stack}/{part.name}/{SUPERVISOR}",
    }
    return scripts.start_supervisor(places, facts.tools["supervisord"].path, environment)


def _meaning(stage: tuple[Step, ...], activate: tuple[Step, ...]) -> tuple[Effect, str]:
    if activate:
        return Effect.START, ", ".join(step.title for step in activate)
    if stage:
        return Effect.FILES, "folders and files are put right; what runs is not touched"
    return Effect.RECORD, "the supervisor runs on as it is"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split(".") if number)


def differences(part: HostPart, facts: Facts) -> dict[str, object]:
    """Inputs that differ on the machine."""
    if not _supervises(facts):
        return {"running": False}
    drift: dict[str, object] = {}
    if not _watches(part, facts):
        drift["watchdog"] = "does not run"
    places = Places.of(part, facts.state)
    if wrong := _wrong_folders(places, facts):
        drift["folders"] = wrong
    if untrue := _untrue_gpus(part, facts):
        drift["gpus"] = untrue.found
    for name, found in {"driver": drivers.verdict(part, facts), "toolkit": toolkit.verdict(part, facts)}.items():
        if found.wanting:
            drift[name] = found.wanting
    if fault := unit.difference(part, places, facts):
        drift["unit"] = fault
    if orphans := facts.orphans():
        drift["processes"] = {
            process.program: f"runs without the supervisor (process {process.pid})" for process in orphans
        }
    return {DRIFT: drift} if drift else {}


def leave(part: HostPart, facts: Facts) -> tuple[Step, ...]:
    """Stop the supervisor, which stops its programs, then what is left of the stack; remove the stack's folder."""
    places = Places.of(part, facts.state)
    supervisor = [facts.supervisor] if facts.supervisor else []
    others = [process.pid for process in facts.processes if process.pid not in supervisor]
    ends = [scripts.end_processes(part.stack, pids) for pids in (supervisor, others) if pids]
    stops = (Sh(title=f"stopping the programs of {part.stack}", script=end, deadline_s=unit.STOP_S) for end in ends)
    folder = Sh(title=f"removing {places.stack_folder}", script=scripts.remove(places.stack_folder))
    return (*packages.finish(part, facts), *unit.remove(part, places, facts), *stops, folder)


def stays(part: HostPart, facts: Facts) -> tuple[str, ...]:
    """What a destroy leaves, as sentences."""
    lock = f"{facts.state}/host stays: it holds the lock that all stacks of this machine share"
    return (lock, *drivers.stays(part), *toolkit.stays(part))
