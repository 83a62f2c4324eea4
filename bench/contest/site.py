"""The machines of the benchmark: prepared once, near and far away, with the job that is read off them."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bench.contest.job import STATE, UNITS, Job, read_off, reset
from tests.converge.harness import STANDIN
from tests.hosts.lab import IMAGE, Lab, Machine

PACKAGES = "curl haproxy socat supervisor"
"""What a stack needs of a machine's distribution. How fast apt is, is not the question."""
ENGINE = "/usr/local/bin/llama-server"
WEIGHTS = "/opt/model.gguf"
STACK = "edge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What one case is done with."""

    folder: Path
    jobs: Mapping[str, Job]
    """By machine."""
    ssh_config: Path
    python: Path
    """Of the environment with everybody's tools."""

    @property
    def home(self) -> Path:
        return self.folder

    @property
    def stack_file(self) -> Path:
        return self.folder / f"{STACK}.yaml"

    @property
    def sockets(self) -> Path:
        """Of OpenSSH's kept connections."""
        return self.folder / "cm"

    @property
    def packages(self) -> Path:
        """Where modules of that environment lie."""
        return self.python.parent.parent / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"

    def script(self, name: str) -> Path:
        return self.folder / "scripts" / f"{name}.sh"

    def forget(self) -> None:
        """End what a tool kept open from one run to the next."""
        for socket in self.sockets.glob("*"):
            subprocess.run(("ssh", "-O", "exit", "-o", f"ControlPath={socket}", "-"), capture_output=True, check=False)
            socket.unlink(missing_ok=True)


@contextlib.contextmanager
def machines(lab: Lab, count: int) -> Iterator[tuple[Machine, ...]]:
    """So many that have what a stack needs, and nothing of a stack."""
    with lab.machine("seed", 0) as seed:
        seed.run(
            "apt-get -qq update; DEBIAN_FRONTEND=noninteractive "
            f"apt-get -qq install --no-install-recommends {PACKAGES} >/dev/null; "
            "systemctl disable --now -q haproxy supervisor; mkdir -p /opt"
        )
        seed.put("/opt/standin.py", STANDIN.read_bytes())
        seed.put(ENGINE, b'#!/bin/sh\nexec python3 -S -E /opt/standin.py "$@"\n')
        seed.put(WEIGHTS, b"{}", 0o644)
        seed.run("rm -f /etc/ssh/ssh_host_*; : >/etc/machine-id")
        done = lab.docker("commit", seed.name, IMAGE)
        assert done.returncode == 0, done.stderr.decode()
    with contextlib.ExitStack() as stack:
        yield tuple(stack.enter_context(lab.machine(f"m{number}", number)) for number in range(1, count + 1))


@contextlib.contextmanager
def far_away(found: Sequence[Machine], delay_ms: int) -> Iterator[Mapping[str, tuple[str, int]]]:
    """Address and port that lead to each machine's sshd; a round trip takes `delay_ms` more."""
    if not delay_ms:
        yield {machine.name: (machine.address, 22) for machine in found}
        return
    program = Path(__file__).with_name("delay.py")
    argv = (sys.executable, str(program), f"{delay_ms / 1000}", *(f"{machine.address}:22" for machine in found))
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as proxy:
        try:
            assert proxy.stdout is not None
            ports = map(int, proxy.stdout.readline().split())
            yield {machine.name: ("127.0.0.1", port) for machine, port in zip(found, ports, strict=True)}
        finally:
            proxy.terminate()


def write_ssh_config(folder: Path, lab: Lab, found: Sequence[Machine], ways: Mapping[str, tuple[str, int]]) -> Path:
    """OpenSSH's configuration by which every tool gets there, host keys verified."""
    known, config = folder / "known_hosts", folder / "ssh_config"
    lines = [machine.known_line.split(" ", 1)[1] for machine in found]
    known.write_text(
        "".join(
            f"{address if port == 22 else f'[{address}]:{port}'} {line}\n"
            for (address, port), line in zip(ways.values(), lines, strict=True)
        )
    )
    hosts = [f"Host {name}\n  HostName {address}\n  Port {port}\n" for name, (address, port) in ways.items()]
    rest = (
        f"Host *\n  User root\n  IdentityFile {lab.client.key}\n  IdentitiesOnly yes\n  IdentityAgent none\n"
        f"  UserKnownHostsFile {known}\n  GlobalKnownHostsFile none\n  StrictHostKeyChecking yes\n  LogLevel ERROR\n"
    )
    config.write_text("".join(hosts) + rest)
    return config


def job_of(machine: Machine) -> Job:
    """What a stack of ours is on that machine."""
    unit = machine.run(f"cd {UNITS}; ls enginehouse-*.service").strip()
    done = machine.lab.docker("exec", machine.name, "tar", "-C", "/", "-c", STATE[1:], f"{UNITS[1:]}/{unit}")
    return read_off(done.stdout, unit)


def on_each(found: Sequence[Machine], jobs: Mapping[str, Job], script_of: object) -> dict[str, str]:
    """What a script of each machine's job says there; all at once."""
    with ThreadPoolExecutor(len(found)) as pool:
        said = pool.map(lambda machine: machine.run(script_of(jobs[machine.name])), found)  # type: ignore[operator]
        return dict(zip((machine.name for machine in found), said, strict=True))


def make_bare(found: Sequence[Machine], jobs: Mapping[str, Job]) -> None:
    on_each(found, jobs, reset)
