"""What really is, against what the plan says, in the words that a preview uses."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from enginehouse.converge.wire import DRIFT
from enginehouse.planner.diff import Difference, Kind, at, differing


def differences(real: Mapping[str, Any], planned: Mapping[str, Any]) -> Iterator[str]:
    """One sentence for each difference, such as `args.ctx-size is "4096", the plan says "8192"`."""
    for difference in differing(real, planned):
        yield _sentence(difference, real, planned)


def _sentence(found: Difference, real: Mapping[str, Any], planned: Mapping[str, Any]) -> str:
    if found.path[0] == DRIFT:
        return "; ".join(f"{about}: {_told(what)}" for about, what in real[DRIFT].items())
    is_now, shall_be = (json.dumps(at(inputs, found.path), ensure_ascii=False) for inputs in (real, planned))
    match found.kind:
        case Kind.ADD:
            return f"{found.text} is not set, the plan says {shall_be}"
        case Kind.DELETE:
            return f"{found.text} is {is_now}, the plan does not set it"
        case Kind.UPDATE:
            return f"{found.text} is {is_now}, the plan says {shall_be}"


def _told(what: str | Mapping[str, str]) -> str:
    """Drift in words; of several things, each with its name."""
    return what if isinstance(what, str) else ", ".join(f"{name} {how}" for name, how in what.items())
