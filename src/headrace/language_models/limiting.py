"""A model's call and its rate limiter: what is taken before it, and set right after it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from .._gate import alent, lent
from ..errors import ModelError
from ..outputs import Generation
from ..run import Run

__all__ = ["Grant", "agrant", "grant"]


def grant(model: Any, prompt: Any, run: Run) -> Grant | None:
    """Wait until the call may be made; somebody else may work meanwhile. What the limiter has given
    tokens for is to be told of the answer."""
    limiter = model.rate_limiter
    estimated, asked = _asked(limiter, prompt, run)
    with lent(run.gate):
        return _granted(model, run.call(limiter.acquire, blocking=True, **asked), estimated)


async def agrant(model: Any, prompt: Any, run: Run) -> Grant | None:
    """`grant`, async."""
    limiter = model.rate_limiter
    estimated, asked = _asked(limiter, prompt, run)
    async with alent(run.gate):
        granted = await run.acall(limiter.aacquire, blocking=True, **asked)
        return _granted(model, granted, estimated)


def _asked(limiter: Any, prompt: Any, run: Run) -> tuple[int | None, dict[str, int]]:
    estimated = run.call(limiter.estimate, prompt)
    return estimated, {} if estimated is None else {"tokens": estimated}


def _granted(model: Any, granted: Any, estimated: int | None) -> Grant | None:
    if granted is False:
        raise ModelError(
            f"{model.rate_limiter!r} granted no call to {model.get_name()}: it gave up waiting. "
            "Call again later, or let it wait longer."
        )
    return None if estimated is None else Grant(model.rate_limiter, estimated)


class Grant:
    """Tokens that were taken for one call. Its answer tells how many it used: `usage_metadata`, or
    a quarter of its characters and the estimate."""

    __slots__ = ("_characters", "_estimated", "_limiter", "_used")

    def __init__(self, limiter: Any, estimated: int) -> None:
        self._limiter, self._estimated = limiter, estimated
        self._characters = self._used = 0

    def _hear(self, message: Any, text: str) -> None:
        usage = getattr(message, "usage_metadata", None)
        if usage:
            total = usage.get("total_tokens")
            parts = usage.get("input_tokens", 0) + usage.get("output_tokens", 0)
            self._used += parts if total is None else total
        self._characters += len(text)

    def _settle(self) -> None:
        used = self._used or self._estimated - (-self._characters // 4)
        self._limiter.settle(self._estimated, used)

    def answered(self, candidates: list[Generation]) -> None:
        """The call has given a whole answer."""
        for number, one in enumerate(candidates):
            message = getattr(one, "message", None)
            # each candidate repeats the usage of the call
            self._hear(message if number == 0 else None, one.text)
        self._settle()

    def metered(self, stream: Iterator[Any]) -> Iterator[Any]:
        """The stream of a call, counted until it ends or is left."""
        try:
            for chunk in stream:
                self._hear(getattr(chunk, "message", chunk), chunk.text)
                yield chunk
        finally:
            self._settle()

    async def ametered(self, stream: AsyncIterator[Any]) -> AsyncIterator[Any]:
        try:
            async for chunk in stream:
                self._hear(getattr(chunk, "message", chunk), chunk.text)
                yield chunk
        finally:
            self._settle()
