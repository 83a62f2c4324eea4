"""Each fact as a pair: the shell function that prints it, and the function that says what that means."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from enginehouse.inventory import gpus, images, ports, system
from enginehouse.inventory.answers import Values, values_of
from enginehouse.inventory.claims import claims
from enginehouse.inventory.gpus import PATIENCE_S
from enginehouse.inventory.model import Inventory
from enginehouse.render.templates import render


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """`command`: a line of shell, from `templates/host/inventory.sh`; `parse`: from what all commands printed."""

    command: str
    parse: Callable[[Values], Any]


PAIRS: Mapping[str, Pair] = {
    "system": Pair(command="system", parse=system.system),
    "user": Pair(command="login", parse=system.user),
    "cpu": Pair(command="cpu", parse=system.cpu),
    "memory": Pair(command="memory", parse=system.memory),
    "disk": Pair(command='disk_of disk "$state"', parse=system.disk),
    "images_disk": Pair(command="images_disk", parse=system.images_disk),
    "systemd": Pair(command="init", parse=system.systemd),
    "secure_boot": Pair(command="secure_boot", parse=system.secure_boot),
    "graphics": Pair(command='pci; nvidia_module; gpus_and_users "$patience"', parse=gpus.graphics),
    "runtimes": Pair(command="runtimes", parse=system.runtimes),
    "ports": Pair(command="all_ports", parse=ports.ports),
    "claims": Pair(command='claims_in "$state"', parse=lambda values: claims(values.get("claims", ""))),
}
"""By the field of `Inventory` that they are for."""


def question(files: Sequence[str] = (), images: Sequence[str] = (), patience_s: int = PATIENCE_S) -> str:
    """The script; it also tells the sizes of `files` (shell words) and `images`. It writes nothing, needs no stdin."""
    asked = (f"sizes {' '.join(files)}", *([f"manifests {shlex.join(images)}"] if images else []))
    lines = (f"patience={patience_s}", "find_state", "clock", *(pair.command for pair in PAIRS.values()), *asked)
    libraries = tuple(render(f"host/{name}.sh") for name in ("probe", "gpus", "inventory"))
    # Not every `base64` has `-w`.
    return "\n".join(
        (*libraries, "facts() {", *lines, "}", "printf 'facts\\t'", "facts | base64 | tr -d '\\n'", "echo")
    )


def read(text: str, *, asked_at: float, answered_at: float) -> Inventory:
    """The machine as its answer says it is; our clock said these times around the question.

    Raises `BadProbe` if it is no answer.
    """
    values = values_of(text)
    found = {name: pair.parse(values) for name, pair in PAIRS.items()}
    off_s = system.off_by(values, asked_at, answered_at)
    return Inventory(
        **found,
        state=values["state"],
        stored=system.stored(values),
        missing_images_mib=images.missing_mib(values, found["system"].architecture),
        clock_off_s=off_s,
    )
