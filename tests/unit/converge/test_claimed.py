"""Ports and GPUs that other parts have claimed are refused by name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from enginehouse.converge import claimed
from enginehouse.converge.facts import Facts
from enginehouse.converge.places import Places
from enginehouse.errors import ConvergeFailed
from enginehouse.inventory.claims import claims
from enginehouse.planner.hardware import ReplicaGpus
from enginehouse.planner.parts import GatewayPart, ReplicaPart
from tests.unit.report.plans import GATEWAY, REPLICA

PART = replace(REPLICA, gpus=ReplicaGpus(model="l40s", devices=(1,)))
UUIDS = ("GPU-1",)


def facts(*lines: str) -> Facts:
    return Facts(state="/s", machine="m", memory_mib=1, claims=claims("\n".join(lines)))


def refusal(part: ReplicaPart | GatewayPart, *lines: str) -> str:
    try:
        claimed.check(part, facts(*lines), claimed.wanted(part, UUIDS if isinstance(part, ReplicaPart) else ()))
    except ConvergeFailed as error:
        clashes = [reason for reason in error.reasons if "is claimed by" in reason]
        assert len(error.reasons) > len(clashes), "what helps"
        return "; ".join((str(error), *clashes))
    return ""


def test_what_is_written_down_is_what_is_read() -> None:
    file = claimed.file(Places.of(PART, "/s"), claimed.wanted(PART, UUIDS))
    assert (file.path, file.mode) == ("/s/demo/chat-box-0/claims", 0o600)
    assert file.content == "port 20001\nport 20002\ngpu 1 GPU-1\n"
    lines = (f"demo/chat-box-0\t{line}" for line in file.content.splitlines())
    assert facts(*lines).claims == claimed.wanted(PART, UUIDS)
    assert [str(claim) for claim in claimed.wanted(GATEWAY)] == ["port 8080", "port 20000"]


@pytest.mark.parametrize("line", ["", "demo/x", "demo/x\t", "demo/x\tport", "demo/x\tgpu GPU-1", "demo/x\tgpu x GPU-1"])
def test_a_damaged_line_claims_nothing(line: str) -> None:
    assert facts(line).claims == ()


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("shop/chat-box-0\tport 20002", "port 20002 of chat-box-0 is claimed by chat-box-0 of stack shop"),
        ("shop/gateway-box\tport 20001", "port 20001 of chat-box-0 is claimed by gateway-box of stack shop"),
        ("shop/chat-box-0\tgpu 0 GPU-1", "GPU 1 (GPU-1) of chat-box-0 is claimed by chat-box-0 of stack shop"),
        ("demo/code-box-0\tgpu 1 GPU-1", "GPU 1 (GPU-1) of chat-box-0 is claimed by code-box-0, which is still there"),
    ],
)
def test_whose_it_is_is_said_in_a_sentence(line: str, sentence: str) -> None:
    assert refusal(PART, line) == f"box: {sentence}; nothing was changed"


@pytest.mark.parametrize(
    "line",
    [
        "shop/chat-box-0\tport 20003",
        "shop/chat-box-0\tgpu 1 GPU-2",
        "demo/code-box-0\tport 20001",
        "demo/chat-box-0\tgpu 1 GPU-1",
        "demo/assistant-box-0\tgpu 1 GPU-1",
    ],
)
def test_other_things_and_its_own_are_no_clash(line: str) -> None:
    """Its own also under its former name. Ports within a stack are the plan's business."""
    assert refusal(PART, line) == ""


def test_what_a_part_has_it_keeps() -> None:
    """Two that claimed the same before anybody looked both go on."""
    assert refusal(PART, "demo/chat-box-0\tport 20001", "shop/chat-box-0\tport 20001") == ""


def remedies(*lines: str) -> tuple[str, ...]:
    with pytest.raises(ConvergeFailed) as failure:
        claimed.check(PART, facts(*lines), claimed.wanted(PART, UUIDS))
    return failure.value.reasons


def test_what_helps_is_said_for_each_way_to_meet() -> None:
    """A port and a GPU of another stack, and a GPU of one's own stack, for each reason why it may still be there."""
    assert remedies("shop/chat-box-0\tport 20002") == (
        "choose another `endpoint.port`, or other ports in the lock file",
    )
    assert remedies("shop/chat-box-0\tgpu 0 GPU-1") == ("`gpus: {devices: [...]}` names others",)
    assert remedies("demo/code-box-0\tgpu 1 GPU-1") == (
        "if code-box-0 is not in the stack file any more: `pulumi up` ends it last, so take chat-box-0 out, too, for "
        "one `pulumi up`, and then put it back for a second one",
        "if code-box-0 is in the stack file: once it has moved to other GPUs (`devices`), a second `pulumi up` brings "
        "this; without any, `enginehouse lock demo` before `pulumi up` keeps each replica on its own",
        "if chat-box-0 is code-box-0 under another name: `renamed_from` in chat says so",
    )


def test_all_clashes_are_told() -> None:
    assert refusal(GATEWAY, "shop/g\tport 8080", "shop/g\tport 20000") == (
        "box: port 8080 of gateway-box is claimed by g of stack shop; nothing was changed; "
        "port 20000 of gateway-box is claimed by g of stack shop"
    )
