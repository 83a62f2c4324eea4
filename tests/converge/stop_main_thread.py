"""Stops the main thread of a process and no other: `stop_main_thread.py PID`. Prints `stopped`, ends with the process.

A stop signal would stop every thread; a debugger's interface stops one.
"""

from __future__ import annotations

import ctypes
import os
import sys

PTRACE_ATTACH = 16
WALL = 0x40000000
"""Also threads (`__WALL`, Linux: waitpid(2))."""


def main() -> None:
    pid = int(sys.argv[1])
    if ctypes.CDLL(None, use_errno=True).ptrace(PTRACE_ATTACH, pid, None, None) != 0:
        sys.exit(os.strerror(ctypes.get_errno()))
    os.waitpid(pid, WALL)
    print("stopped", flush=True)
    # Whatever signal comes is kept from it, except SIGKILL, which nobody can keep from it.
    while os.WIFSTOPPED(os.waitpid(pid, WALL)[1]):
        pass


if __name__ == "__main__":
    main()
