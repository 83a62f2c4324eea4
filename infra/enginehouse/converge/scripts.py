"""Scripts that change something on a machine. Pure: texts in, text out; the shell functions are in `templates/host`."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping

from enginehouse.converge.journal import LARGEST_BYTES
from enginehouse.converge.places import SAVED_SERVERS, Places
from enginehouse.converge.steps import Placed
from enginehouse.planner.addresses import host_and_port
from enginehouse.render.templates import render

STALE = 76
"""The exit code of `finish` for a file that is wrong, maybe for what was there before: another try begins anew."""


def change(*commands: str) -> str:
    """`commands` in a script that stops at the first failure. Who runs it adds the lease's guard (`lease.mutating`)."""
    return "\n".join((render("host/change.sh"), *commands)) + "\n"


def place(
    files: Iterable[Placed], *, folders: Iterable[str] = (), then: Iterable[str] = ()
) -> tuple[str, Iterator[bytes]]:
    """The script that makes `folders`, puts `files` and goes on with `then`, and the stdin it reads them from."""
    contents = [(file, file.content.encode()) for file in files]
    commands = [f"mkdir -p {shlex.quote(folder)}" for folder in folders]
    commands += [f"put {file.mode:o} {len(data)} {shlex.quote(file.path)}" for file, data in contents]
    return change(*commands, *then), (data for _, data in contents)


def make_folders(state: str, folders: Iterable[str]) -> str:
    """The state folder, whose rights stay if it is there, and `folders` inside for their owner alone in any case."""
    quoted = " ".join(shlex.quote(folder) for folder in folders)
    return change(f"mkdir -p {shlex.quote(state)} {quoted}", f"chmod 700 {quoted}")


def write_machine_id(state: str) -> str:
    """An id of our own, for machines without /etc/machine-id; one that exists stays."""
    path = shlex.quote(f"{state}/host/machine-id")
    return change(f"[ -s {path} ] || tr -d - </proc/sys/kernel/random/uuid >{path}")


def point(link: str, target: str) -> str:
    """Make the symlink `link` mean `target`, at no moment nothing."""
    new = shlex.quote(f"{link}.new")
    return change(f"ln -sfn {shlex.quote(target)} {new}", f"mv -fT {new} {shlex.quote(link)}")


def start_supervisor(places: Places, program: str, environment: Mapping[str, str]) -> str:
    """Start supervisord with that environment and nothing of the caller's: no descriptor, no variable, no session.

    supervisord makes a session of its own, and its socket answers before this ends (supervisor 4.3.0, read 2026-11).
    It starts gateway and engines at once. The gateway shall use none of them before it has proved itself, so it is left
    no record of which ones it used.
    """
    folder = f"{places.stack_folder}/{places.host}"
    variables = " ".join(f"{name}={shlex.quote(value)}" for name, value in environment.items())
    closed = " ".join(f"{descriptor}>&-" for descriptor in range(3, 10))
    return change(
        _forget_supervisor(places),
        f"env -i {variables} {shlex.quote(program)} -c {shlex.quote(folder + '/supervisord.conf')} </dev/null {closed}",
    )


def start_unit(places: Places, unit: str) -> str:
    """The same by systemd's unit, which must be there."""
    return change(
        _forget_supervisor(places),
        "systemctl daemon-reload",
        f"systemctl reset-failed {unit} 2>/dev/null || :",
        f"systemctl restart {unit}",
        f"await_unit {unit} {shlex.quote(places.supervisor_socket)}",
    )


def install_unit(file: str, content: str, unit: str, first: Iterable[str]) -> str:
    """Do what comes `first`, write a unit of systemd, and let it be started at boot."""
    return change(
        *first,
        f"printf %s {shlex.quote(content)} >{file}.new",
        f"chmod 644 {file}.new",
        f"mv -f {file}.new {file}",
        "systemctl daemon-reload",
        f"systemctl enable -q {unit}",
    )


def remove_unit(file: str, unit: str) -> str:
    """Stop a unit with all that runs in it, and take it away; one that is not there is fine."""
    return change(
        f"systemctl disable -q --now {unit} 2>/dev/null || systemctl stop {unit} 2>/dev/null || :",
        f"rm -f {file} {file}.new",
        "systemctl daemon-reload",
        f"systemctl reset-failed {unit} 2>/dev/null || :",
    )


def install_packages(mark: str, wanted: Iterable[str]) -> str:
    """Install packages, each written as `PACKAGE:LOWEST_VERSION`. `mark` stands while that is not finished."""
    words = " ".join(shlex.quote(word) for word in wanted)
    return change(render("host/packages.sh"), f"install_packages {shlex.quote(mark)} {words}")


def install_nvidia(mark: str, commands: Iterable[str]) -> str:
    """`commands` of `nvidia.sh`. `mark` stands while packages are half installed."""
    names = ("probe", "gpus", "nvidia_facts", "packages", "nvidia")
    libraries = (render(f"host/{name}.sh") for name in names)
    return change(*libraries, f"begin_nvidia {shlex.quote(mark)}", *commands, "end_nvidia")


def end_processes(stack: str, pids: Iterable[int]) -> str:
    return change(f"end_processes {stack} {' '.join(map(str, pids))}")


def remove(*paths: str, then: Iterable[str] = ()) -> str:
    """Remove files and folders, and go on with `then`; what is not there is fine."""
    return change(f"rm -rf {' '.join(shlex.quote(path) for path in paths)}", *then)


def keep_releases(places: Places, names: Iterable[str]) -> str:
    """Remove every release folder that is not among `names`."""
    patterns = "|".join(shlex.quote(name) for name in names)
    return change(
        f"for folder in {shlex.quote(places.part)}/releases/*; do",
        f'    case ${{folder##*/}} in {patterns}) ;; *) rm -rf "$folder" ;; esac',
        "done",
    )


def keep_newest(folder: str, count: int) -> str:
    """The command that removes the oldest generations from a history."""
    return f"keep_newest {shlex.quote(folder)} {count}"


def note(places: Places, lines: Iterable[str]) -> Iterator[str]:
    """Commands that append to the stack's journal. What they serve never fails because of them."""
    for line in lines:
        yield f"note {shlex.quote(places.journal)} {LARGEST_BYTES} {shlex.quote(line)} 2>/dev/null || :"


def weights(*, file: str, sha256: str, record: str, commands: Iterable[str]) -> str:
    """`commands` with the functions of `weights.sh` for that file."""
    return change(
        f"file={shlex.quote(file)} sha256={sha256} record={shlex.quote(record)}",
        'mkdir -p "$(dirname "$record")"',
        render("host/weights.sh"),
        *commands,
    )


def unpack(*, file: str, sha256: str, folder: str, program: str, mark: str) -> str:
    """Make `folder` hold the executable `program` from the verified `file`, which is it or an archive with it.

    With `mark` shared libraries that it lacks are installed as `install_packages` does.
    """
    words = shlex.join((file, sha256, folder, program, mark))
    return change(render("host/packages.sh"), render("host/probe.sh"), render("host/unpack.sh"), f"unpack {words}")


def download(*, file: str, sha256: str, record: str, url: str) -> str:
    """Fetch weights from `url`, continuing a partial file, unless the right file is there."""
    fetch = f"present || bring {shlex.quote(url)}"
    return weights(file=file, sha256=sha256, record=record, commands=(fetch,))


def offer(*, file: str, address: str, peer: str, token: str) -> str:
    """Let the machine at `peer` take `file` once, by `token`. Its first line is port and size; it reads only."""
    words = f"file={shlex.quote(file)} address={shlex.quote(address)} token={token}"
    return change(words, render("host/offer.sh"), f"offer {shlex.quote(peer)}")


def copy(*, name: str, address: str, port: int, size: int, token: str, me: str) -> str:
    """The command of `weights.sh` that takes what the machine `name` offers to the address `me`; sets `before`."""
    url = f"http://{host_and_port(address, port)}/{token}"
    return shlex.join(("copy", str(size), url, me, name))


def _forget_supervisor(places: Places) -> str:
    """The command that removes its socket, and the record of which servers its gateway used."""
    return f"rm -f {shlex.quote(places.supervisor_socket)} {shlex.quote(places.stack_folder)}/*/{SAVED_SERVERS}"
