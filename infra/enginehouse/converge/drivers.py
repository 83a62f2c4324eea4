"""NVIDIA's driver on a machine: what is wanting, why it can't be brought, and the step that brings it. Pure.

The shell is in `templates/host/nvidia.sh`; why it is done like this: docs/design/0014-driver-and-toolkit.md.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

import enginehouse.converge.packages as packages
import enginehouse.converge.repositories as repositories
import enginehouse.converge.scripts as scripts
from enginehouse.converge.facts import Facts
from enginehouse.converge.places import Places
from enginehouse.converge.steps import Sh
from enginehouse.inventory.gpus import graphics
from enginehouse.inventory.model import Display, Graphics
from enginehouse.inventory.system import secure_boot, system
from enginehouse.planner.hardware import Driver, Modules
from enginehouse.planner.parts import HostPart

INSTALL_S = 3600.0
"""Some 400 MB and what they depend on, and a kernel module that is built: minutes on a slow processor."""
TURING, BLACKWELL = 0x1E00, 0x2900
"""The first device numbers of those generations (pci.ids, read 2026-12). Turing is the first one with open modules,
Blackwell has no others (NVIDIA's driver installation guide, "Kernel Modules")."""
LAST_BEFORE_TURING = "580"
"""The last branch that drives older GPUs (CUDA 13 release notes)."""
_PACKAGE = re.compile(r"(?P<state>\S+)\s*\t(?:\d+:)?(?P<version>\d{3}\.\d+(?:\.\d+)?)[-~+]\S*\t(?P<name>\S+)")
_CORE = re.compile(
    r"libcuda1|libnvidia-compute(-\d+.*)?|nvidia-driver-cuda|nvidia-kernel-(open-)?dkms|nvidia-dkms-\d+.*"
)
"""Packages that are never of another version than the driver, as `nvidia-settings` of a distribution may be."""
_PROPRIETARY = "nvidia-kernel-dkms"
"""The package of the proprietary modules, Debian's own as well as NVIDIA's."""
_KEYS, _UBUNTUS_KEY = "/var/lib/dkms", "/var/lib/shim-signed/mok/MOK.der"
"""Where the key is that modules which are built on the machine are signed with."""
_REBOOT = "reboot the machine (`sudo systemctl reboot` there) and run this again: it goes on from there"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How far the driver is from what the stack file says; all empty if it is as it says."""

    wanting: str = ""
    """What is not as it shall be."""
    step: Sh | None = None
    """What puts it right."""
    refusals: tuple[str, ...] = ()
    """Why nothing does, each with what helps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Package:
    name: str
    version: str
    held: bool


def verdict(part: HostPart, facts: Facts) -> Verdict:
    """As the machine is. Nothing to say where the stack file asks for no driver, or the look did not ask."""
    if part.driver is None or "nvidia_packages" not in facts.texts:
        return Verdict()
    found = graphics(facts.texts)
    there = tuple(_packages(facts))
    core = (package.version for package in there if _CORE.fullmatch(package.name))
    installed = max(core, key=_numbers, default="")
    running = found.driver.version if found.driver else ""
    if running and _branch(running) != part.driver.branch:
        return _other(part, facts, there, installed, running)
    if running and installed not in ("", running):
        return _pending(installed, f"the kernel still has {running}")
    if running:
        return _held(part, facts, there, running)
    return _not_loaded(part, facts, found, there, installed)


def stays(part: HostPart) -> tuple[str, ...]:
    """What a destroy leaves of it: others may compute with it by now."""
    if part.driver is None:
        return ()
    return (
        "NVIDIA's driver stays, and its packages held (`apt-mark showhold`); so do, where they were made for it, "
        f"/etc/apt/preferences.d/{repositories.DRIVER_NAME}, which keeps apt to branch {part.driver.branch}, "
        f"{repositories.files(repositories.DRIVER_NAME)}",
    )


def is_awaited(part: HostPart, facts: Facts) -> bool:
    """Whether nobody can tell the machine's GPUs before its driver is brought."""
    return part.driver is not None and graphics(facts.texts).driver is None


def _other(part: HostPart, facts: Facts, there: tuple[_Package, ...], installed: str, running: str) -> Verdict:
    """Another branch is loaded."""
    assert part.driver is not None
    wanted = part.driver.branch
    if _branch(installed) == wanted:
        return _pending(installed, f"the kernel still has {running}")
    wanting = f"{running} is there, not branch {wanted}"
    if _numbers(running)[0] > int(wanted):
        return Verdict(wanting=wanting, refusals=(_newer(running, wanted),))
    if not there:
        how = "it did not come from a package; `sudo nvidia-uninstall` there takes it away"
        return Verdict(wanting=wanting, refusals=(f"NVIDIA's driver {wanting}, and {how}",))
    if users := ", ".join(facts.texts.get("nvidia_users", "").splitlines()):
        told = f"programs use the GPUs, which another driver would take from them: {users}; stop them"
        return Verdict(wanting=wanting, refusals=(told,))
    return _brought(part, facts, wanting, f"exchanging NVIDIA's driver {running} for", there)


def _not_loaded(part: HostPart, facts: Facts, found: Graphics, there: tuple[_Package, ...], installed: str) -> Verdict:
    assert part.driver is not None
    wanted = part.driver.branch
    if installed and _numbers(installed)[0] > int(wanted):
        return Verdict(wanting=f"{installed} is there", refusals=(_newer(installed, wanted),))
    devices = _nvidia(found)
    names = {package.name for package in there if package.version == installed}
    if _branch(installed) == wanted and names >= set(_wanted(part.driver, facts, devices)):
        if any(device.driver == "nouveau" for device in devices):
            return _pending(installed, "the kernel's own driver nouveau still has the GPU")
        step = _step(part, facts, f"loading NVIDIA's driver {installed}", (f"load_driver {shlex.quote(installed)}",))
        return Verdict(wanting=f"{installed} is installed, but not loaded", step=step)
    other = bool(installed) and _branch(installed) != wanted
    title = f"exchanging NVIDIA's driver {installed} for" if other else "installing NVIDIA's driver"
    return _brought(part, facts, "not installed", title, there)


def _held(part: HostPart, facts: Facts, there: tuple[_Package, ...], running: str) -> Verdict:
    """What moves while it is loaded is worth nothing until the next reboot."""
    loose = [package.name for package in there if package.version == running and not package.held]
    if not loose:
        return Verdict()
    title = f"holding the packages of NVIDIA's driver {running}"
    step = _step(part, facts, title, (f"hold_driver {shlex.quote(running)}",))
    return Verdict(wanting=f"upgrades may move {', '.join(loose)}", step=step)


def _brought(part: HostPart, facts: Facts, wanting: str, title: str, there: tuple[_Package, ...]) -> Verdict:
    assert part.driver is not None
    devices = _nvidia(graphics(facts.texts))
    if refusals := tuple(_refusals(part, facts, devices)):
        return Verdict(wanting=wanting, refusals=refusals)
    distribution = repositories.distribution_of(system(facts.texts))
    assert distribution is not None, "refused otherwise"
    held = [package.name for package in there if package.held]
    names = _wanted(part.driver, facts, devices)
    commands = (
        repositories.of_driver(part.driver.source, distribution).command(),
        *((shlex.join(("unhold_driver", *held)),) if held else ()),
        shlex.join(("install_driver", part.driver.branch, *names)),
    )
    kind = _modules(part.driver, facts, devices).value
    step = _step(part, facts, f"{title} {part.driver.branch} with the {kind} modules", commands)
    return Verdict(wanting=wanting, step=step)


def _refusals(part: HostPart, facts: Facts, devices: tuple[Display, ...]) -> Iterator[str]:
    """What stands in the way of an installation, all at once."""
    assert part.driver is not None
    if hindrance := packages.hindrance(part, facts):
        yield hindrance
    elif repositories.distribution_of(system(facts.texts)) is None:
        yield f"driver: {repositories.unknown(system(facts.texts))}"
    if not devices:
        yield "the machine has no NVIDIA GPU on its PCI bus, so no driver is installed"
    yield from _unfit(part.driver, devices)
    if secure_boot(facts.texts) and "enrolled" not in facts.texts:
        yield (
            "Secure Boot is on, and the kernel would refuse modules that are built here: make the key that they are "
            f"signed with, unless it is there, and enrol it ({_enrolling(facts)} there, then a reboot at its console), "
            "or switch Secure Boot off in the firmware, or install signed modules of the distribution and write "
            "`driver: preinstalled`"
        )


def _enrolling(facts: Facts) -> str:
    """DKMS makes the key only with the first module, and takes one that is there (dkms 3.0.10, read 2026-12)."""
    if system(facts.texts).distribution == "ubuntu":
        return f"`sudo update-secureboot-policy --new-key` and `sudo mokutil --import {_UBUNTUS_KEY}`"
    made = "sudo openssl req -new -x509 -nodes -days 36500 -subj '/CN=DKMS module signing key' -newkey rsa:2048"
    files = f"-keyout {_KEYS}/mok.key -outform DER -out {_KEYS}/mok.pub"
    return f"`sudo mkdir -p {_KEYS}`, `{made} {files}` and `sudo mokutil --import {_KEYS}/mok.pub`"


def _unfit(driver: Driver, devices: tuple[Display, ...]) -> Iterator[str]:
    """GPUs that the driver would not drive."""
    old, new = any(_number(d) < TURING for d in devices), any(_number(d) >= BLACKWELL for d in devices)
    if old and driver.branch > LAST_BEFORE_TURING:
        yield f"a GPU here is older than Turing, and {LAST_BEFORE_TURING} is the last branch that drives it"
    if old and driver.modules is Modules.OPEN:
        yield "a GPU here is older than Turing, which the open modules do not drive; take `modules: auto`"
    if new and driver.modules is Modules.PROPRIETARY:
        yield "a GPU here is of Blackwell or newer, which only the open modules drive; take `modules: auto`"


def _wanted(driver: Driver, facts: Facts, devices: tuple[Display, ...]) -> tuple[str, ...]:
    """The packages that bring it: on Debian what computes alone, on Ubuntu the one that all branches have."""
    is_open = _modules(driver, facts, devices) is Modules.OPEN
    if system(facts.texts).distribution == "ubuntu":
        return ("nvidia-open" if is_open else "cuda-drivers",)
    return "nvidia-driver-cuda", "nvidia-kernel-open-dkms" if is_open else _PROPRIETARY


def _modules(driver: Driver, facts: Facts, devices: tuple[Display, ...]) -> Modules:
    """Proprietary ones that are there stay that where GPUs allow it: the others' package would remove theirs."""
    if driver.modules is not Modules.AUTO:
        return driver.modules
    old, new = any(_number(d) < TURING for d in devices), any(_number(d) >= BLACKWELL for d in devices)
    return Modules.PROPRIETARY if old or (_has_proprietary(facts) and not new) else Modules.OPEN


def _has_proprietary(facts: Facts) -> bool:
    """Whether their package is there, also half configured."""
    lines = map(_PACKAGE.match, facts.texts.get("nvidia_packages", "").splitlines())
    return any(found["name"] == _PROPRIETARY and found["state"][1] not in "nc" for found in lines if found)


def _step(part: HostPart, facts: Facts, title: str, commands: tuple[str, ...]) -> Sh:
    script = scripts.install_nvidia(Places.of(part, facts.state).installing, commands)
    return Sh(title=title, script=script, deadline_s=INSTALL_S)


def _pending(installed: str, why: str) -> Verdict:
    wanting = f"{installed} is installed, and {why}"
    return Verdict(wanting=wanting, refusals=(f"NVIDIA's driver {wanting}: {_REBOOT}",))


def _newer(found: str, wanted: str) -> str:
    return (
        f"NVIDIA's driver {found} is there, which is newer than branch {wanted}: nothing is downgraded; write "
        f'`branch: "{_branch(found)}"`, or take it away by hand'
    )


def _packages(facts: Facts) -> Iterator[_Package]:
    """Those of the driver that are installed completely."""
    for line in facts.texts.get("nvidia_packages", "").splitlines():
        found = _PACKAGE.match(line)
        if found and found["state"] in ("ii", "hi"):
            yield _Package(name=found["name"], version=found["version"], held=found["state"] == "hi")


def _nvidia(found: Graphics) -> tuple[Display, ...]:
    return tuple(display for display in found.displays if display.is_nvidia)


def _number(device: Display) -> int:
    return int(device.device, 16)


def _branch(version: str) -> str:
    return version.partition(".")[0]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
