"""Files that a verb writes: whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

_READABLE = 0o644
"""Files for Git, which keeps no other rights than these and the right to execute."""


def replace(path: Path, text: str) -> None:
    """Make `text` the file's content; whoever reads it meanwhile sees the old or the new one."""
    _put(path.resolve(), text, os.replace)


def create(path: Path, text: str) -> None:
    """A new file, with its folders. Raises `FileExistsError` and leaves the file alone if there is one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _put(path, text, os.link)


def _put(path: Path, text: str, place: Callable[[Path, Path], None]) -> None:
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    new = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fchmod(descriptor, _READABLE)
            os.fsync(descriptor)
        place(new, path)
    finally:
        new.unlink(missing_ok=True)
