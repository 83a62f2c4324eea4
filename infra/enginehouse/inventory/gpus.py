"""GPUs: what `nvidia-smi` says, in every state that it may be in, and what the kernel knows without it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from enginehouse.inventory.answers import Said, Values, pairs, said, version_in
from enginehouse.inventory.model import Computing, Display, Driver, Gpu, Graphics, Module, Slice

_GPU = re.compile(r"GPU \d+: .* \(UUID: (?P<uuid>[^)]+)\)")
_SLICE = re.compile(r"\s+MIG (?P<profile>\S+)\s+Device\s+\d+: \(UUID: (?P<uuid>[^)]+)\)")
PATIENCE_S = 10
"""For each question to `nvidia-smi`. Without its persistence daemon it initialises every GPU, up to a second each."""
_UNIT = re.compile(r" \[.*\]\Z")


def graphics(values: Values) -> Graphics:
    answer, displays = said(values, "gpus"), tuple(_displays(values.get("pci", "")))
    rows = list(_rows(answer.text)) if answer and answer.ok else []
    slices = _slices(_text(values, "gpu_list"))
    marks = (line.partition("\t") for line in values.get("gpu_programs", "").split("\n"))
    programs = {pid: program for pid, _, program in marks}
    computing = _computing(_text(values, "gpu_processes"), programs)
    found = [_gpu(row, index, slices, computing) for index, row in enumerate(rows)]
    return Graphics(
        gpus=tuple(found),
        driver=_driver(values, rows),
        displays=displays,
        trouble="" if found else _trouble(answer, displays),
    )


def _gpu(
    row: Mapping[str, str],
    place: int,
    slices: Mapping[int, tuple[Slice, ...]],
    computing: Mapping[str, tuple[Computing, ...]],
) -> Gpu:
    uuid = row.get("uuid", "")
    return Gpu(
        index=place if (index := _number(row.get("index", ""))) is None else index,
        uuid=uuid,
        name=row.get("name", ""),
        memory_mib=_number(row.get("memory.total", "")),
        used_mib=_number(row.get("memory.used", "")),
        compute_capability=version_in(row.get("compute_cap", "")),
        mig=row.get("mig.mode.current") == "Enabled",
        slices=slices.get(place, ()),
        processes=computing.get(uuid, ()),
    )


def _driver(values: Values, rows: list[Mapping[str, str]]) -> Driver | None:
    """By the module that is loaded, else by the libraries; a machine without either has none."""
    text = values.get("nvidia_module", "").partition("\n")[0]
    version = version_in(text.partition("Kernel Module")[2].replace("x86_64", "")) or _version_of(rows)
    if not version:
        return None
    cuda = pairs(_text(values, "cuda"), ":").get("CUDA Version", "")
    return Driver(
        version=version, module=Module.OPEN if "Open Kernel Module" in text else Module.PROPRIETARY, cuda=cuda
    )


def _version_of(rows: list[Mapping[str, str]]) -> str:
    return next((version_in(row.get("driver_version", "")) for row in rows), "")


def _trouble(answer: Said | None, displays: tuple[Display, ...]) -> str:
    """Why no GPU is known; empty if there is none to be known."""
    devices = [display for display in displays if display.is_nvidia]
    if answer is None:
        taken = ", ".join(sorted({display.driver for display in devices if display.driver}))
        has = f"the kernel's driver for it is {taken}" if taken else "no driver has it"
        return f"there is an NVIDIA device, but no nvidia-smi; {has}" if devices else ""
    if answer.code is None:
        return "nvidia-smi does not answer"
    return " ".join(line.strip() for line in answer.text.splitlines() if line.strip()) or "nvidia-smi says nothing"


def _displays(text: str) -> Iterator[Display]:
    for line in text.splitlines():
        address, vendor, device, driver = (*line.split(" "), "")[:4]
        yield Display(address=address, vendor=vendor, device=device, driver=driver)


def _slices(text: str) -> dict[int, tuple[Slice, ...]]:
    """Slices by the place of their GPU in the list."""
    found: dict[int, tuple[Slice, ...]] = {}
    place = -1
    for line in text.splitlines():
        if _GPU.match(line):
            place += 1
        elif part := _SLICE.match(line):
            found[place] = (*found.get(place, ()), Slice(profile=part["profile"], uuid=part["uuid"]))
    return found


def _computing(text: str, programs: Mapping[str, str]) -> dict[str, tuple[Computing, ...]]:
    """Processes by the UUID of their GPU."""
    found: dict[str, tuple[Computing, ...]] = {}
    for row in _rows(text):
        if (pid := _number(row.get("pid", ""))) is not None:
            memory = _number(row.get("used_gpu_memory", ""))
            process = Computing(
                pid=pid,
                command=row.get("process_name", ""),
                memory_mib=memory,
                program=programs.get(str(pid), ""),
            )
            uuid = row.get("gpu_uuid", "")
            found[uuid] = (*found.get(uuid, ()), process)
    return found


def _rows(text: str) -> Iterator[Mapping[str, str]]:
    """The rows of `--format=csv` by the names of their columns, without units. What is no table has none."""
    header, *lines = text.strip().splitlines() or [""]
    names = [_UNIT.sub("", name) for name in header.split(", ")]
    for line in lines:
        cells = line.split(", ", len(names) - 1)
        if len(cells) == len(names) > 1:
            yield dict(zip(names, cells, strict=True))


def _number(cell: str) -> int | None:
    """`81559 MiB` as a number; None for `[N/A]`, `[Not Supported]`, `[Insufficient Permissions]` and the like."""
    word = cell.partition(" ")[0]
    return int(word) if word.isdigit() else None


def _text(values: Values, key: str) -> str:
    answer = said(values, key)
    return answer.text if answer and answer.ok else ""
