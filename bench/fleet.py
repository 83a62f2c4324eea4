"""The same job on several machines at once: by us, and by the tools that people use for it; first and second run.

    PYTHONPATH=infra:. python bench/fleet.py [--machines 1,4,8] [--delay-ms 0,50] [--rounds 5] [--tools "ssh;pyinfra"]

The job is what one of our stacks is on a machine: folders, files with owner and mode, a systemd unit that is enabled
and runs, a supervisor, a gateway and an engine in it, and the proof that it serves. After each first run the state of
each machine is compared with that, and each second run has to change nothing. The tools take turns, so that a busy
machine favours none; the ratios are those of medians, to one raw script per machine over `ssh`.

Machines are containers with systemd and sshd, as in tests/hosts; this needs root and what `make test` brings.
The others' tools come from requirements-bench.txt, into an environment of their own. A look at whether all is well:

    ... bench/fleet.py --machines 1 --delay-ms 0 --rounds 1 --tools "ssh, one script;enginehouse"
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bench.contest import tools as contest
from bench.contest.figures import OURS, RUNS, YARDSTICK, Case, Times, in_turns, table, verdicts
from bench.contest.job import PORT, untouched, verdict
from bench.contest.site import (
    STACK,
    WEIGHTS,
    Site,
    far_away,
    job_of,
    machines,
    make_bare,
    on_each,
    write_ssh_config,
)
from bench.contest.tools import REPOSITORY, TOOLS, Tool
from tests.hosts.lab import Lab, Machine
from tests.hosts.lab import lab as new_lab
from tests.tools_available import cache


def main() -> None:
    options = _options()
    python, left_out = _environment()
    chosen = [tool for tool in TOOLS if _is_wanted(tool, options.tools) and not (tool.module and left_out)]
    excluded = {tool.name: left_out for tool in TOOLS if left_out and tool.module and _is_wanted(tool, options.tools)}
    times = Times()
    with (
        new_lab() as lab,
        tempfile.TemporaryDirectory(prefix="eh-fleet-", dir="/tmp") as folder,
        machines(lab, max(options.machines)) as found,
    ):
        for case in (Case(count, delay) for delay in options.delay_ms for count in options.machines):
            these = found[: case.machines]
            with _site(Path(folder), lab, these, case, python) as site:
                excluded |= _measure(times, case, site, these, chosen, options)
            chosen = [tool for tool in chosen if tool.name not in excluded]
            _report(times, excluded, options.markdown)


def _options() -> argparse.Namespace:
    def numbers(text: str) -> list[int]:
        return [int(word) for word in text.split(",")]

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--machines", type=numbers, default=[1, 4, 8], help="how many at once: 1,4,8")
    parser.add_argument("--delay-ms", type=numbers, default=[0, 50], help="added to each round trip: 0,50")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--first-rounds", type=int, help="so many rounds with a first run; all if left out")
    parser.add_argument(
        "--most-s", type=float, default=240, help="a tool that took so long in a case sits out the rest"
    )
    parser.add_argument(
        "--tools", help=f"only these, by how their names begin: {'; '.join(tool.name for tool in TOOLS)}"
    )
    parser.add_argument("--markdown", type=Path, help="also write the table to this file")
    options = parser.parse_args()
    options.first_rounds = max(1, options.rounds if options.first_rounds is None else options.first_rounds)
    return options


def _is_wanted(tool: Tool, wanted: str | None) -> bool:
    return wanted is None or any(tool.name.startswith(word.strip()) for word in wanted.split(";"))


def _environment() -> tuple[Path, str]:
    """The Python that has everybody's tools, made once; and why it lacks them, if it does."""
    pins = REPOSITORY / "requirements-bench.txt"
    folder = cache() / f"bench-{hashlib.sha256(pins.read_bytes()).hexdigest()[:12]}"
    python = folder / "bin" / "python"
    if (folder / "complete").exists():
        return python, ""
    subprocess.run((sys.executable, "-m", "venv", "--clear", str(folder)), check=True)
    words = ("install", "--quiet", "--disable-pip-version-check", "--no-input", "--require-hashes", "-r", str(pins))
    done = subprocess.run((str(python), "-m", "pip", *words), capture_output=True, text=True)
    if done.returncode:
        return python, f"pip could not install it ({(done.stderr.strip().splitlines() or ['no reason given'])[-1]})"
    (folder / "complete").touch()
    return python, ""


@contextlib.contextmanager
def _site(folder: Path, lab: Lab, found: Sequence[Machine], case: Case, python: Path) -> Iterator[Site]:
    """The machines of a case with everything that the tools start from. The job is read off what we bring there."""
    here = folder / f"{case.machines}-{case.delay_ms}"
    (here / "cm").mkdir(parents=True)
    with far_away(found, case.delay_ms) as ways:
        config = write_ssh_config(here, lab, found, ways)
        (here / f"{STACK}.yaml").write_text(_stack(found))
        empty = Site(folder=here, jobs={}, ssh_config=config, python=python)
        (ours,) = (tool for tool in TOOLS if tool.name == OURS)
        contest.run(ours, empty)
        site = Site(folder=here, jobs={m.name: job_of(m) for m in found}, ssh_config=config, python=python)
        contest.write(site)
        try:
            yield site
        finally:
            site.forget()
            make_bare(found, site.jobs)


def _stack(found: Sequence[Machine]) -> str:
    model = {"source": f"host://{WEIGHTS}", "sha256": hashlib.sha256(b"{}").hexdigest(), "served_name": "tiny"}
    stack = {
        "enginehouse": 1,
        "machines": {"box": {"ssh": {"user": "root", "hosts": {m.name: {"address": m.name} for m in found}}}},
        "deployments": {
            "chat": {
                "engine": "llama-cpp",
                "version": "b11434",
                "runs_on": "box",
                "model": model,
                "context_tokens": 2048,
                "slots": 2,
            }
        },
        "endpoint": {
            "runs_on": "box",
            "scope": "each_host",
            "port": PORT,
            "keys": [{"name": "demo", "secrets": ["key-demo"]}],
        },
    }
    return json.dumps(stack)


def _measure(
    times: Times,
    case: Case,
    site: Site,
    found: Sequence[Machine],
    chosen: Sequence[Tool],
    options: argparse.Namespace,
) -> dict[str, str]:
    """Adds to `times`; returns who failed, and how."""
    wanted, failed = on_each(found, site.jobs, verdict), dict[str, str]()
    for number, tool in in_turns(chosen, options.rounds):
        if tool.name in failed or times.total(case, tool.name) > options.most_s:
            continue
        try:
            if number < options.first_rounds:
                site.forget()
                make_bare(found, site.jobs)
                times.add(case, tool.name, RUNS[0], _timed(tool, site, case, RUNS[0]))
                _compare(tool, "its end state is another", wanted, on_each(found, site.jobs, verdict))
            before = on_each(found, site.jobs, untouched)
            times.add(case, tool.name, RUNS[1], _timed(tool, site, case, RUNS[1]))
            _compare(tool, "its second run changed something", before, on_each(found, site.jobs, untouched))
        except contest.Failed as failure:
            if tool.name in (OURS, YARDSTICK):
                raise
            print(failure, file=sys.stderr)
            failed[tool.name] = str(failure).splitlines()[0]
    return failed


def _timed(tool: Tool, site: Site, case: Case, run: str) -> float:
    taken = contest.run(tool, site)
    print(
        f"{case.machines} machines, {case.delay_ms} ms: {tool.name}, {run}: {taken:.2f} s", file=sys.stderr, flush=True
    )
    return taken


def _compare(tool: Tool, what: str, wanted: Mapping[str, str], found: Mapping[str, str]) -> None:
    for machine, text in wanted.items():
        if text != found[machine]:
            odd = sorted(set(text.splitlines()) ^ set(found[machine].splitlines()))
            raise contest.Failed("\n".join([f"{tool.name}: {what} on {machine}", *odd]))


def _report(times: Times, excluded: Mapping[str, str], markdown: Path | None) -> None:
    """So far; a long run that is cut off leaves what it has."""
    made = "\n".join([table(times, excluded), "", *(f"- {said}" for said in verdicts(times))])
    print(made)
    if markdown:
        markdown.write_text(made + "\n")


if __name__ == "__main__":
    main()
