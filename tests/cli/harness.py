"""The command line as a person or a script meets it: a process in a folder with stacks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

INFRA = Path(__file__).resolve().parents[2] / "infra"
COMMAND = (sys.executable, "-m", "enginehouse")

DEMO = """\
enginehouse: 1
description: a small model on this machine
machines:
  box: {local: {}}
deployments:
  chat:
    engine: llama-cpp
    version: "b11434"
    runs_on: box
    model:
      source: upload://tiny.gguf
      sha256: 9f3b6a0f0d5f8c6f3f5b1d9f0c0a4a5d2e1b7c8d9e0f1a2b3c4d5e6f708192a3
      served_name: tiny
    context_tokens: 2048
    slots: 2
    options: {threads: 1}
endpoint:
  runs_on: box
  port: 8123
  keys: [{name: demo, secrets: [key-demo]}]
"""
WRONG = DEMO.replace("slots: 2", "slotz: 2").replace("port: 8123", "port: 99999")


def workplace(folder: Path, **stacks: str) -> Path:
    """`folder` with `stacks/NAME.yaml` for each of `stacks`."""
    (folder / "stacks").mkdir(exist_ok=True)
    for name, text in stacks.items():
        (folder / "stacks" / f"{name}.yaml").write_text(text)
    return folder


def environment(folder: Path, **more: str) -> dict[str, str]:
    """What a process of these tests sees: folders of its own for everything that Enginehouse keeps."""
    own = {
        "ENGINEHOUSE_STATE": str(folder / "state"),
        "ENGINEHOUSE_CACHE": str(folder / "cache"),
        "PYTHONPATH": str(INFRA),
        "NO_COLOR": "",
    }
    return {**os.environ, **own, **more}


def run(*words: str, cwd: Path, environ: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """One call, from start to exit."""
    return subprocess.run(
        [*COMMAND, *words],
        cwd=cwd,
        env=dict(environ or environment(cwd)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
