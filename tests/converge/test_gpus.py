"""Engines on GPUs: a machine that has some, as far as `nvidia-smi` tells, and one or two stacks that want them."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import enginehouse.converge.claimed as claimed
from enginehouse.converge import converge, foresee
from enginehouse.errors import ConvergeFailed, EnginehouseError, LeaseHeld
from enginehouse.planner.allocate import BLOCK
from enginehouse.planner.needs import needs_of
from enginehouse.spec.lock import Lock, LockedPorts, LockedReplica
from tests.converge.conftest import PORTS, new_world
from tests.converge.harness import World, all_free
from tests.ports import claim_block
from tests.standins.gpus import install_gpus, set_gpus, uuid


class GpuWorld(World):
    """A stack on a machine with GPUs of one model."""

    count = 2

    @property
    def captures(self) -> Path:
        return self.folder / "gpus"

    def machine(self) -> Mapping[str, Any]:
        return {"local": {}, "gpus": {"model": "l40s", "count": self.count}}

    def wants(self, **gpus: Any) -> None:
        self.settings["container"] = {"gpus": gpus}

    def visible(self) -> list[str]:
        """What CUDA would show to the engine that serves."""
        mark = f"chat-box-0/{self.side}"
        (pid,) = (pid for pid, found in self.processes().items() if found == mark)
        pairs = (word.partition("=") for word in Path(f"/proc/{pid}/environ").read_text().split("\0"))
        return [uuid for name, _, value in pairs if name == "CUDA_VISIBLE_DEVICES" for uuid in value.split(",")]

    def drift(self) -> Any:
        observed = self.observe(self.replica())
        assert observed
        return observed.inputs.get("drift")


@pytest.fixture
def first() -> Iterator[GpuWorld]:
    """A stack that is not up yet; the machine has two GPUs."""
    with new_world(GpuWorld) as made:
        install_gpus(made.tools, made.captures)
        set_gpus(made.captures, (uuid(0), uuid(1)))
        yield made


@pytest.fixture
def second(first: GpuWorld) -> Iterator[GpuWorld]:
    """Another stack on the same machine, with the same state folder, and its host and weights are there."""
    with ExitStack() as claim:
        ports = (port for port in PORTS if claim_block(port // BLOCK, claim))
        worlds = (GpuWorld(folder=first.folder, port=port, tools=first.tools) for port in ports)
        made = next(world for world in worlds if all_free(world.plan()))
        made.run_id = "run-2"
        yield made
        made.connectors.close()
        made.kill_all()


def bring_ground(world: World) -> None:
    plan = world.plan()
    for part in (*plan.hosts, *plan.weights):
        world.converge(part)


def test_an_engine_gets_its_gpus_by_uuid(first: GpuWorld) -> None:
    """All of the model goes there; a second run is one look, and a stack that says nothing of GPUs sets nothing."""
    first.wants(count=2)
    first.up()
    assert first.visible() == [uuid(0), uuid(1)]
    before, runs = first.snapshot(), first.connector.runs
    first.converge(first.replica())
    assert (first.connector.runs - runs, first.snapshot()) == (1, before)
    first.settings["container"] = {}
    first.converge(first.replica())
    assert first.visible() == []


def test_gpus_that_are_counted_anew_change_nothing_and_an_exchanged_one_restarts(first: GpuWorld) -> None:
    """The engine moves beside the running one; then nothing differs any more, and only the new one is claimed."""
    first.wants(devices=["0"])
    first.up()
    set_gpus(first.captures, (uuid(1), uuid(0)))
    assert first.drift() is None
    assert str(foresee(first.replica(), first.context())).startswith("nothing")
    set_gpus(first.captures, (uuid(9), uuid(1)))
    assert first.drift() == {"gpus": {"0": f"{uuid(0)} is not seen: now it is {uuid(9)}"}}
    assert str(foresee(first.replica(), first.context())).startswith("restart")
    first.converge(first.replica())
    assert (first.visible(), first.drift()) == ([uuid(9)], None)
    assert first.place("chat-box-0", "claims").read_text().splitlines()[2:] == [f"gpu 0 {uuid(9)}"]


def test_what_another_stack_has_is_refused_and_free_once_that_is_gone(first: GpuWorld, second: GpuWorld) -> None:
    """Before anything is put there, and named; other GPUs of the machine are no clash."""
    first.wants(count=1)
    first.up()
    second.wants(count=1)
    host = second.plan().hosts[0]
    needs = needs_of(second.plan(), "box")
    with pytest.raises(ConvergeFailed, match="nothing was changed") as refused:
        converge(host, replace(second.context(), needs=needs))
    assert [reason.split("; needed")[0] for reason in refused.value.reasons] == [
        f"gpu 0: claimed by chat-box-0 of stack {first.stack}"
    ]
    assert not second.place().exists()
    bring_ground(second)
    sentence = (
        f"box: GPU 0 ({uuid(0)}) of chat-box-0 is claimed by chat-box-0 of stack {first.stack}; nothing was changed"
    )
    assert sentence in foresee(second.replica(), second.context()).reason
    with pytest.raises(ConvergeFailed) as refused:
        second.converge(second.replica())
    assert (str(refused.value), second.engines()) == (sentence, [])
    second.wants(devices=["1"])
    second.up()
    assert (first.visible(), second.visible()) == ([uuid(0)], [uuid(1)])
    second.down()
    first.down()
    second.wants(count=1)
    second.up()
    assert second.visible() == [uuid(0)]


def test_claims_of_a_folder_that_is_gone_hold_nothing(first: GpuWorld, second: GpuWorld) -> None:
    """As when somebody removed a stack by hand."""
    for world in (first, second):
        world.wants(count=1)
    first.up()
    first.kill_all()
    shutil.rmtree(first.place())
    second.up()
    assert second.visible() == [uuid(0)]


def test_a_gpu_moves_within_a_stack_when_its_part_is_gone(first: GpuWorld) -> None:
    """Until then the sentence says who still has it."""
    first.wants(count=2)
    first.up()
    first.settings["container"] = {}
    first.settings["behind"] = {"code": {"container": {"gpus": {"count": 2}}}}
    code = next(part for part in first.plan().replicas if part.deployment == "code")
    for part in first.plan().weights:
        first.converge(part)
    with pytest.raises(ConvergeFailed, match="chat-box-0, which is still there"):
        first.converge(code)
    first.converge(first.replica())
    first.converge(code)
    assert len(first.processes()) > len(first.engines()) > 0


def same_gpu(first: GpuWorld, second: GpuWorld) -> None:
    for world in (first, second):
        world.wants(count=1)


def same_ports(first: GpuWorld, second: GpuWorld) -> None:
    """Both sides' ports: with one of them taken, the engine would start on the other."""
    ports = LockedPorts(**first.replica().ports)
    second.lock = Lock(enginehouse=1, replicas={"chat-box-0": LockedReplica(ports=ports)})


@pytest.mark.parametrize(("meet", "checked"), [(same_gpu, True), (same_gpu, False), (same_ports, True)])
def test_of_two_stacks_that_meet_one_wins(
    first: GpuWorld,
    second: GpuWorld,
    meet: Callable[[GpuWorld, GpuWorld], None],
    checked: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They start at the same moment, and who is told that another run works on the machine comes again. The twin looks
    at no claims, and has both."""
    meet(first, second)
    for world in (first, second):
        bring_ground(world)
    if not checked:
        monkeypatch.setattr(claimed, "check", lambda part, facts, claims: None)
    at_once, ends = threading.Barrier(2), dict[str, EnginehouseError | None]()

    def bring(world: GpuWorld) -> None:
        at_once.wait()
        while isinstance(end := _end(world), LeaseHeld):
            pass
        ends[world.stack] = end

    threads = [threading.Thread(target=bring, args=[world]) for world in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    running = [len(world.engines()) for world in (first, second)]
    if not checked:
        assert (ends, running) == ({first.stack: None, second.stack: None}, [1, 1])
        return
    (loser,) = [world for world in (first, second) if ends[world.stack]]
    winner = first if loser is second else second
    assert f"claimed by chat-box-0 of stack {winner.stack}; nothing was changed" in str(ends[loser.stack])
    assert (sorted(running), len(loser.engines())) == ([0, 1], 0)


def _end(world: GpuWorld) -> EnginehouseError | None:
    try:
        world.converge(world.replica())
    except EnginehouseError as error:
        return error
    return None
