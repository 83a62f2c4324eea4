"""The lock file beside a stack file: reading it, and all that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from enginehouse.diagnostics import Diagnostic, Related, Span, in_order
from enginehouse.spec.build import build
from enginehouse.spec.codes import Code
from enginehouse.spec.find import LOCK_SUFFIX, stack_name
from enginehouse.spec.loader import parse
from enginehouse.spec.lock import NOTHING_LOCKED, Lock
from enginehouse.spec.problems import Problem, limited, told
from enginehouse.spec.reading import Reading, read
from enginehouse.spec.secrecy import masked
from enginehouse.spec.source import KeyPath, Source
from enginehouse.spec.validate import shape_problems


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedLock:
    """A lock file with everything that is wrong with it; nothing is locked as long as its shape is wrong."""

    lock: Lock
    diagnostics: tuple[Diagnostic, ...]
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointPort:
    """The port that no engine can have, and where the stack file says so."""

    port: int
    span: Span


def lock_path(stack_file: Path) -> Path:
    """Where the lock file of a stack is."""
    return stack_file.with_name(stack_name(stack_file) + LOCK_SUFFIX)


def load_lock(stack_file: Path, display: str, endpoint: EndpointPort | None) -> LoadedLock | None:
    """The lock file of a stack, None if it has none; never raises for what is in the file.

    `display` is what diagnostics call the file; `endpoint` is None if the stack file does not tell.
    """
    path = lock_path(stack_file)
    if not path.exists() and not path.is_symlink():
        return None
    return _loaded(read(path, display), stack_name(stack_file), display, endpoint)


def _loaded(reading: Reading, stack: str, file: str, endpoint: EndpointPort | None) -> LoadedLock:
    if reading.problem is not None:
        source = Source(file=file, text=masked(reading.text, ()))
        return LoadedLock(lock=NOTHING_LOCKED, diagnostics=_with_remedy((reading.problem,), stack), source=source)
    source, damage = parse(reading.text, file)
    lock, problems = NOTHING_LOCKED, tuple[Diagnostic, ...]()
    if source.root.data is not None or not damage:
        lock, problems = _checked(source, endpoint)
    diagnostics = in_order((*_with_remedy(damage, stack), *problems))
    shown = replace(source, text=masked(reading.text, diagnostics))
    return LoadedLock(lock=lock, diagnostics=diagnostics, source=shown)


def _with_remedy(problems: Iterable[Diagnostic], stack: str) -> tuple[Diagnostic, ...]:
    """A file that a person did not write is not mended letter by letter."""
    hint = f"take the file back from Git, or delete it and write it anew with `enginehouse lock {stack}`"
    return tuple(replace(problem, hint=hint) for problem in problems)


def _checked(source: Source, endpoint: EndpointPort | None) -> tuple[Lock, tuple[Diagnostic, ...]]:
    """What the file locks, and the problems of shape and meaning together."""
    shape = limited(shape_problems(source, Lock))
    lost = frozenset(problem.lost for problem in shape if problem.lost is not None)
    if () in lost:
        return NOTHING_LOCKED, told(shape, source)
    lock = build(Lock, source.root.data, lost)
    machines = [
        {path: port for path, port in ports.items() if not any(path[: len(hole)] == hole for hole in lost)}
        for ports in lock.ports()
    ]
    twice = limited(problem for ports in machines for problem in _given_twice(ports))
    of_endpoint = (problem for ports in machines for problem in _of_endpoint(ports, endpoint, source))
    meaning = (*told((*shape, *twice), source), *of_endpoint)
    return (NOTHING_LOCKED if shape else lock), meaning


def _given_twice(ports: Mapping[KeyPath, int]) -> Iterator[Problem]:
    first: dict[int, KeyPath] = {}
    for path, port in ports.items():
        earlier = first.setdefault(port, path)
        if earlier != path:
            yield Problem(
                path=path,
                code=Code.PORT_TWICE,
                summary=f"port {port} is given twice",
                hint="delete one of the two entries; `enginehouse lock` gives it other ports",
                related=((earlier, "the other one"),),
            )


def _of_endpoint(ports: Mapping[KeyPath, int], endpoint: EndpointPort | None, source: Source) -> Iterator[Diagnostic]:
    for path, port in ports.items():
        if endpoint and port == endpoint.port:
            yield Diagnostic(
                code=Code.PORT_OF_ENDPOINT,
                summary=f"port {port} is the endpoint's own",
                span=source.value_span(path),
                hint="give the endpoint another port, or delete this entry; `enginehouse lock` gives it other ports",
                related=(Related(span=endpoint.span, text="the endpoint listens there"),),
            )
