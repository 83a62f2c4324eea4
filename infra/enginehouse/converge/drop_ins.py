"""Files by which somebody changes a unit of ours: drop-ins in a folder that is named after it. Pure.

Such a folder means nothing to any other unit, so what is in it is told as drift and set aside. Who wants the same for
all of our units, or for all there are, has folders of systemd for that, which are left alone. Why it is done like
this: docs/design/0009-engines-in-units.md.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator

from enginehouse.converge.facts import Facts

_OFF = ".off"
"""Behind a name that then ends in something else than `.conf`: systemd does not read it."""


def of(unit: str, facts: Facts) -> tuple[str, ...]:
    """Paths of those that the look found for that unit."""
    return tuple(path for path in facts.texts.get("drop_ins", "").splitlines() if f"/{unit}.d/" in path)


def title(paths: Iterable[str]) -> str:
    """What is done to them, for people."""
    kept = (f"{path} (kept there as {path.rpartition('/')[2]}{_OFF})" for path in paths)
    return f"setting aside {', '.join(kept)}"


def set_aside(paths: Iterable[str]) -> Iterator[str]:
    """Commands that keep systemd from reading them; it has to be told so then. What was set aside before stays, too."""
    for path in paths:
        yield f"[ ! -e {shlex.quote(path)} ] || mv --backup=numbered {shlex.quote(path)} {shlex.quote(path + _OFF)}"
