"""`enginehouse logs`: what the programs of a stack wrote last, and what they write from now on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from enginehouse.converge import Context
from enginehouse.converge.logs import before_hang, following, has_logs, has_notices, last_lines
from enginehouse.planner.parts import Part, ReplicaPart
from enginehouse.report.logs import log_line
from enginehouse.verbs import Answer, InvalidInput, Show
from enginehouse.verbs.each import of_each
from enginehouse.verbs.follow import Source, follow
from enginehouse.verbs.machines import AT_ONCE, looking
from enginehouse.verbs.plans import parts_named, planned

READ_S = 60.0


def logs(
    stack: str,
    part: str | None,
    *,
    lines: int,
    forever: bool,
    hung: bool,
    notices: bool,
    show: Show,
    progress: Callable[[str], None],
) -> Answer:
    """The last lines of each part with a process, part by part; with `forever`, then every new line as it comes.

    With `hung`, of each replica what it wrote before its engine hung last; with `notices`, what HAProxy says itself.

    Code `FAILED` if a machine can't be asked; what the others say is shown. Raises `SpecError` if the stack can't be
    used, `InvalidInput` if there is no such part or it writes no such log.
    """
    if hung and forever:
        raise InvalidInput("--hung shows what was kept, and nothing new comes to it; leave --follow out")
    parts = _with_notices(stack, part) if notices else _with_logs(stack, part)
    if hung:
        parts = _engines(parts, part)
    width = max(len(p.name) for p in parts) if len(parts) > 1 else 0
    with ThreadPoolExecutor(AT_ONCE) as pool, looking("logs", progress, stack) as context:
        if forever:
            follow(_sources(parts, lines, notices, width, show), context)
        found, code = of_each(parts, lambda p: _last(p, lines, hung, notices, context), progress, pool)
    for p in (p for p, texts in found if not texts):
        progress(f"{p.name}: has not hung on {p.host}" if hung else f"{p.name}: no log on {p.host} yet")
    named = ((p, text) for p, texts in found for text in texts)
    return Answer(lines=tuple(log_line(p.name, width, text) for p, text in named), code=code)


def _with_logs(stack: str, name: str | None) -> tuple[Part, ...]:
    found = tuple(part for part in parts_named(planned(stack), name) if has_logs(part))
    if not found:
        raise InvalidInput(f"{name} has no process and so no log; hosts, replicas and gateways have one")
    return found


def _engines(parts: tuple[Part, ...], name: str | None) -> tuple[Part, ...]:
    found = tuple(part for part in parts if isinstance(part, ReplicaPart))
    if not found:
        raise InvalidInput(f"{name} is no replica, and only engines are watched; leave --hung out")
    return found


def _with_notices(stack: str, name: str | None) -> tuple[Part, ...]:
    found = tuple(part for part in parts_named(planned(stack), name) if has_notices(part))
    if not found:
        raise InvalidInput(f"{name} has no notices; gateways have")
    return found


def _last(part: Part, lines: int, hung: bool, notices: bool, context: Context) -> tuple[str, ...]:
    if hung and isinstance(part, ReplicaPart):
        script = before_hang(part, lines)
    else:
        script = last_lines(part, lines, notices=notices)
    result = context.connect(part).run(script, deadline_s=READ_S)
    return tuple(result.check(f"{part.host}: reading the log of {part.name}").stdout.splitlines())


def _sources(parts: tuple[Part, ...], lines: int, notices: bool, width: int, show: Show) -> Iterator[Source]:
    for part in parts:
        for script in following(part, lines, notices=notices):
            yield Source(part=part, script=script, hear=partial(_hear, part.name, width, show))


def _hear(name: str, width: int, show: Show, text: str) -> None:
    show((log_line(name, width, text),))
