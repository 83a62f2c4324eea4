"""The Pulumi project that a stack file stands in, and the program that knows its state."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from enginehouse.connectors.environment import script_environment

PROJECT_FILE = "Pulumi.yaml"


def pulumi_of(file: Path) -> tuple[str, ...] | None:
    """How a command line about the project of the stack `file` begins; None without a project or without Pulumi.

    The clone's own program, which knows where its state is, else the one on PATH.
    """
    project = next((folder for folder in file.resolve().parents if (folder / PROJECT_FILE).is_file()), None)
    if project is None:
        return None
    program = shutil.which(project / "bin" / "pulumi") or shutil.which(
        "pulumi", path=script_environment(os.environ)["PATH"]
    )
    return (program, "--cwd", str(project), "--non-interactive") if program else None
