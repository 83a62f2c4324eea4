"""How long `validate` and `plan` take on a large generated stack: whole processes of the command line, in turns.

    PYTHONPATH=infra:. python bench/validate_and_plan.py [--size 500] [--rounds 7]

A stack of one machine with SIZE deployments, each with options, health and a route: as many parts as a fleet of SIZE
machines with one deployment has. Against it stands `--version`, which is what starting Python costs.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

TARGET_S: Mapping[str, float] = {"validate": 1.0, "plan": 2.0}
_HEAD = """\
enginehouse: 1
machines: {box: {local: {}}}
endpoint:
  runs_on: box
  port: 8080
  keys: [{name: demo, secrets: [key-demo]}]
deployments:
"""
_DEPLOYMENT = """\
  model-NUMBER:
    engine: llama-cpp
    version: "b11434"
    runs_on: box
    model:
      source: host:///srv/models/model-NUMBER.gguf
      sha256: SHA256
      served_name: model-NUMBER
    context_tokens: 8192
    slots: 4
    options: {threads: 8, no-warmup: true}
    health: {ready_within_s: 300}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        stack = Path(folder, "large.yaml")
        stack.write_text(_stack(options.size))
        commands = {"--version": ["--version"], **{verb: [verb, str(stack)] for verb in TARGET_S}}
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(options.rounds):
            for name, words in commands.items():
                times[name].append(_run(words))
    _report(options.size, times)


def _stack(size: int) -> str:
    deployments = (
        _DEPLOYMENT.replace("NUMBER", str(number)).replace("SHA256", f"a{number:063x}") for number in range(1, size + 1)
    )
    return _HEAD + "".join(deployments)


def _run(words: Sequence[str]) -> float:
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "enginehouse", *words], capture_output=True, text=True)
    taken = time.perf_counter() - began
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return taken


def _report(size: int, times: Mapping[str, list[float]]) -> None:
    start = statistics.median(times["--version"])
    print(f"{size} deployments; starting Python takes {start:.2f} s")
    for verb, target in TARGET_S.items():
        median = statistics.median(times[verb])
        met = "met" if median <= target else "missed"
        print(f"{verb:>9}: {median:.2f} s ({min(times[verb]):.2f}-{max(times[verb]):.2f}), target {target:g} s {met}")


if __name__ == "__main__":
    main()
