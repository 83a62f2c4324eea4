"""A real sshd on loopback with everything of its own: configuration, host key, who may log in, and a client's files."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from getpass import getuser
from pathlib import Path

from enginehouse.planner.parts import HostKeys, Ssh
from tests.ports import free_port
from tests.tools_available import require_tool

START_S = 60.0
QUIET = "SHLVL=2"
"""Keeps a login shell that is bash from reading the `.bashrc` of whoever runs the tests (shell.c of bash 5.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """What OpenSSH's client would have in its home folder."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "config"

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    @property
    def key(self) -> Path:
        return self.folder / "id_ed25519"

    @classmethod
    def make(cls, folder: Path, *more: str) -> Client:
        """With one key and no host known; `more` are lines of configuration that come first."""
        folder.mkdir()
        client = cls(folder=folder)
        make_key(client.key)
        lines = (
            *more,
            "Host *",
            f"  UserKnownHostsFile {client.known_hosts}",
            "  GlobalKnownHostsFile none",
            "  IdentityAgent none",
            f"  IdentityFile {client.key}",
            "  HashKnownHosts no",
        )
        client.config.write_text("\n".join(lines) + "\n")
        return client


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A running sshd."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def host_key(self) -> tuple[str, str]:
        """Type and text."""
        kind, text, *_ = (self.folder / "host_key.pub").read_text().split()
        return kind, text

    @property
    def known_line(self) -> str:
        return f"[127.0.0.1]:{self.port} {' '.join(self.host_key)}"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def admit(self, public_key: Path, options: str = "") -> None:
        """Let who has that key in; `options` are those of an authorized_keys line."""
        with (self.folder / "authorized_keys").open("a") as file:
            file.write(f"{options} {public_key.read_text()}".lstrip())

    def ssh(self, **more: object) -> Ssh:
        given = {"address": "127.0.0.1", "port": self.port, "user": getuser(), "host_keys": HostKeys.VERIFY, **more}
        return Ssh(**given)  # type: ignore[arg-type]

    def sessions(self) -> list[int]:
        """The processes of sshd that serve connections: for root one each, for others two."""
        return [*_children(self.process.pid)]


@contextlib.contextmanager
def sshd(folder: Path, *, environment: Sequence[str] = (), more: Sequence[str] = ()) -> Iterator[Server]:
    """Serve until the block ends. `environment`: `NAME=VALUE` that every login gets; `more`: lines of sshd_config."""
    folder.mkdir()
    program = require_tool("sshd")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # sshd wants it, and its service makes it
    make_key(folder / "host_key")
    (folder / "authorized_keys").touch()
    port = free_port()
    lines = (
        *more,
        "ListenAddress 127.0.0.1",
        f"Port {port}",
        f"HostKey {folder}/host_key",
        f"AuthorizedKeysFile {folder}/authorized_keys",
        "PidFile none",
        "UsePAM no",
        "StrictModes no",
        "PermitRootLogin prohibit-password",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "MaxStartups 100",
        f"SetEnv {' '.join((QUIET, *environment))}",
    )
    (folder / "config").write_text("\n".join(lines) + "\n")
    argv = (program, "-D", "-f", str(folder / "config"), "-E", str(folder / "log"))
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, start_new_session=True) as process:
        server = Server(folder=folder, port=port, process=process)
        try:
            _wait(server)
            yield server
        finally:
            for pid in server.sessions():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, 15)
            process.terminate()


def _children(pid: int) -> Iterator[int]:
    """Those that are sshd themselves, with theirs."""
    with contextlib.suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            if Path(f"/proc/{child}/comm").read_text().startswith("sshd"):
                yield int(child)
                yield from _children(int(child))


def make_key(path: Path, *more: str) -> None:
    argv = ("ssh-keygen", "-q", "-t", "ed25519", "-C", path.name, "-f", str(path))
    subprocess.run((*argv, *(more or ("-N", ""))), check=True, stdin=subprocess.DEVNULL)


def _wait(server: Server) -> None:
    until = time.monotonic() + START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", server.port), timeout=1).close()
            return
        except OSError:
            assert server.process.poll() is None and time.monotonic() < until, server.log
            time.sleep(0.02)
