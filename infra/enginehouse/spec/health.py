"""How patient one is with an engine, as a stack file says it."""

from __future__ import annotations

from dataclasses import dataclass

from enginehouse.spec.fields import key


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How long an engine may take before it counts as failed."""

    ready_within_s: int = key(
        "Seconds from start to the first real completion. A new release that takes longer has failed, and the old one "
        "serves again.",
        example=90,
        default=120,
        minimum=5,
        maximum=7200,
    )
    drain_s: int = key(
        "Seconds a replica that is being replaced may take to finish the requests it works on.",
        example=30,
        default=60,
        minimum=1,
        maximum=3600,
    )
    hang_after_s: int | None = key(
        "Seconds without any progress after which an engine with work to do is restarted. Left out: 120, and 60 more "
        "for each GiB of weights.",
        example=120,
        default=None,
        minimum=10,
        maximum=86400,
    )
