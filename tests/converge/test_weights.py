"""Weights: sent once, continued, verified before they get their name, and never taken from somebody else."""

from __future__ import annotations

import hashlib
import os
import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from enginehouse.converge.upload import CHUNK_BYTES
from enginehouse.errors import Cancelled, ConvergeFailed
from enginehouse.planner.parts import WeightsPart
from tests.converge.certificate import make_certificate
from tests.converge.harness import World
from tests.converge.origin import Files, served

SIZE = 5 * CHUNK_BYTES + 12345
HALF = re.compile(r"\b[1-9]\d? % of")
"""Told when something has come, and not all of it."""


@pytest.fixture
def part(world: World) -> WeightsPart:
    """Weights of some MiB that come from this side; the machine has its folders."""
    world.converge(world.plan().hosts[0])
    data = os.urandom(SIZE)
    (world.folder / "big.gguf").write_bytes(data)
    sha256 = hashlib.sha256(data).hexdigest()
    path = f"@{{state}}/weights/{sha256[:16]}/big.gguf"
    planned = world.plan().weights[0]
    return replace(planned, source="upload://big.gguf", sha256=sha256, file_name="big.gguf", path=path)


def stored(world: World, part: WeightsPart) -> Path:
    return world.state / "weights" / part.sha256[:16] / part.file_name


def test_an_upload_arrives_whole_and_private(world: World, part: WeightsPart) -> None:
    """Same content, readable by its owner alone, progress told in per cent; nothing partial is left."""
    outputs = world.converge(part)
    file = stored(world, part)
    assert outputs["path"] == str(file)
    assert file.read_bytes() == (world.folder / "big.gguf").read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600
    assert any("% of 5 MB" in text for text in world.texts())
    assert {path.suffix for path in file.parent.iterdir()} == {".verified", ".gguf"}


def test_an_upload_continues_where_it_was_cut(world: World, part: WeightsPart) -> None:
    """A wish to stop in the middle leaves a part; the next run sends only the rest."""
    world.on_event = lambda event: world.cancelled.set() if HALF.search(event.text) else None
    with pytest.raises(Cancelled):
        world.converge(part)
    world.on_event = lambda event: None
    half = stored(world, part).with_suffix(".gguf.part")
    assert 0 < half.stat().st_size < SIZE
    kept = half.stat().st_ino
    world.converge(part)
    assert stored(world, part).stat().st_ino == kept


def test_two_parts_bring_the_same_file_in_turn(world: World, part: WeightsPart) -> None:
    """Two deployments of one model, converged at once: one brings the file, the other finds it."""
    parts = [replace(part, name=f"copy-{index}") for index in range(4)]
    with ThreadPoolExecutor(4) as pool:
        outputs = list(pool.map(world.converge, parts))
    assert {output["path"] for output in outputs} == {str(stored(world, part))}
    assert stored(world, part).read_bytes() == (world.folder / "big.gguf").read_bytes()


@pytest.mark.parametrize("size", [1000, SIZE, SIZE + 1])
def test_a_partial_file_with_other_content_costs_one_more_try(world: World, part: WeightsPart, size: int) -> None:
    """As a power cut or somebody else leaves it. The whole is checked, and sent from the beginning by the same run."""
    half = stored(world, part).with_suffix(".gguf.part")
    half.parent.mkdir(parents=True)
    half.write_bytes(b"x" * size)
    world.converge(part)
    assert stored(world, part).read_bytes() == (world.folder / "big.gguf").read_bytes()
    assert {path.suffix for path in half.parent.iterdir()} == {".verified", ".gguf"}


def test_what_arrives_wrong_is_refused_after_a_second_try(
    world: World, part: WeightsPart, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file changes on our side after it was read: both digests are named, nothing is left, and it ends."""
    half = stored(world, part).with_suffix(".gguf.part")
    half.parent.mkdir(parents=True)
    half.write_bytes(b"x" * 1000)
    (world.folder / "big.gguf").write_bytes(os.urandom(SIZE))
    monkeypatch.setattr("enginehouse.converge.upload._sha256", lambda *_: part.sha256)
    with pytest.raises(ConvergeFailed) as failure:
        world.converge(part)
    assert f"expected {part.sha256}; the partial file was removed" in failure.value.reasons[0]
    assert not half.exists()


@pytest.mark.parametrize(
    ("source", "said"),
    [("upload://missing.gguf", "can't read"), ("upload://model.gguf", "is not the file that the stack asks for")],
)
def test_a_wrong_file_on_our_side_is_found_before_anything_is_sent(
    world: World, part: WeightsPart, source: str, said: str
) -> None:
    """The reason names the file and, for a wrong one, both digests."""
    with pytest.raises(ConvergeFailed, match=said) as failure:
        world.converge(replace(part, source=source))
    assert source.partition("://")[2] in str(failure.value)
    assert not list(stored(world, part).parent.glob("*"))


def test_a_full_disk_is_told_before(world: World, part: WeightsPart, monkeypatch: pytest.MonkeyPatch) -> None:
    """Needs and has stand in the reason."""
    with (world.folder / "huge.gguf").open("wb") as file:
        file.truncate(1 << 43)
    monkeypatch.setattr("enginehouse.converge.upload._sha256", lambda *_: part.sha256)
    with pytest.raises(ConvergeFailed, match="the disk is too full") as failure:
        world.converge(replace(part, source="upload://huge.gguf"))
    assert "needs 8388608 MiB more, has " in failure.value.reasons[0]


def test_altered_weights_are_seen_and_brought_again(world: World, part: WeightsPart) -> None:
    """Size and time tell; a look reads nothing."""
    world.converge(part)
    stored(world, part).write_bytes(b"forged")
    observed = world.observe(part)
    assert observed is not None
    assert observed.inputs["drift"] == {"weights": "altered on the machine"}
    world.converge(part)
    assert stored(world, part).stat().st_size == SIZE


def test_touched_weights_are_read_again_but_not_sent_again(world: World, part: WeightsPart) -> None:
    """Another time with the same content: verified where they are."""
    world.converge(part)
    before = stored(world, part).stat().st_ino
    os.utime(stored(world, part), (1, 1))
    world.events.clear()
    world.converge(part)
    assert stored(world, part).stat().st_ino == before
    assert not [text for text in world.texts() if "% of" in text and "checking the SHA-256" not in text]


def test_missing_weights_are_observed_as_missing(world: World, part: WeightsPart) -> None:
    """Deleted by hand."""
    world.converge(part)
    stored(world, part).unlink()
    observed = world.observe(part)
    assert observed is not None
    assert observed.inputs["drift"] == {"weights": "missing on the machine"}


def test_weights_on_the_machine_are_verified_where_they_are(world: World, part: WeightsPart) -> None:
    """Never copied, never changed, never deleted; a changed file is refused and left."""
    own = world.folder / "own.gguf"
    own.write_bytes((world.folder / "big.gguf").read_bytes())
    there = replace(part, source=f"host://{own}", path=str(own))
    before = own.stat()
    assert world.converge(there)["path"] == str(own)
    world.connector.holds = 0
    world.converge(there)
    assert world.connector.holds == 0
    assert own.stat().st_ino == before.st_ino
    own.write_bytes(b"other")
    with pytest.raises(ConvergeFailed) as failure:
        world.converge(there)
    assert "it is left as it is" in failure.value.reasons[0]
    assert own.read_bytes() == b"other"
    world.destroy(there)
    assert own.exists()


def test_weights_that_are_not_on_the_machine_are_named(world: World, part: WeightsPart) -> None:
    """host:// with a path that does not exist."""
    with pytest.raises(ConvergeFailed) as failure:
        world.converge(replace(part, source="host:///no/such.gguf", path="/no/such.gguf"))
    assert failure.value.reasons == ("/no/such.gguf is not on the machine",)


@pytest.fixture
def files(world: World, part: WeightsPart) -> Iterator[Files]:
    """The weights on a web server whose certificate the machine trusts."""
    certificate = make_certificate(world.folder / "server.pem")
    world.trust(certificate)
    with served((world.folder / "big.gguf").read_bytes(), certificate) as server:
        yield server


def from_web(part: WeightsPart, server: Files) -> WeightsPart:
    return replace(part, source=server.url)


def test_a_download_arrives(world: World, part: WeightsPart, files: Files) -> None:
    """By the machine itself, verified, and it is told how fast and how long still."""
    files.slow_s = 0.4
    world.converge(from_web(part, files))
    assert any(re.search(r"% of 5 MB, \d+ [kM]B/s, \d+ s left$", text) for text in world.texts())
    assert hashlib.sha256(stored(world, part).read_bytes()).hexdigest() == part.sha256


def test_a_download_continues_where_it_was_cut(world: World, part: WeightsPart, files: Files) -> None:
    """A wish to stop ends the download within seconds; the next run asks for the rest only."""
    files.slow_s = 0.5
    world.on_event = lambda event: world.cancelled.set() if HALF.search(event.text) else None
    with pytest.raises(Cancelled):
        world.converge(from_web(part, files))
    world.on_event = lambda event: None
    files.slow_s = 0
    world.converge(from_web(part, files))
    assert files.ranges[0] is None
    assert files.ranges[-1] is not None
    assert stored(world, part).stat().st_size == SIZE


def test_a_complete_partial_download_is_only_checked(world: World, part: WeightsPart, files: Files) -> None:
    """A run that was killed between the last byte and the check."""
    half = stored(world, part).with_suffix(".gguf.part")
    half.parent.mkdir(parents=True)
    half.write_bytes(files.data)
    world.converge(from_web(part, files))
    assert files.ranges == []


@pytest.mark.parametrize("size", [1000, SIZE])
def test_a_wrong_part_of_a_download_costs_one_more_try(
    world: World, part: WeightsPart, files: Files, size: int
) -> None:
    """The same run downloads it from the beginning."""
    half = stored(world, part).with_suffix(".gguf.part")
    half.parent.mkdir(parents=True)
    half.write_bytes(b"x" * size)
    world.converge(from_web(part, files))
    assert stored(world, part).read_bytes() == files.data
    assert files.ranges == ([f"bytes={size}-"] if size < SIZE else []) + [None]


def test_a_download_with_another_digest_is_refused(world: World, part: WeightsPart, files: Files) -> None:
    """Both digests are named, and the partial file is gone. Nothing was there before, so it is not tried again."""
    files.data = b"something else"
    with pytest.raises(ConvergeFailed) as failure:
        world.converge(from_web(part, files))
    found = hashlib.sha256(b"something else").hexdigest()
    assert found in failure.value.reasons[0]
    assert part.sha256 in failure.value.reasons[0]
    assert not list(stored(world, part).parent.glob("*.part"))
    assert files.ranges == [None]


def test_plain_http_is_never_followed(world: World, part: WeightsPart) -> None:
    """The scheme is https from the first to the last address."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        with pytest.raises(ConvergeFailed):
            world.converge(replace(part, source=f"http://127.0.0.1:{nobody.getsockname()[1]}/x"))
