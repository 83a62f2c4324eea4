"""The job as one script over paramiko: `script_paramiko.py SCRIPTS SSH_CONFIG`. All machines at once.

SCRIPTS is a folder with a file for each machine, named after it.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import paramiko


def main(scripts: str, ssh_config: str) -> None:
    files = sorted(Path(scripts).iterdir())
    config = paramiko.SSHConfig.from_path(ssh_config)
    with ThreadPoolExecutor(len(files)) as pool:
        codes = list(pool.map(lambda file: _bring(file, config.lookup(file.stem)), files))
    sys.exit(max(codes))


def _bring(script: Path, where: paramiko.SSHConfigDict) -> int:
    with paramiko.SSHClient() as client:
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        for path in where["userknownhostsfile"].split():
            client.load_host_keys(path)
        client.connect(
            where["hostname"],
            int(where.get("port", 22)),
            username=where["user"],
            key_filename=where["identityfile"],
            allow_agent=False,
            look_for_keys=False,
        )
        stdin, stdout, _ = client.exec_command("sh -s")
        stdin.write(script.read_bytes())
        stdin.channel.shutdown_write()
        stdout.read()
        return int(stdout.channel.recv_exit_status())


if __name__ == "__main__":
    main(*sys.argv[1:])
