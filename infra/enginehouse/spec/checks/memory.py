"""A limit of memory takes somebody who keeps it."""

from __future__ import annotations

from collections.abc import Iterator

from enginehouse.planner.parts import Runtime
from enginehouse.spec.codes import Code
from enginehouse.spec.model import Spec
from enginehouse.spec.problems import Problem
from enginehouse.spec.source import Source
from enginehouse.spec.variants import forms


def check(spec: Spec, _: Source) -> Iterator[Problem]:
    for form in forms(spec):
        if form.deployment.memory_gib and form.deployment.runtime is Runtime.SUPERVISOR:
            yield Problem(
                path=form.path("memory_gib"),
                on_key=True,
                code=Code.NO_MEMORY_LIMIT,
                summary="nothing keeps an engine to a memory limit with `runtime: supervisor`",
                hint="write `runtime: systemd` or `runtime: docker`, or leave the limit out",
                rests_on=(form.path("runtime"),),
            )
