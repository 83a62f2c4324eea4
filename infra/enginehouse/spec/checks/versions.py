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
from enginehouse.spec.source import KeyPath, Source
from enginehouse.spec.wording import listed


def check(spec: Spec, _: Source) -> Iterator[Problem]:
    for name, deployment in spec.deployments.items():
        engine = engines().get(deployment.engine)
        if engine:
            yield from _version(("deployments", name), engine, deployment.version)


def _version(path: KeyPath, engine: Engine, version: str) -> Iterator[Problem]:
    if not re.fullmatch(engine.version_pattern, version):
        yield Problem(
            path=(*path, "version"),
            code=Code.MALFORMED_VERSION,
            summary=f"{shown(version)} is not a version of {engine.title}",
            hint=f"write {engine.version_hint}; versions are pinned",
            rests_on=((*path, "engine"),),
        )
    elif version not in engine.versions:
        yield Problem(
            path=(*path, "version"),
            code=Code.UNLISTED_VERSION,
            summary=f"the options of {engine.title} {version} are not known; another version's are used",
            hint=f"known: {listed(engine.versions)}",
            severity=Severity.WARNING,
        )
