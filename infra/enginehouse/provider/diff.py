"""What the Pulumi engine is told about the differences between two sets of inputs: which replace the resource. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from enginehouse.planner.diff import Difference, Kind, differing, path_text
from enginehouse.provider.wire import UNKNOWN, unsealed

__all__ = ["Change", "Kind", "diff", "path_text"]

IDENTITY = ("stack", "host", "machine_id")
"""Inputs that make it another thing when they change; so does `name`, unless it is a declared rename."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change(Difference):
    """One difference. `replaces`: the resource is deleted and made anew."""

    replaces: bool = False


def diff(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Change, ...]:
    """Every difference from `old` to `new` inputs, sorted by where it is in `new`; () if they mean the same.

    What a preview can't know yet counts as a difference. A secret is compared by what it hides: that a value became
    secret is no change on a machine.
    """
    return tuple(
        Change(path=found.path, kind=found.kind, replaces=_replaces(found.path[0], old, new))
        for found in differing(unsealed(old), unsealed(new))
    )


def _replaces(name: str | int, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    if name == "name":
        return bool(new.get("renamed_from") != old.get("name"))
    return name in IDENTITY and new.get(str(name)) is not UNKNOWN
