"""Values of a stack's secrets, for the few verbs that need one: from the environment, else from Pulumi's configuration.

A value is never part of an argument list or of a message.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from enginehouse.connectors.environment import SECRET_PREFIX, script_environment
from enginehouse.render.symbols import Secret
from enginehouse.verbs import InvalidInput

PROJECT_FILE = "Pulumi.yaml"
ANSWER_S = 60.0
"""Pulumi's own backend may be a service far away."""


def secret_values(stack: str, file: Path, names: Iterable[str]) -> dict[str, Secret]:
    """The values that are known here, by name; `file` is the stack's, beside which the Pulumi project is looked for."""
    found = {name: _from_environment(name) or _from_pulumi(stack, file, name) for name in names}
    return {name: Secret(value) for name, value in found.items() if value}


def no_value(stack: str, missing: Sequence[str]) -> InvalidInput:
    """What is raised where the values of these secrets are needed, with the two ways to give one."""
    return InvalidInput(f"{_have_no_value(missing)}; {how_to_give(stack, missing[0])}")


def how_to_give(stack: str, name: str) -> str:
    return f"set {variable(name)}, or run `pulumi config set --stack {stack} --secret {name}`"


def variable(name: str) -> str:
    """The environment variable that may hold the secret."""
    return SECRET_PREFIX + name.upper().replace("-", "_")


def _from_environment(name: str) -> str:
    return os.environ.get(variable(name), "")


def _from_pulumi(stack: str, file: Path, name: str) -> str:
    """What `pulumi config get` prints; nothing if there is no Pulumi, no project, no such stack or no such secret."""
    project = next((folder for folder in file.resolve().parents if (folder / PROJECT_FILE).is_file()), None)
    program = _pulumi(project) if project else None
    if program is None:
        return ""
    words = (program, "config", "get", name, "--stack", stack, "--cwd", str(project), "--non-interactive")
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=ANSWER_S)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _pulumi(project: Path) -> str | None:
    """The clone's own, which knows where its state is, else the one on PATH."""
    return shutil.which(project / "bin" / "pulumi") or shutil.which(
        "pulumi", path=script_environment(os.environ)["PATH"]
    )


def _have_no_value(names: Sequence[str]) -> str:
    return f"the secret {names[0]} has no value here" if len(names) == 1 else f"no value here: {', '.join(names)}"
