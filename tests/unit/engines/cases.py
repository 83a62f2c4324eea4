"""Golden cases of engines: one deployment each, as it stands in a stack file, and the command line it gives."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import yaml

from enginehouse.engines.base import Args, Engine
from enginehouse.planner.codec import from_plain
from enginehouse.spec.model import Deployment, Model

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "engines"
WEIGHTS = "@{state}/weights/9f3b6a0f0d5f8c6f/model.gguf"
HOW_TO_ADD = (
    "add tests/golden/engines/{name}/CASE.yaml with a deployment as it stands below `deployments:` NAME, "
    "then run pytest with --update-golden, which writes CASE.argv beside it"
)


def deployment(engine: str = "llama-cpp", **changes: object) -> Deployment:
    """A valid deployment with `changes`."""
    model = Model(source="host:///srv/model.gguf", sha256="0" * 64, served_name="tiny")
    plain = Deployment(engine=engine, version="b11434", runs_on="laptop", model=model)
    return replace(plain, **changes)  # type: ignore[arg-type]


def cases(engine: str) -> tuple[Path, ...]:
    """The deployment files of an engine's golden cases, sorted."""
    return tuple(sorted((GOLDEN / engine).glob("*.yaml")))


def read(case: Path) -> Deployment:
    return from_plain(Deployment, yaml.safe_load(case.read_text()))


def argv(args: Args) -> tuple[str, ...]:
    """The words of a command line, without the program."""
    words: list[str] = []
    for flag, value in args.items():
        values = value if isinstance(value, tuple) else (value,)
        for item in values:
            words += [f"--{flag}"] if item is True else [f"--{flag}", str(item)]
    return tuple(words)


def argv_text(engine: Engine, case: Path) -> str:
    """The environment, then the command line with one flag per line, quoted as a shell would have it."""
    found = read(case)
    env = [f"{name}={shlex.quote(value)}" for name, value in sorted(engine.env(found).items())]
    lines = [shlex.join(argv({flag: value})) for flag, value in engine.args(found, WEIGHTS).items()]
    return "\n".join([*env, engine.program, *lines]) + "\n"
