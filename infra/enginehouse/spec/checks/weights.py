"""The weights are of a kind the engine loads, and their hash can be the hash of a model."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from enginehouse.engines import engines
from enginehouse.spec.codes import Code
from enginehouse.spec.model import Spec
from enginehouse.spec.problems import Problem, shown
from enginehouse.spec.source import KeyPath, Source
from enginehouse.spec.wording import listed

_EMPTY = hashlib.sha256(b"").hexdigest()


def check(spec: Spec, _: Source) -> Iterator[Problem]:
    yield from _file_types(spec)
    yield from _placeholders(spec)
    yield from _two_hashes(spec)


def _file_types(spec: Spec) -> Iterator[Problem]:
    for name, deployment in spec.deployments.items():
        engine = engines().get(deployment.engine)
        file = deployment.model.source.split("?")[0].lower()
        if engine and engine.weights_suffixes and not file.endswith((*engine.weights_suffixes, "/")):
            yield Problem(
                path=("deployments", name, "model", "source"),
                code=Code.WRONG_FILE_TYPE,
                summary=f"{engine.title} can't load this kind of file",
                hint=f"it loads files that end in {listed(engine.weights_suffixes)}",
                rests_on=(("deployments", name, "engine"),),
            )


def _placeholders(spec: Spec) -> Iterator[Problem]:
    for name, deployment in spec.deployments.items():
        digits = deployment.model.sha256
        if len(set(digits)) == 1 or digits == _EMPTY:
            what = "is that of an empty file" if digits == _EMPTY else "is only a placeholder"
            yield Problem(
                path=("deployments", name, "model", "sha256"),
                code=Code.PLACEHOLDER_SHA256,
                summary=f"this hash {what}",
                hint="`sha256sum FILE` prints the right one",
            )


def _two_hashes(spec: Spec) -> Iterator[Problem]:
    first: dict[str, tuple[str, KeyPath]] = {}
    for name, deployment in spec.deployments.items():
        path = ("deployments", name, "model", "sha256")
        digits, earlier = first.setdefault(deployment.model.source, (deployment.model.sha256, path))
        if digits != deployment.model.sha256:
            yield Problem(
                path=path,
                code=Code.TWO_HASHES,
                summary=f"{shown(deployment.model.source)} has another hash here",
                hint="one of the two is wrong",
                related=((earlier, "the other one"),),
                rests_on=(("deployments", name, "model", "source"),),
            )
