"""How long `validate` and `plan` take on large generated stacks: whole processes of the command line, in turns.

    PYTHONPATH=infra:. python bench/validate_and_plan.py [--size 500] [--rounds 7]

One stack has SIZE hosts in a file of their own, each with an endpoint, labels and a variant for some; the other has
SIZE deployments on one machine, each with options and health. `--version` is what starting Python costs.
Beside the time on the clock stands that of the processor, which other work on the machine changes less.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

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
_VARIANTS = """\
    variants:
      - {where: {label: {size: large}}, set: {slots: 16}}
      - {where: {host: "shop-[001:010]"}, set: {options: {threads: 4}}}
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


class Taken(NamedTuple):
    """Seconds of one process."""

    clock_s: float
    processor_s: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        stacks = {"hosts": _hosts(Path(folder), options.size), "deployments": _deployments(Path(folder), options.size)}
        commands = {(what, verb): [verb, str(stack)] for what, stack in stacks.items() for verb in TARGET_S}
        commands = {("", "--version"): ["--version"], **commands}
        times: dict[tuple[str, str], list[Taken]] = {name: [] for name in commands}
        for _ in range(options.rounds):
            for name, words in commands.items():
                times[name].append(_run(words))
    _report(options.size, times)


def _hosts(folder: Path, size: int) -> Path:
    rows = (
        f"shop-{number:03}: {{address: 10.1.{number // 250}.{number % 250}, labels: {{size: {_size(number)}}}}}\n"
        for number in range(1, size + 1)
    )
    (folder / "shops.hosts.yaml").write_text("".join(rows))
    head = _HEAD.replace("{local: {}}", "{ssh: {user: ops, become: sudo, hosts_file: shops.hosts.yaml}}")
    stack = folder / "fleet.yaml"
    stack.write_text(head.replace("  port:", "  scope: each_host\n  port:") + _deployment(1) + _VARIANTS)
    return stack


def _size(number: int) -> str:
    return "small" if number % 3 else "large"


def _deployments(folder: Path, size: int) -> Path:
    stack = folder / "large.yaml"
    stack.write_text(_HEAD + "".join(_deployment(number) for number in range(1, size + 1)))
    return stack


def _deployment(number: int) -> str:
    return _DEPLOYMENT.replace("NUMBER", str(number)).replace("SHA256", f"a{number:063x}")


def _run(words: Sequence[str]) -> Taken:
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-m", "enginehouse", *words], capture_output=True, text=True)
    clock_s, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    taken = Taken(clock_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return taken


def _report(size: int, times: Mapping[tuple[str, str], list[Taken]]) -> None:
    print(f"starting Python takes {statistics.median(one.clock_s for one in times['', '--version']):.2f} s")
    for (what, verb), taken in times.items():
        if what:
            clock, target = [one.clock_s for one in taken], TARGET_S[verb]
            median, processor = statistics.median(clock), statistics.median(one.processor_s for one in taken)
            met = "met" if median <= target else "missed"
            said = f"{median:.2f} s ({min(clock):.2f}-{max(clock):.2f}), processor {processor:.2f} s"
            print(f"{size} {what:<11} {verb:>9}: {said}, target {target:g} s {met}")


if __name__ == "__main__":
    main()
