"""Programs that a machine lacks, from its distribution's packages. Pure; the shell is in `templates/host/packages.sh`.

Only on machines reached over SSH: what this command runs on belongs to the person, and `make setup` brings programs
there without touching the system. A program that is there and too old is left alone: others may use it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import enginehouse.converge.scripts as scripts
from enginehouse.converge.facts import Facts
from enginehouse.converge.places import Places
from enginehouse.converge.steps import Sh
from enginehouse.planner.parts import TOOLKIT, HostPart

PACKAGES: Mapping[str, str] = {
    "haproxy": "haproxy",
    "supervisord": "supervisor",
    "curl": "curl",
    "socat": "socat",
    "flock": "util-linux",
    "openssl": "openssl",
    "docker": "docker.io",
}
"""Program to package, the same names in Debian 10 to 13 and Ubuntu 20.04 to 24.04."""
BY_HAND: Mapping[str, str] = {
    TOOLKIT: "NVIDIA's package nvidia-container-toolkit, which `container_toolkit: install` brings over SSH"
}
"""What is installed only where the stack file says so: it is NVIDIA's, and may take a restart of Docker."""
INSTALL_S = 1800.0
"""Some 30 MB over a slow link, and the wait for another package manager: unattended upgrades take minutes."""


def missing(part: HostPart, facts: Facts) -> tuple[str, ...]:
    """Needed programs that are not on the machine and do not come from NVIDIA."""
    brought = (TOOLKIT,) if part.toolkit else ()
    return tuple(name for name in part.tools if name not in facts.tools and name not in brought)


def install(part: HostPart, facts: Facts) -> Sh | None:
    """What brings all that is missing, or finishes a run that was cut off while it did; None without either."""
    absent = missing(part, facts)
    if not absent and not unfinished(facts):
        return None
    wanted = dict(sorted((PACKAGES[name], part.tools[name]) for name in absent))
    names = ", ".join(wanted)
    what = f"installing {names} from the distribution's packages" if wanted else "finishing an installation of packages"
    words = (f"{package}:{lowest}" for package, lowest in wanted.items())
    mark = Places.of(part, facts.state).installing
    return Sh(title=what, script=scripts.install_packages(mark, words), deadline_s=INSTALL_S)


def unfinished(facts: Facts) -> bool:
    """Whether an installation was cut off."""
    return "installing" in facts.texts


def finish(part: HostPart, facts: Facts) -> Iterator[Sh]:
    """What finishes an installation that was cut off: nobody may come who needs what was being installed."""
    if unfinished(facts):
        mark = Places.of(part, facts.state).installing
        script = scripts.install_packages(mark, ())
        yield Sh(title="finishing an installation of packages", script=script, deadline_s=INSTALL_S)


def hindrance(part: HostPart, facts: Facts) -> str | None:
    """Why Enginehouse can't install what is missing, as a sentence with what to do; None if it can."""
    if part.connection.ssh is None:
        return "on this machine Enginehouse installs nothing into the system"
    if facts.texts.get("user", "").strip() != "root":
        return "`become: sudo` in the stack file would let Enginehouse install them"
    if "apt" not in facts.texts:
        system = facts.texts.get("os", "").strip() or "an unknown system"
        return f"Enginehouse installs programs on Debian and Ubuntu with systemd; this is {system}, so do it by hand"
    unknown = ", ".join(name for name in missing(part, facts) if name not in PACKAGES)
    return f"Enginehouse knows no package for {unknown}" if unknown else None
