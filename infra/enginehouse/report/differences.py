"""What really is, against what the plan says, in the words that a preview uses."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from enginehouse.provider.diff import Kind, Path, diff, path_text


def differences(real: Mapping[str, Any], planned: Mapping[str, Any]) -> Iterator[str]:
    """One sentence for each difference, such as `args.ctx-size is "4096", the plan says "8192"`."""
    for change in diff(real, planned):
        yield _sentence(change.kind, change.path, real, planned)


def _sentence(kind: Kind, path: Path, real: Mapping[str, Any], planned: Mapping[str, Any]) -> str:
    name = path_text(path)
    match kind:
        case Kind.ADD:
            return f"{name} is not set, the plan says {_shown(_at(planned, path))}"
        case Kind.DELETE:
            return f"{name} is {_shown(_at(real, path))}, the plan does not set it"
        case Kind.UPDATE:
            return f"{name} is {_shown(_at(real, path))}, the plan says {_shown(_at(planned, path))}"


def _at(value: Mapping[str, Any] | Sequence[Any], path: Path) -> Any:
    found: Any = value
    for step in path:
        found = found[step]
    return found


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
