"""The engine's own options, as its adapter judges them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from enginehouse.engines import engines
from enginehouse.engines.base import OptionProblem
from enginehouse.spec.model import Spec
from enginehouse.spec.problems import Problem
from enginehouse.spec.source import KeyPath, Source


def check(spec: Spec, source: Source) -> Iterator[Problem]:
    for name, deployment in spec.deployments.items():
        engine = engines().get(deployment.engine)
        if engine and re.fullmatch(engine.version_pattern, deployment.version):
            path = ("deployments", name)
            for found in engine.check_options(deployment, given=frozenset(source.keys(path))):
                yield _problem(path, found)


def _problem(path: KeyPath, found: OptionProblem) -> Problem:
    return Problem(
        path=(*path, *found.path),
        on_key=found.on_key,
        code=found.code,
        summary=found.summary,
        hint=found.hint,
        related=tuple(((*path, *other), "given here") for other in found.related),
        rests_on=((*path, "engine"), (*path, "version")),
    )
