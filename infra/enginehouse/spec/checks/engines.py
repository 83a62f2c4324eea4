"""The engine exists."""

from __future__ import annotations

from collections.abc import Iterator

from enginehouse.engines import engines
from enginehouse.spec.codes import Code
from enginehouse.spec.model import Spec
from enginehouse.spec.problems import Problem, shown
from enginehouse.spec.source import Source
from enginehouse.spec.wording import did_you_mean


def check(spec: Spec, _: Source) -> Iterator[Problem]:
    known = tuple(engines())
    for name, deployment in spec.deployments.items():
        if deployment.engine not in known:
            yield Problem(
                path=("deployments", name, "engine"),
                code=Code.UNKNOWN_ENGINE,
                summary=f"there is no engine {shown(deployment.engine)}",
                hint=did_you_mean(deployment.engine, known, "engines"),
            )
