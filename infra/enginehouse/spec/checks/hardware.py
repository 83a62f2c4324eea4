"""Declared GPUs are of a model that can be recognised on the machine."""

from __future__ import annotations

from collections.abc import Iterator

from enginehouse.catalog.gpus import GPUS
from enginehouse.spec.codes import Code
from enginehouse.spec.model import Spec
from enginehouse.spec.problems import Problem, shown
from enginehouse.spec.source import Source
from enginehouse.spec.wording import did_you_mean, listed


def check(spec: Spec, _: Source) -> Iterator[Problem]:
    for group, machine in spec.machines.items():
        if machine.gpus and machine.gpus.model not in GPUS:
            yield Problem(
                path=("machines", group, "gpus", "model"),
                code=Code.UNKNOWN_GPU,
                summary=f"there is no GPU model {shown(machine.gpus.model)}",
                hint=f"{_nearest(machine.gpus.model)}; `enginehouse facts` tells the model of what is there",
            )


def _nearest(model: str) -> str:
    """Those of the family, if one was named."""
    family = [known for known in GPUS if known.startswith(f"{model}-")]
    return f"there are {listed(family)}" if family else did_you_mean(model, tuple(GPUS), "models")
