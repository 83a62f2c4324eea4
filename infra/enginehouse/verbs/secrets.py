"""Values of a stack's secrets, for the few verbs that need one: from the environment, else from Pulumi's configuration.

A value is never part of an argument list or of a message.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

from enginehouse.connectors.environment import how_to_give, variable
from enginehouse.planner.parts import Part
from enginehouse.render.symbols import Secret
from enginehouse.spec.find import stack_name
from enginehouse.verbs import InvalidInput
from enginehouse.verbs.pulumi import pulumi_of
from enginehouse.verbs.stacks import stack_file

ANSWER_S = 60.0
"""Pulumi's own backend may be a service far away."""


def secret_values(stack: str, file: Path, names: Iterable[str]) -> dict[str, Secret]:
    """The values that are known here, by name; `file` is the stack's, beside which the Pulumi project is looked for."""
    found = {name: _from_environment(name) or _from_pulumi(stack, file, name) for name in names}
    return {name: Secret(value) for name, value in found.items() if value}


class Passwords:
    """The passwords for sudo on the machines of some stacks, each looked up when a machine first needs it."""

    def __init__(self, stacks: Sequence[str]) -> None:
        """`stacks` are given as a person gives them, by name or path."""
        self._stacks = stacks
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], Secret | None] = {}

    def __call__(self, part: Part, name: str) -> Secret | None:
        key = part.stack, name
        with self._lock:
            if key not in self._known:
                files = {stack_name(file): file for file in map(stack_file, self._stacks)}
                self._known[key] = secret_values(part.stack, files[part.stack], (name,)).get(name)
            return self._known[key]


def no_value(stack: str, missing: Sequence[str]) -> InvalidInput:
    """What is raised where the values of these secrets are needed, with the two ways to give one."""
    return InvalidInput(f"{_have_no_value(missing)}; {how_to_give(stack, missing[0])}")


def _from_environment(name: str) -> str:
    return os.environ.get(variable(name), "")


def _from_pulumi(stack: str, file: Path, name: str) -> str:
    """What `pulumi config get` prints; nothing if there is no Pulumi, no project, no such stack or no such secret."""
    begin = pulumi_of(file)
    if begin is None:
        return ""
    words = (*begin, "config", "get", name, "--stack", stack)
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=ANSWER_S)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.rstrip("\r\n") if done.returncode == 0 else ""


def _have_no_value(names: Sequence[str]) -> str:
    return f"the secret {names[0]} has no value here" if len(names) == 1 else f"no value here: {', '.join(names)}"
