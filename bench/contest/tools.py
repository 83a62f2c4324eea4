"""Those who do the job, and how each is called. What they start from is made once, in `Site.write`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from bench.contest.figures import OURS, YARDSTICK
from bench.contest.job import KEY, Job, proven, running, script, start
from bench.contest.site import Site

REPOSITORY = Path(__file__).parents[2]
HERE = Path(__file__).parent
DEADLINE_S = 900.0
WARM = "ControlPersist=600"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A process of a tool."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    stdin: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One way to do the job."""

    name: str
    calls: Callable[[Site], Sequence[Call]]
    """What is started at once; a run is over when all have ended."""
    module: str | None = None
    """What has to be installed for it, as a module of Python."""


class Failed(Exception):
    """A tool did not do the job."""


def run(tool: Tool, site: Site) -> float:
    """Seconds of one run, start of the client included. Raises `Failed` with the last lines it said."""
    calls = tool.calls(site)
    log = site.folder / "log"
    began = time.perf_counter()
    with log.open("wb") as said:
        processes = [_start(call, site, said.fileno()) for call in calls]
        codes = [_end(process) for process in processes]
    taken = time.perf_counter() - began
    if any(codes):
        lines = log.read_text(errors="replace").splitlines()[-40:]
        raise Failed(f"{tool.name} ended with {codes}:\n" + "\n".join(lines))
    return taken


def _end(process: subprocess.Popen[bytes]) -> int:
    try:
        return process.wait(DEADLINE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _start(call: Call, site: Site, said: int) -> subprocess.Popen[bytes]:
    env = {**os.environ, "HOME": str(site.home), **call.env}
    env.pop(
        "PYTHONDONTWRITEBYTECODE", None
    )  # pip has compiled the others' code; ours is as whoever runs it twice has it
    stdin = call.stdin.open("rb") if call.stdin else subprocess.DEVNULL
    return subprocess.Popen(call.argv, stdin=stdin, stdout=said, stderr=said, env=env, cwd=site.folder)


def _ssh(*more: str) -> Callable[[Site], Sequence[Call]]:
    def calls(site: Site) -> Sequence[Call]:
        return [
            Call(argv=("ssh", "-F", str(site.ssh_config), *more, name, "sh -s"), stdin=site.script(name))
            for name in site.jobs
        ]

    return calls


def _warm(site: Site) -> Sequence[Call]:
    return _ssh("-o", "ControlMaster=auto", "-o", f"ControlPath={site.sockets}/%C", "-o", WARM)(site)


def _ours(site: Site) -> Sequence[Call]:
    argv = (sys.executable, str(HERE / "ours.py"), str(site.stack_file), KEY)
    env = {"PYTHONPATH": str(REPOSITORY / "infra"), "ENGINEHOUSE_SSH_CONFIG": str(site.ssh_config)}
    return [Call(argv=argv, env=env)]


def _python(program: str, *given: str) -> Callable[[Site], Sequence[Call]]:
    def calls(site: Site) -> Sequence[Call]:
        argv = (str(site.python), str(HERE / program), *(str(site.folder / name) for name in given))
        return [Call(argv=(*argv, str(site.ssh_config)), env={"PYTHONPATH": str(REPOSITORY)})]

    return calls


def _pyinfra(site: Site) -> Sequence[Call]:
    argv = (str(site.python), "-m", "pyinfra", "--yes", str(site.folder / "inventory.py"))
    return [Call(argv=(*argv, str(HERE / "deploy_pyinfra.py")), env={"PYTHONPATH": str(REPOSITORY)})]


def _ansible(**more: str) -> Callable[[Site], Sequence[Call]]:
    def calls(site: Site) -> Sequence[Call]:
        argv = (str(site.python.with_name("ansible-playbook")), "-i", str(site.folder / "inventory.yaml"))
        env = {
            "ANSIBLE_FORKS": "20",
            "ANSIBLE_SSH_ARGS": f"-F {site.ssh_config} -C -o ControlMaster=auto -o ControlPersist=60s",
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(site.sockets),
            "ANSIBLE_SSH_PIPELINING": "1",
            **{name: value.format(python=site.packages) for name, value in more.items()},
        }
        return [Call(argv=(*argv, str(HERE / "playbook.yaml")), env=env)]

    return calls


TOOLS = (
    Tool(name=YARDSTICK, calls=_ssh()),
    Tool(name="ssh, one script, ControlMaster", calls=_warm),
    Tool(name="paramiko, one script", calls=_python("script_paramiko.py", "scripts"), module="paramiko"),
    Tool(name="fabric, step by step", calls=_python("steps_fabric.py", "jobs.json"), module="fabric"),
    Tool(name="pyinfra", calls=_pyinfra, module="pyinfra"),
    Tool(name="ansible, pipelining", calls=_ansible(), module="ansible"),
    Tool(
        name="ansible, mitogen",
        calls=_ansible(
            ANSIBLE_STRATEGY="mitogen_linear", ANSIBLE_STRATEGY_PLUGINS="{python}/ansible_mitogen/plugins/strategy"
        ),
        module="ansible_mitogen",
    ),
    Tool(name=OURS, calls=_ours),
)
"""Ours comes last, so that a round of second runs alone finds what we remember of the machines, too."""


def write(site: Site) -> None:
    """Everything the tools start from."""
    (site.folder / "scripts").mkdir()
    for name, job in site.jobs.items():
        site.script(name).write_text(script(job))
    (site.folder / "jobs.json").write_text(
        json.dumps({name: json.loads(job.text()) for name, job in site.jobs.items()})
    )
    hosts = {name: _variables(job) for name, job in site.jobs.items()}
    (site.folder / "inventory.yaml").write_text(yaml.safe_dump({"all": {"hosts": hosts}}))
    listed = [(name, _data(name, job, site)) for name, job in site.jobs.items()]
    (site.folder / "inventory.py").write_text(f"hosts = {listed!r}\n")


def _variables(job: Job) -> Mapping[str, object]:
    plain = json.loads(job.text())
    more = {"proof": f"{running(job)} && {proven(job)}", "start": start(job)}
    return {"ansible_python_interpreter": "/usr/bin/python3", **plain, **more}


def _data(name: str, job: Job, site: Site) -> Mapping[str, object]:
    return {"job": json.loads(job.text()), "ssh_config_file": str(site.ssh_config), "ssh_hostname": name}
