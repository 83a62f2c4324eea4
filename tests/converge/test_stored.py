"""Weights that no stack needs any more are removed, and no others. With real stacks on this machine."""

from __future__ import annotations

import pytest

from enginehouse.converge import Run
from enginehouse.converge.lease import Leases
from enginehouse.converge.stored import Stored, prune, stored
from enginehouse.errors import CommandFailed, ConvergeFailed, LeaseHeld
from tests.converge.harness import World


def names(found: tuple[Stored, ...]) -> set[str]:
    return {one.name for one in found}


def weights_of(world: World) -> str:
    return world.plan().weights[0].sha256[:16]


def listed(world: World) -> tuple[Stored, ...]:
    return stored(world.plan().hosts[0], world.context())


def pruned(world: World) -> set[str]:
    return names(prune(world.plan().hosts[0], world.context()))


def test_weights_go_once_no_kept_release_needs_them(running: World) -> None:
    """Those of the release before stay for a rollback; one release later nobody needs them."""
    pruned(running)
    first = weights_of(running)
    running.write_model({"text": "second"})
    running.up()
    second = weights_of(running)
    assert pruned(running) == set()
    running.write_model({"text": "third"})
    running.up()
    running.settings["context"] = 1024
    running.up()
    assert names(listed(running)) >= {first, second, weights_of(running)}
    assert pruned(running) == {first, second}
    assert names(listed(running)) == {weights_of(running)}
    assert running.ask()[0] == 200


def test_what_another_stack_needs_stays(running: World) -> None:
    """Its manifest is enough."""
    pruned(running)
    file = running.state / "weights" / "0123456789abcdef" / "model.gguf"
    file.parent.mkdir()
    file.write_bytes(b" ")
    manifest = running.state / "other" / "chat-weights-box" / "manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text(f'{{"sha256": "0123456789abcdef{"0" * 48}"}}')
    assert pruned(running) == set()
    manifest.unlink()
    assert pruned(running) == {"0123456789abcdef"}
    assert not file.parent.exists()


def test_records_of_other_peoples_files_stay(running: World) -> None:
    """Without it a file of a hundred gigabytes would be read again."""
    record = running.state / "weights" / "fedcba9876543210" / "aa.verified"
    record.parent.mkdir()
    record.write_text("verified\n")
    assert pruned(running) == set()
    assert record.exists()


def test_what_other_people_keep_there_stays(running: World) -> None:
    """We name folders after what is in them; the twins in this file go."""
    file = running.state / "weights" / "my models" / "a\tmodel.gguf"
    file.parent.mkdir()
    file.write_bytes(b" ")
    assert pruned(running) == set()
    assert file.exists()
    assert "my models" not in names(listed(running))
    file = file.rename(running.state / "weights" / weights_of(running) / file.name)
    assert file.name in next(one.files for one in listed(running) if one.name == weights_of(running))
    file.unlink()


def test_what_cannot_be_read_might_need_them(running: World) -> None:
    """Nothing is removed, or called unused, if a manifest can't be read, here because it is none."""
    file = running.state / "weights" / "0123456789abcdef" / "model.gguf"
    file.parent.mkdir()
    file.write_bytes(b" ")
    manifest = running.state / "other" / "chat-box-0" / "manifest.json"
    manifest.mkdir(parents=True)
    with pytest.raises(ConvergeFailed, match="removing weights failed"):
        pruned(running)
    with pytest.raises(CommandFailed, match="looking for weights"):
        listed(running)
    assert file.exists()
    manifest.rmdir()
    assert pruned(running) == {"0123456789abcdef"}


def test_the_list_says_who_needs_what(running: World) -> None:
    found = next(one for one in listed(running) if one.name == weights_of(running))
    assert found.users == tuple(f"{running.stack}/{part}" for part in ("chat-box-0", "chat-weights-box"))
    assert found.files == (running.plan().weights[0].file_name,)
    assert found.size > 0


def test_a_run_that_brings_weights_is_not_disturbed(running: World) -> None:
    """Between the files and the record that they are needed the run holds the lease."""
    rival = Run(id="rival", who="bob@desk", door="test")
    running.impatient()
    with Leases(running.clock).hold(running.connector, str(running.state), rival, print), pytest.raises(LeaseHeld):
        pruned(running)
