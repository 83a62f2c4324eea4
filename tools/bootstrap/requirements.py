"""Writes requirements*.txt anew: every package pinned with the hashes of all its files."""

import tempfile
from pathlib import Path

from bootstrap import environments
from bootstrap.commands import run
from bootstrap.context import Context

COMPILER = "pip-tools==7.6.2"
FLAGS = (
    *("--quiet", "--upgrade", "--generate-hashes", "--strip-extras", "--allow-unsafe"),
    *("--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links", "--no-emit-trusted-host"),
)
PROJECT = "pyproject.toml"
FILES = (
    ("requirements.txt", "what a deployment needs", PROJECT, ()),
    ("requirements-dev.txt", "the same plus what tests and lint need", PROJECT, ("--extra", "dev")),
    ("requirements-bench.txt", "the tools that bench/fleet.py compares with", "bench/contest/requirements.in", ()),
)
"""File, what is in it, what it is made from, and how."""


def renew(context: Context) -> int:
    """Resolve the newest versions that the sources of `FILES` allow; the result is for review and commit."""
    with tempfile.TemporaryDirectory(prefix="enginehouse-requirements-") as work:
        python = environments.create(Path(work) / "venv", context)
        run((str(python), "-m", "pip", "install", COMPILER), log=context.log("requirements"))
        for name, content, source, options in FILES:
            with context.progress.step(name, why="takes one or two minutes: metadata of every candidate is read"):
                _compile(context, python, name, content, source, options)
    return 0


def _compile(context: Context, python: Path, name: str, content: str, source: str, options: tuple[str, ...]) -> None:
    file = context.places.root / name
    argv = (str(python), "-m", "piptools", "compile", *FLAGS, *options, "--output-file", str(file), source)
    run(argv, cwd=context.places.root, log=context.log("requirements"))
    head = f"# Every package pinned by hash: {content}. Written by `make requirements` from {source}.\n"
    file.write_text(head + file.read_text(encoding="utf-8"), encoding="utf-8")
