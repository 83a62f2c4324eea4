"""A word means one part, the replicas of a deployment, or nothing that is there."""

from __future__ import annotations

import pytest

from enginehouse.verbs import InvalidInput
from enginehouse.verbs.plans import parts_named, replicas_named
from tests.unit.report.plans import PLAN


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        (None, [part.name for part in PLAN.parts()]),
        ("gateway-box", ["gateway-box"]),
        ("chat-box-0", ["chat-box-0"]),
        ("chat", [replica.name for replica in PLAN.replicas if replica.deployment == "chat"]),
    ],
)
def test_what_a_word_means(name: str | None, parts: list[str]) -> None:
    assert [part.name for part in parts_named(PLAN, name)] == parts


def test_a_word_that_means_nothing_is_answered_with_what_there_is() -> None:
    with pytest.raises(InvalidInput, match=r'demo has no "chta" for this; did you mean "chat"\? \(it has: box, '):
        parts_named(PLAN, "chta")


def test_only_replicas_take_orders() -> None:
    assert [replica.name for replica in replicas_named(PLAN, "chat-box-0")] == ["chat-box-0"]
    with pytest.raises(InvalidInput, match="it has: chat-box-0, chat"):
        replicas_named(PLAN, "gateway-box")
