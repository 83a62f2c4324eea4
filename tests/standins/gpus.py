"""GPUs of NVIDIA on this machine, as far as `nvidia-smi` tells: rows of the real one's capture, as many as wanted.

It does not prove that an engine computes on them, nor that a driver honours a UUID.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.standins import nvidia_smi

CAPTURES = Path(__file__).parents[1] / "captures" / "l40s"


def uuid(number: int) -> str:
    return f"GPU-{number:08x}-1111-2222-3333-444444444444"


def install_gpus(tools: Path, captures: Path) -> None:
    """An `nvidia-smi` in `tools` that answers from the folder `captures`."""
    captures.mkdir()
    for name in ("list.txt", "q.txt", "query-compute-apps.csv"):
        shutil.copy(CAPTURES / name, captures)
    program = tools / "nvidia-smi"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -S {nvidia_smi.__file__} {captures} "$@"\n')
    program.chmod(0o755)


def set_gpus(captures: Path, uuids: Sequence[str], **columns: str) -> None:
    """Make the machine have these, in this order, with other values in some columns."""
    header, row = (line.split(", ") for line in (CAPTURES / "query-gpu.csv").read_text().splitlines())
    names = [name.partition(" [")[0] for name in header]
    lines = [header]
    for index, each in enumerate(uuids):
        changed = {**columns, "index": str(index), "uuid": each}
        lines.append([changed.get(name, cell) for name, cell in zip(names, row, strict=True)])
    (captures / "query-gpu.csv").write_text("".join(", ".join(cells) + "\n" for cells in lines))
    apps = (CAPTURES / "query-compute-apps.csv").read_text().splitlines()[0]
    (captures / "query-compute-apps.csv").write_text(f"{apps}\n")
