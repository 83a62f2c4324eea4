"""The one command that is run over SSH."""

from __future__ import annotations

import subprocess

import pytest

from enginehouse.connectors.ssh.command import PLAIN, SUDO, pack, unix_relay


@pytest.mark.parametrize("command", [PLAIN, SUDO])
def test_every_shell_reads_it_alike(command: str) -> None:
    """Within single quotes these signs alone have a meaning for one or another shell."""
    assert not set("\\\n") & set(command)
    assert command.count("'") in (2, 4)


def test_a_script_that_arrives_in_part_runs_nothing() -> None:
    """Whatever is missing at its end, but for the very last line end, which says nothing."""
    sent = pack("echo one\necho two", "s3cret")
    for missing in range(2, len(sent.head) - sent.head.index(b"{")):
        done = subprocess.run(("sh", "-c", PLAIN), input=sent.head[:-missing], capture_output=True, check=False)
        assert b"one" not in done.stdout


def test_the_whole_script_runs() -> None:
    """Twin: with nothing missing, between two marks, the second with its code."""
    sent = pack("echo one\nexit 3", "s3cret")
    done = subprocess.run(("sh", "-c", PLAIN), input=sent.head, capture_output=True, check=False)
    begin, rest = done.stdout.split(b"\n", 1)
    assert begin.startswith(sent.mark)
    assert rest == b"one\n" + sent.mark + b"3\n"
    assert done.stderr.splitlines() == [sent.mark, sent.mark]


def test_the_mark_is_in_no_argument() -> None:
    """Process lists are public; who knows the mark could speak for the machine."""
    assert b"s3cret" in pack("true", "s3cret").mark
    assert "s3cret" not in PLAIN + SUDO


def test_a_socket_s_path_is_a_path_for_socat() -> None:
    """Signs with a meaning in its addresses are escaped, and then quoted for the shell."""
    assert unix_relay("/run/a:b,c.sock").endswith(r"'UNIX-CONNECT:/run/a\:b\,c.sock'")
