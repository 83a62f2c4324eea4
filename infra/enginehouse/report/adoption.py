"""What `adopt` finds and does, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from enginehouse.converge.adoption import Standing
from enginehouse.converge.manifest import Manifest
from enginehouse.planner.parts import HostPart
from enginehouse.report.lines import Line, Style, line, piece
from enginehouse.spec.wording import listed


def found_text(host: HostPart, found: Standing, left: Sequence[Manifest], strange: Sequence[str]) -> Iterator[Line]:
    """One machine: whose the stack is, what of it is there, and what of that the stack file has no more.

    `left` ends, `strange` can't be told to belong to the machine as the stack file has it.
    """
    title = piece(f"{host.stack} on {host.host}", Style.TITLE)
    if not found.parts and not found.damaged:
        yield line(title, ": nothing is there")
        return
    whose = f"belongs to a Pulumi state {found.owner}" if found.owner else "belongs to nobody"
    yield line(title, f": {len(found.parts) + len(found.damaged)} parts, {whose}")
    if found.frozen:
        yield line(
            "  ", piece("frozen", Style.WARNING), f" {found.frozen}; `enginehouse unfreeze {host.stack}` ends it"
        )
    for one in left:
        yield line("  ", piece(one.part.name, Style.WARNING), f": not in the stack file; last changed by {one.change}")
    for name in found.damaged:
        yield line("  ", piece(name, Style.WARNING), ": its manifest is damaged; `pulumi up` makes it anew")
    for name in strange:
        yield line(
            "  ", piece(name, Style.WARNING), ": the machine was this host; call it so again, or remove the stack there"
        )


def done_text(host: HostPart, stays: Sequence[str], ended: Sequence[str], released: bool) -> Iterator[Line]:
    """What was done on one machine."""
    title = piece(f"{host.stack} on {host.host}", Style.TITLE)
    if ended:
        yield line(title, f": ended {', '.join(ended)}")
    for sentence in stays:
        yield line(f"  {sentence}")
    if released:
        yield line(title, ": belongs to nobody now")


def next_text(stack: str, adopted: Sequence[Standing], others: Sequence[str]) -> Line:
    """What `pulumi up` does now. `others` are the machines that were left alone, for reasons that are told before."""
    there = any(one.parts or one.damaged for one in adopted)
    does = "takes over what is there and touches nothing that is as planned" if there else "brings it there"
    if not others:
        return line(f"`pulumi up -s {stack}` {does}")
    again = f"put right what is said above, and run `enginehouse adopt {stack}` once more before `pulumi up -s {stack}`"
    return line("not adopted: ", piece(listed(others), Style.WARNING), f"; {again}{f', which {does}' if there else ''}")
