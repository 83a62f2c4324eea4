"""What a stack means: one module for each question.

A check reads a spec and tells every problem it finds, by path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from enginehouse.spec.checks import (
    addresses,
    clients,
    context,
    drivers,
    engines,
    gpus,
    hardware,
    host_keys,
    hosts,
    images,
    machines,
    memory,
    names,
    options,
    registries,
    renames,
    replicas,
    routes,
    secrets,
    served_names,
    sources,
    tls,
    variants,
    versions,
    weights,
)
from enginehouse.spec.model import Spec
from enginehouse.spec.problems import Problem
from enginehouse.spec.source import KeyPath, Source

Check: TypeAlias = Callable[[Spec, Source], Iterable[Problem]]

CHECKS: tuple[Check, ...] = (
    engines.check,
    versions.check,
    images.check,
    memory.check,
    registries.check,
    options.check,
    context.check,
    machines.check,
    hardware.check,
    gpus.check,
    drivers.check,
    hosts.check,
    host_keys.check,
    variants.check,
    replicas.check,
    names.check,
    renames.check,
    served_names.check,
    routes.check,
    sources.check,
    weights.check,
    clients.check,
    secrets.check,
    addresses.check,
    tls.check,
)


def meaning_problems(spec: Spec, source: Source, lost: Iterable[KeyPath] = ()) -> Iterator[Problem]:
    """What all checks find, as far as it is founded."""
    return founded((problem for check in CHECKS for problem in check(spec, source)), lost)


def founded(problems: Iterable[Problem], lost: Iterable[KeyPath]) -> Iterator[Problem]:
    """Without what would be concluded from lost values, which a spec has only from examples."""
    holes = tuple(lost)
    return (problem for problem in problems if not any(_touches(hole, problem) for hole in holes))


def _touches(hole: KeyPath, problem: Problem) -> bool:
    """Whether the problem is about the lost value or rests on it. Warnings ("nothing uses this") rest on all values."""
    about = (problem.path, *(path for path, _ in problem.related), *problem.rests_on)
    return not problem.severity.is_error() or any(path[: len(hole)] == hole for path in about)
