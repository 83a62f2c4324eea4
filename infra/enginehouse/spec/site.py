"""The place where the machines are, as a stack file describes it."""

# ruff: noqa: RUF009 - `key` makes a field

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from enginehouse.spec.fields import LOGIN_PATTERN, MIRROR_PATTERN, REGISTRY_PATTERN, key
from enginehouse.spec.packages import Packages
from enginehouse.spec.secret_name import SecretName

_REGISTRY_EXAMPLE = {"mirror": "registry.corp.example/ghcr", "username": "robot", "password": {"secret": "registry"}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """How machines get the images of a registry. Whatever it says, an image is the one of its digest."""

    mirror: str | None = key(
        "Where they are fetched instead, and nowhere else: `HOST/PATH`, to which the image's own path is added.",
        example="registry.corp.example/ghcr",
        default=None,
        pattern=MIRROR_PATTERN,
    )
    username: str | None = key(
        "Who logs in, at the mirror if there is one. Left out: whoever the machine's own Docker is logged in as.",
        example="robot",
        default=None,
        pattern=LOGIN_PATTERN,
    )
    password: SecretName | None = key(
        "The password or token for it, as a secret.", example={"secret": "registry"}, default=None
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What is special about the place where the machines are."""

    registries: Mapping[str, Registry] = key(
        "Container registries by name, such as `ghcr.io`; images whose name has none are of `docker.io`.",
        example={"ghcr.io": _REGISTRY_EXAMPLE},
        default_factory=dict,
        propertyNames={"pattern": REGISTRY_PATTERN},
    )
    packages: Packages = key(
        "Repositories of packages, where machines can't reach NVIDIA's own.",
        example={"nvidia_driver": {"mirror": "https://packages.corp.example/nvidia-cuda"}},
        default_factory=Packages,
    )
