"""The job: everything that one of our stacks is on a machine, as data that any tool can be told. Pure.

It is read off a machine to which we brought a stack, so that all tools end in the same state. What only we keep there
beside it (manifests, history, journal) is no part of it.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import shlex
import tarfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any

STATE = "/var/lib/enginehouse"
UNITS = "/etc/systemd/system"
KEY = "key-of-the-fleet-benchmark"
MODEL = "tiny"
PORT = 8080
_BOOKS = re.compile(
    rf"{STATE[1:]}/(host|weights)\b|/(manifest\.json|events\.jsonl|owner\.json|history)$|/(history|log|run)/."
)
"""What we write down for ourselves, and what programs write."""
_FOR_PROGRAMS = re.compile(r"/(log|run)$")
_OWNER = "root:root"


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    path: str
    mode: str
    """As `stat -c %a` says it."""
    content: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a machine shall have. Paths are absolute; everything is root's."""

    folders: tuple[tuple[str, str], ...]
    """Path and mode, parents first."""
    files: tuple[File, ...]
    links: tuple[tuple[str, str], ...]
    """Path and target."""
    unit: str
    """Enabled and running. Its own file is among `files`."""
    engines: tuple[tuple[str, int], ...]
    """Each server at the gateway, `backend/server`, and its port on loopback."""
    socket: str
    """HAProxy's runtime socket."""

    @classmethod
    def of(cls, text: str) -> Job:
        given: dict[str, Any] = json.loads(text)
        given |= {name: tuple(map(tuple, given[name])) for name in ("folders", "links", "engines")}
        given["files"] = tuple(File(**file) for file in given["files"])
        return cls(**given)

    def text(self) -> str:
        return json.dumps(asdict(self))


def read_off(archive: bytes, unit: str) -> Job:
    """The job of a machine, from a tar of its state folder's stack and its unit."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        found = [(f"/{member.name}", member, _content(tar, member)) for member in tar if not _BOOKS.search(member.name)]
    files = tuple(
        File(path=path, mode=f"{member.mode:o}", content=content.decode())
        for path, member, content in found
        if member.isreg()
    )
    links = tuple((path, member.linkname) for path, member, _ in found if member.issym())
    needed = {
        str(folder)
        for path in (*(f.path for f in files), *(p for p, _ in links))
        for folder in PurePosixPath(path).parents
    }
    (watch,) = (file.content.split() for file in files if file.path.endswith("/watch"))
    gateway = f"{_stack_folder(files)}/{watch[4]}"
    return Job(
        folders=tuple(
            (path, f"{member.mode:o}")
            for path, member, _ in found
            if member.isdir() and (path in needed or _FOR_PROGRAMS.search(path))
        ),
        files=files,
        links=links,
        unit=unit,
        engines=((watch[5], int(watch[1])),),
        socket=f"{gateway}/run/admin.sock",
    )


def present(job: Job) -> str:
    """A script that ends well if folders, files and links are as they should be: three processes for all of them."""
    sums = "\n".join(f"{file.sha256}  {file.path}" for file in job.files)
    modes = [(path, mode) for path, mode in job.folders] + [(file.path, file.mode) for file in job.files]
    paths = shlex.join(path for path, _ in modes)
    rights = "\n".join(f"{mode} {_OWNER} {path}" for path, mode in modes)
    links = shlex.join(path for path, _ in job.links)
    targets = "\n".join(target for _, target in job.links)
    lines = [
        f"sha256sum --status --check <<'SUMS'\n{sums}\nSUMS\n[ $? = 0 ]",
        f"[ \"$(stat -c '%a %U:%G %n' {paths} 2>&1)\" = {shlex.quote(rights)} ]",
        *([f'[ "$(readlink {links})" = {shlex.quote(targets)} ]'] if job.links else []),
    ]
    return " && ".join(lines[1:] + lines[:1])


def running(job: Job) -> str:
    """A command that ends well if the unit is enabled and runs."""
    return f"systemctl -q is-enabled {job.unit} && systemctl -q is-active {job.unit}"


def proven(job: Job) -> str:
    """A command that ends well if it serves: a wrong key is refused, the models are listed, a completion comes."""
    asking = f"curl -q -s -m 10 -o /dev/null -w '%{{http_code}}' http://127.0.0.1:{PORT}"
    body = json.dumps({"model": MODEL, "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}]})
    key, typed = f"-H 'Authorization: Bearer {KEY}'", "-H 'Content-Type: application/json'"
    return (
        f'[ "$({asking}/v1/models)" = 401 ] && '
        f'[ "$({asking}/v1/models {key})" = 200 ] && '
        f'[ "$({asking}/v1/chat/completions {key} {typed} -d {shlex.quote(body)})" = 200 ]'
    )


def start(job: Job) -> str:
    """A script that starts the unit, waits for each engine, gives it its requests, and waits for the proof."""
    seats = "\n".join(
        f"until curl -q -s -f -m 2 -o /dev/null http://127.0.0.1:{port}/health; do sleep 0.1; done\n"
        f"until [ -S {job.socket} ] && echo 'set server {server} state ready' | socat - UNIX-CONNECT:{job.socket}\n"
        "do sleep 0.1; done"
        for server, port in job.engines
    )
    return (
        f"systemctl daemon-reload && systemctl -q enable --now {job.unit} || exit\n"
        f"{seats}\nuntil {proven(job)}; do sleep 0.1; done"
    )


def script(job: Job) -> str:
    """All of it as one script, as an engineer would write it: it looks, and does what is missing."""
    return f"""\
set -u
present() {{
{present(job)}
}}
if ! present; then
    base64 -d <<'TAR' | tar -x -z -p --same-owner -C / || exit
{base64.encodebytes(_tar(job)).decode().strip()}
TAR
    present || exit
fi
if ! {{ {running(job)} && {proven(job)}; }}; then
{start(job)}
fi
echo done
"""


def reset(job: Job) -> str:
    """A script that makes the machine bare again, behind everybody's back."""
    return f"""\
systemctl disable --now -q {job.unit} 2>/dev/null || :
rm -rf {STATE} {UNITS}/{job.unit}
systemctl daemon-reload
systemctl reset-failed -q {job.unit} 2>/dev/null || :
"""


def verdict(job: Job) -> str:
    """A script that prints the state of a machine as far as the job goes. Equal text, equal state."""
    paths = shlex.join([*(path for path, _ in job.folders), *(file.path for file in job.files)])
    files = shlex.join(file.path for file in job.files)
    links = shlex.join(path for path, _ in job.links)
    return f"""\
stat -c '%a %U:%G %n' {paths}
sha256sum {files}
{f"readlink {links}" if job.links else ":"}
systemctl is-enabled {job.unit}
systemctl is-active {job.unit}
grep -hszoa '^ENGINEHOUSE_PROGRAM=.*' /proc/[0-9]*/environ | tr '\\0' '\\n' | sort -u
{proven(job)} && echo serves
"""


def untouched(job: Job) -> str:
    """A script that prints what any change would change: times and inodes of the files, and the start of the unit."""
    paths = shlex.join([*(file.path for file in job.files), *(path for path, _ in job.links)])
    return f"stat -c '%Y %Z %i %n' {paths}; systemctl show -p MainPID -p ActiveEnterTimestampMonotonic {job.unit}"


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member) if member.isreg() else None
    return file.read() if file else b""


def _stack_folder(files: tuple[File, ...]) -> PurePosixPath:
    (conf,) = (PurePosixPath(file.path) for file in files if file.path.endswith("/supervisord.conf"))
    return conf.parent.parent


def _tar(job: Job) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for member, content in _members(job):
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def _members(job: Job) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    for path, mode in job.folders:
        member = tarfile.TarInfo(path.lstrip("/"))
        member.type, member.mode = tarfile.DIRTYPE, int(mode, 8)
        yield member, b""
    for file in job.files:
        member = tarfile.TarInfo(file.path.lstrip("/"))
        content = file.content.encode()
        member.mode, member.size = int(file.mode, 8), len(content)
        yield member, content
    for path, target in job.links:
        member = tarfile.TarInfo(path.lstrip("/"))
        member.type, member.linkname = tarfile.SYMTYPE, target
        yield member, b""
