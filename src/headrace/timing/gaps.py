"""Times between chunks: their percentiles, in bounded memory, and how times are written."""

from __future__ import annotations

import math

__all__ = ["IDLE", "Gaps", "rate_text", "seconds_text"]

IDLE = 0.5  # seconds without a chunk from which on a stream counts as idle
EXACT = 256  # gaps of a run that are kept as they are
PER_OCTAVE = 16  # counters for gaps between t and 2t, when there are more
SMALLEST = 1e-7  # seconds: all shorter gaps are counted as this one


class Gaps:
    """Times between chunks, for percentiles, in bounded memory.

    Up to 256 are kept as they are. From the 257th on they are counted in buckets whose bounds are
    2^(1/16) apart, and a percentile is the middle of its bucket, so within 2.2 % of the value that
    occurred; above 0.1 µs, below which gaps count as 0.1 µs. `count`, `total`, `longest`, `idle`
    and `idle_total` stay exact.
    """

    __slots__ = ("_buckets", "_kept", "count", "idle", "idle_after", "idle_total", "longest",
                 "total")  # fmt: skip

    def __init__(self, idle_after: float = IDLE) -> None:
        self.count = 0
        self.total = 0.0
        self.longest = 0.0
        self.idle = 0  # gaps of at least `idle_after` seconds
        self.idle_total = 0.0
        self.idle_after = idle_after
        self._kept: list[float] | None = []
        self._buckets: dict[int, int] = {}

    def add(self, gap: float) -> None:
        self.count += 1
        self.total += gap
        if gap > self.longest:
            self.longest = gap
        if gap >= self.idle_after:
            self.idle += 1
            self.idle_total += gap
        kept = self._kept
        if kept is None:
            self._sort_in(gap)
        else:
            kept.append(gap)
            if len(kept) > EXACT:
                self._kept = None
                for old in kept:
                    self._sort_in(old)

    def _sort_in(self, gap: float) -> None:
        number = int(math.log2(gap / SMALLEST) * PER_OCTAVE) if gap > SMALLEST else 0
        self._buckets[number] = self._buckets.get(number, 0) + 1

    def percentile(self, percent: float) -> float | None:
        """The smallest gap that at least so many percent of the gaps do not exceed; None where
        there is none."""
        if not self.count:
            return None
        rank = max(1, math.ceil(self.count * percent / 100))
        if self._kept is not None:
            return sorted(self._kept)[rank - 1]
        number = 0
        for number in sorted(self._buckets):
            rank -= self._buckets[number]
            if rank <= 0:
                break
        middle: float = SMALLEST * 2 ** ((number + 0.5) / PER_OCTAVE)
        return min(middle, self.longest)

    @property
    def rate(self) -> float | None:
        """Per second; None where there is no gap."""
        return self.count / max(self.total, 1e-9) if self.count else None


_SCALES = ((1e-3, 1e6, "µs"), (1.0, 1e3, "ms"))


def seconds_text(seconds: float | None) -> str:
    """A time for people: "250 ms"; "-" for None."""
    if seconds is None:
        return "-"
    for limit, factor, unit in _SCALES:
        if seconds < limit:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds:.2f} s"


def rate_text(rate: float | None) -> str:
    """So many per second: "1,250", "3.5"; "-" for None."""
    if rate is None:
        return "-"
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"
