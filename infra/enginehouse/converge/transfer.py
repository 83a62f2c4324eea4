"""How far a transfer is, how fast it goes and how long it still takes, for people. Pure."""

from __future__ import annotations

from collections import deque

WINDOW_S = 10.0
"""What the speed is taken over: long enough to even out bursts, short enough to show a link that has become slow."""
SETTLED_S = 1.0
"""A speed that was seen for less than this would be a guess."""
OFTEN_S, SELDOM_S = 0.25, 10.0
"""How often progress is told, at first and in the end: a person can't read faster, and a log need not hold more."""
PATIENCE = 20
"""What has lasted so many times an interval is told that often."""


class Pace:
    """One transfer, as it was seen so far."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()
        self._began = 0.0
        self._told: float | None = None

    def see(self, now: float, done: int) -> None:
        """So many bytes are there. Fewer than before mean that it has begun anew."""
        if self._seen and done < self._seen[-1][1]:
            self._seen.clear()
        if not self._seen:
            self._began = now
        self._seen.append((now, done))
        while now - self._seen[0][0] > WINDOW_S and len(self._seen) > 2:
            self._seen.popleft()

    def is_due(self, now: float) -> bool:
        """Whether it is time to tell about it. The longer it takes the less often."""
        if self._told is not None and now - self._told < self._interval_s(now):
            return False
        self._told = now
        return True

    def bytes_per_s(self) -> float | None:
        """None as long as it can't be told."""
        if not self._seen or (took_s := self._seen[-1][0] - self._seen[0][0]) < SETTLED_S:
            return None
        return (self._seen[-1][1] - self._seen[0][1]) / took_s

    def _interval_s(self, now: float) -> float:
        return min(SELDOM_S, max(OFTEN_S, (now - self._began) / PATIENCE))


def share(done: int, total: int, bytes_per_s: float | None = None) -> str:
    """How far a transfer is, such as `61 % of 98 MB, 12 MB/s, 3 s left`."""
    words = [size_text(done) if total <= 0 else f"{min(100, 100 * done // total)} % of {size_text(total)}"]
    if bytes_per_s is not None:
        words.append(f"{size_text(round(bytes_per_s))}/s")
    if bytes_per_s and 0 <= done < total:
        words.append(f"{time_text((total - done) / bytes_per_s)} left")
    return ", ".join(words)


def size_text(size: int) -> str:
    """Decimal units, as file managers and model pages show them."""
    if size < 10**6:
        return f"{size / 10**3:.0f} kB"
    return f"{size / 10**6:.0f} MB" if size < 10**9 else f"{size / 10**9:.1f} GB"


def time_text(seconds: float) -> str:
    """Such as `40 s`, `3 min` or `2 h 10 min`."""
    whole = max(1, round(seconds))
    if whole < 100:
        return f"{whole} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
