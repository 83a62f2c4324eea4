"""The programs that Enginehouse needs on this machine, which versions will do, and how to get each."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType

from enginehouse.engines.base import Engine
from enginehouse.planner.plan import REQUIRED_TOOLS
from enginehouse.verbs.programs import Judge, Program, any_version, at_least, one_of

SETUP = "`make setup` in the clone of Enginehouse"
PULUMI_LOWEST = "3.200.0"
"""The oldest Pulumi CLI that is used as it is. `make setup` has the same rule; a test compares them."""
GO_LOWEST = "1.25"
"""What the pinned Pulumi release asks for (go.mod of 3.259.0, read 2026-11)."""

_LUA = "Built with Lua"
"""What `haproxy -vv` says when Lua is in it (measured 2026-11, HAProxy 2.6.12 and 2.8.25)."""
_ASK: Mapping[str, tuple[str, ...]] = MappingProxyType({"haproxy": ("-vv",)})
"""How a tool tells its version, where it is not `--version`."""
_PACKAGE: Mapping[str, str] = MappingProxyType({"flock": "util-linux", "go": "golang-go", "supervisord": "supervisor"})
"""Debian packages that are not called like their program."""
_FORMULA: Mapping[str, str] = MappingProxyType({"g++": "gcc", "supervisord": "supervisor"})
"""Homebrew formulae that are not called like their program."""


def programs(engines: Mapping[str, Engine]) -> Iterator[Program]:
    """Everything that has to be here before a stack can be brought up, in the order in which a report shows it."""
    yield _pulumi()
    yield Program(
        name="pulumi-language-python",
        ask=(),
        needed="beside pulumi or on PATH; official releases bring it",
        remedy=SETUP,
    )
    yield from (_tool(name, lowest) for name, lowest in REQUIRED_TOOLS.items())
    yield from (server(engine) for engine in engines.values())


def server(engine: Engine) -> Program:
    """An engine in one of the versions whose options are known."""
    return Program(
        name=engine.program,
        ask=engine.version_args,
        read=engine.installed_version,
        judge=one_of(engine.versions),
        needed=f"{engine.title} {' or '.join(engine.versions)}",
        remedy=SETUP,
    )


def builders(missing: Collection[str], engines: Mapping[str, Engine]) -> Iterator[Program]:
    """What `make setup` needs to build those of `programs` that are missing; nothing if none of them is ever built."""
    if "pulumi" in missing:
        needed = f"{GO_LOWEST} or newer, if no Pulumi release can be downloaded"
        yield _builder("go", needed, ask=("version",), judge=at_least(GO_LOWEST))
    if any(engine.program in missing for engine in engines.values()):
        yield _builder("cmake", "any, to build the engine")
        yield _builder("g++", "any, to build the engine")


def _pulumi() -> Program:
    return Program(
        name="pulumi",
        ask=("version",),
        judge=at_least(PULUMI_LOWEST),
        needed=f"{PULUMI_LOWEST} or newer",
        remedy=f"{SETUP}, or https://www.pulumi.com/docs/install/",
    )


def _tool(name: str, lowest: str) -> Program:
    lua = name == "haproxy"
    return Program(
        name=name,
        ask=_ASK.get(name, ("--version",)),
        judge=at_least(lowest, with_text=_LUA if lua else ""),
        needed=f"{lowest} or newer" + (", built with Lua" if lua else ""),
        remedy=f"{SETUP}, or {_install(name)}",
    )


def _builder(name: str, needed: str, *, ask: tuple[str, ...] = ("--version",), judge: Judge = any_version) -> Program:
    return Program(name=name, ask=ask, judge=judge, needed=needed, remedy=_install(name))


def _install(name: str) -> str:
    """The command of this machine's package manager; Debian's where there is none that is known."""
    if shutil.which("brew") and not shutil.which("apt-get"):
        return f"`brew install {_FORMULA.get(name, name)}`"
    return f"`sudo apt-get install {_PACKAGE.get(name, name)}`"
