"""A program on this machine: where it is, which version it says it is, and whether that will do."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from enginehouse.report.doctor import Finding, Health

ASK_S = 15.0
"""After that a program counts as broken. The slowest, `pulumi version`, takes 0.2 s (measured 2026-11)."""
_VERSION = re.compile(r"\d+(?:\.\d+)+")

Judge: TypeAlias = Callable[[str, str], Health]
"""(version, output) to what they are worth."""


def first_version(output: str) -> str | None:
    """The first thing that looks like a version with at least two numbers."""
    found = _VERSION.search(output)
    return found.group() if found else None


def any_version(version: str, output: str) -> Health:
    """Whatever it says."""
    return Health.OK


def at_least(lowest: str, *, with_text: str = "") -> Judge:
    """The version is `lowest` or newer, and the output says `with_text`."""

    def judge(version: str, output: str) -> Health:
        if numbers(version) < numbers(lowest):
            return Health.OLD
        return Health.OK if with_text in output else Health.WRONG

    return judge


def one_of(versions: Collection[str]) -> Judge:
    """Exactly one of these."""
    return lambda version, output: Health.OK if version in versions else Health.WRONG


def numbers(version: str) -> tuple[int, ...]:
    """`2.10.1` as numbers, so that it is newer than `2.9`."""
    return tuple(int(number) for number in version.split("."))


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """Something that is found on PATH."""

    name: str
    ask: tuple[str, ...]
    """Words that make it print its version. Empty: being there is enough, and nothing is run."""
    read: Callable[[str], str | None] = first_version
    """From that output to the version; None if it can't be read."""
    judge: Judge = any_version
    needed: str
    remedy: str


def look(program: Program, environ: Mapping[str, str]) -> Finding:
    """Find the program on `environ`'s PATH, ask it for its version, judge the answer."""
    place = shutil.which(program.name, path=environ["PATH"])
    if place is None:
        return _finding(program, Health.MISSING)
    where = str(Path(place).resolve())
    if not program.ask:
        return _finding(program, Health.OK, where=where)
    output = _ask((place, *program.ask), environ)
    version = program.read(output)
    health = Health.WRONG if version is None else program.judge(version, output)
    return _finding(program, health, version=version or "", where=where)


def _finding(program: Program, health: Health, *, version: str = "", where: str = "") -> Finding:
    return Finding(
        name=program.name, health=health, version=version, where=where, needed=program.needed, remedy=program.remedy
    )


def _ask(argv: tuple[str, ...], environ: Mapping[str, str]) -> str:
    """What it prints on both streams; empty if it can't be run or hangs."""
    try:
        done = subprocess.run(
            argv,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=ASK_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace")
