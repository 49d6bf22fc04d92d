"""When chunks came at the command, and what to say about it. Times in seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from headrace.messages import BaseMessage
from headrace.messages.usage import UsageMetadata, sum_usage
from headrace.timing import Gaps
from headrace.timing.gaps import rate_text, seconds_text

__all__ = ["Clock"]

_TOO_SHORT = 1e-3  # seconds: what came at once had waited, and says nothing about the model


class Clock:
    """Runs from when it is made; `tick` once for each chunk.

    Args:
        now: gives the time.
    """

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self._now = now
        self.start = now()
        self._chunks, self._texts = _Row(), _Row()  # all, and those with text in them
        self._usages: list[UsageMetadata] = []

    def tick(self, chunk: Any) -> None:
        """A chunk has come."""
        at = self._now()
        self._chunks.add(at)
        is_message = isinstance(chunk, BaseMessage)
        if chunk.text if is_message else chunk:
            self._texts.add(at)
        usage = getattr(chunk, "usage_metadata", None) if is_message else None
        if usage:
            self._usages.append(usage)

    def about_chunks(self) -> str:
        """Time to the first chunk, how many, how fast, and the gaps between them."""
        total = self._now() - self.start
        first, gaps = self._chunks.first, self._chunks.gaps
        if first is None:
            return f"no chunk in {seconds_text(total)}"
        count = gaps.count + 1
        parts = [f"first chunk {seconds_text(first - self.start)}"]
        parts.append(f"{count} chunk{'s' * (count != 1)}")
        if gaps.count:
            parts.append(f"{rate_text(gaps.rate)} chunks/s")
            middle, worst = gaps.percentile(50), gaps.percentile(99)
            parts.append(f"gaps p50 {seconds_text(middle)}, p99 {seconds_text(worst)}")
        return " · ".join([*parts, f"{seconds_text(total)} in all"])

    def about_tokens(self) -> str:
        """Time to the first token, how many by the model's own count, how fast; "" where no
        message said how many there were."""
        usage = sum_usage(self._usages)
        if not usage:
            return ""
        tokens, first = usage["output_tokens"], self._texts.first
        parts = [] if first is None else [f"first token {seconds_text(first - self.start)}"]
        parts.append(f"{tokens} token{'s' * (tokens != 1)}")
        writing = self._texts.gaps
        if tokens > 1 and writing.total > _TOO_SHORT:
            # The first one came at the end of reading the prompt, which is no writing speed.
            parts.append(f"{rate_text((tokens - 1) / max(writing.total, 1e-9))} tokens/s")
        return " · ".join(parts)


class _Row:
    """Moments one after the other: the first, and what lay between them."""

    __slots__ = ("first", "gaps", "last")

    def __init__(self) -> None:
        self.first: float | None = None
        self.last = 0.0
        self.gaps = Gaps()

    def add(self, at: float) -> None:
        if self.first is None:
            self.first = at
        else:
            self.gaps.add(at - self.last)
        self.last = at
