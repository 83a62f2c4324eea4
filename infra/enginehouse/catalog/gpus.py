"""GPUs that a stack file can name, and what NVIDIA's driver calls each. Pure.

The driver's names are those of `nvidia-smi --query-gpu=name` without `NVIDIA`: captures under tests/captures, the table
of devices in the README of NVIDIA/open-gpu-kernel-modules, and reports of users (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

GPUS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "a10": ("A10",),
        "a10g": ("A10G",),
        "a30": ("A30",),
        "a100-pcie-40gb": ("A100-PCIE-40GB",),
        "a100-pcie-80gb": ("A100 80GB PCIe",),
        "a100-sxm-40gb": ("A100-SXM4-40GB",),
        "a100-sxm-80gb": ("A100-SXM4-80GB",),
        "b200": ("B200",),
        "b300": ("B300 SXM6 AC",),
        "gb10": ("GB10",),
        "gb200": ("GB200",),
        "h100-nvl": ("H100 NVL",),
        "h100-pcie": ("H100 PCIe",),
        "h100-sxm": ("H100 80GB HBM3",),
        "h200": ("H200",),
        "h200-nvl": ("H200 NVL",),
        "jetson-orin": ("Orin (nvgpu)",),
        "jetson-thor": ("Thor",),
        "l4": ("L4",),
        "l40": ("L40",),
        "l40s": ("L40S",),
        "rtx-3090": ("GeForce RTX 3090",),
        "rtx-4090": ("GeForce RTX 4090",),
        "rtx-5090": ("GeForce RTX 5090",),
        "rtx-a6000": ("RTX A6000",),
        "rtx-pro-6000": (
            "RTX PRO 6000 Blackwell Server Edition",
            "RTX PRO 6000 Blackwell Workstation Edition",
            "RTX PRO 6000 Blackwell Max-Q Workstation Edition",
        ),
        "t4": ("T4",),
    }
)


def model_of(name: str) -> str | None:
    """The model whose GPU the driver calls that; None if no stack file can name it."""
    plain = name.removeprefix("NVIDIA ").removeprefix("Tesla ")
    return next((model for model, names in GPUS.items() if plain in names), None)
