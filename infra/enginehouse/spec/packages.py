"""Where a stack file says that packages of NVIDIA come from."""

# ruff: noqa: RUF009 - `field_of` makes a field

from __future__ import annotations

from dataclasses import dataclass

from enginehouse.spec.fields import FINGERPRINT_PATTERN, URL_PATTERN
from enginehouse.spec.fields import key as field_of


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageSource:
    """A repository of packages. Whatever it says, nothing is installed without the signature of one known key."""

    mirror: str | None = field_of(
        "Where its files are fetched instead, in the same folders.",
        example="https://packages.corp.example/nvidia-cuda",
        default=None,
        pattern=URL_PATTERN,
    )
    key: str | None = field_of(
        "Where the signing key is fetched, in ASCII armour; left out: where NVIDIA has it, at the mirror if there is "
        "one.",
        example="https://packages.corp.example/signing-key.asc",
        default=None,
        pattern=URL_PATTERN,
    )
    fingerprint: str | None = field_of(
        "The fingerprint of the only key whose signature counts, where a mirror signs anew; left out: NVIDIA's own.",
        example="EB693B3035CD5710E231E123A4B469963BF863CC",
        default=None,
        pattern=FINGERPRINT_PATTERN,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Packages:
    """Repositories of packages."""

    nvidia_driver: PackageSource | None = field_of(
        "That of NVIDIA's driver, `https://developer.download.nvidia.com/compute/cuda/repos`.",
        example={"mirror": "https://packages.corp.example/nvidia-cuda"},
        default=None,
    )
    nvidia_container_toolkit: PackageSource | None = field_of(
        "That of NVIDIA's container toolkit, `https://nvidia.github.io/libnvidia-container`.",
        example={"mirror": "https://packages.corp.example/nvidia-toolkit"},
        default=None,
    )
