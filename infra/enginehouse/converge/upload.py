"""Weights from this side to a machine: hashed here, sent once, continued where an earlier try ended, checked there."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from enginehouse.converge import scripts
from enginehouse.converge.steps import Upload
from enginehouse.converge.turns import turn_at
from enginehouse.converge.work import Work
from enginehouse.errors import ConvergeFailed

CHUNK_BYTES = 1 << 20
SLOWEST_BYTES_PER_S = 100_000
"""A slower link is not worth waiting for: the deadline of an upload is its size at this speed, and a minute."""
CHECKING_S = 3600.0
"""Reading 100 GB from a slow disk."""
_OURS = ""
"""This side, where machines are told by their names."""


def upload(work: Work, step: Upload) -> None:
    """Bring the file. Raises `ConvergeFailed` before anything is sent if it is missing, wrong or too large."""
    source = work.context.uploads_from / step.source
    size = _checked_size(work, source, step.sha256)
    offset = _present(work, step, size)
    if offset is not None and not _sent(work, step, source, offset, size):
        work.tell("what was there before was wrong: once more, from the beginning")
        _sent(work, replace(step, free_mib=step.free_mib + (offset >> 20)), source, 0, size)


def _sent(work: Work, step: Upload, source: Path, offset: int, size: int) -> bool:
    """Send the rest and check the whole. False if it is wrong, maybe for what an earlier try left; it is gone then."""
    missing_mib = (size - offset) >> 20
    if missing_mib >= step.free_mib:
        raise ConvergeFailed(
            f"{work.connector.host}: the disk is too full for {source.name}",
            reasons=(f"needs {missing_mib} MiB more, has {step.free_mib} MiB free",),
        )
    work.do(
        "the upload",
        _script(step, 'cat >>"$file.part"'),
        stdin=_chunks(work, source, offset, size),
        deadline_s=60 + (size - offset) / SLOWEST_BYTES_PER_S,
    )
    check = _script(step, f"finish {offset}")
    return work.do("the check of the upload", check, deadline_s=CHECKING_S, expected=(0, scripts.STALE)).returncode == 0


def _checked_size(work: Work, source: Path, sha256: str) -> int:
    """The file's size, if it is there and the right one."""
    try:
        stat = source.stat()
        work.tell("checking our own copy")
        found = work.patiently(lambda: _digest(source, stat))
    except OSError as err:
        raise ConvergeFailed(f"can't read {source}", reasons=(err.strerror or "unknown error",)) from err
    if found != sha256:
        raise ConvergeFailed(
            f"{source} is not the file that the stack asks for",
            reasons=(f"its SHA-256 is {found}", f"the stack says {sha256}"),
        )
    return stat.st_size


def _digest(source: Path, stat: os.stat_result) -> str:
    """`_sha256`, by one thread for all machines that get the file."""
    with turn_at(_OURS, str(source)):
        return _sha256(source, stat.st_size, stat.st_mtime_ns, stat.st_ino)


@lru_cache(maxsize=64)
def _sha256(source: Path, size: int, mtime_ns: int, inode: int) -> str:
    """The file's digest; size, time and inode are there so that a changed file is read again."""
    with source.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _present(work: Work, step: Upload, size: int) -> int | None:
    """How many bytes an earlier upload left; None if the whole file is there already."""
    script = _script(step, 'if present; then echo complete; else size_of "$file.part"; fi')
    last = work.do("the look for an earlier upload", script, deadline_s=CHECKING_S).stdout.splitlines()[-1]
    if last == "complete":
        return None
    if int(last) <= size:
        return int(last)
    work.do("removing a partial file that is too long", _script(step, 'rm -f "$file.part"'))
    return 0


def _chunks(work: Work, source: Path, offset: int, size: int) -> Iterator[bytes]:
    done = offset
    with source.open("rb") as file:
        file.seek(offset)
        while chunk := file.read(CHUNK_BYTES):
            work.check()
            yield chunk
            done += len(chunk)
            work.tell_share(done, size)


def _script(step: Upload, command: str) -> str:
    return scripts.weights(file=step.target, sha256=step.sha256, record=step.record, commands=(command,))
