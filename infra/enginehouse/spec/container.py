"""What a container gets beside the little that every one has, as a stack file says it."""

# ruff: noqa: RUF009 - `key` makes a field

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from enginehouse.spec.fields import key


@dataclass(frozen=True, slots=True, kw_only=True)
class Ulimits:
    """Limits of the processes in a container, soft and hard, in the words of `ulimit`. Left out: those of Docker."""

    memlock: int | Literal["unlimited"] | None = key(
        "Bytes that may be kept from being swapped out, or `unlimited`.",
        example="unlimited",
        default=None,
        minimum=0,
        maximum=2**53,
    )
    nofile: int | None = key("Files open at once.", example=1048576, default=None, minimum=64, maximum=1073741816)
    stack: int | Literal["unlimited"] | None = key(
        "Bytes of a stack, or `unlimited`.", example=67108864, default=None, minimum=65536, maximum=2**53
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """More room for an engine's container."""

    shm_gib: int | None = key(
        "Size of `/dev/shm`, through which the processes of an engine speak. Left out: Docker's 64 MiB.",
        example=8,
        default=None,
        minimum=1,
        maximum=4096,
    )
    ulimits: Ulimits = key("Limits of its processes.", example={"memlock": "unlimited"}, default_factory=Ulimits)
