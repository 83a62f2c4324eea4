"""What of HAProxy's own words is told about a reload that failed."""

from __future__ import annotations

import pytest

from enginehouse.converge.traffic import RELOADING, _of_reloads

BEGINS = f"[NOTICE]   (7) : {RELOADING}"


@pytest.mark.parametrize(
    ("lines", "reloads", "told"),
    [
        (("started", BEGINS, "old", "older"), 0, ("started", BEGINS, "old", "older")),
        (("started", BEGINS, "new"), 1, (BEGINS, "new")),
        ((BEGINS, "old", "older", "oldest", BEGINS, "new"), 1, (BEGINS, "new")),
        ((BEGINS, "new", "newer", BEGINS, "new", "newer", BEGINS), 3, (BEGINS, "new", "newer")),
        (("started",), 2, ("started",)),
        ((), 2, ()),
    ],
    ids=["none", "one", "one after another's", "the last has just begun", "not heard", "no log"],
)
def test_the_most_telling_of_these_reloads_is_told(lines: tuple[str, ...], reloads: int, told: tuple[str, ...]) -> None:
    """A reload that is asked for again before the deadline has said less than those before it."""
    assert _of_reloads(lines, reloads) == told
