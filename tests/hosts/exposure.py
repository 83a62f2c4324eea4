"""Where on a machine a text can be seen that nobody may see: process lists, files, the system's journal."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator
from pathlib import Path

from tests.hosts.lab import Machine

WATCHER = Path(__file__).with_name("watcher.py")
_FOLDERS = "/etc /home /opt /root /run /srv /tmp /usr/local /var"


@contextlib.contextmanager
def watched(machine: Machine, text: str) -> Iterator[list[str]]:
    """Somebody looks at the process list all the while; gives the lines that held `text` when it is over."""
    machine.put("/run/watcher.py", WATCHER.read_bytes())
    seen: list[str] = []
    with machine.talk("python3", "/run/watcher.py") as watcher:
        watcher.say(text)
        yield seen
        seen += watcher.rest()


def exposed(machine: Machine, text: str) -> list[str]:
    """Files that hold `text`, whoever may read them, and `the journal` if a line of it does."""
    quoted = shlex.quote(text)
    files = machine.run(f"grep -rlsaF -D skip --exclude-dir=journal -e {quoted} {_FOLDERS} || :")
    journal = machine.run(f"journalctl --no-pager -o export | grep -caF -e {quoted} || :").strip()
    return [*files.split(), *(["the journal"] if journal != "0" else [])]
