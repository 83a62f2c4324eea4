"""Stand-in for `nvidia-smi` that answers from captures of the real one. Strict: what was not captured is an error.

    python nvidia_smi.py FOLDER ARGUMENT...

FOLDER has `query-gpu.csv` and `query-compute-apps.csv` with all columns, `list.txt` (`-L`) and `q.txt` (`-q`). With
`failure.txt` there, that is all it says. With `hangs` there, it never answers, and neither does a process of its own
that nobody who ends it knows, as one that waits in the kernel does.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

FAILED = 9
"""`nvidia-smi`'s code when it can't talk to the driver (its manual, "RETURN VALUE")."""
WRONG = 2
FOREVER_S = 30


def main(folder: Path, *words: str) -> int:
    if (folder / "hangs").exists():
        subprocess.Popen(["sleep", str(FOREVER_S)], start_new_session=True)
        time.sleep(FOREVER_S)
    if (folder / "failure.txt").exists():
        print((folder / "failure.txt").read_text(), end="")
        return FAILED
    match words:
        case ["-L"]:
            print((folder / "list.txt").read_text(), end="")
        case ["-q", "-d", "COMPUTE"]:
            print((folder / "q.txt").read_text(), end="")
        case [query, "--format=csv"] if query.startswith(("--query-gpu=", "--query-compute-apps=")):
            name, _, fields = query.removeprefix("--").partition("=")
            return table((folder / f"{name}.csv").read_text(), fields.split(","))
        case _:
            print(f"Invalid combination of input arguments: {words}. This was not captured.")
            return WRONG
    return 0


def table(captured: str, fields: list[str]) -> int:
    """Only the columns that are asked for, in that order."""
    header, *rows = (line.split(", ") for line in captured.splitlines())
    names = [name.partition(" [")[0] for name in header]
    for field in fields:
        if field not in names:
            print(f'Field "{field}" is not a valid field to query.\n')
            return WRONG
    for cells in (header, *rows):
        print(", ".join(cells[names.index(field)] for field in fields))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), *sys.argv[2:]))
