"""The core promise, counted: a hundred swaps and twenty reloads of the real engine and gateway fail no request."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from enginehouse.converge import replica, runners
from enginehouse.converge.gates import Gates
from enginehouse.converge.runners import Replica, Runner
from enginehouse.converge.steps import Step
from enginehouse.errors import ConvergeFailed
from enginehouse.gateway import files as gateway_files
from enginehouse.planner.parts import GatewayPart, Side
from enginehouse.render.symbols import Secret
from tests.converge.harness import HUGE_MIB, SETTINGS, SMALL_MIB, World, install_real_engine, is_taken, tiny
from tests.converge.load import load, wait_for_answers
from tests.converge.test_rollout import all_at_once, most_at_once
from tests.standins.other_build import write_other_build
from tests.standins.tiny_model import ALPHABET, write_tiny_model
from tests.tools_available import require_tool

TOKENS = (8, 64, 256)
"""Answers that are over at once, and answers of some tenths of a second that a swap finds in progress."""
BUILD, OTHER_BUILD = SETTINGS["version"], "b11549"
LETTERS = (ALPHABET, ALPHABET.upper())


@pytest.fixture
def real(world: World) -> World:
    """A stack that is not up yet, with the real engine and a model that it loads at once."""
    install_real_engine(world)
    write_tiny_model(world.model)
    return world


@dataclass
class Work:
    """Edits of one stack, brought to the machine and counted."""

    world: World
    sides: dict[str, str]
    swaps_s: list[float] = field(default_factory=list)
    reloads_s: list[float] = field(default_factory=list)

    def edit_engine(self) -> None:
        """Another context, option, model or build, brought to all replicas at once; each kind beside the old one and
        after it.

        They pass the gate one after the other, each serves on its other side afterwards.
        """
        number = len(self.swaps_s) // len(self.sides)
        ENGINE_EDITS[number % len(ENGINE_EDITS)](self.world, number // len(ENGINE_EDITS) % 2)
        self.world.converge(self.world.plan().weights[0])
        self.world.events.clear()
        began, before = time.monotonic(), self.sides
        memory_mib = HUGE_MIB if (number + number // len(ENGINE_EDITS)) % 2 else SMALL_MIB
        outputs = all_at_once(self.world, Gates(), lambda part: tiny(part, memory_mib))
        took_s = time.monotonic() - began
        self.swaps_s += [took_s / len(outputs)] * len(outputs)
        self.sides = {name: output["side"] for name, output in outputs.items()}
        assert {name: Side(side).other() for name, side in self.sides.items()} == before
        assert most_at_once(self.world.events) == 1

    def edit_gateway(self) -> None:
        """A key, a limit, a time or a port; HAProxy goes on with another worker."""
        number = len(self.reloads_s)
        part = GATEWAY_EDITS[number % len(GATEWAY_EDITS)](self.world, number // len(GATEWAY_EDITS))
        began, before = time.monotonic(), self.world.runtime().worker()
        self.world.converge(part)
        self.reloads_s.append(time.monotonic() - began)
        assert self.world.runtime().worker() != before

    def __str__(self) -> str:
        swaps, reloads = (f"{statistics.median(s):.2f} s (median)" for s in (self.swaps_s, self.reloads_s))
        return f"{len(self.swaps_s)} swaps of {swaps}, {len(self.reloads_s)} reloads of {reloads}"


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("replicas", "edits", "reloads"), [(1, 100, 20), (2, 15, 5)], ids=["one replica", "two replicas"]
)
def test_swaps_and_reloads_fail_no_request(
    real: World, replicas: int, edits: int, reloads: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every answer is whole, and the numbers are printed."""
    real.settings["replicas"] = replicas
    sides = {name: outputs["side"] for name, outputs in real.up().items() if "side" in outputs}
    work = Work(world=real, sides=sides)
    with load(real, tokens=TOKENS) as count:
        wait_for_answers(count, 8)
        for number in range(edits):
            work.edit_engine()
            if (number + 1) % (edits // reloads) == 0:
                work.edit_gateway()
        wait_for_answers(count, 8)
    with capsys.disabled():
        print(f"\n{work}\n{count}")
    assert count.failed == []
    assert count.texts == {letters[:8] for letters in LETTERS}


def test_another_build_is_started_once_the_machine_has_it(real: World) -> None:
    """The version in the plan is what the program says of itself; until then the one that runs serves on."""
    real.up()
    real.settings["version"] = OTHER_BUILD
    with pytest.raises(ConvergeFailed, match="llama-server is there, but in another version") as failure:
        real.converge(real.replica())
    assert failure.value.reasons[0] == f"wanted: llama.cpp {OTHER_BUILD}"
    assert real.ask(max_tokens=8)[0] == 200
    install_other_build(real)
    real.converge(real.replica())
    assert real.ask(max_tokens=8)[0] == 200
    assert real.manifest("chat-box-0")["part"]["version"] == OTHER_BUILD


def test_another_port_fails_no_request_on_a_kept_connection(real: World) -> None:
    """Those who are connected are answered and then closed; the new port serves at once, the old one no more."""
    real.up()
    with load(real, tokens=TOKENS, keep=True) as count:
        for port in (real.gateway().metrics_port + 149, None):
            wait_for_answers(count, 8)
            old = real.connection()
            real.settings["port"] = port
            real.converge(real.gateway())
            real.converge(real.plan().endpoints[0])
            wait_for_answers(count, 8)
            assert old.port
            real.wait_until(lambda port=old.port: not is_taken(port))  # type: ignore[misc]
    assert count.failed == []


@pytest.mark.alone
@pytest.mark.parametrize("memory_mib", [SMALL_MIB, HUGE_MIB], ids=["beside", "stop first"])
def test_without_draining_the_same_load_fails(real: World, memory_mib: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twin: an engine that is stopped while it works costs requests, and the clients count them."""
    monkeypatch.setattr(runners, "ENGINE_STOP_S", 1)

    def stop_at_once(r: Replica, runner: Runner, why: str) -> tuple[Step, ...]:
        return replica._stop(r, runner)

    monkeypatch.setattr(replica, "_drain_and_stop", stop_at_once)
    monkeypatch.setattr(replica, "_pause_and_stop", stop_at_once)
    real.up()
    with load(real, tokens=TOKENS) as count:
        for context in (1024, 512, 256):
            real.wait_until(lambda: real.connections(real.serving_port) > 1)
            real.settings["context"] = context
            real.converge(tiny(real.replica(), memory_mib))
    assert count.failed != []


def _context(world: World, turn: int) -> None:
    world.settings["context"] = (1024, 2048)[turn]


def _option(world: World, turn: int) -> None:
    world.settings["options"] = {**world.settings["options"], "batch-size": (256, 512)[turn]}


def _model(world: World, turn: int) -> None:
    write_tiny_model(world.model, LETTERS[1 - turn])


def _build(world: World, turn: int) -> None:
    """The machine gets another `llama-server`, which would be refused if it were not the one that is asked for."""
    world.settings["version"] = (OTHER_BUILD, BUILD)[turn]
    install_real_engine(world) if turn else install_other_build(world)


def install_other_build(world: World) -> None:
    program = world.tools / "llama-server"
    program.unlink()
    write_other_build(program, require_tool("llama-server"), OTHER_BUILD.removeprefix("b"))


ENGINE_EDITS = (_context, _option, _model, _build)


def _more_keys(world: World, turn: int) -> GatewayPart:
    world.secrets["spare"] = Secret(f"sk-spare-{turn}")
    world.settings["secrets"] = ["key-demo", "spare"]
    return world.gateway()


def _limit(world: World, turn: int) -> GatewayPart:
    world.settings["limits"] = {"requests_per_minute": 10**6 + turn, "concurrent": 100 + turn}
    return world.gateway()


def _time(world: World, turn: int) -> GatewayPart:
    world.settings["timeouts"] = {"queue_s": 31 + turn}
    return world.gateway()


def _port(world: World, turn: int) -> GatewayPart:
    """Metrics on a port that no other stack of the tests has."""
    bare = replace(world.gateway(), metrics_port=world.gateway().metrics_port + 150, files=())
    return replace(bare, files=gateway_files(bare))


def _fewer_keys(world: World, turn: int) -> GatewayPart:
    """The metrics come back to their own port, too."""
    world.settings["secrets"] = ["key-demo"]
    return world.gateway()


GATEWAY_EDITS: tuple[Callable[[World, int], GatewayPart], ...] = (_more_keys, _limit, _time, _port, _fewer_keys)
