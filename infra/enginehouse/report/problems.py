"""The result of checking stacks, as text and as JSON; both carry the same diagnostics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from enginehouse.diagnostics import Diagnostic, as_plain, as_text, in_order
from enginehouse.planner.addresses import host_and_port
from enginehouse.planner.seals import TlsMode
from enginehouse.report.lines import Line, Style, json_lines, line, piece
from enginehouse.spec.model import Spec


def problems_text(diagnostics: Iterable[Diagnostic], sources: Mapping[str, str]) -> tuple[Line, ...]:
    """Every diagnostic with its source line, hint and related places; the first line of each stands out."""
    return tuple(row for d in in_order(diagnostics) for row in _entry(d, sources))


def problems_json(stack: str, diagnostics: Sequence[Diagnostic]) -> tuple[Line, ...]:
    """One stack's result as one line of JSON, so that several stacks are JSON lines."""
    result = {
        "stack": stack,
        "ok": not any(d.severity.is_error() for d in diagnostics),
        "diagnostics": as_plain(diagnostics),
    }
    return json_lines(result, indent=None)


def problems_count(diagnostics: Sequence[Diagnostic]) -> str:
    """Such as `2 errors, 1 warning`; `no problems` when there is none."""
    errors = sum(d.severity.is_error() for d in diagnostics)
    counts = ((errors, "error"), (len(diagnostics) - errors, "warning"))
    return ", ".join(f"{n} {word}{'s' if n != 1 else ''}" for n, word in counts if n) or "no problems"


def valid_text(spec: Spec) -> Line:
    """The one line about a stack that can be deployed."""
    deployments = ", ".join(f"{name} ({d.engine} {d.version})" for name, d in spec.deployments.items())
    return line(
        piece(f"{spec.name}: "),
        piece("ok", Style.GOOD),
        f", deploys {deployments} at {_scheme(spec)}://{host_and_port(spec.endpoint.hostname, spec.endpoint.port)}",
    )


def _scheme(spec: Spec) -> str:
    return "http" if spec.endpoint.tls.mode is TlsMode.NONE else "https"


def _entry(diagnostic: Diagnostic, sources: Mapping[str, str]) -> Iterable[Line]:
    first, *rest = as_text([diagnostic], sources).split("\n")
    yield line(piece(first, Style.BAD if diagnostic.severity.is_error() else Style.WARNING))
    yield from (line(row) for row in rest)
