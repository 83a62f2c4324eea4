"""What somebody changed of an engine's container while it runs. Pure.

`docker update` changes limits and the restart policy of a container that runs, and tells nobody. Everything else that a
container is started with stays as long as it does; another container is another process, whose start script ends it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from enginehouse.converge.containers import name
from enginehouse.converge.facts import Facts
from enginehouse.planner.parts import ReplicaPart, Side

_SETTING = re.compile(r'"(?P<key>\w+)":(?:\{"Name":)?"?(?P<value>[^"\n]*)"?')
_UNLIMITED = ("0", "-1", "null", "", "no")
"""What a setting is that was not asked for, by Docker 20.10 to 28."""


def altered(part: ReplicaPart, facts: Facts, side: Side | None) -> str:
    """The settings of that side's container that are not as it was started, as Docker calls them; empty if none."""
    if part.image is None or side is None:
        return ""
    return ", ".join(_altered(part, facts.texts.get("containers", ""), name(part, side)))


def _altered(part: ReplicaPart, text: str, wanted: str) -> Iterator[str]:
    limit = str((part.memory_limit_mib or 0) << 20)
    # Where the kernel counts no swap, Docker takes back what was asked for (-1).
    started = {"Memory": (limit,), "MemorySwap": (limit, "-1")} if part.memory_limit_mib else {}
    of = ""
    for found in _SETTING.finditer(text):
        if found["value"].startswith("/"):
            of = found["value"].removeprefix("/")
        elif of == wanted and found["value"] not in started.get(found["key"], _UNLIMITED):
            yield f"{found['key']} {found['value']}"
