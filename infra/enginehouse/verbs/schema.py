"""`enginehouse schema`: the format of stack files for editors and other tools."""

from __future__ import annotations

from pathlib import Path

from enginehouse.report.lines import json_lines, line
from enginehouse.spec.schema import as_text, stack_schema
from enginehouse.verbs import Answer


def schema(out: Path | None) -> Answer:
    """The JSON Schema as the answer, or written to the file `out`, whose name is then the answer."""
    if out is None:
        return Answer(lines=json_lines(stack_schema()))
    out.write_text(as_text())
    return Answer(lines=(line(str(out)),))
