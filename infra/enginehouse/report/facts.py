"""What machines are and have: one compact block for each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from enginehouse.catalog.gpus import model_of
from enginehouse.inventory import Inventory
from enginehouse.inventory.model import Gpu, Listening
from enginehouse.planner.codec import to_plain
from enginehouse.report.lines import Line, Style, line, piece

_LABEL = 9
_GIB = 1024
_TELLING = frozenset(
    (
        "avx", "avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx_vnni", "amx_tile", "amx_int8",
        "f16c", "fma", "bmi2", "asimd", "asimddp", "asimdhp", "i8mm", "sve", "sve2", "bf16",
    )
)  # fmt: skip
"""Flags for which engines have code of their own (ggml's CPU variants, b11434); the rest is in the JSON."""
LATE_S = 2
"""A clock that is off by less is right for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineFacts:
    """One machine's inventory, or why it can't be had."""

    host: str
    address: str
    facts: Inventory | None
    problem: tuple[str, ...] = ()


def facts_text(machines: Sequence[MachineFacts]) -> tuple[Line, ...]:
    """A block for each machine, in the order of the stack."""
    blocks = [(_title(machine), *_block(machine)) for machine in machines]
    return tuple(row for number, block in enumerate(blocks) for row in ((line(),) if number else ()) + block)


def facts_plain(stack: str, machines: Sequence[MachineFacts]) -> dict[str, Any]:
    """Everything as JSON-able data."""
    return {"stack": stack, "machines": [to_plain(machine) for machine in machines]}


def _title(machine: MachineFacts) -> Line:
    return line(piece(machine.host, Style.TITLE), piece(f"  {machine.address}" if machine.address else "", Style.FAINT))


def _block(machine: MachineFacts) -> Iterator[Line]:
    yield from (line("  ", piece(reason, Style.BAD)) for reason in machine.problem)
    if machine.facts:
        yield from _facts(machine.facts)


def _facts(facts: Inventory) -> Iterator[Line]:
    yield _row("system", _system(facts))
    yield _row("cpu", _cpu(facts))
    if facts.memory:
        yield _row("memory", f"{_gib(facts.memory.total_mib)}, {_gib(facts.memory.available_mib)} available")
    for disk in filter(None, (facts.disk, facts.images_disk)):
        free = f"{_gib(disk.free_mib)} free of {_gib(disk.size_mib)}"
        yield _row("disk", f"{free} for {disk.folder} ({disk.device} on {disk.mount})")
    for gpu in facts.graphics.gpus:
        yield from _gpu(gpu)
        yield from (_row("", f"claimed by {claim.part}") for claim in facts.claims if claim.thing == gpu.uuid)
    if facts.graphics.trouble:
        yield _row("gpu", facts.graphics.trouble, Style.BAD)
    if driver := facts.graphics.driver:
        cuda = f", CUDA {driver.cuda}" if driver.cuda else ""
        yield _row("driver", f"{driver.version}, {driver.module} module{cuda}")
    if facts.secure_boot is not None:
        yield _row("boot", f"Secure Boot is {'on' if facts.secure_boot else 'off'}")
    for runtime in facts.runtimes:
        yield _row(
            "runtime", f"{runtime.name} {runtime.version}{f', daemon: {runtime.daemon}' if runtime.daemon else ''}"
        )
    yield _row("ports", "; ".join(f"{port.port} {_whose(port)}" for port in facts.ports) or "none in use")
    yield _row("clock", *_clock(facts.clock_off_s))


def _system(facts: Inventory) -> str:
    system, systemd = facts.system, facts.systemd
    init = f"systemd {systemd.version} ({systemd.state})" if systemd else "no systemd"
    who = "as root" if facts.user.root else f"as {facts.user.name}"
    return f"{system.name or 'unknown'}, kernel {system.kernel}, {system.architecture}; {init}; {who}"


def _cpu(facts: Inventory) -> str:
    cpu = facts.cpu
    model = ", ".join(name for name in (cpu.board, cpu.model) if name) or facts.system.architecture
    telling = " ".join(flag for flag in cpu.flags if flag in _TELLING)
    return f"{model}, {cpu.threads} thread{'s' if cpu.threads != 1 else ''}{f': {telling}' if telling else ''}"


def _gpu(gpu: Gpu) -> Iterator[Line]:
    memory = "shares the machine's memory" if gpu.memory_mib is None else _gib(gpu.memory_mib)
    used = f", {_gib(gpu.used_mib)} used" if gpu.used_mib is not None else ""
    model = f" ({known})" if (known := model_of(gpu.name)) else ""
    level = f", compute capability {gpu.compute_capability}" if gpu.compute_capability else ""
    yield _row(f"gpu {gpu.index}", f"{gpu.name}{model}, {memory}{used}{level}, {gpu.uuid}")
    if gpu.mig:
        yield from (_row("", f"MIG {part.profile}, {part.uuid}") for part in gpu.slices)
        if not gpu.slices:
            yield _row("", "MIG is on, without a device")
    if gpu.processes:
        yield _row("", f"used by {', '.join(map(str, gpu.processes))}")


def _whose(port: Listening) -> str:
    if port.pid is None:
        return "(another user's)"
    of = port.program or port.unit
    return f"{port.command} ({of})" if of else port.command


def _clock(off_s: int | None) -> tuple[str, Style]:
    if off_s is None:
        return "does not tell the time", Style.BAD
    if abs(off_s) < LATE_S:
        return "right", Style.PLAIN
    return f"{abs(off_s)} s {'ahead of' if off_s > 0 else 'behind'} ours", Style.WARNING


def _row(label: str, text: str, style: Style = Style.PLAIN) -> Line:
    return line("  ", piece(label.ljust(_LABEL), Style.FAINT), piece(text, style))


def _gib(mib: int) -> str:
    return f"{mib / _GIB:.1f} GiB"
