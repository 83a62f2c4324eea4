"""The gate of a deployment, over every order in which replicas may arrive, come through and fail."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enginehouse.rollout.gate import Exchange, Gate, too_few_left

NAMES = tuple(f"chat-box-{index}" for index in range(6))


class Open(Gate):
    """A gate that lets everybody in at any time: what there was before there was one."""

    def admits(self, exchange: Exchange, most: int) -> bool:
        return True


class Blind(Gate):
    """A gate that does not know who is drained: what there was before drained replicas counted."""

    def admits(self, exchange: Exchange, most: int) -> bool:
        return super().admits(replace(exchange, drained={}), most)


@dataclass
class Deployment:
    """Replicas that arrive at a gate, and what was seen of them. It looks at nothing inside the gate."""

    gate: Gate
    most: int
    drained: Collection[str] = ()
    pausing: Collection[str] = ()
    """Those for which there is no room beside what runs."""
    waiting: list[str] = field(default_factory=lambda: list(NAMES))
    exchanged: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def let_in(self, choice: int) -> None:
        """One of those that wait asks."""
        if not self.waiting:
            return
        exchange = self.exchange(self.waiting[choice % len(self.waiting)])
        if too_few_left(exchange, self.most):
            self.waiting.remove(exchange.name)
            self.refused.append(exchange.name)
        elif self.gate.admits(exchange, self.most):
            self.waiting.remove(exchange.name)
            self.check_entry(exchange.name)
            self.gate = self.gate.enter(exchange, self.most)
            self.exchanged.append(exchange.name)

    def end(self, choice: int, *, well: bool) -> None:
        """One of those inside comes to its end."""
        if self.exchanged:
            name = self.exchanged.pop(choice % len(self.exchanged))
            self.gate = self.gate.leave(name) if well else self.gate.fail(name)
            (self.done if well else self.failed).append(name)

    def exchange(self, name: str) -> Exchange:
        others = dict.fromkeys(set(self.drained) - {name}, "by ada")
        return Exchange(name=name, serves=name not in self.drained, pauses=name in self.pausing, drained=others)

    def check_entry(self, name: str) -> None:
        assert not self.failed, "an exchange began after a failure"
        if name in self.drained:
            return
        inside = set(self.exchanged) - set(self.drained)
        assert set(self.done) - set(self.drained) or not inside, "an exchange began before the canary's end"
        assert len(inside) < self.most, "too many are exchanged at once"
        if name in self.pausing:
            stopped = inside & set(self.pausing) | {name}
            assert len(stopped | set(self.drained)) <= self.most, "too few are left"


SOME = st.sets(st.sampled_from(NAMES))
EVENTS = st.lists(st.tuples(st.sampled_from(["in", "well", "badly"]), st.integers(0, 5)), max_size=40)


def play(deployment: Deployment, events: list[tuple[str, int]]) -> None:
    for event, choice in events:
        if event == "in":
            deployment.let_in(choice)
        else:
            deployment.end(choice, well=event == "well")


@given(most=st.integers(1, 4), drained=SOME, pausing=SOME, events=EVENTS)
def test_bound_and_canary_hold_at_every_instant(
    most: int, drained: set[str], pausing: set[str], events: list[tuple[str, int]]
) -> None:
    """Never more than allowed at once or missing, nobody beside the canary, nobody after a failure."""
    play(Deployment(gate=Gate(), most=most, drained=drained, pausing=pausing), events)


@given(
    most=st.integers(1, 4),
    drained=SOME,
    pausing=SOME,
    events=st.lists(st.tuples(st.sampled_from(["in", "well"]), st.integers(0, 5))),
)
def test_without_a_failure_everybody_gets_through(
    most: int, drained: set[str], pausing: set[str], events: list[tuple[str, int]]
) -> None:
    """Whatever came before, taking turns brings the rest through: no order leads to a standstill.

    Refused are just those whose requests would wait while as many as may be missing are drained.
    """
    deployment = Deployment(gate=Gate(), most=most, drained=drained, pausing=pausing)
    play(deployment, events)
    play(deployment, [("well", 0)] * len(NAMES) + [("in", 0), ("well", 0)] * len(NAMES))
    refused = pausing - drained if len(drained) >= most else set()
    assert sorted(deployment.refused) == sorted(refused)
    assert sorted(deployment.done) == sorted(set(NAMES) - refused)


def test_a_drained_replica_is_exchanged_beside_the_canary() -> None:
    """It has no traffic, so it neither waits nor counts nor proves anything."""
    gate = Gate().enter(Exchange(name="chat-box-0"), 1)
    gate = gate.enter(Exchange(name="chat-box-1", serves=False), 1).leave("chat-box-1")
    assert not gate.admits(Exchange(name="chat-box-2"), 1)
    assert gate.leave("chat-box-0").admits(Exchange(name="chat-box-2"), 1)


@pytest.mark.parametrize(
    ("events", "broken"),
    [
        ([("in", 0), ("in", 0)], "before the canary's end"),
        ([("in", 0), ("well", 0), ("in", 0), ("in", 0)], "too many"),
        ([("in", 0), ("badly", 0), ("in", 0)], "after a failure"),
    ],
)
def test_an_open_gate_breaks_every_rule(events: list[tuple[str, int]], broken: str) -> None:
    """Twin: without the gate the same events are seen as what they are."""
    with pytest.raises(AssertionError, match=broken):
        play(Deployment(gate=Open(), most=1), events)


def test_a_gate_that_does_not_know_who_is_drained_leaves_too_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twin: of two replicas one is drained, and the other one stops."""
    monkeypatch.setitem(globals(), "too_few_left", lambda exchange, most: False)
    deployment = Deployment(gate=Blind(), most=1, drained=NAMES[1:], pausing=NAMES[:1])
    with pytest.raises(AssertionError, match="too few are left"):
        play(deployment, [("in", 0)])


def test_nobody_enters_a_gate_that_does_not_admit() -> None:
    """A caller that forgot to ask is told, and so is one that leaves without having entered."""
    gate = Gate().enter(Exchange(name="chat-box-0"), 1)
    with pytest.raises(ValueError, match="does not admit chat-box-1"):
        gate.enter(Exchange(name="chat-box-1"), 1)
    with pytest.raises(ValueError, match="chat-box-1 is not inside"):
        gate.leave("chat-box-1")
