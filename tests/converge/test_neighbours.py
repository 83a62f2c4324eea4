"""Machines that reach each other get weights once for all of them, whatever one of them does wrong.

The machines are folders of this one, with an address of their own on its loopback.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from enginehouse.connectors import Connectors
from enginehouse.connectors.local import LocalConnector
from enginehouse.converge import Context, Run, converge, observe, scripts
from enginehouse.converge.events import Event
from enginehouse.converge.neighbours import Neighbours
from enginehouse.converge.upload import CHUNK_BYTES
from enginehouse.errors import ConvergeFailed
from enginehouse.planner.parts import Connection, ConnectionKind, Ssh, WeightsPart
from enginehouse.render.templates import render
from tests.converge.certificate import make_certificate
from tests.converge.origin import Files, served

MACHINES = 5
TOKEN = os.urandom(8).hex()
"""No process of anybody else has it, such as the same test of another clone."""
DATA = os.urandom(5 * CHUNK_BYTES + 12345)
SHA256 = hashlib.sha256(DATA).hexdigest()


@dataclass
class Fleet:
    """Machines `box-0` and so on, one run, and where their weights come from."""

    folder: Path
    origin: Files
    neighbours: Neighbours = field(default_factory=Neighbours)
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.connectors = Connectors({ConnectionKind.SSH: lambda host, connection: self.machine(host)})

    def machine(self, host: str) -> LocalConnector:
        """A program in the machine's folder `bin` hides the system's."""
        place = self.folder / host
        (place / "bin").mkdir(parents=True, exist_ok=True)
        own = {"ENGINEHOUSE_STATE": f"{place}/state", "PATH": f"{place}/bin:{os.environ['PATH']}"}
        return LocalConnector(host, environment={**os.environ, **own, "CURL_CA_BUNDLE": f"{self.folder}/server.pem"})

    def part(self, number: int, *, alone: bool = False, source: str = "") -> WeightsPart:
        """`alone`: the stack file does not say that the others reach it."""
        ssh = Ssh(address="box.example", private_address=None if alone else address(number))
        return WeightsPart(
            name=f"chat-weights-box-{number}",
            stack="t1",
            host=f"box-{number}",
            connection=Connection(kind=ConnectionKind.SSH, ssh=ssh),
            source=source or self.origin.url,
            sha256=SHA256,
            file_name="big.gguf",
            path=f"@{{state}}/weights/{SHA256[:16]}/big.gguf",
        )

    def bring(self, *parts: WeightsPart) -> None:
        """All at once."""
        with ThreadPoolExecutor(len(parts)) as pool:
            list(pool.map(lambda part: converge(part, self.context()), parts))

    def context(self) -> Context:
        return Context(
            run=Run(id="run-1", who="ada@desk", door="test"),
            connectors=self.connectors,
            listen=self.events.append,
            uploads_from=self.folder,
            neighbours=self.neighbours,
        )

    def file(self, number: int) -> Path:
        return Path(self.folder, f"box-{number}", "state", "weights", SHA256[:16], "big.gguf")

    def texts(self) -> str:
        return "\n".join(f"{event.part}: {event.text}" for event in self.events)

    def whole(self, *numbers: int) -> bool:
        return all(self.file(number).read_bytes() == DATA for number in numbers)


def address(number: int) -> str:
    return f"127.0.0.{number + 10}"


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with served(DATA, make_certificate(tmp_path / "server.pem")) as origin:
        made = Fleet(folder=tmp_path, origin=origin)
        yield made
        made.connectors.close()


def test_machines_that_reach_each_other_cost_one_download(fleet: Fleet) -> None:
    """The others wait for the first, and what they wait for can be seen; all have the file, nothing else is left."""
    fleet.origin.slow_s = 0.1
    fleet.bring(*(fleet.part(number) for number in range(MACHINES)))
    assert fleet.whole(*range(MACHINES))
    assert fleet.origin.ranges == [None]
    assert ", which gets it first" in fleet.texts()
    assert "% of 5 MB" in fleet.texts()
    names = {path.suffix for number in range(MACHINES) for path in fleet.file(number).parent.iterdir()}
    assert names == {".gguf", ".verified"}


def test_machines_that_do_not_cost_a_download_each(fleet: Fleet) -> None:
    """Twin: nothing says that they reach each other, so nobody waits for anybody."""
    fleet.bring(*(fleet.part(number, alone=True) for number in range(MACHINES)))
    assert fleet.whole(*range(MACHINES))
    assert fleet.origin.ranges == [None] * MACHINES
    assert "waiting" not in fleet.texts()


def test_an_upload_is_sent_once(fleet: Fleet) -> None:
    """Over the line of whoever runs the command."""
    (fleet.folder / "big.gguf").write_bytes(DATA)
    fleet.bring(*(fleet.part(number, source="upload://big.gguf") for number in range(MACHINES)))
    assert fleet.whole(*range(MACHINES))
    assert fleet.texts().count("checking our own copy") == 1


@pytest.mark.parametrize("look", [converge, observe], ids=["up", "refresh"])
def test_a_machine_that_comes_later_copies_from_one_that_has_it(fleet: Fleet, look: object) -> None:
    """Another run, which has looked at the others."""
    fleet.bring(fleet.part(0))
    fleet.neighbours = Neighbours()
    look(fleet.part(0), fleet.context())  # type: ignore[operator]
    fleet.bring(fleet.part(1))
    assert fleet.whole(0, 1)
    assert fleet.origin.ranges == [None]


def test_a_file_that_is_there_waits_for_nobody(fleet: Fleet) -> None:
    """Only its record is missing, so it is read and given to others."""
    fleet.file(0).parent.mkdir(parents=True)
    fleet.file(0).write_bytes(DATA)
    fleet.bring(fleet.part(0), fleet.part(1))
    assert fleet.whole(0, 1)


def test_a_neighbour_that_breaks_off_is_continued_from_elsewhere(fleet: Fleet) -> None:
    """It dies in the middle: it is said, and only the rest is downloaded."""
    fleet.bring(fleet.part(0))
    replace_program(fleet, 0, "tail", f"head -c {2 * CHUNK_BYTES} {fleet.file(0)}")
    fleet.bring(fleet.part(1))
    assert fleet.whole(1)
    assert fleet.origin.ranges == [None, f"bytes={2 * CHUNK_BYTES}-"]
    assert "nothing came from box-0: curl: (18)" in fleet.texts()


def test_another_neighbour_takes_over(fleet: Fleet) -> None:
    """One breaks off, one offers nothing at all; the third gives the rest, and the origin is not asked."""
    fleet.bring(*(fleet.part(number) for number in range(3)))
    replace_program(fleet, 0, "tail", f"head -c {2 * CHUNK_BYTES} {fleet.file(0)}")
    replace_program(fleet, 1, "socat", "echo no socat >&2; exit 1")
    fleet.bring(fleet.part(3))
    assert fleet.whole(3)
    assert fleet.origin.ranges == [None]
    assert fleet.texts().count("nothing came from") == 2


def test_wrong_bytes_of_a_neighbour_are_refused(fleet: Fleet) -> None:
    """Altered after it was verified: what came is removed, never used, and the file is downloaded."""
    fleet.bring(fleet.part(0))
    fleet.file(0).write_bytes(DATA[:-1] + b"!")
    fleet.bring(fleet.part(1))
    assert fleet.whole(1)
    assert fleet.origin.ranges == [None, None]
    assert f"expected {SHA256}; the partial file was removed" in fleet.texts()


@pytest.mark.parametrize("next_one", ["the origin", "another neighbour"])
def test_wrong_bytes_of_one_that_breaks_off_do_not_spoil_the_next(fleet: Fleet, next_one: str) -> None:
    """The next one continues them, the whole is wrong, and it gives the whole: who is right is not refused for it."""
    good = [0, 1] if next_one == "another neighbour" else [0]
    fleet.bring(*(fleet.part(number) for number in good))
    replace_program(fleet, 0, "tail", f"head -c {2 * CHUNK_BYTES} /dev/zero")
    fleet.bring(fleet.part(2))
    assert fleet.whole(2)
    assert fleet.origin.ranges == [None] + ([f"bytes={2 * CHUNK_BYTES}-", None] if next_one == "the origin" else [])


def test_without_the_check_they_would_be_used(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twin: they arrive, and only the digest tells."""
    fleet.bring(fleet.part(0))
    fleet.file(0).write_bytes(DATA[:-1] + b"!")
    copy = scripts.copy
    monkeypatch.setattr(scripts, "copy", lambda **more: f'{copy(**more)}; mv "$file.part" "$file"; keep; exit 0')
    fleet.bring(fleet.part(1))
    assert fleet.file(1).read_bytes() == DATA[:-1] + b"!"


def test_a_copy_for_which_there_is_no_room_is_not_begun(fleet: Fleet) -> None:
    """Needed and free stand in the sentence."""
    fleet.bring(fleet.part(0))
    os.truncate(fleet.file(0), 1 << 43)
    fleet.bring(fleet.part(1))
    assert fleet.whole(1)
    assert "MiB free, the download needs 8388608 MiB" in fleet.texts()


def test_an_origin_that_fails_is_tried_by_each_in_the_end(fleet: Fleet) -> None:
    """Nobody waits for a third one to fail."""
    fleet.origin.data = b"something else"
    parts = [fleet.part(number) for number in range(MACHINES)]
    with ThreadPoolExecutor(MACHINES) as pool:
        failures = [run.exception() for run in [pool.submit(fleet.bring, part) for part in parts]]
    assert {type(failure) for failure in failures} == {ConvergeFailed}
    assert len(fleet.origin.ranges) == MACHINES


@pytest.fixture
def offered(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A file that box-0 offers to box-1, and where."""
    (tmp_path / "file").write_bytes(DATA)
    script = scripts.offer(file=f"{tmp_path}/file", address=address(0), peer=address(1), token=TOKEN)
    (tmp_path / "script").write_text(script)
    argv = ("sh", f"{tmp_path}/script")
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        port, size = process.stdout.readline().split()
        assert int(size) == len(DATA)
        yield process, f"http://{address(0)}:{port}"
        process.kill()


def curl(url: str, *, by: int, **more: str) -> tuple[int, bytes]:
    words = ("curl", "-q", "-sS", "-f", "--noproxy", "*", "--interface", address(by), *more.values(), url)
    done = subprocess.run(words, capture_output=True, check=False)
    return done.returncode, done.stdout


def test_what_is_offered_is_for_one_machine(offered: tuple[subprocess.Popen[str], str]) -> None:
    """Another address gets nothing at all, and the right one is served after it."""
    _, url = offered
    assert curl(f"{url}/{TOKEN}", by=2)[1] == b""
    assert curl(f"{url}/{TOKEN}", by=1) == (0, DATA)
    assert curl(f"{url}/{TOKEN}", by=1)[1] == b"", "once"


def test_what_is_offered_needs_its_token(offered: tuple[subprocess.Popen[str], str]) -> None:
    """HTTP 404 for anybody else on the same machine, and no process shows it."""
    _, url = offered
    words = b" ".join(map(command_line, Path("/proc").glob("[0-9]*")))
    assert b"TCP4-LISTEN" in words, "the list does show who offers"
    assert TOKEN.encode() not in words
    assert curl(f"{url}/wrong", by=1)[0] == 22


def test_what_is_asked_for_is_a_number_or_the_whole_file(
    offered: tuple[subprocess.Popen[str], str], tmp_path: Path
) -> None:
    """Who knows the token may be a machine that somebody broke into: some shells run what stands in brackets there."""
    _, url = offered
    made = tmp_path / "made"
    header = f"-HRange: bytes=size[$(touch {made})]-"
    assert curl(f"{url}/{TOKEN}", by=1, header=header) == (0, DATA)
    assert not made.exists()


def test_nothing_is_offered_any_more_when_the_run_is_gone(offered: tuple[subprocess.Popen[str], str]) -> None:
    """A process that dies closes the script's stdin, without the line that says goodbye."""
    process, url = offered
    assert process.stdin
    process.stdin.close()
    assert process.wait(120) == 0
    assert curl(f"{url}/{TOKEN}", by=1)[0] == 7


@pytest.mark.parametrize("first", ["process", "listening"])
def test_who_offers_is_ended_whatever_is_heard_first(first: str) -> None:
    """On a busy machine socat may listen before it is known which process it is."""
    with subprocess.Popen(("sleep", "1000")) as socat:
        said = {"process": f"process {socat.pid}", "listening": "N listening on AF=2 127.0.0.1:77"}
        heard = [said.pop(first), *said.values()]
        script = f"{render('host/offer.sh')}\nsize=5\nexec 3</dev/null\nattended"
        done = subprocess.run(
            ("sh", "-euc", script), input="\n".join(heard) + "\n", capture_output=True, text=True, check=False
        )
        try:
            assert (done.returncode, done.stdout) == (0, "77 5\n")
            assert socat.wait(120) == -signal.SIGTERM
        finally:
            socat.kill()


def command_line(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""


def replace_program(fleet: Fleet, number: int, name: str, script: str) -> None:
    """What the machine runs by that name."""
    program = Path(fleet.folder, f"box-{number}", "bin", name)
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
