"""NVIDIA's driver in a stack file."""

# ruff: noqa: RUF009 - `key` makes a field

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from enginehouse.planner.hardware import Modules
from enginehouse.spec.fields import BRANCH_PATTERN, key


class Preinstalled(StrEnum):
    """The driver that is there, whichever."""

    PREINSTALLED = "preinstalled"


class Presence(StrEnum):
    """Whether something is brought to a machine."""

    PREINSTALLED = "preinstalled"
    INSTALL = "install"


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """NVIDIA's driver, installed from NVIDIA's packages and held there."""

    branch: str = key("The branch, the first number of its versions.", example="580", pattern=BRANCH_PATTERN)
    modules: Modules = key(
        "Which kernel modules. `auto`: the open ones, which all GPUs from Turing on can have and Blackwell needs, or "
        "the proprietary ones where there is an older GPU, or their package is there.",
        example="open",
        default=Modules.AUTO,
    )
