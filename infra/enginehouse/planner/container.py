"""What a plan says of an engine's container beside its image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """How an image is fetched. Never part of a digest: the image's own digest says what is fetched."""

    mirror: str | None = None
    """Host and path that stand for the registry in the image's name."""
    username: str | None = None
    password: str | None = None
    """The name of the secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """What a container gets beside the little that every one has."""

    shm_gib: int | None = None
    """Size of its `/dev/shm`."""
    ulimits: Mapping[str, int] = field(default_factory=dict)
    """By the name that Docker has for it; -1 is no limit."""


def passwords_of(registry: Registry | None) -> tuple[str, ...]:
    """Names of the secrets that it takes to fetch from there."""
    return (registry.password,) if registry and registry.password else ()
