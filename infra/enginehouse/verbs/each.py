"""Many parts asked or told the same thing: one that fails is a result, and the others are asked all the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import TypeVar

from enginehouse.errors import Cancelled, EnginehouseError, ExitCode, explain
from enginehouse.planner.parts import Part

P = TypeVar("P", bound=Part)
R = TypeVar("R")


def of_each(
    parts: Sequence[P], ask: Callable[[P], R], progress: Callable[[str], None], pool: Executor | None = None
) -> tuple[list[tuple[P, R]], ExitCode]:
    """What `ask` gives for each part, in order; without a pool one after the other.

    What fails is told, once if it is the same for several parts, and left out, with code `FAILED`. Raises what the
    first one raised if all fail, and `Cancelled`.
    """
    found = list((pool.map if pool else map)(lambda part: _result(part, ask), parts))
    errors = [result for _, result in found if isinstance(result, EnginehouseError)]
    if errors and len(errors) == len(found):
        raise errors[0]
    for text in dict.fromkeys("\n  ".join(explain(error)) for error in errors):
        progress(text)
    good = [(part, result) for part, result in found if not isinstance(result, EnginehouseError)]
    return good, ExitCode.FAILED if errors else ExitCode.OK


def _result(part: P, ask: Callable[[P], R]) -> tuple[P, R | EnginehouseError]:
    try:
        return part, ask(part)
    except Cancelled:
        raise
    except EnginehouseError as error:
        return part, error
