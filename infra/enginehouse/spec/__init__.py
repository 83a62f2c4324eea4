"""Stack files and their lock files: reading, checking, and what the planner starts from. Pure but for the reading."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from enginehouse.diagnostics import Diagnostic, in_order
from enginehouse.planner.seals import TlsMode
from enginehouse.spec.build import build
from enginehouse.spec.checks import founded, meaning_problems
from enginehouse.spec.find import find_stack, name_problem, stack_name, stack_names
from enginehouse.spec.hosts_file import with_hosts
from enginehouse.spec.loader import parse
from enginehouse.spec.lock import NOTHING_LOCKED, Lock
from enginehouse.spec.lock_file import EndpointPort, LoadedLock, load_lock, lock_path
from enginehouse.spec.model import Spec
from enginehouse.spec.problems import Problem, limited, told
from enginehouse.spec.reading import Reading, decode, inspect, read
from enginehouse.spec.secrecy import masked
from enginehouse.spec.source import Source
from enginehouse.spec.validate import shape_problems

__all__ = ["Loaded", "Source", "find_stack", "load", "load_bytes", "load_text", "lock_path", "stack_names"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A stack file, and the lock file beside it if there is one, with everything that is wrong with them.

    `spec` is None as long as the shape is wrong. Secrets that a diagnostic complains about are stars in `source.text`.
    """

    name: str
    path: Path
    spec: Spec | None
    diagnostics: tuple[Diagnostic, ...]
    source: Source
    lock: Lock = NOTHING_LOCKED
    lock_source: Source | None = None

    @property
    def sources(self) -> Mapping[str, str]:
        """The texts that the diagnostics quote, by file name."""
        files = {source.file: source.text for source in (self.source, self.lock_source) if source}
        return {**self.source.beside, **files}

    @property
    def ok(self) -> bool:
        """Whether the stack can be deployed; warnings don't count."""
        return not any(d.severity.is_error() for d in self.diagnostics)


def load(path: Path, *, display: str | None = None, now: datetime | None = None) -> Loaded:
    """The stack in a file, with its lock file and all diagnostics; what is in the files, or missing, never raises.

    `display` is what diagnostics call the file; `now`, by which its certificate is judged, is this moment if left out.
    """
    shown = display if display is not None else str(path)
    loaded = _loaded(read(path, shown), name=stack_name(path), path=path, display=shown, now=now)
    return _with_lock(loaded, load_lock(path, str(lock_path(Path(shown))), _endpoint_port(loaded)))


def load_bytes(data: bytes, *, name: str, display: str) -> Loaded:
    """Like `load`, for what would be in a file."""
    return _loaded(decode(data, display), name=name, path=Path(display), display=display)


def load_text(text: str, *, name: str, display: str) -> Loaded:
    """Like `load`, for a text that is in no file."""
    return _loaded(inspect(text, display), name=name, path=Path(display), display=display)


def _loaded(reading: Reading, *, name: str, path: Path, display: str, now: datetime | None = None) -> Loaded:
    if reading.problem is not None:
        source = Source(file=display, text=masked(reading.text, ()))
        return Loaded(name=name, path=path, spec=None, diagnostics=(reading.problem,), source=source)
    wrong_name = name_problem(name, display)
    source, problems = parse(reading.text, display)
    spec = None
    if source.root.data is not None or not problems:
        source, of_hosts = with_hosts(source, path.parent)
        spec, more = _checked(source, name, path.parent, now or datetime.now(UTC))
        problems = (*problems, *of_hosts, *more)
    diagnostics = in_order((*problems, *((wrong_name,) if wrong_name else ())))
    texts = {**source.beside, display: reading.text}
    texts = {file: masked(text, (d for d in diagnostics if d.span.file == file)) for file, text in texts.items()}
    shown = replace(source, text=texts.pop(display), beside=texts)
    return Loaded(name=name, path=path, spec=spec, diagnostics=diagnostics, source=shown)


def _with_lock(loaded: Loaded, found: LoadedLock | None) -> Loaded:
    if found is None:
        return loaded
    diagnostics = in_order((*loaded.diagnostics, *found.diagnostics))
    return replace(loaded, diagnostics=diagnostics, lock=found.lock, lock_source=found.source)


def _endpoint_port(loaded: Loaded) -> EndpointPort | None:
    if loaded.spec is None:
        return None
    return EndpointPort(port=loaded.spec.endpoint.port, span=loaded.source.value_span(("endpoint", "port")))


def _checked(source: Source, name: str, folder: Path, now: datetime) -> tuple[Spec | None, tuple[Diagnostic, ...]]:
    """The spec if the shape is right, and the problems of shape and meaning together."""
    shape = limited(shape_problems(source))
    lost = frozenset(problem.lost for problem in shape if problem.lost is not None)
    if () in lost:
        return None, told(shape, source)
    spec = build(Spec, source.root.data, lost, name=name)
    spec, about = _with_certificate(spec, folder, now)
    meaning = limited((*meaning_problems(spec, source, lost), *founded(about, lost)))
    return (None if shape else spec), told((*shape, *meaning), source)


def _with_certificate(spec: Spec, folder: Path, now: datetime) -> tuple[Spec, tuple[Problem, ...]]:
    tls = spec.endpoint.tls
    if tls.mode is not TlsMode.FILES or tls.certificate is None:
        return spec, ()
    from enginehouse.spec.certificate import with_certificate  # takes longer to import than a stack to check

    return with_certificate(spec, folder / tls.certificate, now)
