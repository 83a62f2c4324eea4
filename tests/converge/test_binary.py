"""An engine's program that the stack brings: checked before it is run, unpacked, kept by content, exchanged."""

from __future__ import annotations

import hashlib
import io
import tarfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from enginehouse.connectors.base import Result
from enginehouse.converge import foresee
from enginehouse.converge.steps import Effect
from enginehouse.errors import ConvergeFailed
from tests.converge.harness import World

INSIDE = "llama-b11434/bin/llama-server"


def bring(world: World, name: str, source: str = "upload://{name}") -> Path:
    """A file of that name with the stand-in in it becomes the stack's binary; each start of it leaves a trace."""
    program = f"#!/bin/sh\necho {name} >>{world.folder}/runs\n".encode()
    program += (world.tools / "llama-server").read_bytes()
    file = world.folder / name
    if name.endswith(".tar.gz"):
        with tarfile.open(file, "w:gz") as archive:
            member = tarfile.TarInfo(INSIDE)
            member.size, member.mode = len(program), 0o755
            archive.addfile(member, io.BytesIO(program))
    else:
        file.write_bytes(program)
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    world.settings["binary"] = {"source": source.format(name=name, folder=world.folder), "sha256": sha256}
    return file


def runs(world: World) -> set[str]:
    """Names of the binaries that were ever run."""
    trace = world.folder / "runs"
    return set(trace.read_text().split()) if trace.exists() else set()


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("llama-server", "upload://{name}"),
        ("release.tar.gz", "upload://{name}"),
        ("llama-there", "host://{folder}/{name}"),
    ],
)
def test_the_program_comes_with_the_stack(running: World, name: str, source: str) -> None:
    """The engine runs it and not the one on the PATH, which is the same version; a second `up` has nothing to do."""
    bring(running, name, source)
    running.up()
    assert running.ask()[0] == 200
    assert name in runs(running)
    before = running.snapshot()
    running.up()
    assert before == running.snapshot()


def test_a_program_with_another_hash_is_never_run(running: World) -> None:
    """Neither from here nor from the machine itself. What ran goes on."""
    for source in ("upload://{name}", "host://{folder}/{name}"):
        bring(running, "wrong-one", source)
        running.settings["binary"]["sha256"] = "ab" * 32
        with pytest.raises(ConvergeFailed):
            running.up()
    assert "wrong-one" not in runs(running)
    assert running.ask()[0] == 200


def test_a_program_that_is_exchanged_after_it_was_verified_is_never_run(running: World) -> None:
    """It is somebody else's file: what counts is what was copied from it."""
    file = bring(running, "llama-taken", "host://{folder}/{name}")
    run = running.connector.run

    def exchanging(script: str, **more: Any) -> Result:
        if "unpack " in script:
            file.write_text(file.read_text().replace("echo llama-taken", "echo forged"))
        return run(script, **more)

    running.connector.run = exchanging  # type: ignore[method-assign]
    with pytest.raises(ConvergeFailed, match="unpacking llama-server failed") as failure:
        running.up()
    running.connector.run = run  # type: ignore[method-assign]
    assert failure.value.reasons[0] == f"{file} was altered after it was verified"
    assert runs(running).isdisjoint({"forged", "llama-taken"})


def test_one_program_by_two_names_is_unpacked_once(running: World) -> None:
    """Two deployments that bring it at once do not get in each other's way."""
    bring(running, "one")
    part = next(part for part in running.plan().weights if part.program)
    copy = running.folder / "two"
    copy.write_bytes((running.folder / "one").read_bytes())
    path = part.path.replace("/one", "/two")
    other = replace(part, name="talk-engine-box", source="upload://two", file_name="two", path=path)
    with ThreadPoolExecutor() as pool:
        list(pool.map(running.converge, [part, other] * 2))
    assert [seen.inputs.get("drift") for p in (part, other) if (seen := running.observe(p))] == [None, None]


def test_a_program_that_is_altered_where_it_was_unpacked_is_drift_and_healed(running: World) -> None:
    """It is unpacked anew from the verified file."""
    bring(running, "release.tar.gz")
    running.up()
    part = next(part for part in running.plan().weights if part.program)
    found = running.state / "weights" / part.sha256[:16] / "unpacked" / "llama-server"
    written = found.read_bytes()
    found.resolve().write_bytes(written + b"# mine\n")
    observed = running.observe(part)
    assert observed is not None
    assert observed.inputs["drift"] == {"program": "altered or missing where it was unpacked"}
    running.up()
    assert found.read_bytes() == written


def test_a_link_to_another_program_is_drift_and_healed(running: World) -> None:
    """The engine is started by a link, so a link that means something else is a program that nobody verified."""
    bring(running, "release.tar.gz")
    running.up()
    part = next(part for part in running.plan().weights if part.program)
    found = running.state / "weights" / part.sha256[:16] / "unpacked" / "llama-server"
    meant = found.readlink()
    found.unlink()
    found.symlink_to(running.tools / "llama-server")
    observed = running.observe(part)
    assert observed is not None
    assert observed.inputs["drift"] == {"program": "altered or missing where it was unpacked"}
    running.up()
    assert found.readlink() == meant


def test_an_archive_without_the_program_is_told(running: World) -> None:
    """And leaves nothing half unpacked."""
    file = running.folder / "empty.tar.gz"
    with tarfile.open(file, "w:gz"):
        pass
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    running.settings["binary"] = {"source": "upload://empty.tar.gz", "sha256": sha256}
    with pytest.raises(ConvergeFailed, match="unpacking llama-server failed") as failure:
        running.up()
    assert failure.value.reasons[0].startswith("there is no llama-server in ")
    assert [path.name for path in (running.state / "weights" / sha256[:16]).iterdir() if path.is_dir()] == []


def test_another_program_is_another_release(running: World) -> None:
    """Foreseen as such, brought beside what runs, and exchanged like any other change."""
    bring(running, "release.tar.gz")
    running.up()
    release = running.manifest("chat-box-0")["release"]
    bring(running, "another")
    said = foresee(running.replica(), running.context())
    assert said.effect is Effect.UNDECIDED
    assert said.reason.startswith("the new program is brought first")
    running.up()
    assert running.manifest("chat-box-0")["release"] != release
    assert running.ask()[0] == 200
