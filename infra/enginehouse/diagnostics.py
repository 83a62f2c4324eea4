"""What a person is told about a wrong input: the value, its order and its two renderings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"

    def is_error(self) -> bool:
        return self is Severity.ERROR


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Span:
    """A stretch of one file. Lines and columns are 1-based; `end_column` points behind the last character."""

    file: str
    line: int
    column: int
    end_line: int
    end_column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Related:
    """Another place that explains a diagnostic, such as the first definition of a duplicate key."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """One problem. `code` is stable kebab-case; `hint` says what would be right."""

    code: str
    summary: str
    span: Span
    severity: Severity = Severity.ERROR
    hint: str = ""
    related: tuple[Related, ...] = ()


def in_order(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Sorted by place, then code; equal ones once."""
    unique = {(d.span, d.code, d.summary): d for d in diagnostics}
    return tuple(unique[key] for key in sorted(unique, key=lambda k: (k[0], k[1], k[2])))


def as_text(diagnostics: Iterable[Diagnostic], sources: Mapping[str, str]) -> str:
    """The diagnostics as a terminal shows them.

    `sources` maps a file name, as the spans name it, to its text; without a text the source line is left out.
    Each entry: `file:line:column: summary [code]`, the source line with `^~~~`, then hint and related places.
    """
    return "\n".join(_entry(d, sources) for d in in_order(diagnostics))


def as_plain(diagnostics: Iterable[Diagnostic]) -> list[dict[str, object]]:
    """The diagnostics as JSON-able objects, in the same order and with the same texts."""
    return [
        {
            "code": d.code,
            "severity": d.severity.value,
            "summary": d.summary,
            "hint": d.hint,
            **_place(d.span),
            "related": [{**_place(r.span), "text": r.text} for r in d.related],
        }
        for d in in_order(diagnostics)
    ]


def _place(span: Span) -> dict[str, object]:
    return {
        "file": span.file,
        "line": span.line,
        "column": span.column,
        "end_line": span.end_line,
        "end_column": span.end_column,
    }


def _entry(diagnostic: Diagnostic, sources: Mapping[str, str]) -> str:
    mark = "" if diagnostic.severity.is_error() else "warning: "
    lines = [f"{diagnostic.span}: {mark}{diagnostic.summary} [{diagnostic.code}]"]
    lines += _excerpt(diagnostic.span, sources)
    if diagnostic.hint:
        lines.append(f"  hint: {diagnostic.hint}")
    lines += [f"  {related.span}: {related.text}" for related in diagnostic.related]
    return "\n".join(lines)


def _excerpt(span: Span, sources: Mapping[str, str]) -> list[str]:
    text = sources.get(span.file, "").splitlines()
    if not 1 <= span.line <= len(text):
        return []
    line = text[span.line - 1]
    end = span.end_column if span.end_line == span.line else len(line) + 1
    width = max(1, min(end, len(line) + 1) - span.column)
    label = f"{span.line:>4} | "
    pad = "".join("\t" if c == "\t" else " " for c in line[: span.column - 1])
    return [label + line, "     | " + pad + "^" + "~" * (width - 1)]
