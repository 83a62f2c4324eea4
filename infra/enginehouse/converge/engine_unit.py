"""An engine in a unit of systemd of its own: what the supervisor is given to run instead of the engine itself. Pure.

As with a container (`containers`), the start script is the only thing that knows of systemd: it ends with the unit, and
the unit with it, and the unit's processes carry a mark of their own. Why it is done like this:
docs/design/0009-engines-in-units.md.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

import enginehouse.converge.drop_ins as drop_ins
import enginehouse.converge.engine_keys as engine_keys
import enginehouse.converge.memory_limit as memory_limit
import enginehouse.converge.scripts as scripts
from enginehouse.converge.facts import Facts
from enginehouse.converge.places import UNIT, Places
from enginehouse.converge.programs import PRIVATE, START
from enginehouse.converge.steps import Placed, Sh
from enginehouse.converge.weights import program_folder
from enginehouse.planner.parts import SYSTEMD_RUN, ReplicaPart, Side
from enginehouse.render.symbols import fill
from enginehouse.render.templates import render

CREDENTIAL = "keys"
"""What systemd calls the file with the engine's keys, which it gives to the unit's user alone (since 247)."""
ENVIRONMENT = "environment"
"""The file with an engine's variables, in its release: properties of a unit can be read by every user."""
END_S = 5
"""From SIGTERM to SIGKILL, as for an engine without a unit."""
RUNTIME = "/run"
"""Where root's files are that a unit sees, too, and that no reboot survives."""
HIDDEN = ("/home/", "/root/", "/run/user/", "/tmp/", "/var/tmp/")
"""Where the engine sees nothing but what it is shown."""
PROPERTIES = (
    "DynamicUser=yes",
    "UMask=0077",
    "CapabilityBoundingSet=",
    "NoNewPrivileges=yes",
    "ProtectSystem=strict",
    "ProtectHome=tmpfs",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "ProtectControlGroups=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "LockPersonality=yes",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "SystemCallErrorNumber=EPERM",
    f"TimeoutStopSec={END_S}",
)
"""All of them are known to systemd 241: `systemd-run` refuses a name that it does not know."""
_IN_WORD, _IN_FILE = re.compile(r'["\\]'), re.compile(r'["\\`$]')
"""What is special in double quotes: in a property, and in a file with variables (systemd.exec(5), EnvironmentFile=)."""


def start_script(
    part: ReplicaPart,
    places: Places,
    side: Side,
    *,
    release: str,
    weights: str,
    greeting: str,
    command: Sequence[str],
    env: Mapping[str, str],
) -> tuple[Placed, ...]:
    """The script that runs an engine in a unit for as long as it runs itself, and the file with its variables."""
    folder = places.release(f"{release}-{side}")
    mark = f"{part.stack}/{part.name}/{side}"
    start = f"{folder}/{START}"
    ours = _ours(part, places, weights)
    properties = (
        *PROPERTIES,
        f"EnvironmentFile={folder}/{ENVIRONMENT}",
        f"TemporaryFileSystem={_quoted(f'{places.state}:ro')}",
        # What root runs after the engine has the engine's view of the machine: the script is there for it.
        *(f"BindReadOnlyPaths={_quoted(path)}" for path in (*_seen(ours, weights, command[0]), start)),
        *_limit(part),
        f"ExecStopPost=+/bin/sh {_quoted(start)} ended",
    )
    unit = name(part.stack, part.name, side, places.state)
    keys = engine_keys.file(places, release, side) if engine_keys.asks(part) else ""
    if keys:
        properties += (f"LoadCredential={CREDENTIAL}:{keys}",)
    run = (
        *(SYSTEMD_RUN, "--quiet", "--wait", "--pipe", "--collect", f"--unit={unit}", f"--description={mark}"),
        *(f"--property={text}" for text in properties),
        # systemd replaces variables in what it runs.
        *("--", command[0], *(word.replace("$", "$$") for word in command[1:])),
    )
    text = render(
        "systemd/engine.sh.j2",
        mark=mark,
        unit=unit,
        ended=f"{RUNTIME}/{unit}.ended",
        greeting=greeting,
        keys=keys,
        ours=shlex.join(ours),
        theirs=weights if weights not in ours else "",
        folders=() if weights.startswith(HIDDEN) else _folders(weights),
        limit=part.memory_limit_mib,
        out_of_memory=memory_limit.function(part, places) if part.memory_limit_mib else "",
        cgroups=memory_limit.CGROUPS,
        own_cgroup=memory_limit.OWN_CGROUP,
        run=shlex.join(run),
    )
    marks = {"ENGINEHOUSE_STATE": places.state, "ENGINEHOUSE_PROGRAM": f"{mark}{UNIT}", "ENGINEHOUSE_RELEASE": release}
    variables = "".join(f"{name}={_quoted(value, _IN_FILE)}\n" for name, value in {**marks, **env}.items())
    return (
        Placed(path=f"{folder}/{ENVIRONMENT}", content=variables, mode=PRIVATE),
        Placed(path=start, content=text, mode=PRIVATE),
    )


def key_file(part: ReplicaPart, side: Side, state: str) -> str:
    """Where the engine finds its keys."""
    return f"{RUNTIME}/credentials/{name(part.stack, part.name, side, state)}/{CREDENTIAL}"


def name(stack: str, part: str, side: Side, state: str) -> str:
    """The unit of an engine: no stack's own is called so, nor that of a stack in another state folder."""
    return f"enginehouse-{stack}_{part}_{side}-{hashlib.sha256(state.encode()).hexdigest()[:8]}.service"


def altered(part: ReplicaPart, facts: Facts, side: Side | None) -> str:
    """What somebody changed of that side's unit, by the files that hold it; empty if nothing."""
    rows = (line.split(" ", 1) for line in facts.texts.get("altered", "").splitlines())
    files = [file for found, file in rows if found == side]
    return ", ".join((*files, *(_drop_ins(part, facts, side) if side else ())))


def set_aside(part: ReplicaPart, facts: Facts) -> Iterator[Sh]:
    """What keeps files of others from changing the engine's units, before one of them starts."""
    if found := [path for side in Side for path in _drop_ins(part, facts, side)]:
        script = scripts.change(*drop_ins.set_aside(found), "systemctl daemon-reload")
        yield Sh(title=drop_ins.title(found), script=script)


def _drop_ins(part: ReplicaPart, facts: Facts, side: Side) -> tuple[str, ...]:
    return drop_ins.of(name(part.stack, part.name, side, facts.state), facts)


def _ours(part: ReplicaPart, places: Places, weights: str) -> tuple[str, ...]:
    """What the engine needs of the state folder."""
    program = fill(program_folder(part.binary), {"state": places.state}, {}) if part.binary else ""
    return tuple(path for path in (weights, program) if path.startswith(f"{places.state}/"))


def _seen(ours: tuple[str, ...], weights: str, program: str) -> Iterator[str]:
    """What is there although its folder is hidden."""
    yield from dict.fromkeys((*ours, weights))
    if program.startswith(HIDDEN) and not program.startswith(ours):
        yield program.rpartition("/")[0]


def _folders(path: str) -> tuple[str, ...]:
    """Those on the way to it. Where its folder is hidden, systemd makes new ones that let everybody through."""
    return tuple(map(str, reversed(PurePosixPath(path).parents[:-1])))


def _limit(part: ReplicaPart) -> Iterator[str]:
    if part.memory_limit_mib:
        yield f"MemoryMax={part.memory_limit_mib}M"
        yield "MemorySwapMax=0"


def _quoted(text: str, special: re.Pattern[str] = _IN_WORD) -> str:
    """One word in double quotes."""
    return '"' + special.sub(r"\\\g<0>", text) + '"'
