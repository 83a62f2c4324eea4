"""Which program is used: the installed one if it is good enough, else our own."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from bootstrap import haproxy, llama, pulumi_cli
from bootstrap.places import cache_folder
from bootstrap.versions import FILE, at_least, first_version, parse, pinned

FakeProgram = Callable[[Path, str], Path]
HAPROXY = "HAProxy version {} 2026/06/26 - https://haproxy.org/\nFeature list : +EPOLL {}LUA -QUIC\n"


@pytest.mark.parametrize(
    ("version", "minimum", "expected"),
    [
        ("3.259.0", "3.200.0", True),
        ("3.200.0", "3.200.0", True),
        ("3.99.0", "3.200.0", False),
        ("2.6.12", "2.6", True),
        ("2.10", "2.6", True),
        ("", "2.6", False),
    ],
)
def test_versions_compare_by_number(version: str, minimum: str, expected: bool) -> None:
    """99 is less than 200, and no version is never enough."""
    assert at_least(version, minimum) is expected


def test_the_first_version_is_found_in_what_programs_print() -> None:
    """Prefixes and suffixes do not matter."""
    assert first_version("v3.259.0-dev.1\n") == "3.259.0"
    assert first_version("HAProxy version 2.8.25-5cf5d0683 2026/06/26") == "2.8.25"
    assert first_version("command not found") == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("version: 11434 (1a2b3c4d)\nbuilt with GNU 12.2.0", "11434"),
        ("version: 0.6.0-dev (build 11434, commit unknown)\nbuilt with GNU 12.2.0", "11434"),
        ("load_backend: cpu\nversion: 6000 (abc)", "6000"),
        ("llama-server: error", ""),
    ],
)
def test_the_build_number_of_llama_server_is_read_in_both_forms(text: str, expected: str) -> None:
    """Older and newer builds print it differently."""
    assert llama.build_number(text) == expected


def test_haproxy_needs_a_version_and_lua() -> None:
    """An old one, or one without Lua, is not used."""
    assert haproxy.usable(HAPROXY.format("2.8.25-5cf5d0683", "+"), "2.6")
    assert not haproxy.usable(HAPROXY.format("2.4.22", "+"), "2.6")
    assert not haproxy.usable(HAPROXY.format("2.8.25", "-"), "2.6")


def test_an_installed_pulumi_is_used_only_when_recent(tmp_path: Path, fake_program: FakeProgram) -> None:
    """3.100 is passed over, 3.259 is taken."""
    old = fake_program(tmp_path / "old" / "pulumi", "echo v3.100.0")
    new = fake_program(tmp_path / "new" / "pulumi", "echo v3.259.0")
    assert pulumi_cli.on_path("3.200.0", skip=tmp_path, search=str(old.parent)) is None
    assert pulumi_cli.on_path("3.200.0", skip=tmp_path, search=str(new.parent)) == new


def test_our_own_shim_is_not_an_installed_pulumi(tmp_path: Path, fake_program: FakeProgram) -> None:
    """After `eval "$(make -s env)"` the shim is first on PATH; it must not be taken for the real CLI."""
    shim = fake_program(tmp_path / "repo" / "bin" / "pulumi", "echo v9.9.9")
    real = fake_program(tmp_path / "usr" / "pulumi", "echo v3.259.0")
    search = f"{shim.parent}:{real.parent}"
    assert pulumi_cli.on_path("3.200.0", skip=shim.parent, search=search) == real
    assert pulumi_cli.on_path("3.200.0", skip=shim.parent, search=str(shim.parent)) is None


def test_a_broken_pulumi_does_not_stop_the_setup(tmp_path: Path, fake_program: FakeProgram) -> None:
    """One that does not run counts as none."""
    broken = fake_program(tmp_path / "pulumi", "exit 1")
    assert pulumi_cli.on_path("3.200.0", skip=tmp_path / "no", search=str(broken.parent)) is None


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"HOME": "/h"}, "/h/.cache/enginehouse"),
        ({"HOME": "/h", "XDG_CACHE_HOME": "/x"}, "/x/enginehouse"),
        ({"HOME": "/h", "XDG_CACHE_HOME": ""}, "/h/.cache/enginehouse"),
        ({"HOME": "/h", "XDG_CACHE_HOME": "/x", "ENGINEHOUSE_CACHE": "/own"}, "/own"),
    ],
)
def test_the_cache_is_where_the_user_wants_it(environ: Mapping[str, str], expected: str) -> None:
    """Our variable wins over XDG, XDG over the default; empty counts as unset."""
    assert cache_folder(environ) == Path(expected)


def test_every_pin_is_a_sha256() -> None:
    """versions.toml parses, and no checksum is a placeholder."""
    versions = parse(FILE.read_text(encoding="utf-8"))
    packages = (
        versions.llama_server.source,
        versions.haproxy.wheel,
        versions.supervisor.package,
        versions.demo_model.wheel,
    )
    digests = [digest for package in packages for digest in package.sha256] + [versions.demo_model.file_sha256]
    assert [digest for digest in digests if len(digest) != 64 or not set(digest) <= set("0123456789abcdef")] == []


def test_the_cli_and_the_sdk_have_the_same_version() -> None:
    """They are tested together; a new SDK needs a new CLI."""
    root = FILE.parents[2]
    assert f"\npulumi=={pinned().pulumi.version} " in (root / "requirements.txt").read_text(encoding="utf-8")
    assert f"/pkg/v3 v{pinned().pulumi.version}" in (root / "tools/pulumi/go.mod").read_text(encoding="utf-8")
