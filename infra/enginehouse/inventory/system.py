"""Operating system, processor, memory, disk, clock: what the kernel and a few files say."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from enginehouse.inventory.answers import Values, number, pairs, said, version_in
from enginehouse.inventory.model import Cpu, Disk, Memory, Runtime, System, Systemd, User

_MODEL = ("model name", "Processor", "cpu model", "Hardware")
"""Where the kernel names the processor: x86, old ARM, MIPS, Raspberry Pi. ARM servers have none."""
_FLAGS = ("flags", "Features")
_DF_COLUMNS = 6
_PRIVILEGED = 1024
_BINDS = re.compile(r" (?:= )?[a-z_,]*\bcap_net_bind_service\b[a-z_,]*[=+][ip]*e")
"""What `getcap` says of a program that has the right from its start: with `+` before libcap 2.41, then with `=`."""
_SERVER = re.compile(r"^Server:.*?^\s+Version:\s+(?P<version>\S+)", re.MULTILINE | re.DOTALL)


def system(values: Values) -> System:
    release = {name: _unquoted(value) for name, value in pairs(values.get("os_release", ""), "=").items()}
    kernel, _, architecture = values.get("kernel", "").strip().partition(" ")
    return System(
        name=release.get("PRETTY_NAME") or release.get("NAME", ""),
        distribution=release.get("ID", ""),
        version=release.get("VERSION_ID", ""),
        kernel=kernel,
        architecture=architecture,
    )


def user(values: Values) -> User:
    """Kernels before 4.11 do not tell from which port on everybody may listen. HAProxy may have a right of its own."""
    root, lowest = number(values, "root") == 0, number(values, "lowest_port")
    everywhere = root or _BINDS.search(values.get("capabilities", ""))
    return User(
        name=values.get("user", "").strip(),
        root=root,
        lowest_port=0 if everywhere else _PRIVILEGED if lowest is None else lowest,
    )


def cpu(values: Values) -> Cpu:
    lines = pairs(values.get("cpu", ""), ":")
    return Cpu(
        model=next((lines[name] for name in _MODEL if name in lines), ""),
        threads=number(values, "threads") or 0,
        flags=tuple(next((lines[name] for name in _FLAGS if name in lines), "").split()),
        board=values.get("board", "").strip(),
    )


def memory(values: Values) -> Memory | None:
    """A kernel before 3.14 does not tell what is available."""
    kib = {name: int(text.split()[0]) for name, text in pairs(values.get("memory", ""), ":").items()}
    if "MemTotal" not in kib:
        return None
    return Memory(total_mib=kib["MemTotal"] >> 10, available_mib=kib.get("MemAvailable", 0) >> 10)


def disk(values: Values) -> Disk | None:
    return _disk(values["state"], values.get("disk", ""))


def images_disk(values: Values) -> Disk | None:
    return _disk(values.get("images", ""), values.get("images_disk", ""))


def _disk(folder: str, answer: str) -> Disk | None:
    """From POSIX' `df -Pk`, whose last line is about the folder; a mount point may hold blanks."""
    line = answer.strip().rpartition("\n")[2]
    cells = line.split(maxsplit=_DF_COLUMNS - 1)
    if len(cells) < _DF_COLUMNS or not (cells[1].isdigit() and cells[3].isdigit()):
        return None
    device, size, _, free, _, mount = cells
    return Disk(folder=folder, device=device, mount=mount, size_mib=int(size) >> 10, free_mib=int(free) >> 10)


def systemd(values: Values) -> Systemd | None:
    version, state = said(values, "systemd"), said(values, "systemd_state")
    if version is None or state is None:
        return None
    return Systemd(version=version_in(version.text), state=state.first_line() or "does not answer")


def secure_boot(values: Values) -> bool | None:
    """The variable is four bytes of attributes and one of value (UEFI 2.10, 3.3)."""
    numbers = values.get("secure_boot", "").split()
    return numbers[-1] == "1" if numbers else None


def runtimes(values: Values) -> tuple[Runtime, ...]:
    return tuple(_runtimes(values))


def _runtimes(values: Values) -> Iterator[Runtime]:
    for key in values:
        kind, _, name = key.partition(".")
        answer = said(values, key)
        if kind != "runtime" or answer is None:
            continue
        yield Runtime(name=name, version=version_in(answer.text), daemon=_daemon(values) if name == "docker" else "")


def _daemon(values: Values) -> str:
    """From `docker version`, which tells of itself first, and ends with why the daemon can't be asked."""
    answer = said(values, "docker_server")
    if answer is None or answer.code is None:
        return "does not answer"
    found = _SERVER.search(answer.text)
    return found["version"] if found else answer.text.strip().rpartition("\n")[2]


def stored(values: Values) -> dict[str, int]:
    """Bytes by path."""
    lines = (line.partition(" ") for line in values.get("sizes", "").splitlines())
    return {path: int(size) for size, _, path in lines}


def off_by(values: Values, asked_at: float, answered_at: float) -> int | None:
    """Seconds by which the machine's clock is ahead of ours, which said these times around the question."""
    told = number(values, "clock")
    if told is None:
        return None
    if told > answered_at:
        return round(told - answered_at)
    return round(min(0.0, told + 1 - asked_at))  # it tells whole seconds, so it may have been nearly one more


def _unquoted(value: str) -> str:
    """A value of os-release, which is written as for a shell."""
    try:
        return " ".join(shlex.split(value))
    except ValueError:
        return value.strip("\"'")
