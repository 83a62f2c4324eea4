"""The engine's version is written as that engine writes versions, and its options are known."""

from __future__ import annotations

import re
from collections.abc import Iterator

from enginehouse.diagnostics import Severity
from enginehouse.engines import engines
from enginehouse.engines.base import Engine
from enginehouse.spec.codes import Code
from enginehouse.spec.model import Spec
from enginehouse.spec.problems import Problem, shown
from enginehouse.spec.source import Source
from enginehouse.spec.variants import Form, forms
from enginehouse.spec.wording import listed


def check(spec: Spec, _: Source) -> Iterator[Problem]:
    for form in forms(spec):
        engine = engines().get(form.written.engine)
        if engine:
            yield from _version(form, engine, form.deployment.version)


def _version(form: Form, engine: Engine, version: str) -> Iterator[Problem]:
    if not re.fullmatch(engine.version_pattern, version):
        yield Problem(
            path=form.path("version"),
            code=Code.MALFORMED_VERSION,
            summary=f"{shown(version)} is not a version of {engine.title}",
            hint=f"write {engine.version_hint}; versions are pinned",
            rests_on=(form.path("engine"),),
        )
    elif version not in engine.versions:
        yield Problem(
            path=form.path("version"),
            code=Code.UNLISTED_VERSION,
            summary=f"the options of {engine.title} {version} are not known; another version's are used",
            hint=f"known: {listed(engine.versions)}",
            severity=Severity.WARNING,
        )
