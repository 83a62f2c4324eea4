"""Writes down whose a stack is, once for all parts that a run brings at the same time."""

from __future__ import annotations

import threading

from enginehouse.converge import scripts
from enginehouse.converge.journal import Word
from enginehouse.converge.look import look
from enginehouse.converge.owner import Claim, Owner, to_json
from enginehouse.converge.steps import Placed
from enginehouse.converge.work import Work
from enginehouse.planner.parts import Part

_one_at_a_time = threading.Lock()


def make_claim(part: Part, work: Work, claim: Claim) -> None:
    """Claim the part's stack, under the lease, unless another part of the run just did. Tells of a takeover."""
    with _one_at_a_time:
        owner = look(part, work.context).owner
        if claim.id is None or not claim.is_new(owner):
            return
        if owner:
            taken = f"{part.stack} on {part.host} is taken over; it belonged to another Pulumi state {owner}"
            work.notice(taken)
            work.journal.add(Word.TAKEN_OVER, taken)
        run, at = work.context.run, work.context.clock.now().isoformat(timespec="seconds")
        ours = Owner(run=run.id, who=run.who, door=run.door, at=at, id=claim.id)
        script, stdin = scripts.place([Placed(path=work.places.owner, content=to_json(ours), mode=0o600)])
        work.do("noting whose the stack is", script, stdin=stdin)
