"""Outputs of real programs, and the answer of a machine on which they were printed."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from enginehouse.inventory import Inventory, read

FOLDER = Path(__file__).resolve().parents[2] / "captures"
SOURCES: Mapping[str, Mapping[str, str]] = json.loads((FOLDER / "sources.json").read_text())
BARE = {"state": "/s", "clock": "1000\n", "kernel": "6.1.0 x86_64\n", "user": "ada\n", "root": "1000\n"}
"""A machine that has nothing and tells nothing."""


def captured(name: str, code: int | None = None) -> str:
    """A capture; with `code`, as `within` passes on what a program printed before it ended with that."""
    text = (FOLDER / name).read_text()
    return text if code is None else f"{text}exit {code}\n"


def answer(**values: str) -> str:
    """What the script prints on a machine with these facts beside the bare ones; `__` stands for a dot."""
    known = {**BARE, **{key.replace("__", "."): value for key, value in values.items()}}
    text = "".join(f"\0{key}\t{value}" for key, value in known.items())
    return f"facts\t{base64.b64encode(text.encode()).decode()}\n"


def inventory(*, asked_at: float = 1000, answered_at: float = 1001, **values: Any) -> Inventory:
    return read(answer(**values), asked_at=asked_at, answered_at=answered_at)
