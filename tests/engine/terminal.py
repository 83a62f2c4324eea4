"""The CLI on a terminal, where it may ask questions and draws tables that move."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import time

from tests.engine.project import DEADLINE_S, Project

_ANSWERS = {b"\x1b[6n": b"\x1b[1;1R", b"\x1b]11;?": b"\x1b]11;rgb:0000/0000/0000\x07"}
"""What a terminal says when it is asked for the cursor and its colour; without, the CLI waits five seconds."""
_CODES = re.compile(r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b\[[0-9;?]*[A-Za-z]|\r")


def on_a_terminal(project: Project, *words: str, expect: int | None = 0) -> str:
    """What the CLI showed. It is never answered, so a question it asks is an error; `expect` None takes any end."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(project.root)
        os.execve(project.shim, [str(project.shim), *words], {**project.environment, "TERM": "xterm"})
    shown, end = b"", time.monotonic() + DEADLINE_S
    while (more := _more(terminal, end)) is not None:
        shown += more
        for question, answer in _ANSWERS.items():
            if question in more:
                os.write(terminal, answer)
    if time.monotonic() >= end:
        os.kill(pid, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(terminal)
    text = _CODES.sub("", shown.decode(errors="replace"))
    assert expect in (None, code), f"pulumi {' '.join(words)}: exit code {code}\n{text}"
    return text


def _more(terminal: int, end: float) -> bytes | None:
    """The next output; None at its end or after the deadline."""
    ready, _, _ = select.select([terminal], [], [], max(0.0, end - time.monotonic()))
    try:
        return (os.read(terminal, 65536) or None) if ready else None
    except OSError:
        return None
