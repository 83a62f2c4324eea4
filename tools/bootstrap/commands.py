"""Runs other programs: output streamed to a callback and a log file, bounded in time, errors with the last lines."""

import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from bootstrap.errors import CommandFailed

TAIL_LINES = 30
QUICK_S = 60.0
BUILD_S = 3 * 3600.0  # a slow single core needs half an hour; this only ends what hangs


def run(
    argv: tuple[str, ...],
    *,
    log: Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    on_line: Callable[[str], None] | None = None,
    hint: str = "",
    timeout_s: float = BUILD_S,
) -> None:
    """Run a long program and hand each output line to `on_line`; everything also goes to `log` (appended).

    Raises CommandFailed with the last lines when it ends with an error or runs past `timeout_s`.
    """
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    log.parent.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        argv,
        cwd=cwd,
        env=environment(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    deadline = threading.Timer(timeout_s, _end, (process,))
    deadline.start()
    try:
        with log.open("a", encoding="utf-8") as kept:
            for text in map(str.rstrip, process.stdout or ()):
                kept.write(text + "\n")
                tail.append(text)
                if on_line is not None:
                    on_line(text)
        returncode = process.wait()
    except BaseException:
        _end(process)
        raise
    finally:
        deadline.cancel()
    if returncode != 0:
        raise CommandFailed(argv, returncode, tuple(tail), hint=hint)


def output(
    argv: tuple[str, ...],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str = "",
    timeout_s: float = QUICK_S,
) -> str:
    """What a quick program prints on stdout and stderr together. Raises CommandFailed when it fails or hangs."""
    try:
        done = subprocess.run(
            argv,
            cwd=cwd,
            env=environment(env),
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as err:
        raise CommandFailed(argv, -1, (str(err),)) from err
    if done.returncode != 0:
        raise CommandFailed(argv, done.returncode, tuple(done.stdout.splitlines()[-TAIL_LINES:]))
    return done.stdout


def environment(extra: Mapping[str, str] | None) -> dict[str, str]:
    """This process's environment with `extra` on top."""
    return {**os.environ, **(extra or {})}


def gentle(argv: tuple[str, ...]) -> tuple[str, ...]:
    """The same command at low priority, so that a build does not freeze the user's desktop."""
    return ("nice", "-n", "10", *argv)


def _end(process: subprocess.Popen[str]) -> None:
    """Stop the program and everything it started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
