"""`enginehouse render`: the plan's files in a folder, and nobody else's file touched."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from enginehouse.errors import ExitCode
from enginehouse.verbs.render import MARKER, rendered
from tests.cli.conftest import Told
from tests.cli.harness import DEMO, workplace
from tests.cli.test_plan import planned

Call = Callable[..., Told]


def contents(folder: Path) -> Mapping[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != MARKER)
    return {str(path.relative_to(folder)): path.read_text() for path in files}


def test_every_file_of_every_part_is_written_as_the_plan_has_it(folder: Path, call: Call) -> None:
    """Below host and part, with its mode, symbols left as they are; the answer lists what was written."""
    code, out, err = call("render", "demo", "--out", "out")
    expected = rendered(planned())
    assert (code, err) == (ExitCode.OK, "")
    assert out.splitlines() == sorted(f"out/{name}" for name in expected)
    assert contents(folder / "out") == {name: file.content for name, file in expected.items()}
    assert all((folder / "out" / name).stat().st_mode & 0o777 == file.mode for name, file in expected.items())
    assert "@{part}" in "".join(contents(folder / "out").values())


def test_rendering_twice_changes_nothing(folder: Path, call: Call) -> None:
    first = call("render", "demo", "--out", "out"), contents(folder / "out")
    assert (call("render", "demo", "--out", "out"), contents(folder / "out")) == first


def test_files_that_a_plan_no_longer_has_go_away(folder: Path, call: Call) -> None:
    """The folder shows this plan, not a mixture; a file that a person put there stays."""
    workplace(folder, demo=DEMO.replace("box", "cube"))
    call("render", "demo", "--out", "out")
    (folder / "out" / "notes.txt").write_text("mine")
    workplace(folder, demo=DEMO)
    call("render", "demo", "--out", "out")
    assert {name.split("/")[0] for name in contents(folder / "out")} == {"box", "notes.txt"}
    assert not (folder / "out" / "cube").exists()


@pytest.mark.parametrize("form", ["folder", "file"])
def test_what_something_else_made_is_refused(folder: Path, call: Call, form: str) -> None:
    """Nothing is written, and the message says what to do."""
    target = folder / "out"
    if form == "folder":
        target.mkdir()
        (target / "precious").write_text("mine")
    else:
        target.write_text("mine")
    code, out, err = call("render", "demo", "--out", "out")
    assert (code, out) == (ExitCode.INVALID, "")
    assert "choose a new or an empty folder" in err
    assert contents(folder)["out/precious" if form == "folder" else "out"] == "mine"
    assert form == "file" or list(target.iterdir()) == [target / "precious"]


def test_a_strangers_file_in_our_folder_is_not_overwritten(folder: Path, call: Call) -> None:
    call("render", "demo", "--out", "out")
    name = sorted(rendered(planned()))[0]
    (folder / "out" / MARKER).write_text("[]")
    (folder / "out" / name).write_text("mine")
    code, _, err = call("render", "demo", "--out", "out")
    assert code == ExitCode.INVALID
    assert name in err
    assert (folder / "out" / name).read_text() == "mine"


def test_a_marker_can_not_lead_out_of_the_folder(folder: Path, call: Call) -> None:
    """What an edited marker names is removed only inside the folder."""
    (folder / "precious").write_text("mine")
    (folder / "out").mkdir()
    (folder / "out" / MARKER).write_text(f'["../precious", "{folder}/precious"]')
    assert call("render", "demo", "--out", "out")[0] == ExitCode.OK
    assert (folder / "precious").read_text() == "mine"


def test_a_damaged_marker_is_explained(folder: Path, call: Call) -> None:
    (folder / "out").mkdir()
    (folder / "out" / MARKER).write_text("not JSON")
    code, _, err = call("render", "demo", "--out", "out")
    assert code == ExitCode.INVALID
    assert MARKER in err


def test_an_empty_folder_and_a_deep_new_one_are_fine(folder: Path, call: Call) -> None:
    (folder / "empty").mkdir()
    assert call("render", "demo", "--out", "empty")[0] == ExitCode.OK
    assert call("render", "demo", "--out", "a/b/c")[0] == ExitCode.OK


def test_a_wrong_stack_writes_nothing(folder: Path, call: Call) -> None:
    code, out, err = call("render", "wrong", "--out", "out")
    assert (code, out, (folder / "out").exists()) == (ExitCode.INVALID, "", False)
    assert "[unknown-key]" in err
