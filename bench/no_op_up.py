"""A `pulumi up` with nothing to do, against a provider that does nothing, with the same resources on the same server.

    PYTHONPATH=infra:. python bench/no_op_up.py [--replicas 1 10 50] [--rounds 7]

Both stacks are deployed first; then the two take turns, so that a busy machine favours neither. The engines of the
real one are stand-ins, whose processes, ports and health are real: what is measured is the looking, not inference.
Prints one line for each size: resources, medians in seconds, ratio of the medians.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.converge.conftest import new_world
from tests.converge.harness import World
from tests.engine.project import REPOSITORY, Project
from tests.tools_available import require_tool

TARGET = 1.3
_LAUNCHER = """\
#!/bin/sh
export PYTHONPATH={repository}:{repository}/infra PATH={tools}:$PATH
export ENGINEHOUSE_STATE={state} ENGINEHOUSE_CACHE={state}/none
exec {python} -u {provider} "$@"
"""


@dataclass(kw_only=True)
class Side:
    """One of the two stacks, and how long its runs took."""

    name: str
    project: Project
    seconds: list[float]

    def up(self) -> str:
        began = time.perf_counter()
        output = self.project.up()
        self.seconds.append(time.perf_counter() - began)
        return output


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicas", type=int, nargs="+", default=[1, 10, 50])
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # a person's Python does not compile provider and program each time
    print(f"no-op `pulumi up`, {options.rounds} rounds in turns; target: at most {TARGET:g} x")
    for replicas in options.replicas:
        with _sides(replicas) as sides:
            print(_measured(sides, options.rounds), flush=True)


def _measured(sides: tuple[Side, Side], rounds: int) -> str:
    resources = len(sides[0].project.resources())
    for side in sides:
        _check_nothing_changes(side.up())
        side.seconds.clear()
    for _ in range(rounds):
        for side in sides:
            side.up()
    real, nothing = (statistics.median(side.seconds) for side in sides)
    spread = ", ".join(f"{side.name} {min(side.seconds):.2f}-{max(side.seconds):.2f}" for side in sides)
    return f"{resources:3} resources: {real:.2f} s against {nothing:.2f} s, ratio {real / nothing:.2f}  ({spread})"


def _check_nothing_changes(output: str) -> None:
    if any(word in output for word in ("created", "updated", "deleted")):
        sys.exit(f"this was to be a run with nothing to do:\n{output}")


@contextmanager
def _sides(replicas: int) -> Iterator[tuple[Side, Side]]:
    """Both stacks, deployed. The real one's files and processes are gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="eh-bench-"))
    with new_world(World) as world:
        try:
            real = _side("real", folder, "-m enginehouse.provider", world, replicas)
            nothing = _side("nothing", folder, str(Path(__file__).with_name("do_nothing_provider.py")), world, replicas)
            yield real, nothing
        finally:
            world.kill_all()
            shutil.rmtree(folder)


def _side(name: str, folder: Path, provider: str, world: World, replicas: int) -> Side:
    project = Project.create(folder / name, Path(require_tool("pulumi")))
    launcher = _LAUNCHER.format(
        repository=REPOSITORY, state=world.state, tools=world.tools, python=sys.executable, provider=provider
    )
    (project.root / "plugins" / "enginehouse" / "pulumi-resource-enginehouse").write_text(launcher)
    plain = yaml.safe_load(project.stack_file.read_text())
    plain["endpoint"]["port"] = world.port
    chat = plain["deployments"]["chat"]
    chat["replicas_per_host"] = replicas
    chat["model"]["source"] = f"host://{world.model}"
    chat["model"]["sha256"] = hashlib.sha256(world.model.read_bytes()).hexdigest()
    project.stack_file.write_text(yaml.safe_dump(plain))
    project.up()
    return Side(name=name, project=project, seconds=[])


if __name__ == "__main__":
    main()
