"""Many streams at once in one event loop, and how long each consumer waits between two chunks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from time import perf_counter
from typing import Any

from .jobs import Gathered


async def crowd(open_stream: Callable[[], AsyncIterator[Any]], count: int) -> Gathered:
    """Read `count` streams to their ends, each by a task of its own."""
    seen = Gathered()

    async def read() -> None:
        texts: list[str] = []
        before = 0.0
        async for text in open_stream():
            now = perf_counter()
            if texts:  # the way to the first chunk is no gap between chunks
                seen.gaps.append(now - before)
            before = now
            texts.append(text)
        seen.texts.append("".join(texts))

    await asyncio.gather(*[read() for _ in range(count)])
    return seen
