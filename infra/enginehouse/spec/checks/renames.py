"""`renamed_from` names a deployment that is gone."""

from __future__ import annotations

from collections.abc import Iterator

from enginehouse.spec.codes import Code
from enginehouse.spec.model import Spec
from enginehouse.spec.problems import Problem, shown
from enginehouse.spec.source import KeyPath, Source

_PURPOSE = "it is the name this deployment had before; leave it out once every machine has seen the new name"


def check(spec: Spec, _: Source) -> Iterator[Problem]:
    first: dict[str, KeyPath] = {}
    for name, deployment in spec.deployments.items():
        old, path = deployment.renamed_from, ("deployments", name, "renamed_from")
        if old is None:
            continue
        earlier = first.setdefault(old, path)
        if old == name:
            yield _problem(path, f"deployment {shown(name)} is renamed from itself")
        elif old in spec.deployments:
            related = (("deployments", old), "it still exists")
            yield _problem(path, f"deployment {shown(old)} still exists, so it can't be the old name", related)
        elif earlier != path:
            yield _problem(path, f"two deployments are renamed from {shown(old)}", (earlier, "the other one"))


def _problem(path: KeyPath, summary: str, *related: tuple[KeyPath, str]) -> Problem:
    return Problem(path=path, code=Code.BAD_RENAME, summary=summary, hint=_PURPOSE, related=related)
