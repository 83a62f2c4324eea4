"""Who changed what: each part's history, the stack's journal, and adoption of what another state brought."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from enginehouse.converge import execute, scripts
from enginehouse.converge.manifest import Manifest, from_json
from enginehouse.converge.orders import freeze, unfreeze
from enginehouse.converge.records import history
from enginehouse.errors import ChangedElsewhere, ConvergeFailed, LeaseHeld
from enginehouse.planner.parts import ReplicaPart
from enginehouse.render.symbols import Secret
from tests.converge.harness import KEY, World
from tests.converge.test_interrupted import run_until_step


def edit(world: World, context: int) -> None:
    world.settings["context"] = context
    world.converge(world.replica())


def without_start(world: World) -> ReplicaPart:
    """A release whose engine refuses its command line."""
    part = world.replica()
    return replace(part, args={**part.args, "no-such-flag": "1"})


def test_every_generation_is_kept_with_its_author_and_change(world: World) -> None:
    """Newest first, in one round trip; the newest is the manifest."""
    world.up()
    edit(world, 1024)
    edit(world, 512)
    world.connector.runs = 0
    kept = history(world.replica(), world.context())
    assert world.connector.runs == 1
    assert [manifest.generation for manifest in kept] == [3, 2, 1]
    assert [manifest.change.what for manifest in kept] == [
        "args.ctx-size: 2048 => 1024, context_tokens: 1024 => 512, memory_mib: 384 => 256",
        "args.ctx-size: 4096 => 2048, context_tokens: 2048 => 1024, memory_mib: 640 => 384",
        "new on the machine",
    ]
    assert kept[0] == from_json(world.place("chat-box-0", "manifest.json").read_text())


def test_history_can_be_brought_back(world: World) -> None:
    """A rollback is a converge of what history holds: the release is there, so nothing is staged."""
    world.up()
    old = world.converge(world.replica())["release"]
    edit(world, 1024)
    world.events.clear()
    part = history(world.replica(), world.context())[1].part
    assert world.converge(part)["release"] == old
    assert not any("staging" in text for text in world.texts())


def test_a_damaged_copy_is_left_out(running: World) -> None:
    """Also one that is no manifest at all."""
    edit(running, 1024)
    folder = running.place("chat-box-0", "history")
    whole = len(history(running.replica(), running.context()))
    (folder / "1.json").write_text('{"format": 1')
    assert len(history(running.replica(), running.context())) == whole - 1
    running.remove(folder)
    assert history(running.replica(), running.context()) == ()


def test_a_copy_of_a_change_that_never_stood_is_left_out(running: World) -> None:
    """A run died after it wrote the copy and before it wrote the manifest; the next run writes that copy anew."""
    edit(running, 1024)
    stood = history(running.replica(), running.context())
    newest = stood[0].generation
    copies = running.place("chat-box-0", "history")
    (copies / f"{newest + 1}.json").write_text(
        (copies / f"{newest}.json").read_text().replace(f'"generation": {newest}', f'"generation": {newest + 1}')
    )
    assert history(running.replica(), running.context()) == stood
    edit(running, 512)
    assert [copy.generation for copy in history(running.replica(), running.context())][:2] == [newest + 1, newest]


def test_only_the_last_generations_are_kept(running: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """By number, not by name."""
    monkeypatch.setattr(execute, "KEPT", 2)
    for context in (1024, 512, 256):
        edit(running, context)
    newest = running.converge(running.replica())["generation"]
    names = sorted(path.name for path in running.place("chat-box-0", "history").iterdir())
    assert names == sorted([f"{newest}.json", f"{newest - 1}.json"])


def test_a_lost_manifest_does_not_count_from_one_again(running: World) -> None:
    """History says how far the count was."""
    known = running.converge(running.replica())["generation"]
    running.place("chat-box-0", "manifest.json").unlink()
    assert running.converge(running.replica())["generation"] == known + 1


def test_the_journal_tells_what_changed_and_who(world: World) -> None:
    """One line for each part that changed, with its generation; nothing to do adds none."""
    world.up()
    first = world.journal()
    assert [entry.part for entry in first] == [part.name for part in world.plan().parts()]
    edit(world, 1024)
    entry = world.journal()[-1]
    assert (entry.event, entry.part, entry.generation) == ("changed", "chat-box-0", 2)
    assert (entry.who, entry.door, entry.run) == ("ada@desk", "test", "run-1")
    assert entry.text == "args.ctx-size: 4096 => 2048, context_tokens: 2048 => 1024, memory_mib: 640 => 384"
    told = world.journal()
    world.converge(world.replica())
    assert world.journal() == told
    assert [line.event for line in told[len(first) :]] == ["adopted", "changed"]
    assert oct(world.place("events.jsonl").stat().st_mode & 0o777) == "0o600"


def test_what_was_put_right_without_an_edit_is_told(running: World) -> None:
    """The plan is the same; the steps say what was done."""
    running.supervisor().stop(running.engine)
    running.converge(running.replica())
    assert running.journal()[-1].text.startswith("as planned before; starting release ")


def test_a_failure_is_told_in_one_line(running: World) -> None:
    """The first line of what the person sees, and then a change that goes through."""
    with pytest.raises(ConvergeFailed) as failure:
        running.converge(without_start(running))
    entry = running.journal()[-1]
    assert (entry.event, entry.part, entry.text) == ("failed", "chat-box-0", str(failure.value))
    assert entry.generation is None


def test_a_refused_run_writes_nothing(running: World) -> None:
    """Who is not let in leaves no trace on the machine."""
    before = running.snapshot()
    running.settings["context"] = 1024
    with pytest.raises(ChangedElsewhere):
        running.converge(running.replica(), seen_generation=0)
    with running.leases.hold(running.connector, str(running.state), running.context().run, print):
        running.run_id = "run-2"
        with pytest.raises(LeaseHeld):
            running.converge(running.replica())
    assert before == running.snapshot()


def test_a_journal_that_cannot_be_written_hides_nothing(running: World) -> None:
    """A folder in its place: changes go through, and a failure is told as it is."""
    journal = running.place("events.jsonl")
    journal.unlink()
    journal.mkdir()
    try:
        edit(running, 1024)
        with pytest.raises(ConvergeFailed, match="the engine did not start"):
            running.converge(without_start(running))
    finally:
        journal.rmdir()


def test_what_others_wrote_and_what_is_broken_does_not_stop_a_reader(running: World) -> None:
    """The watchdog's words are read, half a line is skipped."""
    line = {"at": "2026-11-24T12:00:00+00:00", "event": "hung", "part": "chat-box-0", "text": "no answer"}
    watchdog = json.dumps({**line, "who": "watchdog", "door": "watchdog", "run": ""})
    with running.place("events.jsonl").open("a") as journal:
        journal.write(f'{{"at": "20\n[]\n{watchdog}\n')
    assert [(entry.who, entry.text) for entry in running.journal("hung")] == [("watchdog", "no answer")]


def test_a_large_journal_loses_its_older_half(running: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole lines stay, the newest among them."""
    monkeypatch.setattr(scripts, "LARGEST_BYTES", 4096)
    for _ in range(12):
        freeze(running.plan().hosts[0], running.context(), reason="a look at the journal, with as many words as usual")
        unfreeze(running.plan().hosts[0], running.context())
    assert running.place("events.jsonl").stat().st_size <= 4096
    kept = running.journal()
    assert [json.loads(line)["text"] for line in running.place("events.jsonl").read_text().splitlines()] == [
        entry.text for entry in kept
    ]
    assert 4 < len(kept) < 24


def test_an_empty_machine_has_no_records(world: World) -> None:
    """Reading makes nothing."""
    assert (world.journal(), history(world.replica(), world.context())) == ([], ())
    assert not world.state.exists()


def test_a_second_clone_adopts_what_is_there(running: World) -> None:
    """Its first look says whose work it finds; only a change writes that down."""
    before = running.snapshot()
    running.events.clear()
    known = running.converge(running.replica())
    told = f"chat-box-0: adopted: last changed by ada@desk at {known['changed_at']} through test (generation "
    assert [text for text in running.texts() if "adopted" in text] == [f"{told}{known['generation']})"]
    assert before == running.snapshot()
    edit(running, 1024)
    assert [entry.event for entry in running.journal()[-2:]] == ["adopted", "changed"]


def test_who_knows_the_generation_adopts_nothing(running: World) -> None:
    """The usual way."""
    known = running.converge(running.replica())["generation"]
    running.events.clear()
    running.settings["context"] = 1024
    running.converge(running.replica(), seen_generation=known)
    assert not any("adopted" in text for text in running.texts())
    assert [entry.event for entry in running.journal()[-2:]] != ["adopted", "changed"]


def test_a_takeover_and_a_removal_are_told(world: World) -> None:
    """By the part that was worked on."""
    run_until_step(world, 4)
    world.up()
    assert next(entry.text for entry in world.journal("lease-taken-over")).startswith(
        "box: took over the lease of a run"
    )
    world.destroy(world.plan().endpoints[0])
    assert [(entry.event, entry.part) for entry in world.journal()[-1:]] == [("removed", "endpoint")]


def test_no_secret_is_in_any_record(world: World) -> None:
    """Neither a key, nor its successor, after changes and failures; the twin below shows that the search finds one."""
    world.up()
    world.secrets["key-demo"] = Secret("sk-poison-4711")
    world.converge(world.gateway())
    world.secrets.clear()
    world.settings["limits"] = {"concurrent": 9}
    with pytest.raises(Exception, match="key-demo"):
        world.converge(world.gateway())
    assert world.journal("failed")
    assert records_with(world, KEY, "sk-poison-4711") == []
    history_file = next(world.place("gateway-box", "history").iterdir())
    history_file.write_text(history_file.read_text() + "sk-poison-4711")
    assert records_with(world, KEY, "sk-poison-4711") == [history_file]


def records_with(world: World, *secrets: str) -> list[Path]:
    files = [world.place("events.jsonl"), *world.place().glob("*/history/*"), *world.place().glob("*/manifest.json")]
    assert len(files) > 10
    return [file for file in files if any(secret in file.read_text() for secret in secrets)]


def test_a_manifest_of_before_has_no_words(running: World) -> None:
    """One that an older version wrote is read all the same."""
    plain = json.loads(running.place("chat-box-0", "manifest.json").read_text())
    del plain["change"]["what"]
    old = from_json(json.dumps(plain))
    assert isinstance(old, Manifest)
    assert old.change.what == ""
