"""What a plan says of an engine's container beside its image."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """How an image is fetched. Never part of a digest: the image's own digest says what is fetched."""

    mirror: str | None = None
    """Host and path that stand for the registry in the image's name."""
    username: str | None = None
    password: str | None = None
    """The name of the secret."""
