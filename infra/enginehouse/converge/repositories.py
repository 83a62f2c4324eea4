"""NVIDIA's repositories of packages, and the one key of each. Pure; the shell is in `templates/host/nvidia.sh`.

The fingerprint is what is trusted: apt takes no other key's signature, whatever else comes with the key. Fingerprints
were read 2026-12 in what others pin: cloud-init, provisioning tools, mirrors; that of Debian 13 in one place only.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from enginehouse.inventory.model import System
from enginehouse.planner.hardware import PackageSource

CUDA = "https://developer.download.nvidia.com/compute/cuda/repos"
TOOLKIT = "https://nvidia.github.io/libnvidia-container"
DISTRIBUTIONS: Mapping[tuple[str, str], str] = {
    ("debian", "11"): "debian11",
    ("debian", "12"): "debian12",
    ("debian", "13"): "debian13",
    ("ubuntu", "20.04"): "ubuntu2004",
    ("ubuntu", "22.04"): "ubuntu2204",
    ("ubuntu", "24.04"): "ubuntu2404",
}
"""Distribution and version, as os-release has them, to the folder of their packages of the driver."""
ARCHITECTURE = "x86_64"
_CUDA_KEY = ("3bf863cc.pub", "EB693B3035CD5710E231E123A4B469963BF863CC")
_CUDA_KEYS: Mapping[str, tuple[str, str]] = {"debian13": ("8793F200.pub", "02182E60104FCDC26EAE1B8597A5D4CB8793F200")}
"""Where it is another one: the file in the same folder, and the fingerprint."""
DRIVER_NAME, TOOLKIT_NAME = "enginehouse-nvidia-driver", "enginehouse-nvidia-container-toolkit"
"""How the files of apt are called that belong to each."""
_TOOLKIT_KEY = ("gpgkey", "C95B321B61E88C1809C4F759DDCAE044F796ECB0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A flat repository of apt. `known` begins the address of every repository that is the same one."""

    name: str
    url: str
    key: str
    fingerprint: str
    known: str

    def command(self) -> str:
        """The command that makes it known to apt, unless it is."""
        return shlex.join(("repository", self.name, self.url, self.key, self.fingerprint, self.known))


def of_driver(source: PackageSource, distribution: str) -> Repository:
    url = f"{source.mirror or CUDA}/{distribution}/{ARCHITECTURE}"
    file, fingerprint = _CUDA_KEYS.get(distribution, _CUDA_KEY)
    return Repository(
        name=DRIVER_NAME,
        url=url,
        key=source.key or f"{url}/{file}",
        fingerprint=source.fingerprint or fingerprint,
        known=url,
    )


def of_toolkit(source: PackageSource) -> Repository:
    base = source.mirror or TOOLKIT
    file, fingerprint = _TOOLKIT_KEY
    return Repository(
        name=TOOLKIT_NAME,
        url=f"{base}/stable/deb/amd64",
        key=source.key or f"{base}/{file}",
        fingerprint=source.fingerprint or fingerprint,
        known=f"{base}/stable/deb/",
    )


def files(name: str) -> str:
    """Where apt has the repository of that name, unless the machine knew it already: its list and its key."""
    return f"/etc/apt/sources.list.d/{name}.list and /etc/apt/keyrings/{name}.asc"


def distribution_of(system: System) -> str | None:
    """The folder of the driver's packages for it; None if there is none that was tried or read about."""
    if system.architecture != ARCHITECTURE:
        return None
    return DISTRIBUTIONS.get((system.distribution, system.version))


def unknown(system: System) -> str:
    """The sentence for a machine that has no such folder."""
    found = " ".join(filter(None, (system.name or "an unknown system", system.architecture)))
    return (
        f"Enginehouse installs it on Debian 11 to 13 and Ubuntu 20.04 to 24.04, {ARCHITECTURE}; this is {found}; "
        "install it by hand and write `preinstalled`"
    )
