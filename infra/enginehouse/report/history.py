"""What a part was, generation by generation, and what each change was, in the words of a diff."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from enginehouse.converge.configuration import shown
from enginehouse.converge.manifest import Manifest
from enginehouse.converge.wire import as_inputs
from enginehouse.planner.diff import in_words
from enginehouse.report.lines import Line, Piece, Style, line, piece, table
from enginehouse.report.moments import local

HEADINGS = ("part", "generation", "when", "who", "door", "what changed")
FIRST = "first deployed"
OLDEST = "the oldest that is kept"
SAME = "recorded again"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Generation:
    part: str
    manifest: Manifest
    changes: tuple[str, ...]


def history_text(stack: str, histories: Mapping[str, Sequence[Manifest]], zone: tzinfo | None) -> tuple[Line, ...]:
    """One table over all parts, newest first; each change has a line. `histories`: manifests by part, newest first."""
    rows = [row for generation in _generations(histories) for row in _rows(generation, zone)]
    if not rows:
        return (line(f"{stack} has no history on its machines: nothing was deployed there"),)
    return table(HEADINGS, rows, numbers=frozenset({HEADINGS.index("generation")}))


def history_plain(stack: str, histories: Mapping[str, Sequence[Manifest]]) -> dict[str, Any]:
    """The same as JSON-able data."""
    return {"stack": stack, "history": [_plain(generation) for generation in _generations(histories)]}


def changes(before: Manifest | None, after: Manifest) -> tuple[str, ...]:
    """What `after` changed, such as `args.ctx-size: 2048 => 4096`; what was done if the content stayed the same."""
    if before is None:
        return (FIRST if after.generation == 1 else OLDEST,)
    return in_words(as_inputs(before.part), as_inputs(after.part)) or (after.change.what or SAME,)


def _generations(histories: Mapping[str, Sequence[Manifest]]) -> list[_Generation]:
    """Of all parts. Parts come after those they need, so of one moment the last part's is the newest."""
    found = [
        _Generation(part=part, manifest=manifest, changes=changes(before, manifest))
        for part, manifests in reversed(tuple(histories.items()))
        for manifest, before in zip(manifests, (*manifests[1:], None), strict=False)
    ]
    return sorted(found, key=lambda generation: generation.manifest.change.at, reverse=True)


def _rows(generation: _Generation, zone: tzinfo | None) -> Iterator[list[Piece]]:
    manifest, change = generation.manifest, generation.manifest.change
    first, *more = generation.changes
    yield [
        piece(generation.part, Style.TITLE),
        piece(str(manifest.generation)),
        piece(local(change.at, zone)),
        piece(change.who),
        piece(change.door),
        piece(first),
    ]
    yield from ([*(piece("") for _ in HEADINGS[1:]), piece(text)] for text in more)


def _plain(generation: _Generation) -> dict[str, Any]:
    manifest, change = generation.manifest, generation.manifest.change
    return {
        "part": generation.part,
        "generation": manifest.generation,
        "at": change.at,
        "who": change.who,
        "door": change.door,
        "run": change.run,
        "changes": list(generation.changes),
        "release": shown(manifest.release) or None,
        "side": manifest.side,
    }
