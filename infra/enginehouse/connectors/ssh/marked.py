"""What lies between two marked lines of a stream. Pure. Before them a login profile speaks, after them a daemon."""

from __future__ import annotations

from collections.abc import Callable

from enginehouse.connectors.output import Tail

_KEPT_BEFORE = 4096


class Marked:
    """Hands every byte between the marked lines to `take`, as soon as it can't be part of a mark."""

    def __init__(self, mark: bytes, take: Callable[[bytes], object]) -> None:
        self._mark = mark
        self._take = take
        self._rest = b""
        self._words: list[str] = []
        self._before = Tail(_KEPT_BEFORE)

    @property
    def begun(self) -> str | None:
        """What stands behind the first mark; None until it has come."""
        return self._words[0] if self._words else None

    @property
    def ended(self) -> str | None:
        """What stands behind the second mark; None until it has come."""
        return self._words[1] if len(self._words) > 1 else None

    @property
    def before(self) -> str:
        """The last of what came before the first mark."""
        return self._before.text()

    def add(self, chunk: bytes) -> None:
        data = self._rest + chunk
        while self.ended is None and (at := data.find(self._mark)) >= 0 and (end := data.find(b"\n", at)) >= 0:
            self._give(data[:at])
            self._words.append(data[at + len(self._mark) : end].decode("utf-8", "replace"))
            data = data[end + 1 :]
        if self.ended is None:
            kept = at if (at := data.find(self._mark)) >= 0 else len(data) - self._overlap(data)
            self._give(data[:kept])
            self._rest = data[kept:]

    def finish(self) -> None:
        """The stream has ended without the second mark: what was held back was no mark."""
        self._give(self._rest)
        self._rest = b""

    def _give(self, data: bytes) -> None:
        if data:
            self._take(data) if self._words else self._before.add(data)

    def _overlap(self, data: bytes) -> int:
        """How many last bytes may be the start of a mark."""
        at = data.rfind(self._mark[:1], max(0, len(data) - len(self._mark) + 1))
        return len(data) - at if at >= 0 and self._mark.startswith(data[at:]) else 0
