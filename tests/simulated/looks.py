"""What a probe sees of a simulated machine: each shell function of `templates/host/probe.sh`, by its name."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from urllib.parse import urlsplit

from tests.simulated.machine import STATE, Machine

Facts = Iterator[tuple[str, str]]


def facts(machine: Machine, script: str) -> str:
    """The answer to a probe."""
    inside = script.rpartition("facts() {\n")[2].partition("\n}\n")[0]
    found = [pair for line in inside.splitlines() for pair in _one(machine, line.replace('"$state"', STATE))]
    text = "".join(f"\0{key}\t{value}" for key, value in found)
    return f"facts\t{base64.b64encode(text.encode()).decode()}\n"


def kept(machine: Machine, script: str) -> str:
    """The answer to a look at a part's history."""
    inside = script.rpartition("find_state >/dev/null\n")[2].replace('"$state"', STATE)
    return "".join(f"\0{key}\t{value}" for line in inside.splitlines() for key, value in _one(machine, line))


def stat_of(machine: Machine, path: str) -> str:
    entry = machine.files.find(path)
    return f"{len(entry.content)} 1 {entry.inode}" if entry else ""


def _one(machine: Machine, line: str) -> Facts:
    if line.startswith("key "):
        head, _, command = line.partition("; ")
        yield head.removeprefix("key "), _value(machine, _words(command))
        return
    words = _words(line)
    yield from _LOOKS[words[0]](machine, *words[1:])


@lru_cache(maxsize=4096)
def _words(line: str) -> list[str]:
    return shlex.split(line)


def _value(machine: Machine, words: list[str]) -> str:
    match words:
        case ["id", *_]:
            return "ada\n"
        case ["printf", *_]:
            return "/home/ada"
        case ["readlink", path, *_]:
            return machine.files.links.get(path, "")
        case ["stat_of", path]:
            return stat_of(machine, path)
        case ["stat", _, _, *paths]:
            folders = machine.files.folders
            return "".join(f"{folders[path]:o} {path}\n" for path in paths if path in folders)
    raise AssertionError(f"the simulated probe does not know {words}")


def _find_state(machine: Machine) -> Facts:
    yield "state", STATE


def _machine(machine: Machine) -> Facts:
    yield "machine", f"{'m' * 32}\n"
    yield "memory_mib", str(machine.memory_mib)


def _test(machine: Machine, *words: str) -> Facts:
    """`[ ! -d PATH ] || yes NAME`, and with -S a socket, with -s a file that is not empty."""
    _, kind, path, _, _, _, name = words
    files = machine.files
    there = {"-d": files.has_folder(path), "-S": path in files.sockets, "-s": bool(files.read(path))}
    if there[kind]:
        yield name, "yes\n"


def _text_of(machine: Machine, key: str, path: str) -> Facts:
    text = machine.files.read(path)
    if text is not None:
        yield key, text


def _drained_in(machine: Machine, folder: str) -> Facts:
    for path, _ in machine.files.below(folder):
        part, _, name = path.removeprefix(f"{folder}/").partition("/")
        if name == "drained.json":
            yield from _text_of(machine, f"drained.{part}", path)


def _claims_in(machine: Machine, folder: str) -> Facts:
    found = ((path.removeprefix(f"{folder}/"), entry) for path, entry in machine.files.below(folder))
    claims = ((path.removesuffix("/claims"), entry.content) for path, entry in found if path.endswith("/claims"))
    yield "claims", "".join(f"{part}\t{line}\n" for part, content in claims for line in content.splitlines())


def _newest_generation(machine: Machine, folder: str) -> Facts:
    numbers = [int(name.removesuffix(".json")) for name in machine.files.names_in(folder) if name.endswith(".json")]
    if numbers:
        yield "newest_generation", f"{max(numbers)}\n"


def _each_of(machine: Machine, folder: str) -> Facts:
    numbers = sorted(int(n.removesuffix(".json")) for n in machine.files.names_in(folder) if n.endswith(".json"))
    for number in numbers:
        yield str(number), machine.files.read(f"{folder}/{number}.json") or ""


def _processes(machine: Machine, stack: str) -> Facts:
    lines = [
        f"{p.pid}\t{p.parent}\t{int(machine.clock.seconds - p.started)}\t{p.mark}\t{p.release}\n"
        for p in machine.processes.values()
        if p.mark.startswith(f"{stack}/") and p.state == STATE
    ]
    yield "processes", "".join(lines)


def _files_below(machine: Machine, *paths: str) -> Facts:
    apart = tuple(f"{paths[0]}/{name}/" for name in ("log", "run", "history"))
    found = [(path, entry) for path, entry in machine.files.below(*paths) if not path.startswith(apart)]
    digests = (f"{entry.sha256}  {path}\n" for path, entry in found)
    yield "files", "".join((*digests, *(f"mode {entry.mode:o} {path}\n" for path, entry in found)))


def _answer(machine: Machine, number: str) -> Facts:
    yield "", number


def _listeners(machine: Machine, *ports: str) -> Facts:
    found = [(port, p) for port in ports if (p := machine.listener(int(port)))]
    yield "listeners", "".join(f"{port}\t{p.pid}\t{p.command}\n" for port, p in found)


def _answers(machine: Machine, *urls: str) -> Facts:
    yield "health", "".join(f"{url} {_status(machine, url):03}\n" for url in urls)


def _status(machine: Machine, url: str) -> int:
    parts = urlsplit(url)
    answer = machine.dial(f"tcp:{parts.netloc}")
    said = answer(f"GET {parts.path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()) if answer else b""
    return int(said.split(b" ", 2)[1]) if said else 0


def _gateway_stats(machine: Machine, file: str) -> Facts:
    port = machine.files.read(file)
    if port is None:
        return
    answer = machine.dial(f"tcp:127.0.0.1:{port.strip()}")
    said = answer(b"GET /stats;csv HTTP/1.1\r\nHost: x\r\n\r\n") if answer else b""
    yield "stats", said.partition(b"\r\n\r\n")[2].decode()


def _tool(machine: Machine, cache: str, folder: str, name: str, *version_args: str) -> Facts:
    version = base64.b64encode(machine.versions[name].encode()).decode()
    yield f"tool.{name}", f"{name}\t/opt/{name}\t1 1 1\t{version}\n"


def _kept_tools(machine: Machine, cache: str) -> Facts:
    yield "kept_tools", machine.files.read(cache) or ""


def _disk(machine: Machine, folder: str) -> Facts:
    yield "disk_mib", "0" if machine.files.full else "1000"


_LOOKS: Mapping[str, Callable[..., Facts]] = {
    "answer": _answer,
    "find_state": _find_state,
    "machine": _machine,
    "system": lambda machine, stack: iter(()),
    "drop_ins": lambda machine, unit: iter(()),
    "[": _test,
    "text_of": _text_of,
    "drained_in": _drained_in,
    "claims_in": _claims_in,
    "other_host": lambda machine, folder, host: iter(()),
    "newest_generation": _newest_generation,
    "each_of": _each_of,
    "processes": _processes,
    "files_below": _files_below,
    "sockets": lambda machine, *ports: iter(()),
    "listeners": _listeners,
    "answers": _answers,
    "gateway_stats": _gateway_stats,
    "tool": _tool,
    "kept_tools": _kept_tools,
    "disk": _disk,
}
