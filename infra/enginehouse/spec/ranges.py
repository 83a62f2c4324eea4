"""Texts that stand for many hosts: `shop-[001:300].example`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice, product
from math import prod

from enginehouse.spec.fields import MOST_HOSTS

_RANGE = re.compile(r"\[(\d+):(\d+)\]")


def expanded(text: str) -> Iterator[str]:
    """Each host that the text stands for, in order; no more than one above `MOST_HOSTS`.

    A number that is written with leading zeros keeps its width.
    """
    literals = _RANGE.split(text)[::3]
    numbers = [range(int(first), int(last) + 1) for first, last in _RANGE.findall(text)]
    widths = [len(first) if first.startswith("0") else 0 for first, _ in _RANGE.findall(text)]
    for values in islice(product(*numbers), MOST_HOSTS + 1):
        filled = (f"{n:0{width}}{after}" for n, width, after in zip(values, widths, literals[1:], strict=True))
        yield literals[0] + "".join(filled)


def size(text: str) -> int:
    """How many hosts it stands for."""
    return prod(max(0, int(last) - int(first) + 1) for first, last in _RANGE.findall(text))


def downwards(text: str) -> str | None:
    """The first range whose end comes before its start."""
    return next((match[0] for match in _RANGE.finditer(text) if int(match[2]) < int(match[1])), None)
