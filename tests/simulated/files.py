"""The file tree of a simulated machine: what POSIX tools do to paths, no more than converge's scripts need."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field


class Full(Exception):
    """No space left on the device."""


@dataclass(slots=True)
class Entry:
    """A file. Whoever writes it makes another inode, as everything of ours renames a new file over the old one."""

    content: str
    mode: int
    inode: int

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content.encode()).hexdigest()


@dataclass
class Files:
    """Absolute paths. `sockets` stay behind when their owner is killed, as real ones do."""

    files: dict[str, Entry] = field(default_factory=dict)
    folders: dict[str, int] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    sockets: set[str] = field(default_factory=set)
    full: bool = False
    _inodes: Iterator[int] = field(default_factory=lambda: itertools.count(100))

    def make_folder(self, path: str) -> None:
        while path and path not in self.folders:
            self.folders[path] = 0o700
            path = path.rpartition("/")[0]

    def has_folder(self, path: str) -> bool:
        return path in self.folders

    def write(self, path: str, content: str, mode: int = 0o600) -> None:
        """Raises `Full`; then the file is there and empty."""
        self.files[path] = Entry(content="" if self.full else content, mode=mode, inode=next(self._inodes))
        if self.full and content:
            raise Full(path)

    def append(self, path: str, content: str) -> None:
        before = self.files.get(path)
        self.write(path, (before.content if before else "") + content, before.mode if before else 0o600)

    def read(self, path: str) -> str | None:
        found = self.find(path)
        return found.content if found else None

    def find(self, path: str) -> Entry | None:
        """The file behind `path`, also through a link to a folder beside it."""
        for link, target in self.links.items():
            if path.startswith(f"{link}/"):
                path = f"{link.rpartition('/')[0]}/{target}{path[len(link) :]}"
        return self.files.get(path)

    def move(self, source: str, target: str) -> None:
        if source in self.links:
            self.links[target] = self.links.pop(source)
        else:
            self.files[target] = self.files.pop(source)

    def remove(self, path: str) -> None:
        """`rm -rf`."""
        for kind in (self.files, self.folders, self.links):
            for found in [p for p in kind if p == path or p.startswith(f"{path}/")]:
                del kind[found]
        self.sockets = {p for p in self.sockets if p != path and not p.startswith(f"{path}/")}

    def names_in(self, folder: str) -> list[str]:
        start = f"{folder}/"
        inner = {
            p[len(start) :].partition("/")[0]
            for kind in (self.files, self.folders)
            for p in kind
            if p.startswith(start)
        }
        return sorted(inner)

    def below(self, *paths: str) -> Iterator[tuple[str, Entry]]:
        """Files that are one of `paths` or in a folder that is."""
        for path, entry in sorted(self.files.items()):
            if any(path == one or path.startswith(f"{one}/") for one in paths):
                yield path, entry

    def snapshot(self, *, without: tuple[str, ...] = ()) -> tuple[object, ...]:
        """Everything that a write would change."""
        files = {p: (e.content, e.mode, e.inode) for p, e in self.files.items() if not p.startswith(without)}
        return files, dict(self.folders), dict(self.links), set(self.sockets)
