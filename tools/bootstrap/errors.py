"""Errors of the bootstrap, all meant for the person who typed `make`.

BootstrapError
├── CommandFailed     a program we ran said no
└── ChecksumMismatch  a download is not what the repository pins
"""

from pathlib import Path


class BootstrapError(Exception):
    """Something the user can act on: one sentence, and a hint where there is one."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class CommandFailed(BootstrapError):
    """A program ended with an error; `tail` holds its last lines."""

    def __init__(self, argv: tuple[str, ...], returncode: int, tail: tuple[str, ...], *, hint: str = "") -> None:
        super().__init__(f"`{' '.join(argv[:4])}{' …' if len(argv) > 4 else ''}` ended with {returncode}", hint=hint)
        self.argv = argv
        self.returncode = returncode
        self.tail = tail


class ChecksumMismatch(BootstrapError):
    """A file has another sha256 than the repository, or its publisher, says."""

    def __init__(self, file: Path, *, expected: str, actual: str) -> None:
        super().__init__(f"{file.name} has sha256 {actual}, expected {expected}")
