"""A machine that does not answer hides nothing of the others, and keeps no order from them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from enginehouse.converge import orders
from enginehouse.converge.standing import Order
from enginehouse.errors import Cancelled, ConvergeFailed, ExitCode, Unreachable, explain
from enginehouse.planner.parts import Part
from enginehouse.report.lines import as_text
from enginehouse.verbs import Answer, Format, InvalidInput
from enginehouse.verbs import events as events_module
from enginehouse.verbs import history as history_module
from enginehouse.verbs import logs as logs_module
from enginehouse.verbs import orders as orders_module
from enginehouse.verbs import rollback as rollback_module
from enginehouse.verbs import weights as weights_module
from enginehouse.verbs.each import of_each
from tests.unit.planner.test_each_host import planned

PLAN = planned("shop-1", "shop-2", "shop-3")
ORDER = Order(run="r", who="ada@desk", door="freeze", at="2026-11-24T12:00:00+00:00", reason="exams")


def lost(result: Any) -> Callable[..., Any]:
    """Gives `result`, except of the second host."""

    def ask(part: Part, *words: Any, **more: Any) -> Any:
        if part.host == "shop-2":
            raise Unreachable("shop-2: does not answer")
        return result

    return ask


def events(told: Callable[[str], None]) -> Answer:
    return events_module.events("shops", Format.TEXT, forever=False, show=lambda lines: None, progress=told)


def history(told: Callable[[str], None]) -> Answer:
    return history_module.history("shops", None, Format.TEXT, told)


def logs(told: Callable[[str], None]) -> Answer:
    return logs_module.logs(
        "shops", None, lines=9, forever=False, hung=False, notices=False, show=lambda lines: None, progress=told
    )


def drain(told: Callable[[str], None]) -> Answer:
    return orders_module.drain("shops", "chat", reason="", wait=False, force=True, door="drain", progress=told)


def undrain(told: Callable[[str], None]) -> Answer:
    return orders_module.undrain("shops", "chat", progress=told)


def freeze(told: Callable[[str], None]) -> Answer:
    return orders_module.freeze("shops", reason="exams", progress=told)


def unfreeze(told: Callable[[str], None]) -> Answer:
    return orders_module.unfreeze("shops", progress=told)


def list_weights(told: Callable[[str], None]) -> Answer:
    return weights_module.list_weights("shops", Format.TEXT, told)


def prune_weights(told: Callable[[str], None]) -> Answer:
    return weights_module.prune_weights("shops", Format.TEXT, told)


@pytest.mark.parametrize("verb", [events, history, logs, drain, undrain, freeze, unfreeze, list_weights, prune_weights])
def test_the_others_are_asked_all_the_same(
    verb: Callable[[Callable[[str], None]], Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What does not answer is told once, and in the exit code."""
    for module in (events_module, history_module, logs_module, orders_module, weights_module):
        monkeypatch.setattr(module, "planned", lambda stack: PLAN)
    monkeypatch.setattr(events_module, "events_on", lost(()))
    monkeypatch.setattr(history_module, "history_of", lost(()))
    monkeypatch.setattr(logs_module, "_last", lost(("a line",)))
    for name in ("stored", "prune"):
        monkeypatch.setattr(weights_module, name, lost(()))
    for name in ("drain", "undrain", "freeze", "unfreeze"):
        monkeypatch.setattr(orders, name, lost(ORDER))
    told: list[str] = []
    answer = verb(told.append)
    assert (answer.code, told) == (ExitCode.FAILED, ["shop-2: does not answer"])
    assert verb in (events, history) or "shop-3" in as_text(answer.lines)


def test_a_part_goes_back_without_the_other_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only its own host is asked: here, that there is nothing to go back to."""
    monkeypatch.setattr(rollback_module, "planned", lambda stack: PLAN)
    monkeypatch.setattr(rollback_module, "stack_file", Path)
    monkeypatch.setattr(rollback_module, "history", lost(()))
    with pytest.raises(InvalidInput, match="chat-shop-3-0"):
        rollback_module.rollback("shops", "chat-shop-3-0", to=None, dry_run=True, progress=print)


def test_a_stack_does_not_go_back_while_one_host_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest run may have changed just that one; it is said how the others get back."""
    monkeypatch.setattr(rollback_module, "planned", lambda stack: PLAN)
    monkeypatch.setattr(rollback_module, "stack_file", Path)
    monkeypatch.setattr(rollback_module, "history", lost(()))
    with pytest.raises(ConvergeFailed, match="the newest run of demo can't be told") as failure:
        rollback_module.rollback("shops", None, to=None, dry_run=True, progress=print)
    told = list(explain(failure.value))
    assert told[1] == "`enginehouse rollback demo PART` brings one part of another machine back"
    assert "shop-2" in told[2]


def test_what_all_say_is_an_error() -> None:
    """As with one machine: there is nothing to show."""

    def ask(part: Part) -> None:
        raise Unreachable(f"{part.host}: does not answer")

    with pytest.raises(Unreachable, match="shop-1: does not answer"):
        of_each(PLAN.hosts, ask, print)


def test_a_wish_to_stop_is_none_of_the_results() -> None:
    """Whoever says it is not asked whether the others can go on."""

    def ask(part: Part) -> None:
        if part.host == "shop-2":
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        of_each(PLAN.hosts, ask, print)
