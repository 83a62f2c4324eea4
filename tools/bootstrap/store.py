"""The cache's store: folders named by what determines their content, complete or absent.

An entry is built under a temporary name beside its final one and renamed into place, so a killed build leaves no
half entry. A file lock per entry keeps two builds apart; the second one waits and then finds the finished entry.
"""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bootstrap.errors import BootstrapError


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that determines an entry's content: two equal recipes give interchangeable entries."""

    name: str
    version: str
    inputs: Mapping[str, str] = field(default_factory=dict)

    @property
    def entry(self) -> str:
        """Folder name, `<name>-<version>-<12 hex digits>`."""
        text = json.dumps([self.name, self.version, dict(self.inputs)], sort_keys=True)
        return f"{self.name}-{self.version}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


class Store:
    """A folder of finished entries."""

    def __init__(self, folder: Path, *, on_wait: Callable[[str], None] = lambda text: None) -> None:
        self._folder = folder
        self._on_wait = on_wait

    def path(self, recipe: Recipe) -> Path:
        """Where the entry is, or would be."""
        return self._folder / recipe.entry

    def has(self, recipe: Recipe) -> bool:
        """Whether the entry is there; if it is, it is complete."""
        return self.path(recipe).is_dir()

    def ensure(self, recipe: Recipe, build: Callable[[Path], None]) -> Path:
        """The entry's folder; when absent, `build` fills an empty folder that then becomes the entry."""
        final = self.path(recipe)
        if final.is_dir():
            return final
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._locked(recipe):
            if not final.is_dir():
                self._build(recipe, build)
        return final

    def _build(self, recipe: Recipe, build: Callable[[Path], None]) -> None:
        self._sweep(recipe)
        draft = self._folder / f".tmp-{recipe.entry}-{os.getpid()}"
        draft.mkdir()
        try:
            build(draft)
            draft.rename(self.path(recipe))
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise

    def _sweep(self, recipe: Recipe) -> None:
        """Remove what killed builds of this entry left; the lock is held, so none of them still runs."""
        for left in self._folder.glob(f".tmp-{recipe.entry}-*"):
            shutil.rmtree(left)

    @contextmanager
    def _locked(self, recipe: Recipe) -> Iterator[None]:
        with (self._folder / f".lock-{recipe.entry}").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._on_wait(f"{recipe.name}: another process is building it; waiting for that one")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def link(target: Path, at: Path) -> None:
    """Make `at` a symbolic link to `target`, replacing an older link or file in one step; a no-op when it is right."""
    if at.is_symlink() and at.readlink() == target:
        return
    if at.is_dir() and not at.is_symlink():
        raise BootstrapError(f"{at} is a folder, but has to be a link to {target}", hint="move it away")
    at.parent.mkdir(parents=True, exist_ok=True)
    draft = at.with_name(f".{at.name}.{os.getpid()}")
    draft.symlink_to(target)
    draft.replace(at)


def sha256(file: Path) -> str:
    """Hex digest of a file's content."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
