"""GPUs that a stack file can name."""

from __future__ import annotations

from collections import Counter

import pytest

from enginehouse.catalog.gpus import GPUS, model_of


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("NVIDIA H100 80GB HBM3", "h100-sxm"),
        ("NVIDIA A100-SXM4-80GB", "a100-sxm-80gb"),
        ("NVIDIA L40S", "l40s"),
        ("NVIDIA GB10", "gb10"),
        ("Tesla T4", "t4"),
        ("Orin (nvgpu)", "jetson-orin"),
        ("NVIDIA H100 PCIe", "h100-pcie"),
        ("NVIDIA GeForce RTX 2080 SUPER", None),
    ],
)
def test_the_drivers_name_tells_the_model(name: str, model: str | None) -> None:
    """Exactly: an L40 is no L4, and what nobody can declare has none."""
    assert model_of(name) == model


def test_no_name_stands_for_two_models() -> None:
    names = Counter(name for names in GPUS.values() for name in names)
    assert max(names.values()) == 1
    assert all(model_of(name) == model for model, names in GPUS.items() for name in names)
