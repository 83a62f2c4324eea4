"""GPUs in a plan: those that a machine is said to have, those that a replica gets, and what NVIDIA's need there."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Modules(StrEnum):
    """Which of NVIDIA's two kernel modules."""

    AUTO = "auto"
    """The open ones, unless a GPU of the machine is too old for them."""
    OPEN = "open"
    PROPRIETARY = "proprietary"


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageSource:
    """Where packages come from, and whose signature they carry; None: as NVIDIA publishes them."""

    mirror: str | None = None
    key: str | None = None
    """Where the signing key is fetched. Only the one of `fingerprint` counts."""
    fingerprint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """NVIDIA's driver as a machine shall have it."""

    branch: str
    modules: Modules
    source: PackageSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolkit:
    """NVIDIA's container toolkit, where a machine shall get it."""

    source: PackageSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpus:
    """So many of one model, by its name in `catalog.gpus`."""

    model: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaGpus:
    """GPUs that a replica has to itself."""

    model: str
    """By its name in `catalog.gpus`."""
    devices: tuple[int, ...]
    """By their places among those of the model on the machine."""
