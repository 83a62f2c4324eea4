"""`enginehouse doctor`: what this machine has, what it lacks, and how to get it; and whether stacks have a place.

Programs only tell their version.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from enginehouse.connectors.environment import cache_folder, script_environment
from enginehouse.engines import engines
from enginehouse.errors import ExitCode
from enginehouse.report.doctor import Finding, Health, doctor_plain, doctor_text
from enginehouse.report.lines import json_lines
from enginehouse.verbs import Answer, Format
from enginehouse.verbs.fitness import fitness
from enginehouse.verbs.machines import AT_ONCE, looking
from enginehouse.verbs.needs import SETUP, builders, programs
from enginehouse.verbs.plans import planned
from enginehouse.verbs.programs import look, numbers
from enginehouse.verbs.stacks import stack_file

PYTHON = "3.11"
PACKAGES = (
    "pulumi",
    "grpcio",
    "protobuf",
    "pyyaml",
    "jsonschema",
    "jinja2",
    "fabric",
    "paramiko",
    "cryptography",
    "rich",
)
"""What the package depends on; a test compares it with pyproject.toml."""
FREE_GIB = 5
"""Room for what `make setup` builds, and a small model."""
_GIB = 1024**3


def doctor(stacks: Sequence[str], output: Format, progress: Callable[[str], None]) -> Answer:
    """Everything that is needed here and on the machines of `stacks`. Code `DIFFERS` if something is missing or wrong.

    Raises `SpecError` if a stack can't be used.
    """
    plans = [(planned(stack), stack_file(stack).parent) for stack in stacks]
    with ThreadPoolExecutor(AT_ONCE) as pool, looking("doctor", progress, *stacks) as context:
        findings = (*_machine(), *(found for made, folder in plans for found in fitness(made, folder, context, pool)))
    code = ExitCode.OK if all(f.health.is_good() for f in findings) else ExitCode.DIFFERS
    if output is Format.JSON:
        return Answer(lines=json_lines(doctor_plain(findings)), code=code)
    return Answer(lines=doctor_text(findings), code=code)


def _machine() -> Iterator[Finding]:
    yield _python()
    yield _packages()
    yield from _programs(script_environment(os.environ))
    yield _disk(cache_folder(os.environ))


def _programs(environ: Mapping[str, str]) -> Iterator[Finding]:
    """What is needed, then, only if something has to be built, what builds it."""
    search = {**environ, "PATH": _with_neighbours(environ["PATH"])}
    found = [look(program, search) for program in programs(engines())]
    missing = frozenset(f.name for f in found if not f.health.is_good())
    yield from found
    yield from (look(builder, search) for builder in builders(missing, engines()))


def _with_neighbours(path: str) -> str:
    """PATH and the folder of the Pulumi CLI, where it finds its language host, too (measured 2026-11, 3.259.0)."""
    pulumi = shutil.which("pulumi", path=path)
    return f"{path}:{Path(pulumi).resolve().parent}" if pulumi else path


def _python() -> Finding:
    found = platform.python_version()
    return Finding(
        name="python",
        health=Health.OK if numbers(found) >= numbers(PYTHON) else Health.OLD,
        version=found,
        where=sys.executable,
        needed=f"{PYTHON} or newer",
        remedy=f"install it, then {SETUP}",
    )


def _packages() -> Finding:
    missing = [name for name in PACKAGES if not _is_installed(name)]
    return Finding(
        name="python packages",
        health=Health.MISSING if missing else Health.OK,
        version=f"{len(PACKAGES) - len(missing)} of {len(PACKAGES)}",
        where=sys.prefix,
        needed=", ".join(missing or PACKAGES),
        remedy=SETUP,
    )


def _is_installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def _disk(cache: Path) -> Finding:
    existing = next(folder for folder in (cache, *cache.parents) if folder.is_dir())
    free = shutil.disk_usage(existing).free / _GIB
    return Finding(
        name="cache",
        health=Health.OK if free >= FREE_GIB else Health.WRONG,
        version=f"{free:.1f} GiB free",
        where=str(cache),
        needed=f"{FREE_GIB} GiB free",
        remedy="make room, or set ENGINEHOUSE_CACHE to a folder on a larger disk",
    )
