"""Downloads are checked, and what cannot be reached is an answer."""

import functools
import hashlib
import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bootstrap import download, pip
from bootstrap.errors import BootstrapError, ChecksumMismatch
from bootstrap.versions import Package

ROOT = Path(__file__).parents[2]
PINS = """\
# head
attrs==26.1.0 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
zope.event==5.0 \\
    --hash=sha256:cc
"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files without a line per request on stderr."""

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def published(tmp_path: Path) -> Iterator[str]:
    """Address of a server on loopback that publishes one file, `tool.tar.gz`."""
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "tool.tar.gz").write_bytes(b"content")
    handler = functools.partial(Quiet, directory=str(tmp_path / "www"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def nobody() -> Iterator[str]:
    """Address at which nothing listens, and nobody will meanwhile."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{silent.getsockname()[1]}"


def test_a_file_is_downloaded_and_verified(published: str, tmp_path: Path) -> None:
    """The right checksum passes."""
    file = tmp_path / "got"
    assert download.try_file(f"{published}/tool.tar.gz", file, timeout_s=10)
    download.verify(file, hashlib.sha256(b"content").hexdigest())


def test_another_content_is_refused(tmp_path: Path) -> None:
    """The error names both checksums."""
    (tmp_path / "got").write_bytes(b"other")
    with pytest.raises(ChecksumMismatch, match="expected 00"):
        download.verify(tmp_path / "got", "00")


def test_unreachable_and_absent_are_answers_not_errors(published: str, nobody: str, tmp_path: Path) -> None:
    """No listener or a 404: no file, no text, no exception."""
    assert not download.try_file(f"{nobody}/tool.tar.gz", tmp_path / "got", timeout_s=1)
    assert not download.try_file(f"{published}/none", tmp_path / "got", timeout_s=10)
    assert download.try_text(f"{nobody}/sums", timeout_s=1) is None
    assert not (tmp_path / "got").exists()


def test_a_checksum_is_found_by_its_file_name() -> None:
    """Both `sha256sum` forms are read; a name that only ends the same is another file."""
    text = "AB12  tool.tar.gz\ncd34 *other.tar.gz\nef56  my-tool.tar.gz\n"
    assert download.listed_checksum(text, "tool.tar.gz") == "ab12"
    assert download.listed_checksum(text, "other.tar.gz") == "cd34"
    assert download.listed_checksum(text, "absent.tar.gz") == ""


def test_pins_are_taken_from_the_requirements_with_all_hashes() -> None:
    """The language host installs a part of requirements.txt, nothing resolved anew."""
    assert pip.select(PINS, ["zope.event"]) == "zope.event==5.0 \\\n    --hash=sha256:cc\n"
    assert pip.select(PINS, ["attrs"]).count("--hash") == 2
    assert pip.names(PINS) == ("attrs", "zope.event")
    with pytest.raises(BootstrapError, match="does not pin absent"):
        pip.select(PINS, ["absent"])


def test_a_package_pin_lists_every_accepted_file() -> None:
    """One hash per platform."""
    package = Package(requirement="tool==1.0", sha256=("aa", "bb"))
    assert (package.name, package.line) == ("tool", "tool==1.0 --hash=sha256:aa --hash=sha256:bb")


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt", "requirements-bench.txt"])
def test_requirements_are_pinned_and_name_no_registry(name: str) -> None:
    """Where packages come from is the user's own configuration."""
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "://" not in text
    assert "index-url" not in text
    assert all("--hash=sha256:" in pip.select(text, [package]) for package in pip.names(text))


def test_the_development_requirements_contain_the_others() -> None:
    """Installing them also satisfies `make up`: same packages, same versions."""
    runtime, dev = ((ROOT / name).read_text(encoding="utf-8") for name in ("requirements.txt", "requirements-dev.txt"))
    names = pip.names(runtime)
    assert pip.select(dev, names) == pip.select(runtime, names)
