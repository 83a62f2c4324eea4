"""From a replica's places to the GPUs that the machine has there, and to what its engine is told."""

from __future__ import annotations

import csv
import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from enginehouse.converge import gpus, symptoms
from enginehouse.converge.containers import start_script
from enginehouse.converge.facts import Facts
from enginehouse.converge.places import Places
from enginehouse.converge.wire import DRIFT
from enginehouse.errors import ConvergeFailed
from enginehouse.inventory.claims import Claimed, Kind, claims
from enginehouse.planner.hardware import ReplicaGpus
from enginehouse.planner.parts import Side
from tests.standins.gpus import set_gpus, uuid
from tests.unit.report.plans import REPLICA

PART = replace(REPLICA, renamed_from=None, gpus=ReplicaGpus(model="l40s", devices=(0, 2)))


def facts(folder: Path, *uuids: str, had: Mapping[int, str] | None = None, code: int = 0, **columns: str) -> Facts:
    """A machine with these GPUs, on which the replica claimed some before."""
    set_gpus(folder, uuids, **columns)
    before = (
        Claimed(part="demo/chat-box-0", kind=Kind.GPU, thing=thing, place=place) for place, thing in (had or {}).items()
    )
    texts = {"pci": "", "gpus": f"{(folder / 'query-gpu.csv').read_text()}exit {code}\n"}
    return Facts(state="/s", machine="m", memory_mib=1000, claims=tuple(before), texts=texts)


@pytest.fixture(autouse=True)
def captures(tmp_path: Path) -> Path:
    return tmp_path


def test_places_count_the_gpus_of_the_model(captures: Path) -> None:
    seen = facts(captures, *(uuid(n) for n in range(4)))
    assert gpus.uuids(PART, seen) == (uuid(0), uuid(2))
    other = seen.texts["gpus"].replace("NVIDIA L40S", "NVIDIA T400", 1)  # a display's, which is counted first
    assert gpus.uuids(PART, replace(seen, texts={**seen.texts, "gpus": other})) == (uuid(1), uuid(3))


def test_a_gpu_that_is_counted_anew_stays_with_its_replica(captures: Path) -> None:
    """The twin never had any, and takes those that are counted there."""
    renumbered = (uuid(3), uuid(2), uuid(1), uuid(0))
    assert gpus.uuids(PART, facts(captures, *renumbered, had={0: uuid(0), 2: uuid(2)})) == (uuid(0), uuid(2))
    assert gpus.uuids(PART, facts(captures, *renumbered)) == (uuid(3), uuid(1))


def test_one_more_gpu_is_never_one_that_it_has(captures: Path) -> None:
    """After they were counted anew, the place of the new one may be where its own is counted."""
    both = replace(PART, gpus=ReplicaGpus(model="l40s", devices=(0, 1)))
    assert gpus.uuids(both, facts(captures, uuid(1), uuid(0), had={0: uuid(0)})) == (uuid(0), uuid(1))
    with pytest.raises(ConvergeFailed, match="GPU 0 of chat-box-0 is not there"):
        gpus.uuids(both, facts(captures, uuid(1), had={0: uuid(0), 1: uuid(1)}))


def test_an_exchanged_gpu_is_drift_and_the_new_one_is_taken(captures: Path) -> None:
    seen = facts(captures, uuid(9), uuid(1), uuid(2), had={0: uuid(0), 2: uuid(2)})
    drift = symptoms.differences(PART, seen)[DRIFT]
    assert isinstance(drift, dict)
    assert drift["gpus"] == {"0": f"{uuid(0)} is not seen: now it is {uuid(9)}"}
    assert gpus.uuids(PART, seen) == (uuid(9), uuid(2))
    assert gpus.differences(PART, facts(captures, uuid(0), uuid(1), uuid(2), had={0: uuid(0), 2: uuid(2)})) == {}


def test_of_two_that_were_claimed_at_a_place_the_later_one_counts(captures: Path) -> None:
    """As after a run that failed once both were written down."""
    seen = facts(captures, uuid(9), uuid(1), uuid(2))
    both = claims(f"demo/chat-box-0\tgpu 0 {uuid(0)}\ndemo/chat-box-0\tgpu 0 {uuid(9)}\n")
    assert gpus.differences(PART, replace(seen, claims=both)) == {}


def test_a_driver_that_says_nothing_is_drift_and_stops_the_replica(captures: Path) -> None:
    seen = facts(captures, had={0: uuid(0)}, code=9)
    failed = replace(seen, texts={"pci": "", "gpus": "No devices were found\nexit 6\n"})
    assert gpus.differences(PART, failed) == {"0": f"{uuid(0)} is not seen: No devices were found"}
    with pytest.raises(ConvergeFailed, match="GPU 0 of chat-box-0 is not there") as caught:
        gpus.uuids(PART, failed)
    assert caught.value.reasons == ("wanted: another l40s", "found: none", "No devices were found")


def test_a_gpu_that_is_not_there_is_named(captures: Path) -> None:
    with pytest.raises(ConvergeFailed, match="GPU 2 of chat-box-0 is not there") as caught:
        gpus.uuids(PART, facts(captures, uuid(0), uuid(1)))
    assert caught.value.reasons == ("wanted: another l40s", "found: NVIDIA L40S, NVIDIA L40S")


def test_a_divided_gpu_is_refused(captures: Path) -> None:
    divided = facts(captures, uuid(0), uuid(1), uuid(2), **{"mig.mode.current": "Enabled"})
    with pytest.raises(ConvergeFailed, match="GPU 0 of chat-box-0 is divided by MIG"):
        gpus.uuids(PART, divided)


def test_memory_is_that_of_its_gpus(captures: Path) -> None:
    """None where GPU and processor share the machine's, or without any."""
    size = {"memory.total": "46068 MiB", "memory.used": "68 MiB"}
    assert gpus.free_mib(PART, facts(captures, uuid(0), uuid(1), uuid(2), **size)) == 2 * 46000
    unified = {"memory.total": "[N/A]", "memory.used": "[N/A]"}
    assert gpus.free_mib(PART, facts(captures, uuid(0), uuid(1), uuid(2), **unified)) is None
    assert gpus.free_mib(replace(PART, gpus=None), facts(captures)) is None


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_container_gets_just_its_devices(count: int) -> None:
    """In one word, which Docker reads as CSV: the commas between devices are no others."""
    wanted = [uuid(number) for number in range(count)]
    script, *_ = start_script(
        replace(PART, image=f"reg.example/llama@sha256:{'0' * 64}"),
        Places.of(PART, "/s"),
        Side.A,
        release="r",
        weights="/w",
        greeting="hello",
        command=("docker",),
        env={},
        gpus=wanted,
    )
    (run,) = (line for line in script.content.splitlines() if " run --rm " in line)
    given = [word.removeprefix("--gpus=") for word in shlex.split(run) if word.startswith("--gpus=")]
    assert [next(csv.reader([word])) for word in given] == ([[f"device={','.join(wanted)}"]] if wanted else [])
