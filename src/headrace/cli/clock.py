"""When chunks came, and what to say about it. Times in seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from headrace.messages import BaseMessage
from headrace.messages.usage import UsageMetadata, sum_usage

__all__ = ["Clock"]


class Clock:
    """Runs from when it is made; `tick` once for each chunk.

    Args:
        now: gives the time.
    """

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self._now = now
        self.start = now()
        self.chunks: list[float] = []
        self.texts: list[float] = []  # of chunks with text in them
        self._usages: list[UsageMetadata] = []

    def tick(self, chunk: Any) -> None:
        """A chunk has come."""
        at = self._now()
        self.chunks.append(at)
        is_message = isinstance(chunk, BaseMessage)
        if chunk.text if is_message else chunk:
            self.texts.append(at)
        usage = getattr(chunk, "usage_metadata", None) if is_message else None
        if usage:
            self._usages.append(usage)

    def about_chunks(self) -> str:
        """Time to the first chunk, how many, how fast, and the gaps between them."""
        total = self._now() - self.start
        if not self.chunks:
            return f"no chunk in {_seconds(total)}"
        parts = [f"first chunk {_seconds(self.chunks[0] - self.start)}"]
        parts.append(f"{len(self.chunks)} chunk{'s' * (len(self.chunks) != 1)}")
        gaps = sorted(later - sooner for sooner, later in pairwise(self.chunks))
        if gaps:
            parts.append(f"{_rate(len(gaps), self.chunks)} chunks/s")
            middle, worst = _percentile(gaps, 50), _percentile(gaps, 99)
            parts.append(f"gaps p50 {_seconds(middle)}, p99 {_seconds(worst)}")
        return " · ".join([*parts, f"{_seconds(total)} in all"])

    def about_tokens(self) -> str:
        """Time to the first token, how many by the model's own count, how fast; "" where no
        message said how many there were."""
        usage = sum_usage(self._usages)
        if not usage:
            return ""
        tokens = usage["output_tokens"]
        parts = [f"first token {_seconds(self.texts[0] - self.start)}"] if self.texts else []
        parts.append(f"{tokens} token{'s' * (tokens != 1)}")
        if tokens > 1 and len(self.texts) > 1:
            # The first one came at the end of reading the prompt, which is no writing speed.
            parts.append(f"{_rate(tokens - 1, self.texts)} tokens/s")
        return " · ".join(parts)


def _rate(count: int, times: Sequence[float]) -> str:
    rate = count / max(times[-1] - times[0], 1e-9)
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"


def _percentile(ordered: Sequence[float], percent: int) -> float:
    """The smallest value that at least so many percent of the values do not exceed."""
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def _seconds(time: float) -> str:
    for limit, factor, unit in ((1e-3, 1e6, "µs"), (1.0, 1e3, "ms")):
        if time < limit:
            return f"{time * factor:.3g} {unit}"
    return f"{time:.2f} s"
