"""A host whose stack file says which GPUs it has: its probe asks for them, and nothing is done while it is not true."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from enginehouse.converge import host
from enginehouse.converge.facts import Facts, Process, parse
from enginehouse.converge.manifest import Change, Manifest
from enginehouse.converge.probe import answers, probe, questions
from enginehouse.converge.wire import DRIFT
from enginehouse.errors import ConvergeFailed
from enginehouse.planner.hardware import Gpus
from enginehouse.planner.parts import HostPart
from tests.simulated.plans import PLANS
from tests.standins import nvidia_smi
from tests.unit.inventory.captures import FOLDER

PLAIN = replace(PLANS[1024].hosts[0], tools={})
DECLARED = replace(PLAIN, gpus=Gpus(model="h100-sxm", count=1))

SUPERVISOR = Process(pid=1, parent=0, age_s=1, program="box/supervisor", release="")


@pytest.fixture
def seen(tmp_path: Path) -> Facts:
    """What the probe of `DECLARED` tells on this machine if it had the GPU of the captures."""
    (tmp_path / "nvidia-smi").write_text(
        f'#!/bin/sh\nexec {sys.executable} -S {nvidia_smi.__file__} {FOLDER / "h100-mig"} "$@"\n'
    )
    (tmp_path / "nvidia-smi").chmod(0o755)
    environ = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": "/nowhere", "ENGINEHOUSE_STATE": str(tmp_path / "state")}
    asked = questions(DECLARED)
    done = subprocess.run(["sh", "-c", probe(asked)], env=environ, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return parse(answers(done.stdout, asked)[0], DECLARED.stack)


def test_a_host_that_declares_nothing_is_asked_for_nothing() -> None:
    """`nvidia-smi` takes up to a second; only who says that there are GPUs waits for it."""
    assert "nvidia-smi" in probe(questions(DECLARED))
    assert "nvidia-smi" not in probe(questions(PLAIN))


def test_what_is_true_is_no_obstacle_and_no_drift(seen: Facts) -> None:
    assert host._untrue_gpus(DECLARED, seen) is None


@pytest.mark.parametrize("count", [0, 2])
def test_what_is_not_true_stops_the_host_and_is_drift(seen: Facts, count: int) -> None:
    part: HostPart = replace(DECLARED, gpus=Gpus(model="h100-sxm", count=count))
    with pytest.raises(ConvergeFailed) as caught:
        host.steps(part, seen, {})
    assert caught.value.reasons[0].startswith(f"gpus: 1 x NVIDIA H100 80GB HBM3; needed: {count} x h100-sxm")
    running = replace(seen, texts={**seen.texts, "socket": ""}, processes=(SUPERVISOR,))
    drift = host.differences(part, running)[DRIFT]
    assert isinstance(drift, dict)
    assert drift["gpus"] == "1 x NVIDIA H100 80GB HBM3"


def test_a_gpu_that_broke_stops_nothing_on_a_machine_that_had_it(seen: Facts) -> None:
    """It stays drift; the twin declares one more GPU than it did."""
    had = replace(DECLARED, gpus=Gpus(model="h100-sxm", count=2))
    change = Change(run="r", who="a@b", door="test", at="2026-12-01T00:00:00+00:00", what="new")
    there = Manifest(part=had, generation=1, machine="m", change=change)
    known = replace(seen, texts={**seen.texts, "socket": ""}, processes=(SUPERVISOR,), manifest=there)
    assert host.steps(had, known, {}).activate
    assert host._untrue_gpus(had, known) is not None
    with pytest.raises(ConvergeFailed):
        host.steps(replace(had, gpus=Gpus(model="h100-sxm", count=3)), known, {})


def test_a_look_that_did_not_ask_says_nothing(seen: Facts) -> None:
    """What a machine remembers may have GPUs while the probe is that of a part without them."""
    texts = {key: value for key, value in seen.texts.items() if key not in ("pci", "gpus")}
    assert host._untrue_gpus(DECLARED, replace(seen, texts=texts)) is None
