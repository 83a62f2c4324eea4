"""Runs converge's scripts on a simulated machine, one command after the other.

The shell functions of `templates/host` are known by name, and a handful of commands as they are written in
`converge.scripts`; anything else is an error that shows it. So a script is what it says, and can end between any two of
its commands.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatch
from functools import cache, lru_cache

from enginehouse.connectors.base import Result
from enginehouse.converge.lease import LEASE_LOST
from enginehouse.converge.scripts import STALE
from enginehouse.render.templates import render
from tests.simulated import haproxy, looks
from tests.simulated.files import Full
from tests.simulated.machine import Machine

LIBRARIES = ("change", "idle", "probe", "weights")
_GUARD = re.compile(r"exec 8<>\S+ && flock -s 8 \|\| exit\ncase \$\(head -n 1 (\S+) 2>/dev/null\) in (.*?)\*\) ;; .*\n")
_RELEASES = re.compile(r"for folder in (\S+)/\*; do\n +case \$\{folder##\*/\} in (.*)\) ;; .*\ndone\n")


class Ended(Exception):
    """The script ends here."""

    def __init__(self, code: int, said: str = "") -> None:
        self.code = code
        self.said = said
        super().__init__(said)


def run(machine: Machine, script: str, stdin: Iterable[bytes]) -> Result:
    """What the script leaves when it has run to its end."""
    if "facts | base64 -w 0" in script:
        return Result(returncode=0, stdout=looks.facts(machine, script), stderr="")
    if "find_state >/dev/null" in script:
        return Result(returncode=0, stdout=looks.kept(machine, script), stderr="")
    shell = _Shell(machine, stdin)
    try:
        shell.run(script)
    except Ended as end:
        return Result(returncode=end.code, stdout="\n".join(shell.said), stderr=end.said)
    except Full as full:
        return Result(returncode=1, stdout="", stderr=f"{full}: No space left on device")
    return Result(returncode=0, stdout="\n".join(shell.said), stderr="")


class _Shell:
    def __init__(self, machine: Machine, stdin: Iterable[bytes]) -> None:
        self.machine = machine
        self.files = machine.files
        self.stdin = stdin
        self.said: list[str] = []
        self.variables: dict[str, str] = {}
        self._read: bytes | None = None

    def run(self, script: str) -> None:
        script = self._guarded(script)
        for text in _libraries():
            script = script.replace(text, "")
        if found := _RELEASES.search(script):
            self._keep_releases(found[1], found[2])
            script = script.replace(found[0], "")
        for line in _lines(script):
            self._one(line)

    def take(self, size: int | None = None) -> str:
        """So many bytes of stdin, or all."""
        if self._read is None:
            self._read = b"".join(self.stdin)
        size = len(self._read) if size is None else size
        taken, self._read = self._read[:size], self._read[size:]
        return taken.decode()

    def _guarded(self, script: str) -> str:
        """The script behind the lease's guard, which ends it if the note is another run's."""
        found = _GUARD.match(script)
        if found is None:
            return script
        note, mine = self.files.read(found[1]) or "", shlex.split(found[2])[0]
        if not note.startswith(mine):
            raise Ended(LEASE_LOST, "the lease of this machine is no longer held by this run")
        return script[found.end() :]

    def _keep_releases(self, folder: str, patterns: str) -> None:
        kept = {shlex.split(pattern)[0] for pattern in patterns.split("|")}
        for name in set(self.files.names_in(folder)) - kept:
            self.files.remove(f"{folder}/{name}")
            self.machine.effect(f"release {name} is removed")

    def _one(self, line: str) -> None:
        for pattern, command in _SHAPES.items():
            if found := re.fullmatch(pattern, line):
                command(self, *found.groups())
                return
        words = _words(line)
        if words[0] not in _COMMANDS:
            raise AssertionError(f"the simulated shell does not know {line!r}")
        _COMMANDS[words[0]](self, *words[1:])


def _put(shell: _Shell, mode: str, size: str, path: str) -> None:
    files = shell.files
    files.make_folder(path.rpartition("/")[0])
    content = shell.take(int(size))
    files.write(f"{path}.new", content, int(mode, 8))
    shell.machine.effect(f"{path}.new is written")
    files.move(f"{path}.new", path)
    shell.machine.effect(f"{path} is placed")


def _mkdir(shell: _Shell, option: str, *paths: str) -> None:
    for path in paths:
        shell.files.make_folder(path)
        shell.machine.effect(f"{path} is made")


def _chmod(shell: _Shell, mode: str, *paths: str) -> None:
    for path in paths:
        shell.files.folders[path] = int(mode, 8)


def _rm(shell: _Shell, option: str, *paths: str) -> None:
    for path in (found for pattern in paths for found in _expanded(shell, pattern)):
        shell.files.remove(path)
        shell.machine.effect(f"{path} is removed")


def _expanded(shell: _Shell, pattern: str) -> list[str]:
    if "*" not in pattern:
        return [pattern]
    return [path for path, _ in shell.files.below(pattern.partition("/*")[0]) if fnmatch(path, pattern)]


def _ln(shell: _Shell, option: str, target: str, link: str) -> None:
    shell.files.links[link] = target


def _mv(shell: _Shell, option: str, source: str, target: str) -> None:
    shell.files.move(source, target)
    shell.machine.effect(f"{target} is moved")


def _keep_newest(shell: _Shell, folder: str, count: str) -> None:
    names = sorted(shell.files.names_in(folder), key=lambda name: int(name.partition(".")[0]), reverse=True)
    for name in names[int(count) :]:
        shell.files.remove(f"{folder}/{name}")


def _note(shell: _Shell, file: str, largest: str, line: str, *rest: str) -> None:
    if shell.files.has_folder(file.rpartition("/")[0]) and not shell.files.full:
        shell.files.append(file, f"{line}\n")
        shell.machine.effect("the journal is written")


def _env(shell: _Shell, *words: str) -> None:
    variables = dict(word.split("=", 1) for word in words if "=" in word)
    config = words[words.index("-c") + 1]
    if not shell.machine.start_supervisor(config.rpartition("/")[0], variables["ENGINEHOUSE_PROGRAM"]):
        raise Ended(2, "Error: The directory named as part of the path does not exist")
    shell.machine.effect("the supervisor starts")


def _end_processes(shell: _Shell, stack: str, *pids: str) -> None:
    processes = shell.machine.processes
    ours = [int(pid) for pid in pids if int(pid) in processes and processes[int(pid)].mark.startswith(f"{stack}/")]
    shell.machine.terminate(ours)
    shell.machine.effect(f"{len(ours)} processes are ended")


def _check_haproxy(shell: _Shell, path: str) -> None:
    if haproxy.read(shell.machine, path) is None:
        raise Ended(1, "Fatal errors found in configuration.")


def _set_variables(shell: _Shell, line: str) -> None:
    shell.variables |= dict(word.split("=", 1) for word in _words(line))
    shell.files.make_folder(shell.variables["record"].rpartition("/")[0])


def _look_for_upload(shell: _Shell) -> None:
    if _present(shell):
        shell.said.append("complete")
    else:
        part = shell.files.find(f"{shell.variables['file']}.part")
        shell.said.append(str(len(part.content) if part else 0))


def _present(shell: _Shell) -> bool:
    file = shell.variables["file"]
    entry = shell.files.find(file)
    if entry is None:
        return False
    if entry.sha256 == shell.variables["sha256"]:
        _keep(shell)
        return True
    shell.files.remove(file)
    shell.files.remove(shell.variables["record"])
    shell.machine.effect("weights that are not right are removed")
    return False


def _keep(shell: _Shell) -> None:
    file, record = shell.variables["file"], shell.variables["record"]
    shell.files.write(record, f"{shell.variables['sha256']} {looks.stat_of(shell.machine, file)}\n")
    shell.machine.effect("weights are verified")


def _append_part(shell: _Shell) -> None:
    part = f"{shell.variables['file']}.part"
    shell.files.append(part, shell.take())
    shell.machine.effect("weights have arrived")


def _finish(shell: _Shell, before: str) -> None:
    file = shell.variables["file"]
    part = shell.files.find(f"{file}.part")
    if part is None or part.sha256 != shell.variables["sha256"]:
        shell.files.remove(f"{file}.part")
        raise Ended(
            1 if before == "0" else STALE, "the file's SHA-256 is not as expected; the partial file was removed"
        )
    shell.files.move(f"{file}.part", file)
    shell.machine.effect("weights get their name")
    _keep(shell)


def _remove_part(shell: _Shell) -> None:
    shell.files.remove(f"{shell.variables['file']}.part")


def _wait_idle(shell: _Shell, port: str, within_s: str) -> None:
    """Nobody of ours leaves a request behind; two looks all the same."""
    shell.machine.clock.advance(0.2)


def _machine_id(shell: _Shell, path: str) -> None:
    if shell.files.read(path) is None:
        shell.files.write(path, "m" * 32)


def _show(shell: _Shell, path: str) -> None:
    shell.said.append(shell.files.read(path) or "")


_SHAPES: Mapping[str, Callable[..., None]] = {
    r"\[ -s (\S+) \] \|\| tr .*": _machine_id,
    r"cat (\S+/machine-id)": _show,
    r"tail -n \d+ (\S+) 2>/dev/null": _show,
    r"\S*haproxy -c -f (\S+)": _check_haproxy,
    r"(file=.*)": _set_variables,
    r'mkdir -p "\$\(dirname "\$record"\)"': lambda shell: None,
    r"if present; then echo complete; .*": _look_for_upload,
    r'cat >>"\$file.part"': _append_part,
    r'rm -f "\$file.part"': _remove_part,
    r"finish (\d+)": _finish,
}
_COMMANDS: Mapping[str, Callable[..., None]] = {
    "put": _put,
    "mkdir": _mkdir,
    "chmod": _chmod,
    "rm": _rm,
    "ln": _ln,
    "mv": _mv,
    "keep_newest": _keep_newest,
    "note": _note,
    "env": _env,
    "end_processes": _end_processes,
    "wait_idle": _wait_idle,
}


@lru_cache(maxsize=4096)
def _words(line: str) -> list[str]:
    return shlex.split(line)


@cache
def _libraries() -> tuple[str, ...]:
    return tuple(render(f"host/{name}.sh") for name in LIBRARIES)


def _lines(script: str) -> list[str]:
    return [line.strip() for line in script.splitlines() if line.strip()]
