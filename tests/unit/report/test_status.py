"""What runs, as one table and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from enginehouse.converge.hangs import Hangs
from enginehouse.converge.standing import Order
from enginehouse.report.lines import Style, as_text
from enginehouse.report.status import Certificate, Load, PartStatus, StackStatus, State, status_plain, status_text

REPLICA = PartStatus(
    kind="replica",
    part="chat-box-0",
    host="box",
    state=State.SERVING,
    since="2026-11-24T14:02:11+00:00",
    deployment="chat",
    load=Load(running=2, queued=0),
)
GATEWAY = PartStatus(
    kind="gateway",
    part="gateway-box",
    host="box",
    state=State.SERVING,
    since="2026-11-24T13:50:00+00:00",
    address="127.0.0.1:8080",
    load=Load(running=2, queued=3),
)
ENDPOINT = PartStatus(
    kind="endpoint", part="endpoint", host="box", state=State.SERVING, address="http://127.0.0.1:8080"
)
WEIGHTS = PartStatus(kind="weights", part="chat-weights-box", host="box", state=State.READY)
STACK = StackStatus(stack="demo", parts=(WEIGHTS, REPLICA, GATEWAY, ENDPOINT))

BROKEN = StackStatus(
    stack="demo",
    parts=(
        replace(WEIGHTS, state=State.MISSING, reasons=()),
        replace(REPLICA, state=State.DIFFERS, reasons=("args.ctx-size is 4096, the plan says 8192",)),
        replace(
            REPLICA,
            part="chat-box-1",
            state=State.UNHEALTHY,
            load=Load(),
            reasons=("llama: \x1b[31mout of memory", "[/x]"),
        ),
        replace(
            REPLICA,
            part="chat-far-0",
            host="far",
            state=State.UNREACHABLE,
            since=None,
            load=Load(),
            reasons=("no route",),
        ),
        replace(GATEWAY, state=State.STOPPED, load=Load()),
        replace(ENDPOINT, state=State.UNHEALTHY, reasons=("nothing answers at http://127.0.0.1:8080",)),
    ),
)


ORDER = Order(run="r", who="ada@desk", door="drain", at="2026-11-24T14:10:00+00:00", reason="new memory")
ORDERED = StackStatus(
    stack="demo",
    parts=(
        PartStatus(
            kind="host", part="box", host="box", state=State.READY, frozen=replace(ORDER, reason="the audit is on")
        ),
        replace(REPLICA, state=State.DRAINED, drained=ORDER, hangs=Hangs(count=2, last="2026-11-24T13:00:00+00:00")),
        GATEWAY,
        ENDPOINT,
    ),
)


def test_status_as_text(golden: Callable[[str, Mapping[str, str]], None]) -> None:
    """One table, a line per gateway and endpoint, and every difference with its reasons."""
    other = replace(STACK, stack="other", parts=(replace(REPLICA, state=State.MISSING), GATEWAY, ENDPOINT))
    golden(
        "cli/status",
        {
            "serving.txt": as_text(status_text([STACK])),
            "broken.txt": as_text(status_text([BROKEN])),
            "ordered.txt": as_text(status_text([ORDERED])),
            "two-stacks.txt": as_text(status_text([STACK, other])),
        },
    )


def test_a_stack_is_ok_only_if_every_part_is() -> None:
    assert STACK.ok()
    for index, part in enumerate(STACK.parts):
        parts = (*STACK.parts[:index], replace(part, state=State.DIFFERS), *STACK.parts[index + 1 :])
        assert not StackStatus(stack="demo", parts=parts).ok()


@pytest.mark.parametrize("state", State)
def test_only_what_is_as_planned_is_good(state: State) -> None:
    """A drained replica is as somebody ordered it."""
    assert state.is_good() == (state in (State.SERVING, State.READY, State.DRAINED))


def test_json_has_every_part_and_what_the_text_says() -> None:
    plain = status_plain(BROKEN)
    text = as_text(status_text([BROKEN]))
    assert plain["ok"] is False
    assert [part["part"] for part in plain["parts"]] == [part.part for part in BROKEN.parts]
    for part in plain["parts"]:
        assert part["part"] in text
        assert part["state"] in text


def test_standing_orders_are_no_difference() -> None:
    """They are told, also as data, and the stack is as it shall be."""
    assert ORDERED.ok()
    host, replica, *_ = status_plain(ORDERED)["parts"]
    assert (host["frozen"]["reason"], replica["drained"]["who"]) == ("the audit is on", "ada@desk")


@pytest.mark.parametrize(
    ("days", "text", "style"),
    [
        (61, "certificate ends in 61 days (2027-01-24)", Style.FAINT),
        (14, "certificate ends in 14 days (2027-01-24)", Style.FAINT),
        (13, "certificate ends in 13 days (2027-01-24)", Style.WARNING),
        (1, "certificate ends in 1 day (2027-01-24)", Style.WARNING),
        (-1, "certificate ended on 2027-01-24", Style.WARNING),
    ],
)
def test_the_end_of_a_certificate_stands_beside_its_gateway(days: int, text: str, style: Style) -> None:
    """And stands out for the last two weeks."""
    certificate = Certificate(ends="2027-01-24T12:00:00+00:00", days=days)
    sealed = StackStatus(stack="demo", parts=(REPLICA, replace(GATEWAY, certificate=certificate), ENDPOINT))
    pieces = [piece for row in status_text([sealed]) for piece in row if piece.text.strip() == text]
    assert [piece.style for piece in pieces] == [style]


def test_foreign_text_is_shown_and_not_obeyed() -> None:
    assert "llama: \\x1b[31mout of memory" in as_text(status_text([BROKEN]))
