"""What comes from the operating system's packages: looked for by its effect, installed if we are root on Debian."""

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bootstrap.commands import run
from bootstrap.errors import BootstrapError
from bootstrap.progress import Progress

APT = {"DEBIAN_FRONTEND": "noninteractive"}
PATIENT = ("-o", "DPkg::Lock::Timeout=600")
"""Somebody else may be at it: a fresh machine upgrades itself first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Something a step uses: a program on PATH or a file, and the Debian package that brings it."""

    package: str
    program: str = ""
    files: tuple[str, ...] = ()

    def met(self) -> bool:
        """Whether it is there."""
        if self.program:
            return shutil.which(self.program) is not None
        return any(Path(file).exists() for file in self.files)


COMPILER = (
    Need(package="cmake", program="cmake"),
    Need(package="ninja-build", program="ninja"),
    Need(package="g++", program="g++"),
    Need(package="libssl-dev", files=("/usr/include/openssl/ssl.h", "/usr/local/include/openssl/ssl.h")),
)


def require(needs: Iterable[Need], *, why: str, log: Path, progress: Progress) -> None:
    """Make sure all needs are met. Raises BootstrapError naming the packages when we may not install them."""
    missing = tuple(need.package for need in needs if not need.met())
    if not missing:
        return
    command = f"apt-get install -y {' '.join(missing)}"
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise BootstrapError(f"{why} needs {', '.join(missing)}", hint=f"install them: sudo {command}")
    progress.note(f"installing {', '.join(missing)} ({why} needs them)")
    run(("apt-get", "update", "-q"), env=APT, log=log)
    run(("apt-get", "install", "-y", "-q", *PATIENT, "--no-install-recommends", *missing), env=APT, log=log)
