"""What `adopt` says in the end is what `pulumi up` then does, on every machine and after every outcome."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from enginehouse.converge.adoption import Standing
from enginehouse.converge.manifest import Change, Manifest
from enginehouse.converge.owner import Owner
from enginehouse.converge.standing import Order
from enginehouse.errors import ExitCode, Frozen, Unreachable
from enginehouse.planner.parts import HostPart, Part
from enginehouse.report.lines import as_text
from enginehouse.verbs import adopt as module
from tests.unit.planner.test_each_host import planned

PLAN = planned("shop-1", "shop-2", "shop-3")
SIGNED = {"run": "r", "who": "ada@desk", "door": "pulumi", "at": "2026-11-24T12:00:00+00:00"}
ORDER = Order(**SIGNED, reason="exams")
AGAIN = "; put right what is said above, and run `enginehouse adopt demo` once more before `pulumi up -s demo`"
TAKES_OVER = "takes over what is there and touches nothing that is as planned"


def manifest(part: Part) -> Manifest:
    return Manifest(part=part, generation=1, machine="m", change=Change(**SIGNED, what="new on the machine"))


def standing(host: HostPart, *more: Part, **other: Any) -> Standing:
    """The host's own parts and some more, owned by a state that was lost."""
    parts = (*(part for part in PLAN.parts() if part.host == host.host), *more)
    made = Standing(owner=Owner(**SIGNED, id="lost"), frozen=None, parts=tuple(map(manifest, parts)), damaged=())
    return replace(made, **other)


def nothing(host: HostPart) -> Standing:
    return Standing(owner=None, frozen=None, parts=(), damaged=())


def out_of_reach(host: HostPart) -> Standing:
    raise Unreachable(f"{host.host}: does not answer")


def frozen(host: HostPart) -> Standing:
    return standing(host, owner=None, frozen=ORDER)


def another_host(host: HostPart) -> Standing:
    return standing(host, replace(host, name="shop-9", host="shop-9"))


def last_line(monkeypatch: pytest.MonkeyPatch, **machines: Any) -> tuple[str, ExitCode]:
    """Of a machine that is not among them there is everything as the stack file has it."""
    found = {host.name: machines.get(host.name.replace("-", ""), standing) for host in PLAN.hosts}
    monkeypatch.setattr(module, "planned", lambda stack: PLAN)
    monkeypatch.setattr(module, "standing", lambda host, context: found[host.name](host))
    monkeypatch.setattr(module, "release", released)
    answer = module.adopt("demo", yes=True, take_over=True, ask=None, progress=lambda text: None)
    return as_text(answer.lines).splitlines()[-1], answer.code


def released(host: HostPart, owner: Owner, context: Any) -> None:
    if owner.id == "froze meanwhile":
        raise Frozen("is frozen")


def test_what_was_adopted_is_taken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everywhere, also where there is nothing yet on one of the machines."""
    assert last_line(monkeypatch) == (f"`pulumi up -s demo` {TAKES_OVER}", ExitCode.OK)
    assert last_line(monkeypatch, shop2=nothing) == (f"`pulumi up -s demo` {TAKES_OVER}", ExitCode.OK)


def test_where_nothing_is_it_is_brought(monkeypatch: pytest.MonkeyPatch) -> None:
    """No machine has anything of the stack."""
    nowhere = dict.fromkeys(("shop1", "shop2", "shop3"), nothing)
    assert last_line(monkeypatch, **nowhere) == ("`pulumi up -s demo` brings it there", ExitCode.OK)


@pytest.mark.parametrize(
    ("left_alone", "code"),
    [
        (out_of_reach, ExitCode.FAILED),
        (frozen, ExitCode.OK),
        (another_host, ExitCode.OK),
        (lambda host: standing(host, owner=Owner(**SIGNED, id="froze meanwhile")), ExitCode.FAILED),
    ],
    ids=["out of reach", "frozen", "another host", "failed"],
)
def test_a_machine_that_was_left_alone_is_named(monkeypatch: pytest.MonkeyPatch, left_alone: Any, code: int) -> None:
    """`pulumi up` would be refused there, so it does not say that it takes over; of the others it does."""
    assert last_line(monkeypatch, shop2=left_alone) == (f"not adopted: shop-2{AGAIN}, which {TAKES_OVER}", code)


def test_where_all_were_left_alone_nothing_is_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frozen, without an owner, and nothing to end."""
    everywhere = dict.fromkeys(("shop1", "shop2", "shop3"), frozen)
    assert last_line(monkeypatch, **everywhere) == (f"not adopted: shop-1, shop-2, shop-3{AGAIN}", ExitCode.OK)
