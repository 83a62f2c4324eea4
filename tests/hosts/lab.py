"""Bare machines for tests: containers with systemd and sshd on a network of their own, under a dockerd of our own."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from socket import create_connection

from enginehouse.planner.parts import HostKeys, Ssh
from tests.dockerd import docker, dockerd, require_docker, socket
from tests.ssh.server import Client
from tests.tools_available import cache

IMAGE = "machine"
LABS = 8
"""So many at once, each with a network and a bridge of its own: the names of those are the whole machine's."""
REBOOTED = 129
"""How systemd ends as the first process of a container when it is told to reboot (measured 2026-11, systemd 252)."""
BOOTED = 'systemctl is-active -q ssh.service && [ "$(systemctl is-system-running)" != starting ]'
"""sshd is there before all the rest is."""
START_S = 240.0


def listens(port: int) -> str:
    """A script that waits until somebody listens on that port of the machine's loopback."""
    return f"until grep -q ' 0100007F:{port:04X} 00000000:0000 0A ' /proc/net/tcp; do sleep 0.1; done"


@dataclass(frozen=True, slots=True)
class Talk:
    program: subprocess.Popen[str]

    def say(self, line: str) -> None:
        """The first thing; returns when it was heard."""
        assert self.program.stdin and self.program.stdout
        self.program.stdin.write(f"{line}\n")
        self.program.stdin.flush()
        assert self.program.stdout.readline() == "begun\n"

    def rest(self) -> list[str]:
        """End it; what it has printed."""
        return self.program.communicate()[0].splitlines()


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A running machine. `run` is the way in behind everybody's back, without sshd."""

    lab: Lab
    name: str
    address: str

    @property
    def known_line(self) -> str:
        kind, text, *_ = self.run("cat /etc/ssh/ssh_host_ed25519_key.pub").split()
        return f"{self.address} {kind} {text}"

    def ssh(self, **more: object) -> Ssh:
        given = {"address": self.address, "user": "root", "host_keys": HostKeys.VERIFY, **more}
        return Ssh(**given)  # type: ignore[arg-type]

    def run(self, script: str, *, stdin: bytes = b"") -> str:
        """What a script says as root; it must end well."""
        done = self.lab.docker("exec", "-i", self.name, "sh", "-eu", "-c", script, stdin=stdin)
        assert done.returncode == 0, (script, done.stdout, done.stderr)
        return done.stdout.decode()

    def holds(self, condition: str) -> bool:
        """Whether a script ends well."""
        return self.lab.docker("exec", self.name, "sh", "-c", condition).returncode == 0

    def put(self, path: str, content: bytes, mode: int = 0o755) -> None:
        self.run(f"cat >{shlex.quote(path)}; chmod {mode:o} {shlex.quote(path)}", stdin=content)

    @contextlib.contextmanager
    def talk(self, *words: str) -> Iterator[Talk]:
        """A program that runs there meanwhile. It says `begun` when it has heard a line, and ends with its stdin."""
        argv = ("docker", "-H", socket(self.lab.folder), "exec", "-i", self.name, *words)
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
            yield Talk(program)

    def reboot(self) -> None:
        """As a person would, over its own systemd; returns when sshd is there again."""
        self.lab.docker("exec", self.name, "systemctl", "reboot")
        assert self.lab.docker("wait", self.name).stdout.strip() == str(REBOOTED).encode()
        self.power_on()

    def power_on(self) -> None:
        assert self.lab.docker("start", self.name).returncode == 0
        self.wait()

    def wait(self) -> None:
        """Until it has booted and has nothing left to start, or sshd is back."""
        until = time.monotonic() + START_S
        while not (self.holds(BOOTED) and self._greets()):
            assert time.monotonic() < until, self.lab.docker("logs", self.name).stdout.decode()
            time.sleep(0.1)

    def _greets(self) -> bool:
        """Whether sshd says who it is; systemd may still take one that was killed for alive."""
        with contextlib.suppress(OSError), create_connection((self.address, 22), timeout=5) as sshd:
            return sshd.recv(4) == b"SSH-"
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """The machines' network, and what runs them."""

    number: int
    folder: Path
    client: Client
    """Who is let in everywhere, as root and as `ops`."""

    @property
    def network(self) -> str:
        """The first three numbers of its addresses."""
        return f"10.79.{self.number}"

    def docker(self, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return docker(self.folder, *words, stdin=stdin)

    @contextlib.contextmanager
    def machine(self, name: str, number: int, *, image: str = IMAGE) -> Iterator[Machine]:
        """A machine that is as bare as one can be, or like another one, and gone afterwards. The client knows it."""
        address = f"{self.network}.{10 + number}"
        tmpfs = ("--tmpfs=/run", "--tmpfs=/run/lock", "--tmpfs=/tmp:exec")
        admitted = (
            f"--volume={self.folder}/admitted:{home}/.ssh/authorized_keys:ro" for home in ("/root", "/home/ops")
        )
        where = (
            "--privileged",
            "--cgroupns=private",
            "--stop-signal=SIGRTMIN+3",
            "--network=hosts",
            f"--ip={address}",
            f"--hostname={name}",
        )
        done = self.docker("run", "--detach", f"--name={name}", *where, *tmpfs, *admitted, image)
        assert done.returncode == 0, done.stderr.decode()
        machine = Machine(lab=self, name=name, address=address)
        try:
            machine.wait()
            with self.client.known_hosts.open("a") as known:
                known.write(machine.known_line + "\n")
            yield machine
        finally:
            self.docker("rm", "--force", "--volumes", name)


@contextlib.contextmanager
def lab() -> Iterator[Lab]:
    """A lab without machines."""
    image = cache() / "machine.tar"
    require_docker(image)
    with contextlib.ExitStack() as stack:
        number = stack.enter_context(_number())
        _sweep(number)
        folder = Path(tempfile.mkdtemp(prefix=f"eh-lab{number}-"))  # a short name: sockets lie in it
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        made = Lab(number=number, folder=folder, client=Client.make(folder / "client"))
        shutil.copy(f"{made.client.key}.pub", folder / "admitted")
        stack.enter_context(_forwarding())
        stack.enter_context(dockerd(folder))
        where = (f"--subnet={made.network}.0/24", f"--gateway={made.network}.1")
        bridge = f"--opt=com.docker.network.bridge.name={_bridge(number)}"
        _check(made, "network", "create", *where, bridge, "--opt=com.docker.network.driver.mtu=1400", "hosts")
        stack.callback(made.docker, "network", "rm", "hosts")
        changes = ('CMD ["/sbin/init-machine"]', "ENV container=docker")
        _check(made, "import", *(f"--change={change}" for change in changes), str(image), IMAGE)
        yield made


@contextlib.contextmanager
def _number() -> Iterator[int]:
    """A number that nobody else has; waits for one if all are taken."""
    with contextlib.ExitStack() as stack:
        files = [Path(tempfile.gettempdir(), f"enginehouse-test-hosts-{number}.lock") for number in range(LABS)]
        locks = [stack.enter_context(file.open("w")) for file in files]
        for number, lock in enumerate(locks):  # noqa: B007 - it is the answer
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
        else:
            number = os.getpid() % LABS
            fcntl.flock(locks[number], fcntl.LOCK_EX)
        yield number


def _bridge(number: int) -> str:
    return f"eh-hosts{number}"


def _sweep(number: int) -> None:
    """End what is left of a lab whose tests were killed: whoever holds the number is the only one."""
    for folder in Path(tempfile.gettempdir()).glob(f"eh-lab{number}-*"):
        with contextlib.suppress(OSError, ValueError):
            process = Path("/proc", (folder / "pid").read_text().strip())
            if (process / "comm").read_text() == "dockerd\n":
                os.kill(int(process.name), signal.SIGTERM)
                until = time.monotonic() + START_S
                while process.exists() and time.monotonic() < until:
                    time.sleep(0.1)
        shutil.rmtree(folder, ignore_errors=True)
    subprocess.run(("ip", "link", "delete", _bridge(number)), capture_output=True, check=False)


@contextlib.contextmanager
def _forwarding() -> Iterator[None]:
    """The machine's policy stays: dockerd sets its own and leaves it."""
    rules = subprocess.run(("iptables", "-w", "-S", "FORWARD"), capture_output=True, check=True, text=True).stdout
    try:
        yield
    finally:
        policy = rules.split("\n", 1)[0].removeprefix("-P ").split()
        subprocess.run(("iptables", "-w", "-P", *policy), check=False)


def _check(made: Lab, *words: str) -> None:
    done = made.docker(*words)
    assert done.returncode == 0, (words, done.stderr.decode())
