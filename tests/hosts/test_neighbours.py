"""Two machines on one network, over real sshd: the second takes weights from the first, and nothing stays behind."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from enginehouse.connectors import Connectors
from enginehouse.converge import Context, Run, converge
from enginehouse.converge.events import Event
from enginehouse.planner.parts import Become, Connection, ConnectionKind, WeightsPart
from tests.hosts.lab import Lab, Machine

pytestmark = pytest.mark.hosts

SIZE = 24 * 2**20
SLOWLY = "tc qdisc replace dev eth0 root tbf rate 8mbit burst 64kb latency 100ms"
FAST = "tc qdisc del dev eth0 root"
SOON_S = 120.0


@dataclass
class Pair:
    """`north` and `south`, and a person with a file."""

    folder: Path
    north: Machine
    south: Machine
    data: bytes = b""
    events: list[Event] = field(default_factory=list)
    on_event: Callable[[Event], None] = lambda event: None

    @property
    def upload(self) -> Path:
        return self.folder / "big.gguf"

    def new_file(self) -> None:
        """That no machine has."""
        self.data = os.urandom(SIZE)
        self.upload.write_bytes(self.data)
        self.events.clear()

    def part(self, machine: Machine) -> WeightsPart:
        sha256 = hashlib.sha256(self.data).hexdigest()
        ssh = machine.ssh(user="ops", become=Become.SUDO, private_address=machine.address)
        return WeightsPart(
            name=f"chat-weights-{machine.name}",
            stack="pair",
            host=machine.name,
            connection=Connection(kind=ConnectionKind.SSH, ssh=ssh),
            source="upload://big.gguf",
            sha256=sha256,
            file_name="big.gguf",
            path=f"@{{state}}/weights/{sha256[:16]}/big.gguf",
        )

    def bring(self, *machines: Machine) -> None:
        """In one run, all at once; another run than before."""
        with contextlib.closing(Connectors()) as connectors, ThreadPoolExecutor(len(machines)) as pool:
            context = Context(
                run=Run(id=os.urandom(4).hex(), who="ada@desk", door="test"),
                connectors=connectors,
                listen=self._listen,
                uploads_from=self.folder,
            )
            list(pool.map(lambda machine: converge(self.part(machine), context), machines))

    def has(self, machine: Machine) -> bool:
        sha256 = hashlib.sha256(self.data).hexdigest()
        file = f"/var/lib/enginehouse/weights/{sha256[:16]}/big.gguf"
        return machine.holds(f"echo '{sha256}  {file}' | sha256sum -c --status")

    def texts(self) -> str:
        return "\n".join(f"{event.part}: {event.text}" for event in self.events)

    def _listen(self, event: Event) -> None:
        self.events.append(event)
        self.on_event(event)


@pytest.fixture(scope="module")
def pair(lab: Lab, installed: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with lab.machine("north", 5, image=installed) as north, lab.machine("south", 6, image=installed) as south:
        for machine in (north, south):
            machine.run("apt-get install -q -y -o Acquire::Retries=5 --no-install-recommends iproute2 procps")
        yield Pair(folder=tmp_path_factory.mktemp("pair"), north=north, south=south)


def test_two_machines_cost_one_upload(pair: Pair) -> None:
    """At once: one is sent to, the other waits and copies."""
    pair.new_file()
    pair.bring(pair.north, pair.south)
    assert pair.has(pair.north)
    assert pair.has(pair.south)
    assert pair.texts().count("checking our own copy") == 1, pair.texts()


def test_a_neighbour_that_dies_in_the_middle_is_followed_by_the_upload(pair: Pair) -> None:
    """From where the copy ended."""
    pair.new_file()
    pair.bring(pair.north)
    pair.on_event = lambda event: pair.north.holds("pkill -9 tail") if "% of 25 MB" in event.text else None
    slowly(pair)
    assert pair.has(pair.south)
    assert "nothing came from north: curl: (18)" in pair.texts()
    assert "checking our own copy" in pair.texts()


def test_a_run_that_is_killed_in_a_copy_leaves_nothing_behind(pair: Pair) -> None:
    """kill -9 of the command: nobody listens or sends any more, and the next run goes on with the partial file."""
    pair.new_file()
    pair.bring(pair.north)

    def die(event: Event) -> None:
        if " % of 25 MB" in event.text and " from north: 0 %" not in event.text:
            os.kill(os.getpid(), signal.SIGKILL)

    if (child := os.fork()) == 0:
        pair.on_event = die
        with contextlib.suppress(BaseException):
            slowly(pair)
        os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    until = time.monotonic() + SOON_S
    while pair.north.holds("pgrep -x 'socat|tail'") or pair.south.holds("pgrep -x curl"):
        assert time.monotonic() < until, pair.north.run("ps ax")
        time.sleep(0.1)
    assert not pair.has(pair.south)
    (part,) = pair.south.run("ls -i /var/lib/enginehouse/weights/*/big.gguf.part").splitlines()
    pair.upload.unlink()
    pair.north.run(FAST)
    pair.bring(pair.north, pair.south)
    assert pair.has(pair.south)
    assert pair.south.holds(f"ls -i /var/lib/enginehouse/weights/*/big.gguf | grep '^ *{part.split()[0]} '")


def slowly(pair: Pair) -> None:
    """Bring it to both over a link that takes half a minute for all of it."""
    pair.north.run(SLOWLY)
    try:
        pair.bring(pair.north, pair.south)
    finally:
        pair.north.run(FAST)
        pair.on_event = lambda event: None
