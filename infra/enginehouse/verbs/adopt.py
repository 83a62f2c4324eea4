"""`enginehouse adopt`: makes the machines of a stack ready for a Pulumi state that knows nothing of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from enginehouse.converge import Context, destroy
from enginehouse.converge.adoption import Standing, release, standing
from enginehouse.converge.manifest import Manifest
from enginehouse.errors import ExitCode
from enginehouse.planner.parts import EndpointPart, GatewayPart, HostPart, Plan, ReplicaPart, WeightsPart
from enginehouse.report.adoption import done_text, found_text, next_text
from enginehouse.report.lines import Line, as_text
from enginehouse.verbs import Answer, InvalidInput
from enginehouse.verbs.each import of_each
from enginehouse.verbs.machines import AT_ONCE, changing
from enginehouse.verbs.plans import planned

ORDER = (EndpointPart, GatewayPart, ReplicaPart, WeightsPart)
"""Parts end before those they stand on. Hosts are not among them: with one goes all of its stack."""
Ask = Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One machine: what is there, and what of that the stack file has no more."""

    found: Standing
    left: tuple[Manifest, ...]
    strange: tuple[str, ...]
    """Other hosts of the stack that the machine was: what is there may be theirs, so nothing of it ends."""


def adopt(stack: str, *, yes: bool, take_over: bool, ask: Ask | None, progress: Callable[[str], None]) -> Answer:
    """End what the stack file has no more, and let go of former owners; the next `pulumi up` then takes over the rest.

    Asks before it changes something, by `ask` or the two words. Code `FAILED` if a machine can't be asked or changed;
    the others are all the same. Raises `SpecError` if the stack can't be used, `InvalidInput` without consent.
    """
    made = planned(stack)
    with ThreadPoolExecutor(AT_ONCE) as pool, changing("adopt", progress, stack) as context:
        seen, asked = of_each(made.hosts, lambda host: _look(made, host, context), progress, pool)
        lines = tuple(row for host, one in seen for row in found_text(host, one.found, one.left, one.strange))
        good = {host.name: one.found for host, one in seen if not one.strange and not one.found.frozen}
        work = [(host, one) for host, one in seen if one.left or (one.found.owner and not one.strange)]
        if not work:
            return Answer(lines=(*lines, _next(made, good)), code=asked)
        for text in as_text(lines).splitlines():
            progress(text)
        _check_consent([one for _, one in work], yes=yes, take_over=take_over, ask=ask)
        by_host = {host.name: one for host, one in work}
        hosts = [host for host, _ in work]
        done, changed = of_each(hosts, lambda host: _carry_out(host, by_host[host.name], context), progress, pool)
    for name in by_host.keys() - {host.name for host, _ in done}:
        good.pop(name, None)
    code = ExitCode.FAILED if ExitCode.FAILED in (asked, changed) else ExitCode.OK
    return Answer(lines=(*(row for _, rows in done for row in rows), _next(made, good)), code=code)


def _next(made: Plan, adopted: Mapping[str, Standing]) -> Line:
    """What `pulumi up` does after this, in the order of the stack file."""
    others = [host.host for host in made.hosts if host.name not in adopted]
    return next_text(made.stack, list(adopted.values()), others)


def _look(made: Plan, host: HostPart, context: Context) -> Finding:
    found = standing(host, context)
    planned_there = [part for part in made.parts() if part.host == host.host]
    known = {name for part in planned_there for name in (part.name, part.renamed_from)}
    others = [one for one in found.parts if one.part.name not in known]
    strange = tuple(one.part.name for one in others if isinstance(one.part, HostPart))
    left = () if strange else tuple(one for kind in ORDER for one in others if isinstance(one.part, kind))
    return Finding(found=found, left=left, strange=strange)


def _check_consent(work: Sequence[Finding], *, yes: bool, take_over: bool, ask: Ask | None) -> None:
    ends = sum(len(one.left) for one in work)
    owned = sum(one.found.owner is not None for one in work)
    what = [f"end {_count(ends, 'part')} that the stack file has no more"] if ends else []
    what += [f"take the stack from its owner on {_count(owned, 'machine')}"] if owned else []
    missing = [flag for flag, needed in (("--yes", not yes), ("--take-over", owned and not take_over)) if needed]
    if not missing:
        return
    if ask is None:
        raise InvalidInput(f"nothing was changed; to {' and to '.join(what)}, say {' '.join(missing)}")
    if ask(f"{' and '.join(what)}? (yes or no)") != "yes":
        raise InvalidInput("nothing was changed")


def _carry_out(host: HostPart, one: Finding, context: Context) -> tuple[Line, ...]:
    stays = [sentence for left in one.left for sentence in destroy(left.part, context)]
    if one.found.owner:
        release(host, one.found.owner, context)
    ended = [left.part.name for left in one.left]
    return tuple(done_text(host, stays, ended, one.found.owner is not None))


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
