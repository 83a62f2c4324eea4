"""Somebody on a machine who reads its process list until stdin ends, and prints every line of it that holds a text.

A process that lives for less than the pause may go unseen.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from pathlib import Path

PAUSE_S = 0.02


def main() -> None:
    text = sys.stdin.readline().strip().encode()
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    print("begun", flush=True)
    seen: set[bytes] = set()
    while not over.wait(PAUSE_S):
        for file in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                words = file.read_bytes()
                if text in words and words not in seen:
                    seen.add(words)
                    print(words.replace(b"\0", b" ").decode(errors="replace"), flush=True)


main()
