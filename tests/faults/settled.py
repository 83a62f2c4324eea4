"""What has to hold when a run that was let through has followed one that was not."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any

from enginehouse.converge.places import CONTAINER
from tests.faults.faulty import FaultyWorld
from tests.faults.judge import Judge, read_access_log, read_journal


def generations(world: FaultyWorld) -> dict[str, int]:
    """Of every part that has a manifest."""
    files = world.place().glob("*/manifest.json") if world.place().exists() else ()
    return {file.parent.name: json.loads(file.read_text())["generation"] for file in files}


def assert_settled(world: FaultyWorld, before: dict[str, int]) -> None:
    """It serves what is wanted, one engine runs, the records are true, and another run has nothing to do."""
    assert world.ask()[0] == 200
    assert world.ask(key="sk-wrong")[0] == 401
    assert world.engines() == [f"chat-box-0/{world.side}"]
    after = generations(world)
    assert set(after) == {part.name for part in world.plan().parts()}
    assert {name: after[name] for name, was in before.items() if after[name] < was} == {}
    for name in after:
        _assert_true(world, world.manifest(name))
    world.connector.holds = 0
    outputs = world.up()
    assert world.connector.holds == 0
    (weights,) = world.plan().weights
    assert _sha256(world.here(outputs[weights.name]["path"])) == weights.sha256


def violations(world: FaultyWorld, judge: Judge) -> list[str]:
    """What is new in the journal and the access log, judged."""
    judge.hear(_ours(world, event) for event in read_journal(_rest(world.journal_file, judge)))
    log = world.place("gateway-box", "log", "gateway.log")
    judge.compare(read_access_log(log), time.monotonic(), time.time())
    return judge.violations


def _ours(world: FaultyWorld, event: Any) -> Any:
    return {**event, "mark": event["mark"].removeprefix(f"{world.stack}/").removesuffix(CONTAINER)}


def _rest(journal: Path, judge: Judge) -> str:
    text = journal.read_text() if journal.exists() else ""
    rest, judge.read = text[judge.read :], len(text)
    return rest


def _assert_true(world: FaultyWorld, manifest: dict[str, Any]) -> None:
    """The files are as the manifest says, and the history has it."""
    name, generation = manifest["part"]["name"], manifest["generation"]
    for path, digest in manifest["files"].items():
        assert _sha256(world.place(path)) == digest, path
    kept = json.loads(world.place(name, "history", f"{generation}.json").read_text())
    assert kept == manifest


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
