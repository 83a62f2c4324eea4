"""The store holds complete entries or none."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bootstrap.errors import BootstrapError
from bootstrap.store import Recipe, Store, link

RECIPE = Recipe(name="tool", version="1.2", inputs={"flags": "-O3"})
KILLED_BUILD = """
import os, signal, sys
from pathlib import Path
from bootstrap.store import Recipe, Store

def build(draft):
    (draft / "half").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)

Store(Path(sys.argv[1])).ensure(Recipe(name="tool", version="1.2", inputs={"flags": "-O3"}), build)
"""


def fill(draft: Path) -> None:
    (draft / "program").write_text("whole", encoding="utf-8")


def visible(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if entry.is_dir())


def test_an_entry_is_built_once(tmp_path: Path) -> None:
    """The second call finds the first one's entry and does not build."""
    builds: list[Path] = []

    def build(draft: Path) -> None:
        builds.append(draft)
        fill(draft)

    store = Store(tmp_path)
    first, second = store.ensure(RECIPE, build), store.ensure(RECIPE, build)
    assert (first, len(builds)) == (second, 1)
    assert (first / "program").read_text(encoding="utf-8") == "whole"


def test_the_name_tells_version_and_inputs_apart() -> None:
    """Everything that changes the content changes the folder; equal recipes share one."""
    other_version = Recipe(name="tool", version="1.3", inputs={"flags": "-O3"})
    other_input = Recipe(name="tool", version="1.2", inputs={"flags": "-O2"})
    assert len({RECIPE.entry, other_version.entry, other_input.entry}) == 3
    assert Recipe(name="tool", version="1.2", inputs={"flags": "-O3"}).entry == RECIPE.entry
    assert RECIPE.entry.startswith("tool-1.2-")


def test_a_failed_build_leaves_nothing(tmp_path: Path) -> None:
    """An exception in the build reaches the caller, and the store is as before."""

    def build(draft: Path) -> None:
        fill(draft)
        raise BootstrapError("compiler says no")

    store = Store(tmp_path)
    with pytest.raises(BootstrapError, match="compiler says no"):
        store.ensure(RECIPE, build)
    assert not store.has(RECIPE)
    assert visible(tmp_path) == []


def test_a_killed_build_leaves_no_entry_and_the_next_build_clears_its_rest(tmp_path: Path) -> None:
    """SIGKILL in the middle of a build: no entry, and the next build removes the half folder."""
    tools = Path(__file__).parents[2] / "tools"
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_BUILD, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(tools)},
        timeout=60,
        check=False,
    )
    store = Store(tmp_path)
    assert killed.returncode == -signal.SIGKILL
    assert not store.has(RECIPE)
    assert len(visible(tmp_path)) == 1, "the killed build's rest, under a temporary name"
    assert (store.ensure(RECIPE, fill) / "program").exists()
    assert visible(tmp_path) == [RECIPE.entry]


def test_two_builds_at_once_become_one(tmp_path: Path) -> None:
    """The second one says that it waits, then uses the first one's entry."""
    building, finish, waiting = threading.Event(), threading.Event(), threading.Event()
    builds: list[str] = []

    def slow(draft: Path) -> None:
        builds.append("first")
        building.set()
        assert finish.wait(timeout=120)
        fill(draft)

    def never(draft: Path) -> None:
        builds.append("second")

    first = threading.Thread(target=Store(tmp_path).ensure, args=(RECIPE, slow))
    first.start()
    assert building.wait(timeout=120)
    second = threading.Thread(target=Store(tmp_path, on_wait=lambda text: waiting.set()).ensure, args=(RECIPE, never))
    second.start()
    assert waiting.wait(timeout=120)
    finish.set()
    first.join(timeout=120)
    second.join(timeout=120)
    assert builds == ["first"]


def test_a_link_is_moved_in_one_step_and_left_alone_when_right(tmp_path: Path) -> None:
    """Linking twice changes nothing; linking elsewhere replaces the link."""
    at = tmp_path / "bin" / "tool"
    link(tmp_path / "one", at)
    before = at.lstat().st_ino
    link(tmp_path / "one", at)
    assert at.lstat().st_ino == before
    link(tmp_path / "two", at)
    assert at.readlink() == tmp_path / "two"
    assert [entry.name for entry in at.parent.iterdir()] == ["tool"]


def test_a_folder_in_the_place_of_a_link_is_not_touched(tmp_path: Path) -> None:
    """Someone's own `models/` folder is named, not replaced."""
    (tmp_path / "models").mkdir()
    with pytest.raises(BootstrapError, match="is a folder"):
        link(tmp_path / "cache", tmp_path / "models")
    assert (tmp_path / "models").is_dir()
