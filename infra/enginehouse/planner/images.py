"""Names of container images with their digest, `[REGISTRY/]PATH[:TAG]@sha256:DIGEST`, as Docker reads them. Pure."""

from __future__ import annotations

HUB = "docker.io"
"""The registry of images whose name has none."""
_HUB_LOGIN = "https://index.docker.io/v1/"
"""What Docker's client calls it among its logins (docker/cli, cli/command/registry.go, read 2026-10)."""


def is_registry(step: str) -> bool:
    """Whether the first step of a name is a registry and not already a step of a path on Docker Hub."""
    return step == "localhost" or bool({".", ":"} & set(step)) or step != step.lower()


def registry_of(image: str) -> str:
    first, slash, _ = image.partition("/")
    return first if slash and is_registry(first) else HUB


def digest_of(image: str) -> str:
    """Such as `sha256:0123...`."""
    return image.partition("@")[2]


def at_mirror(image: str, mirror: str) -> str:
    """The name of the same image at a mirror of its registry, without its tag."""
    name, _, digest = image.partition("@")
    first, slash, path = name.partition("/")
    if not (slash and is_registry(first)):
        path = name if slash else f"library/{name}"
    return f"{mirror}/{path.partition(':')[0]}@{digest}"


def login_of(image: str) -> str:
    """Under which name Docker's client looks for a login."""
    registry = registry_of(image)
    return _HUB_LOGIN if registry == HUB else registry
