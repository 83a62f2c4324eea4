"""What the supervisor is given to run: a start script in the release, and a program file that names it. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping

import enginehouse.converge.scripts as scripts
from enginehouse.converge.facts import Facts, Tool
from enginehouse.converge.places import Places
from enginehouse.converge.steps import Placed, Sh
from enginehouse.engines.base import Args
from enginehouse.errors import ConvergeFailed
from enginehouse.planner.parts import File, Part
from enginehouse.render.symbols import Secret, fill
from enginehouse.render.templates import render

START = "start"
GREETING = "enginehouse: "
"""How each start of a program begins its log; the line ends with the process id, so a failure shows its own lines."""
_PROCESS = ", process "
PRIVATE = 0o600
_SCRIPT_STOP_S = 5


def words(program: str, args: Args) -> tuple[str, ...]:
    """The command line: long flags, a bare one for True, a repeated one for a tuple."""
    line = [program]
    for name, value in args.items():
        if isinstance(value, bool):
            line += [f"--{name}"] if value else []
        else:
            line += [word for one in ((value,) if isinstance(value, str) else value) for word in (f"--{name}", one)]
    return tuple(line)


def start_script(
    folder: str,
    mark: str,
    greeting: str,
    command: Iterable[str],
    env: Mapping[str, str],
    *,
    notices: bool = False,
    keys: str = "",
) -> Placed:
    """The script that becomes the program. Values of any kind are safe in it: every word is quoted for the shell.

    With `notices` the greeting goes where the program's stderr goes. `keys` is a file without which it does not start.
    """
    exports = [f"{name}={shlex.quote(value)}" for name, value in env.items()]
    line = shlex.join(command)
    text = render(
        "supervisor/start.sh.j2",
        mark=mark,
        greeting=greeting,
        notices=notices,
        exports=exports,
        keys=keys,
        command=line,
    )
    return Placed(path=f"{folder}/{START}", content=text, mode=PRIVATE)


def lines_of_start(log: str, pid: int | None = None) -> tuple[str, ...]:
    """What one start of a program said: the one with that process id, else the last that said anything.

    A program that crashes is started again at once, so a log may end with a start that has not said anything yet.
    """
    starts: list[tuple[str, list[str]]] = [("", [])]
    for line in log.splitlines():
        if line.startswith(GREETING):
            starts.append((line, []))
        elif line.strip():
            starts[-1][1].append(line)
    mine = [said for greeting, said in starts if pid and greeting.endswith(f"{_PROCESS}{pid}")]
    same = _without_process(starts[-1][0])
    spoken = mine or [said for greeting, said in starts if said and _without_process(greeting) == same]
    return tuple(spoken[-1]) if spoken else ()


def program_file(
    places: Places,
    program: str,
    *,
    folder: str,
    side: str,
    release: str,
    stop_signal: str,
    stop_s: int,
    notices: str = "",
    stops_as_group: bool = False,
    ends_first: bool = False,
) -> Placed:
    """The supervisor's file for a program whose start script is in `folder`.

    `notices` is stderr's own log, if any. `stops_as_group` sends the signal also to what the program has started.
    One that `ends_first` has ended before the others are told to, when the supervisor itself ends.
    """
    text = render(
        "supervisor/program.conf.j2",
        name=program,
        start=f"{folder}/{START}",
        folder=places.part,
        mark=f"{places.stack}/{places.name}/{side}",
        release=release,
        stop_signal=stop_signal,
        stop_s=stop_s,
        log=places.log(side),
        notices=notices,
        stops_as_group=stops_as_group,
        ends_first=ends_first,
    )
    return Placed(path=places.program_file(program), content=text, mode=PRIVATE)


def script_program(places: Places, name: str, text: str, words: Iterable[str], *, greeting: str) -> tuple[Placed, ...]:
    """A shell script of ours as a program of the part: script, start script, and the supervisor's program file.

    It and what it has started end at once (SIGKILL), so its next start has to finish what it was at.
    """
    folder = f"{places.part}/{name}"
    script = Placed(path=f"{folder}/{name}.sh", content=text, mode=PRIVATE)
    mark = f"{places.stack}/{places.name}/{name}"
    start = start_script(folder, mark, f"{GREETING}{greeting}", ("/bin/sh", script.path, *words), {})
    file = program_file(
        places,
        name,
        folder=folder,
        side=name,
        release="",
        stop_signal="KILL",
        stop_s=_SCRIPT_STOP_S,
        stops_as_group=True,
    )
    return script, start, file


def placed(
    files: Iterable[File], folder: str, symbols: Mapping[str, str], secrets: Mapping[str, Secret]
) -> tuple[Placed, ...]:
    """A part's files with everything filled in."""
    return tuple(
        Placed(path=f"{folder}/{file.path}", content=fill(file.content, symbols, secrets), mode=file.mode)
        for file in files
    )


def releases_on(facts: Facts, places: Places) -> set[str]:
    """Names of the release folders that hold a file."""
    start = places.release("")
    return {path.removeprefix(start).split("/")[0] for path in facts.files if path.startswith(start)}


def end_orphans(part: Part, facts: Facts) -> Iterator[Sh]:
    """What ends processes of the part that no supervisor looks after."""
    pids = [process.pid for process in facts.orphans() if process.program.startswith(f"{part.name}/")]
    if pids:
        title = f"stopping what runs of {part.name} without a supervisor ({len(pids)} processes)"
        yield Sh(title=title, script=scripts.end_processes(part.stack, pids))


def choose_tool(facts: Facts, name: str, host: str, wanted: str, fits: Callable[[Tool], bool]) -> Tool:
    """The program to run: the one that was used before while it is still the same file, else the one on the PATH.

    Raises `ConvergeFailed` that names what was found and what is wanted.
    """
    candidates = [tools[name] for tools in (facts.kept_tools, facts.tools) if name in tools]
    for tool in candidates:
        if fits(tool):
            return tool
    if not candidates:
        how = "`binary` in the stack file says where to get it from"
        raise ConvergeFailed(f"{host}: {name} is not on the PATH", reasons=(f"wanted: {wanted}", how))
    found = candidates[-1]
    said = found.version.strip().splitlines()
    raise ConvergeFailed(
        f"{host}: {name} is there, but in another version",
        reasons=(f"wanted: {wanted}", f"found: {found.path}, which says {said[0] if said else 'nothing'!r}"),
    )


def _without_process(greeting: str) -> str:
    """What all starts of one release have in common."""
    return greeting.rpartition(_PROCESS)[0]
