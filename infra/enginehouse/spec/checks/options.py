"""The engine's own options, as its adapter judges them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from enginehouse.engines import engines
from enginehouse.engines.base import OptionProblem
from enginehouse.spec.model import Spec
from enginehouse.spec.problems import Problem
from enginehouse.spec.source import Source
from enginehouse.spec.variants import Form, forms


def check(spec: Spec, source: Source) -> Iterator[Problem]:
    for form in forms(spec):
        deployment = form.deployment
        engine = engines().get(deployment.engine)
        if engine and re.fullmatch(engine.version_pattern, deployment.version):
            given = form.given(frozenset(source.keys(("deployments", form.name))))
            yield from (_problem(form, found) for found in engine.check_options(deployment, given=given))


def _problem(form: Form, found: OptionProblem) -> Problem:
    return Problem(
        path=form.path(*found.path),
        on_key=found.on_key,
        code=found.code,
        summary=found.summary,
        hint=found.hint,
        related=tuple((form.path(*other), "given here") for other in found.related),
        rests_on=(form.path("engine"), form.path("version")),
    )
