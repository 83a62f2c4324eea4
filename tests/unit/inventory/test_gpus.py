"""What is made of everything that `nvidia-smi` and the kernel may say about GPUs."""

from __future__ import annotations

import pytest

from enginehouse.inventory.model import Computing, Driver, Graphics, Module, Slice
from tests.unit.inventory.captures import FOLDER, SOURCES, captured, inventory

UUID = "GPU-00000000-0000-0000-0000-000000000000"
"""The collector of some captures masks all of them alike."""
H100 = "0000:01:00.0 0x10de 0x2330"


def graphics(**values: str) -> Graphics:
    return inventory(**values).graphics


def test_every_capture_says_where_it_is_from() -> None:
    files = {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.*")} - {"sources.json"}
    assert files == set(SOURCES)
    assert all(source["command"] and source["source"].startswith("https://") for source in SOURCES.values())


def test_a_gpu_with_mig_has_slices_and_users() -> None:
    """All of it: memory, compute capability, slices with their UUIDs, and who computes on it."""
    found = graphics(
        gpus=captured("h100-mig/query-gpu.csv", 0),
        gpu_processes=captured("h100-mig/query-compute-apps.csv", 0),
        gpu_list=captured("h100-mig/list.txt", 0),
        cuda=captured("h100-mig/q.txt", 0),
        nvidia_module="NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  590.48.01  Release Build  (x@y)\n",
    )
    (gpu,) = found.gpus
    assert (gpu.index, gpu.uuid, gpu.name) == (0, UUID, "NVIDIA H100 80GB HBM3")
    assert (gpu.memory_mib, gpu.used_mib, gpu.compute_capability, gpu.mig) == (81559, 11125, "9.0", True)
    assert [part.profile for part in gpu.slices] == ["3g.40gb", "2g.20gb", "1g.10gb", "1g.10gb"]
    assert gpu.slices[1] == Slice(profile="2g.20gb", uuid="MIG-00000001-0000-0000-0000-000000000001")
    assert gpu.processes[0] == Computing(pid=21180, command="/root/tools/memhog", memory_mib=2296)
    assert str(gpu.processes[2]) == "./gpu_burn (process 21198, 7484 MiB)"
    assert found.driver == Driver(version="590.48.01", module=Module.OPEN, cuda="13.1")
    assert found.trouble == ""


def test_a_gpu_without_mig_says_so_by_not_available() -> None:
    (gpu,) = graphics(gpus=captured("l40s/query-gpu.csv", 0), gpu_list=captured("l40s/list.txt", 0)).gpus
    assert (gpu.name, gpu.memory_mib, gpu.mig, gpu.slices, gpu.processes) == ("NVIDIA L40S", 46068, False, (), ())


def test_unified_memory_has_no_size() -> None:
    """`[N/A]` is no number and no error: GPU and processor share what there is."""
    (gpu,) = graphics(gpus=captured("gb10/query-gpu.csv", 0)).gpus
    assert (gpu.memory_mib, gpu.used_mib) == (None, None)


def test_slices_belong_to_the_gpu_above_them() -> None:
    """Of four GPUs, one is sliced."""
    rows = "".join(f"{n}, {n}\n" for n in range(4))
    gpus = graphics(gpus=f"index, uuid\n{rows}exit 0\n", gpu_list=captured("4xa100-one-mig/list.txt", 0)).gpus
    assert [len(gpu.slices) for gpu in gpus] == [4, 0, 0, 0]


@pytest.mark.parametrize("name", sorted(path.name for path in (FOLDER / "failures").iterdir()))
def test_what_nvidia_smi_complains_of_is_passed_on(name: str) -> None:
    """In one line, and never taken for a table."""
    found = graphics(gpus=captured(f"failures/{name}", 9))
    assert found.gpus == ()
    assert found.trouble == " ".join(captured(f"failures/{name}").split())


def test_no_devices_is_trouble_also_with_a_good_exit_code() -> None:
    """Which code it comes with differs between versions."""
    assert graphics(gpus=captured("failures/no-devices.txt", 0)).trouble == "No devices were found"


@pytest.mark.parametrize("end", ["", "exit 137\n", "exit 124\n"])
def test_one_that_hangs_is_trouble(end: str) -> None:
    assert graphics(gpus=end).trouble == "nvidia-smi does not answer"


def test_a_column_that_an_old_driver_lacks_is_trouble() -> None:
    said = 'Field "compute_cap" is not a valid field to query.\n\nexit 2\n'
    assert graphics(gpus=said).trouble == 'Field "compute_cap" is not a valid field to query.'


def test_a_device_without_a_driver_is_seen_on_the_bus() -> None:
    """Bare hardware, or the kernel's own driver has it; other vendors' devices are no trouble."""
    assert graphics(pci=f"{H100} \n").trouble == "there is an NVIDIA device, but no nvidia-smi; no driver has it"
    assert graphics(pci=f"{H100} nouveau\n").trouble.endswith("the kernel's driver for it is nouveau")
    assert graphics(pci="0000:00:02.0 0x8086 0x46a6 i915\n").trouble == ""
    assert graphics() == Graphics()


@pytest.mark.parametrize(
    ("file", "version", "module"),
    [("580-proprietary.txt", "580.173.02", Module.PROPRIETARY), ("610-open.txt", "610.43.02", Module.OPEN)],
)
def test_the_module_tells_its_version_and_kind(file: str, version: str, module: Module) -> None:
    """Also while the libraries are of another version and nvidia-smi fails."""
    found = graphics(nvidia_module=captured(f"modules/{file}"), gpus=captured("failures/mismatch.txt", 18))
    assert found.driver == Driver(version=version, module=module)
    assert found.trouble.startswith("Failed to initialize NVML")


def test_a_process_name_may_hold_anything() -> None:
    """It is the last column that is asked for, and is not cut at a comma."""
    rows = "gpu_uuid, pid, used_gpu_memory [MiB], process_name\nGPU-1, 7, [N/A], /opt/a, b/python\nexit 0\n"
    (gpu,) = graphics(gpus="index, uuid\n0, GPU-1\nexit 0\n", gpu_processes=rows).gpus
    assert gpu.processes == (Computing(pid=7, command="/opt/a, b/python", memory_mib=None),)


@pytest.mark.parametrize("mark", ["demo/box/a", "/a\vb: demo/\tbox/a", ""])
def test_a_mark_may_hold_anything_but_a_line_end(mark: str) -> None:
    """It is somebody else's to choose."""
    rows = "gpu_uuid, pid, used_gpu_memory [MiB], process_name\nGPU-1, 7, [N/A], python\nexit 0\n"
    values = {"gpus": "index, uuid\n0, GPU-1\nexit 0\n", "gpu_processes": rows, "gpu_programs": f"7\t{mark}\n"}
    (gpu,) = graphics(**values).gpus
    assert [process.program for process in gpu.processes] == [mark]
