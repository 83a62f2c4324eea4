"""A disk of its own for a world's state folder, so small that it can be filled, and that can become read-only."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.converge.harness import World

SIZE_MIB = 64
_CHUNK_BYTES = 1 << 20


class Disk:
    """The file system below a world's state folder."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._ballast = place / "ballast"
        self._is_read_only = False

    def fill(self) -> None:
        """From now on nothing fits, not one byte."""
        with self._ballast.open("ab", buffering=0) as file:
            size = _CHUNK_BYTES
            while size:
                try:
                    file.write(bytes(size))
                except OSError as error:
                    assert error.errno == errno.ENOSPC
                    size //= 2

    def clear(self) -> None:
        self._ballast.unlink(missing_ok=True)

    def make_read_only(self) -> None:
        """For whatever is opened from now on: a view of the same disk lies over it."""
        _mount("--bind", str(self._place), str(self._place))
        _mount("-o", "remount,bind,ro", str(self._place))
        self._is_read_only = True

    def make_writable(self) -> None:
        _unmount(self._place)
        self._is_read_only = False

    def mend(self) -> None:
        """Whatever was done to it."""
        if self._is_read_only:
            self.make_writable()
        self.clear()


@contextmanager
def disk(world: World) -> Iterator[Disk]:
    """The state folder of a world that has none yet is a disk inside; everything of the world is killed at the end."""
    world.state.mkdir(mode=0o700)
    _require_mount(world.state)
    try:
        yield Disk(world.state)
    finally:
        world.kill_all()
        _unmount(world.state)


def _require_mount(place: Path) -> None:
    """Mount, or skip the test with the reason; fail with it when REQUIRE_ALL=1 (as in CI)."""
    try:
        _mount("-t", "tmpfs", "-o", f"size={SIZE_MIB}m,mode=700", "tmpfs", str(place))
    except (OSError, subprocess.CalledProcessError) as error:
        reason = f"a small disk can't be mounted here ({error}); it takes root"
        if os.environ.get("REQUIRE_ALL") == "1":
            pytest.fail(reason)
        pytest.skip(reason)


def _unmount(place: Path) -> None:
    """Also while something there is open."""
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True, capture_output=True)
