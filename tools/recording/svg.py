"""Screens as one animated SVG, without a script: CSS shows the frames one after the other. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from html import escape

from recording.terminal import COLUMNS, ROWS, Frame, Line

LONGEST_STILL_S = 1.2
"""Nobody wants to watch a screen on which nothing happens; a longer wait is cut to this."""
LAST_STILL_S = 6.0
CELL_WIDTH, LINE_HEIGHT, FONT_SIZE, MARGIN = 8.4, 17, 14, 14
_COLORS = {
    "default": "#d4d4d4",
    "black": "#5c6370",
    "red": "#f47067",
    "green": "#8ddb8c",
    "brown": "#e0af68",
    "blue": "#6cb6ff",
    "magenta": "#dcbdfb",
    "cyan": "#76d9e6",
    "white": "#ffffff",
}
_BOLD = " font-weight='bold'"
_STYLE = (
    "text{font:%dpx ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;white-space:pre}"
    "g.f{visibility:hidden;animation:show %.2fs step-end infinite}"
)


def animated(frames: Sequence[Frame], title: str) -> str:
    """The document. Waits are cut; every different line is in it once, and each frame refers to its lines."""
    shown = _paced(frames)
    ends = [frame.at for frame in shown[1:]] + [shown[-1].at + LAST_STILL_S]
    total = ends[-1]
    known = {line: f"l{number}" for number, line in enumerate(dict.fromkeys(_lines(shown)))}
    width, height = COLUMNS * CELL_WIDTH + 2 * MARGIN, ROWS * LINE_HEIGHT + 2 * MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{_STYLE % (FONT_SIZE, total)}{''.join(_keyframes(shown, ends, total))}</style>",
        "<defs>",
        *(_definition(line, name) for line, name in known.items()),
        "</defs>",
        f'<rect width="{width:g}" height="{height:g}" rx="8" fill="#1e2127"/>',
        *(_frame(number, frame, known) for number, frame in enumerate(shown)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _paced(frames: Sequence[Frame]) -> list[Frame]:
    """The frames from second 0 on, with every wait cut to the longest one allowed."""
    paced, now, before = [], 0.0, frames[0].at
    for frame in frames:
        now += min(frame.at - before, LONGEST_STILL_S)
        before = frame.at
        paced.append(replace(frame, at=now))
    return paced


def _lines(frames: Iterable[Frame]) -> Iterator[Line]:
    return (line for frame in frames for line in frame.lines if line)


def _keyframes(frames: Sequence[Frame], ends: Sequence[float], total: float) -> Iterator[str]:
    for number, (frame, end) in enumerate(zip(frames, ends, strict=True)):
        begin_percent, end_percent = 100 * frame.at / total, 100 * end / total
        before = "0%{visibility:hidden}" if frame.at else ""
        yield f"@keyframes k{number}{{{before}{begin_percent:.3f}%{{visibility:visible}}"
        yield f"{end_percent:.3f}%,100%{{visibility:hidden}}}}#f{number}{{animation-name:k{number}}}"


def _definition(line: Line, name: str) -> str:
    spans = "".join(
        f'<tspan fill="{_color(run.color)}"{_BOLD if run.bold else ""}>{escape(run.text)}</tspan>' for run in line
    )
    return f'<text id="{name}">{spans}</text>'


def _frame(number: int, frame: Frame, known: dict[Line, str]) -> str:
    uses = "".join(
        f'<use href="#{known[line]}" x="{MARGIN}" y="{MARGIN + LINE_HEIGHT * (row + 1) - 4}"/>'
        for row, line in enumerate(frame.lines)
        if line
    )
    return f'<g class="f" id="f{number}">{uses}</g>'


def _color(name: str) -> str:
    """A named colour of ours, or one of the 256, which pyte gives as six hex digits."""
    plain = name.removeprefix("bright")
    return _COLORS.get(plain) or f"#{plain}"
