"""Plain HTTPS downloads of official releases; unreachable is an answer here, not an error."""

import urllib.error
import urllib.request
from pathlib import Path

from bootstrap.errors import ChecksumMismatch
from bootstrap.store import sha256

CHUNK = 1 << 20


def try_text(url: str, *, timeout_s: float) -> str | None:
    """The text behind `url`, or None when it cannot be had."""
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as response:
            return str(response.read().decode("utf-8", "replace"))
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return None


def try_file(url: str, to: Path, *, timeout_s: float) -> bool:
    """Copy what is behind `url` to a file; False when it cannot be had. The timeout is per read, not in all."""
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as response, to.open("wb") as file:
            while chunk := response.read(CHUNK):
                file.write(chunk)
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        to.unlink(missing_ok=True)
        return False
    return True


def listed_checksum(checksums: str, file_name: str) -> str:
    """The digest that a `sha256sum`-style list gives for a file, or an empty string."""
    for line in checksums.splitlines():
        digest, _, name = line.strip().partition(" ")
        if name.strip().lstrip("*") == file_name:
            return digest.lower()
    return ""


def verify(file: Path, expected: str) -> None:
    """Raises ChecksumMismatch when the file's content is not the expected one."""
    if (actual := sha256(file)) != expected:
        raise ChecksumMismatch(file, expected=expected, actual=actual)
