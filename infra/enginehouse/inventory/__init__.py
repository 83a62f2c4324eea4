"""What a machine is and has: one script for all of it, and what its answer means. Pure."""

from __future__ import annotations

from enginehouse.inventory.model import Inventory
from enginehouse.inventory.pairs import question, read

__all__ = ["Inventory", "question", "read"]
