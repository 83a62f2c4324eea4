"""A script and its stdin share a stream without touching each other, in every shell that may be `sh`."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from enginehouse.connectors.shell import parcel

SHELLS = [shell for shell in ("dash", "bash", "busybox") if shutil.which(shell)]


def run(shell: str, command: str, stream: bytes) -> subprocess.CompletedProcess[bytes]:
    words = [shell, "sh", "-c", command] if shell == "busybox" else [shell, "-c", command]
    return subprocess.run(words, input=stream, capture_output=True, timeout=20, check=False)


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_gets_the_bytes_after_it(shell: str) -> None:
    """Nothing is read ahead, nothing is lost."""
    packed = parcel("head -c 4; echo; cat")
    assert run(shell, packed.command, packed.head + b"\0\xffabrest").stdout == b"\0\xffab\nrest"


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("script", ["touch {0}", "{{ touch {0}; }}", "touch {0} # }}\n", "touch {0}; (true)\n"])
def test_a_stream_that_is_cut_anywhere_runs_nothing(shell: str, script: str, tmp_path: Path) -> None:
    """And it never looks like success."""
    proof = tmp_path / "x"
    packed = parcel(script.format(proof))
    for length in range(len(packed.head) - 2):  # the last byte but one is the closing brace
        assert run(shell, packed.command, packed.head[:length]).returncode != 0, length
        assert not proof.exists(), length
    assert run(shell, packed.command, packed.head).returncode == 0
    assert proof.exists(), "the whole script does run, so the test above could have failed"


def test_the_command_depends_on_the_length_alone() -> None:
    """So it can't carry a secret."""
    assert parcel("echo hunter2").command == parcel("echo p4ssw0r").command
