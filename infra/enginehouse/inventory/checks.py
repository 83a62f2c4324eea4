"""Whether a machine can carry a stack: every question with its answer, not only those that fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from enginehouse.catalog.gpus import GPUS, model_of
from enginehouse.inventory.claims import Kind, of_others
from enginehouse.inventory.model import Disk, Gpu, Graphics, Inventory
from enginehouse.planner.hardware import Gpus
from enginehouse.planner.needs import Needs
from enginehouse.planner.parts import HostPart

ARCHITECTURES = ("x86_64", "aarch64")
"""What the engines' own builds are made for (llama.cpp releases, b11434)."""
CLOCK_S = 60
"""Certificates made a moment ago must not be from the future; tokens of clouds and registries allow minutes."""
COMPUTING = ("nvidia", "amdgpu", "xe")
"""Kernel drivers of GPUs on which engines compute."""
RELEASES_MIB = 64
"""For kept releases, records and logs: programs log into 10 MB files, and everything else is text."""
_GIB = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """`found` is how it is, `needed` what would be right, `remedy` how to get there."""

    what: str
    ok: bool
    found: str
    needed: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}: {self.found}; needed: {self.needed}; {self.remedy}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """A file that the machine will have: what is still to come of it, as far as that is known before it comes."""

    size_mib: int
    missing_mib: int


def checks(host: HostPart, needs: Needs, found: Inventory, weights: Mapping[str, Weight]) -> Iterator[Check]:
    """Every one about the machine. `weights`: those whose size is known, by where they will be."""
    yield _architecture(found)
    yield _clock(found)
    if host.gpus and host.driver and found.graphics.driver is None:
        yield devices_check(host.gpus, found.graphics)
    elif host.gpus:
        yield gpus_check(host.gpus, found.graphics)
        yield from (_gpu(host.stack, gpu, found) for gpu in _used(host.gpus, needs, found.graphics))
    if found.memory and not host.driver and not _has_other_memory(found.graphics):
        yield _memory(found.memory.total_mib, weights)
    yield from _disks(found, weights)
    for part, ports in needs.ports.items():
        yield from (_port(host.stack, part, port, found) for port in ports)


def gpus_check(declared: Gpus, found: Graphics) -> Check:
    """Whether the machine has the GPUs that the stack file says it has."""
    there = Counter(gpu.name for gpu in found.gpus)
    right = sum(count for name, count in there.items() if model_of(name) == declared.model)
    listed = ", ".join(f"{count} x {name}" for name, count in there.items())
    return Check(
        what="gpus",
        ok=right == declared.count,
        found="; ".join(filter(None, (listed or "none", found.trouble))),
        needed=f"{declared.count} x {declared.model} ({' or '.join(GPUS.get(declared.model, ()))})",
        remedy="put right the machine, or `gpus` in the stack file",
    )


def devices_check(declared: Gpus, found: Graphics) -> Check:
    """Whether the machine may have them: without a driver nobody tells more than how many devices there are."""
    devices = sum(display.is_nvidia for display in found.displays)
    return Check(
        what="gpus",
        ok=devices >= declared.count,
        found=f"{devices} NVIDIA devices on the PCI bus",
        needed=f"{declared.count} x {declared.model}",
        remedy="put right the machine, or `gpus` in the stack file",
    )


def _used(declared: Gpus, needs: Needs, found: Graphics) -> tuple[Gpu, ...]:
    """The GPUs that engines of the stack compute on: all, unless it says which."""
    if not needs.gpus:
        return found.gpus
    places = {place for gpus in needs.gpus.values() for place in gpus}
    return tuple(gpu for place, gpu in enumerate(found.of_model(declared.model)) if place in places)


def _gpu(stack: str, gpu: Gpu, found: Inventory) -> Check:
    claim = of_others(found.claims, Kind.GPU, gpu.uuid, stack)
    others = [process for process in gpu.processes if not process.program.startswith(f"{stack}/")]
    told = "in use by this stack" if gpu.processes else f"claimed by {claim.whose(stack)}" if claim else "free"
    more = f" and {len(others) - 1} more" if len(others) > 1 else ""
    return Check(
        what=f"gpu {gpu.index}",
        ok=not others and claim is None,
        found=f"in use by {others[0]}{more}" if others else told,
        needed=f"free for {stack}",
        remedy="stop what computes there, or let the stack have other GPUs",
    )


def _architecture(found: Inventory) -> Check:
    return Check(
        what="architecture",
        ok=found.system.architecture in ARCHITECTURES,
        found=found.system.architecture or "not known",
        needed=" or ".join(ARCHITECTURES),
        remedy="there are no engines for others",
    )


def _clock(found: Inventory) -> Check:
    off_s = found.clock_off_s
    told = "does not tell the time" if off_s is None else f"{abs(off_s)} s {'ahead' if off_s > 0 else 'behind'}"
    return Check(
        what="clock",
        ok=off_s is not None and abs(off_s) <= CLOCK_S,
        found="right" if off_s == 0 else told,
        needed=f"at most {CLOCK_S} s from this machine's",
        remedy="with a wrong clock certificates and tokens are refused; `timedatectl set-ntp true` there sets it",
    )


def _has_other_memory(found: Graphics) -> bool:
    """Whether weights may go to a GPU, and nobody knows how many of them."""
    return bool(found.gpus) or any(display.driver in COMPUTING for display in found.displays)


def _memory(total_mib: int, weights: Mapping[str, Weight]) -> Check:
    """Only what is certain: what an engine needs beside its weights is an estimate, and may be far too much."""
    needed_mib = sum(weight.size_mib for weight in weights.values())
    return Check(
        what="memory",
        ok=needed_mib <= total_mib,
        found=_gib(total_mib),
        needed=f"{_gib(needed_mib)} for the weights alone",
        remedy="take smaller weights",
    )


def _disks(found: Inventory, weights: Mapping[str, Weight]) -> Iterator[Check]:
    """One for everything, or one of their own for images. Unpacked they take more than they have as they travel."""
    disk, store, images_mib = found.disk, found.images_disk, found.missing_images_mib
    needed_mib = sum(weight.missing_mib for weight in weights.values()) + RELEASES_MIB
    shared = images_mib if disk and store and store.shares(disk) else 0
    if disk:
        remedy = "make room, or set ENGINEHOUSE_STATE there to a folder on a larger disk"
        told = f", {_gib(shared)} of it for images, packed" if shared else ""
        yield _disk("disk", disk, needed_mib + shared, told, remedy)
    if store and images_mib and not shared:
        yield _disk("images", store, images_mib, ", packed", "make room, or give Docker a larger disk")


def _disk(what: str, disk: Disk, needed_mib: int, told: str, remedy: str) -> Check:
    return Check(
        what=what,
        ok=disk.free_mib >= needed_mib,
        found=f"{_gib(disk.free_mib)} free for {disk.folder}",
        needed=f"{'at least ' if told else ''}{_gib(needed_mib)}{told}",
        remedy=remedy,
    )


def _port(stack: str, part: str, port: int, found: Inventory) -> Check:
    listener = found.listening(port)
    ours = listener is not None and listener.program.startswith(f"{stack}/")
    claim = of_others(found.claims, Kind.PORT, str(port), stack)
    for_root = port < found.user.lowest_port
    told = f"claimed by {claim.whose(stack)}" if claim else "free"
    told = f"only root may listen there, not {found.user.name}" if for_root else told
    return Check(
        what=f"port {port}",
        ok=ours or (listener is None and claim is None and not for_root),
        found=told if listener is None else "in use by this stack" if ours else f"in use by {listener}",
        needed=f"free for {part}",
        remedy="stop what listens there, or choose other ports in the stack file or its lock file",
    )


def _gib(mib: int) -> str:
    return f"{mib / _GIB:.1f} GiB"
