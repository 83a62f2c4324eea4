"""The file tree of a bare Debian machine, for tests that need machines of their own. Only root can make and use it."""

import os
import shutil
from pathlib import Path

from bootstrap import system
from bootstrap.commands import run
from bootstrap.context import Context
from bootstrap.store import Recipe, link, sha256
from bootstrap.system import Need

SUITE = "bookworm"
PACKAGES = ("systemd", "systemd-sysv", "libpam-systemd", "dbus", "openssh-server", "sudo")
"""sshd and what a machine boots with; nothing that Enginehouse needs there."""
OPTIONS = (
    # An archive's own clock is not ours.
    '--aptopt=Acquire::Check-Valid-Until "false"',
    '--aptopt=Acquire::Check-Date "false"',
    '--aptopt=APT::Install-Recommends "false"',
    *(f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in ("man", "doc", "locale")),
)
NEEDS = (
    Need(package="docker.io", program="dockerd"),
    Need(package="iptables", program="iptables"),
    Need(package="iproute2", program="ip"),
    Need(package="mmdebstrap", program="mmdebstrap"),
    Need(package="openssh-client", program="ssh-keygen"),
)
NAME = "machine.tar"
WHY = "takes one to two minutes: about 90 packages are downloaded and unpacked"


def install(context: Context) -> str:
    """Put the tree into the cache, and what runs it onto the machine; returns what was done."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return "none: tests with machines of their own need root and apt-get"
    system.require(NEEDS, why="a test with machines of its own", log=context.log("apt"), progress=context.progress)
    customize = context.places.tools / "machine" / "customize.sh"
    recipe = Recipe(
        name="machine",
        version=SUITE,
        inputs={"packages": " ".join(PACKAGES), "options": " ".join(OPTIONS), "customize": sha256(customize)},
    )
    entry = context.store.ensure(recipe, lambda draft: _build(context, customize, draft))
    link(entry / NAME, context.places.cache / NAME)
    return f"Debian {SUITE} with sshd"


def _build(context: Context, customize: Path, draft: Path) -> None:
    with context.progress.step(f"bare machine, Debian {SUITE}", why=WHY):
        words = ("--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}", *OPTIONS)
        hook = f'--customize-hook=sh {customize} "$1"'
        run(("mmdebstrap", *words, hook, SUITE, str(draft / NAME)), log=context.log("machine"))
