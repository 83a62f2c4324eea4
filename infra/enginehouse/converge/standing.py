"""Standing orders as a machine keeps them: `frozen.json` of a stack, `drained.json` of a replica.

They hold until a person takes them back, and every run obeys them; `orders` gives them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from enginehouse.converge.signed import Signed
from enginehouse.planner.codec import from_plain, to_plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Order(Signed):
    """One standing order."""

    reason: str

    def __str__(self) -> str:
        return f"by {self.who} since {self.at} through {self.door}: {self.reason}"


def to_json(order: Order) -> str:
    """One readable line."""
    return json.dumps(to_plain(order), ensure_ascii=False) + "\n"


def from_json(text: str) -> Order:
    """The inverse of `to_json`. A file that can't be read is an order all the same, of nobody knows whom."""
    try:
        plain = json.loads(text)
        return from_plain(Order, {name: str(value) for name, value in plain.items()})
    except (ValueError, TypeError, AttributeError):
        return Order(run="", who="somebody", door="a file", at="an unknown time", reason="its file can't be read")
