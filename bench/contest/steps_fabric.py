"""The job step by step with fabric: `steps_fabric.py JOBS SSH_CONFIG`, all machines at once. JOBS: `{machine: job}`."""

from __future__ import annotations

import io
import json
import shlex
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fabric import Config, Connection
from paramiko import RejectPolicy

from bench.contest.job import Job, proven, running, start


def main(jobs: str, ssh_config: str) -> None:
    plain = json.loads(Path(jobs).read_text())
    config = Config(runtime_ssh_path=ssh_config)
    with ThreadPoolExecutor(len(plain)) as pool:
        list(pool.map(lambda name: _bring(name, Job.of(json.dumps(plain[name])), config), plain))


def _bring(name: str, job: Job, config: Config) -> None:
    with Connection(name, config=config) as connection:
        connection.client.set_missing_host_key_policy(RejectPolicy())
        for path in config.base_ssh_config.lookup(name)["userknownhostsfile"].split():
            connection.client.load_host_keys(path)
        for path, mode in job.folders:
            _step(connection, _has(path, mode), f"install -d -m {mode} {shlex.quote(path)}")
        for file in job.files:
            quoted = shlex.quote(file.path)
            same = f"echo '{file.sha256}  {file.path}' | sha256sum --status --check && {_has(file.path, file.mode)}"
            if not _holds(connection, same):
                connection.put(io.BytesIO(file.content.encode()), f"{file.path}.new")
                _do(connection, f"chmod {file.mode} {quoted}.new && mv -f {quoted}.new {quoted}")
        for path, target in job.links:
            quoted = shlex.quote(path)
            _step(connection, f'[ "$(readlink {quoted})" = {shlex.quote(target)} ]', f"ln -sfn {target} {quoted}")
        _step(connection, f"{running(job)} && {proven(job)}", start(job))


def _has(path: str, mode: str) -> str:
    return f"[ \"$(stat -c '%a %U:%G' {shlex.quote(path)} 2>/dev/null)\" = '{mode} root:root' ]"


def _step(connection: Connection, check: str, change: str) -> None:
    if not _holds(connection, check):
        _do(connection, change)


def _holds(connection: Connection, check: str) -> bool:
    return bool(connection.run(check, hide=True, warn=True, in_stream=False).ok)


def _do(connection: Connection, change: str) -> None:
    connection.run(change, hide=True, in_stream=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
