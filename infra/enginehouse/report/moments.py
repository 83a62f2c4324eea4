"""Moments as people read them."""

from __future__ import annotations

from datetime import datetime, tzinfo


def local(at: str, zone: tzinfo | None) -> str:
    """ISO 8601 as `2026-11-24 14:02:11` in `zone`, in this machine's own for None; what is no moment stays as it is."""
    try:
        return datetime.fromisoformat(at).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        return at
