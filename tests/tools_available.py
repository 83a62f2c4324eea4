"""Programs that a test needs and a machine may lack."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest


def find_tool(name: str) -> str | None:
    """The program's path or None: Enginehouse's cache first, then PATH, as on a deployed machine."""
    return shutil.which(name, path=os.pathsep.join([str(cache() / "bin"), os.environ.get("PATH", "")]))


def require_tool(name: str) -> str:
    """The program's path; without it the test is skipped with the reason, or fails when REQUIRE_ALL=1 (as in CI)."""
    found = find_tool(name)
    if found is not None:
        return found
    reason = f"{name} is neither in {cache()}/bin nor on PATH; `make setup` brings it"
    if os.environ.get("REQUIRE_ALL") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def cache() -> Path:
    """Where `make setup` puts what it brings."""
    cache_home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("ENGINEHOUSE_CACHE") or Path(cache_home, "enginehouse"))
