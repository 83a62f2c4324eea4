"""A child process with everything it starts: one session, one process group, ended as a whole."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import IO

GRACE_S = 2.0
"""From SIGTERM to SIGKILL: enough to remove a temporary file, little enough for a person who pressed Ctrl-C."""

POLL_S = 0.02
"""How often a stopping group is looked at; the kernel has no event for the end of a whole group."""


class Process:
    """A running command in a session of its own: no Ctrl-C of a terminal reaches it, ending it is our decision."""

    def __init__(self, words: Sequence[str], environment: Mapping[str, str]) -> None:
        self._popen = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            cwd="/",  # a daemon that a script leaves behind must not keep the caller's folder busy
            env=environment,
            start_new_session=True,
        )
        assert self._popen.stdin and self._popen.stdout and self._popen.stderr
        self.stdin: IO[bytes] = self._popen.stdin
        self.stdout: IO[bytes] = self._popen.stdout
        self.stderr: IO[bytes] = self._popen.stderr
        for pipe in self._pipes():
            os.set_blocking(pipe.fileno(), False)

    def code(self) -> int | None:
        """The exit code, minus the signal's number if one ended it; None while it runs."""
        return self._popen.poll()

    def wait(self, timeout_s: float) -> None:
        """Return when it has ended, or after `timeout_s`."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(timeout_s)

    def terminate(self) -> None:
        """Ask the whole group to end."""
        self._signal(signal.SIGTERM)

    def finish(self, *, by: float) -> None:
        """Return when the whole group is gone; kill what is left of it at `by`, a `time.monotonic()`."""
        while self._group_lives() and time.monotonic() < by:
            time.sleep(POLL_S)
        self._signal(signal.SIGKILL)
        self.wait(GRACE_S)  # a process in uninterruptible sleep outlives even SIGKILL; it must not hold us

    def stop(self) -> None:
        """End the whole group: SIGTERM, a short grace, SIGKILL. Idempotent, from any thread."""
        self.terminate()
        self.finish(by=time.monotonic() + GRACE_S)

    def close(self) -> None:
        """Close our ends of its pipes."""
        for pipe in self._pipes():
            pipe.close()

    def _pipes(self) -> tuple[IO[bytes], ...]:
        return self.stdin, self.stdout, self.stderr

    def _group_lives(self) -> bool:
        self.code()  # reaps the leader, which would count as a member while it is a zombie
        return self._signal(0)

    def _signal(self, number: int) -> bool:
        """Send a signal to the group; whether there is one."""
        try:
            os.killpg(self._popen.pid, number)
        except ProcessLookupError:
            return False
        except PermissionError:  # all that is left belongs to another user (sudo); it ends when its stdin does
            return True
        return True
