"""The gate of a deployment, over every order in which replicas may arrive, come through and fail."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enginehouse.rollout.gate import Gate

NAMES = tuple(f"chat-box-{index}" for index in range(6))


class Open(Gate):
    """A gate that lets everybody in at any time: what there was before there was one."""

    def admits(self, most: int) -> bool:
        return True


@dataclass
class Deployment:
    """Replicas that arrive at a gate, and what was seen of them. It looks at nothing inside the gate."""

    gate: Gate
    most: int
    waiting: list[str] = field(default_factory=lambda: list(NAMES))
    exchanged: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def let_in(self, choice: int) -> None:
        """One of those that wait asks."""
        if self.waiting and self.gate.admits(self.most):
            name = self.waiting.pop(choice % len(self.waiting))
            self.check_entry()
            self.gate = self.gate.enter(name, self.most)
            self.exchanged.append(name)

    def end(self, choice: int, *, well: bool) -> None:
        """One of those inside comes to its end."""
        if self.exchanged:
            name = self.exchanged.pop(choice % len(self.exchanged))
            self.gate = self.gate.leave(name) if well else self.gate.fail(name)
            (self.done if well else self.failed).append(name)

    def check_entry(self) -> None:
        assert not self.failed, "an exchange began after a failure"
        assert self.done or not self.exchanged, "an exchange began before the canary's end"
        assert len(self.exchanged) < self.most, "too many are exchanged at once"


EVENTS = st.lists(st.tuples(st.sampled_from(["in", "well", "badly"]), st.integers(0, 5)), max_size=40)


def play(deployment: Deployment, events: list[tuple[str, int]]) -> None:
    for event, choice in events:
        if event == "in":
            deployment.let_in(choice)
        else:
            deployment.end(choice, well=event == "well")


@given(most=st.integers(1, 4), events=EVENTS)
def test_bound_and_canary_hold_at_every_instant(most: int, events: list[tuple[str, int]]) -> None:
    """Never more than allowed at once, nobody beside the canary, nobody after a failure."""
    play(Deployment(gate=Gate(), most=most), events)


@given(most=st.integers(1, 4), events=st.lists(st.tuples(st.sampled_from(["in", "well"]), st.integers(0, 5))))
def test_without_a_failure_everybody_gets_through(most: int, events: list[tuple[str, int]]) -> None:
    """Whatever came before, taking turns brings the rest through: no order leads to a standstill."""
    deployment = Deployment(gate=Gate(), most=most)
    play(deployment, events)
    play(deployment, [("in", 0), ("well", 0)] * len(NAMES))
    assert sorted(deployment.done) == sorted(NAMES)


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


def test_nobody_enters_a_gate_that_does_not_admit() -> None:
    """A caller that forgot to ask is told, and so is one that leaves without having entered."""
    gate = Gate().enter("chat-box-0", 1)
    with pytest.raises(ValueError, match="does not admit chat-box-1"):
        gate.enter("chat-box-1", 1)
    with pytest.raises(ValueError, match="chat-box-1 is not inside"):
        gate.leave("chat-box-1")
