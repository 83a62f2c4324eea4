"""Plays preview, a swap under load, and a rollback on a real deployment, and writes docs/session.svg.

    make recording

The deployment is a copy of this clone in a folder of its own with a state folder of its own, removed afterwards.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from recording.svg import animated
from recording.terminal import COLUMNS, ROWS, Frame, Terminal
from tests.converge.conftest import PORTS
from tests.e2e.deployment import POISON, Deployment, create
from tests.tools_available import find_tool

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "docs" / "session.svg"
STACK = "laptop"
PROMPT = "$ "
READY = f"\x1b[?2004h{PROMPT}".encode()
"""bash waits for a line: it has switched bracketed paste on."""
LETTER_S = 0.03
SESSION = (
    "sed -i 's/context_tokens: 2048/context_tokens: 4096/' stacks/laptop.yaml",
    "pulumi preview -s laptop",
    "load 4 &   # four clients, two of them streaming",
    "pulumi up -s laptop --skip-preview --yes",
    "kill -INT %1; wait",
    "enginehouse rollback laptop",
    "enginehouse history laptop chat-laptop-0",
)
LONGEST_S = 120.0


def main() -> None:
    pulumi = find_tool("pulumi")
    if pulumi is None:
        sys.exit("the Pulumi CLI is missing; `make setup` brings it")
    with tempfile.TemporaryDirectory(prefix="eh-rec-") as folder:
        deployment = create(Path(folder), pulumi, next(PORTS))
        deployment.stack_file.rename(deployment.project / "stacks" / f"{STACK}.yaml")
        environment = _environment(deployment)
        try:
            _quietly(environment, "stack init laptop", f"config set -s laptop --secret key-demo {POISON}")
            _quietly(environment, "up -s laptop --skip-preview --yes")
            frames = _play(deployment, environment)
        finally:
            _quietly(environment, "destroy -s laptop --skip-preview --yes")
    TARGET.write_text(animated(frames, "A change of a running stack: preview, up under load, rollback"))
    print(f"{TARGET.relative_to(ROOT)}: {len(frames)} frames, {TARGET.stat().st_size // 1024} KiB")


def _environment(deployment: Deployment) -> Mapping[str, str]:
    """Short commands on the PATH, a short prompt, colours."""
    programs = deployment.project.parent / "bin"
    programs.mkdir()
    load = (
        f'KEY={POISON} exec {sys.executable} {Path(__file__).with_name("load.py")} {deployment.url} smollm2-135m "$@"'
    )
    for name, command in {
        "pulumi": f'exec {deployment.pulumi_program} -C {deployment.project} "$@"',
        "enginehouse": f'exec {sys.executable} -m enginehouse "$@"',
        "load": load,
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{command}\n")
        (programs / name).chmod(0o755)
    more = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(deployment.project / "infra"),
        "PS1": PROMPT,
        "TERM": "xterm-256color",
        "COLUMNS": str(COLUMNS),
        "LINES": str(ROWS),
        "ENGINEHOUSE_SECRET_KEY_DEMO": POISON,
    }
    return {**deployment.env, **more}


def _quietly(environment: Mapping[str, str], *commands: str) -> None:
    for command in commands:
        words = ("sh", "-c", f"pulumi --non-interactive {command}")
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"pulumi {command.split()[0]} failed\n{done.stdout}{done.stderr}")


def _play(deployment: Deployment, environment: Mapping[str, str]) -> list[Frame]:
    terminal = Terminal(("bash", "--norc", "--noprofile", "-i"), environment, deployment.project)
    terminal.wait_for(READY, 10)
    for command in SESSION:
        for letter in command:
            terminal.send(letter)
            terminal.watch(LETTER_S)
        terminal.watch(0.4)
        terminal.send("\r")
        terminal.wait_for(READY, LONGEST_S)
        terminal.watch(0.8)
    terminal.send("exit\r")
    return terminal.frames[:-1]


if __name__ == "__main__":
    main()
