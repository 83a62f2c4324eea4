"""A machine as a whole. None, empty and `()` mean that the machine has no such thing or does not tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from enginehouse.catalog.gpus import model_of
from enginehouse.inventory.claims import Claimed


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """Its Linux. `distribution` and `version` as in os-release, such as `debian` and `12`."""

    name: str = ""
    distribution: str = ""
    version: str = ""
    kernel: str = ""
    architecture: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """As whom scripts run."""

    name: str
    root: bool
    lowest_port: int
    """That HAProxy may listen on where it is theirs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cpu:
    """`threads`: what engines may use at once. `board`: the machine's model where firmware names it."""

    model: str = ""
    threads: int = 0
    flags: tuple[str, ...] = ()
    board: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    total_mib: int
    available_mib: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """What a folder is on, or will be."""

    folder: str
    device: str
    mount: str
    size_mib: int
    free_mib: int

    def shares(self, other: Disk) -> bool:
        """Whether what one takes the other has not. Docker mounts its folder anew; names like `tmpfs` are no device."""
        return self.device == other.device and (self.device.startswith("/") or self.mount == other.mount)


@dataclass(frozen=True, slots=True, kw_only=True)
class Systemd:
    """`state` in its own words, such as `running` or `degraded`."""

    version: str
    state: str


class Module(StrEnum):
    """The two kinds of NVIDIA's kernel module."""

    OPEN = "open"
    PROPRIETARY = "proprietary"


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """NVIDIA's kernel module, and the newest CUDA that its libraries speak."""

    version: str
    module: Module
    cuda: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """A part of a GPU with MIG, such as `3g.40gb`."""

    profile: str
    uuid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Computing:
    """A process that computes on a GPU."""

    pid: int
    command: str
    memory_mib: int | None
    program: str = ""
    """`STACK/PART/SIDE` of a program of ours; of one in another state folder, behind that folder and a colon."""

    def __str__(self) -> str:
        memory = f", {self.memory_mib} MiB" if self.memory_mib is not None else ""
        program = f", {self.program}" if self.program else ""
        return f"{self.command} (process {self.pid}{memory}{program})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """`memory_mib` is None where GPU and processor share the machine's memory."""

    index: int
    uuid: str
    name: str
    memory_mib: int | None
    used_mib: int | None
    compute_capability: str
    mig: bool
    slices: tuple[Slice, ...] = ()
    processes: tuple[Computing, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Display:
    """A display controller or accelerator on the PCI bus, with the kernel driver that has it."""

    address: str
    vendor: str
    device: str
    driver: str

    @property
    def is_nvidia(self) -> bool:
        return self.vendor == "0x10de"


@dataclass(frozen=True, slots=True, kw_only=True)
class Graphics:
    """`trouble`: why `gpus` may not be all that there is, in one sentence."""

    gpus: tuple[Gpu, ...] = ()
    driver: Driver | None = None
    displays: tuple[Display, ...] = ()
    trouble: str = ""

    def of_model(self, model: str) -> tuple[Gpu, ...]:
        """Those of a model of `catalog.gpus`, in the driver's order."""
        return tuple(gpu for gpu in self.gpus if model_of(gpu.name) == model)


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """A container program. `daemon`: the version of what does the work, or why it does not answer."""

    name: str
    version: str
    daemon: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """A port that is listened on. Without `pid` it belongs to somebody whose processes we may not look into."""

    port: int
    addresses: tuple[str, ...]
    pid: int | None = None
    command: str = ""
    unit: str = ""
    """The systemd unit or container that it belongs to."""
    program: str = ""
    """`STACK/PART/SIDE` of a program of ours; of one in another state folder, behind that folder and a colon."""

    def __str__(self) -> str:
        return f"{self.command} ({', '.join(self._details())})" if self.pid else "a process of another user"

    def _details(self) -> Iterator[str]:
        yield f"process {self.pid}"
        yield from (name for name in (self.unit, self.program) if name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """One machine, as it was a moment ago."""

    system: System
    user: User
    cpu: Cpu
    memory: Memory | None
    disk: Disk | None
    """Of the state folder."""
    images_disk: Disk | None
    """Of Docker's images."""
    systemd: Systemd | None
    secure_boot: bool | None
    graphics: Graphics
    runtimes: tuple[Runtime, ...]
    ports: tuple[Listening, ...]
    claims: tuple[Claimed, ...]
    state: str
    """The state folder, which may not be there yet."""
    stored: Mapping[str, int]
    """Bytes of those files that were asked about and are there."""
    missing_images_mib: int
    """What is to be fetched, at least, of those images that were asked about; their registry may not have told."""
    clock_off_s: int | None
    """How far its clock is ahead of ours; 0 if it may be right, because an answer takes its time."""

    def listening(self, port: int) -> Listening | None:
        return next((found for found in self.ports if found.port == port), None)
