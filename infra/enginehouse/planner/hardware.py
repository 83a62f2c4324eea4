"""GPUs in a plan: those that a machine is said to have, and those that a replica gets."""

from __future__ import annotations

from dataclasses import dataclass


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
