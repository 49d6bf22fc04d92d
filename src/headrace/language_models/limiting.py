"""A model's call and its rate limiter: what is taken before it, and set right or given back after
it, also where the call fails, is left or never comes to be made."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from .._gate import alent, lent
from ..errors import ModelError
from ..outputs import Generation
from ..rate_limiters import BaseRateLimiter
from ..run import Run

__all__ = ["Grant", "agrant", "grant"]


def grant(model: Any, prompt: Any, run: Run) -> Grant | None:
    """Wait until the call may be made; somebody else may work meanwhile. What the limiter has given
    tokens or a place for is to be told of the answer; it ends with the run's streams at the latest.
    """
    limiter = model.rate_limiter
    estimated, asked = _asked(limiter, prompt, run)
    with lent(run.gate):
        return _granted(model, run, run.call(limiter.acquire, blocking=True, **asked), estimated)


async def agrant(model: Any, prompt: Any, run: Run) -> Grant | None:
    """`grant`, async."""
    limiter = model.rate_limiter
    estimated, asked = _asked(limiter, prompt, run)
    async with alent(run.gate):
        granted = await run.acall(limiter.aacquire, blocking=True, **asked)
        return _granted(model, run, granted, estimated)


def _asked(limiter: Any, prompt: Any, run: Run) -> tuple[int | None, dict[str, int]]:
    estimated = run.call(limiter.estimate, prompt)
    return estimated, {} if estimated is None else {"tokens": estimated}


def _granted(model: Any, run: Run, granted: Any, estimated: int | None) -> Grant | None:
    limiter = model.rate_limiter
    if granted is False:
        raise ModelError(
            f"{limiter!r} granted no call to {model.get_name()}: it gave up waiting. "
            "Call again later, or let it wait longer."
        )
    if estimated is None and type(limiter).release is BaseRateLimiter.release:
        return None
    made = Grant(limiter, estimated)
    run.holds(made, model)
    return made


class Grant:
    """What was taken for one call: a place, tokens, or both. Its answer tells how many tokens it
    used: `usage_metadata`, or a quarter of its characters and the estimate."""

    __slots__ = ("_characters", "_estimated", "_limiter", "_open", "_used")

    def __init__(self, limiter: Any, estimated: int | None) -> None:
        self._limiter, self._estimated = limiter, estimated
        self._characters = self._used = 0
        self._open = True

    def _hear(self, message: Any, text: str) -> None:
        usage = getattr(message, "usage_metadata", None)
        if usage:
            total = usage.get("total_tokens")
            parts = usage.get("input_tokens", 0) + usage.get("output_tokens", 0)
            self._used += parts if total is None else total
        self._characters += len(text)

    def close(self) -> None:
        """The call has ended; the first time counts."""
        if not self._open:
            return
        self._open = False
        try:
            if self._estimated is not None:
                used = self._used or self._estimated - (-self._characters // 4)
                self._limiter.settle(self._estimated, used)
        finally:
            self._limiter.release()

    def answered(self, candidates: list[Generation]) -> None:
        """The call has given a whole answer."""
        for number, one in enumerate(candidates):
            message = getattr(one, "message", None)
            # each candidate repeats the usage of the call
            self._hear(message if number == 0 else None, one.text)
        self.close()

    def metered(self, stream: Iterator[Any]) -> Iterator[Any]:
        """The stream of a call, counted until it ends or is left."""
        try:
            for chunk in stream:
                self._hear(getattr(chunk, "message", chunk), chunk.text)
                yield chunk
        finally:
            self.close()

    async def ametered(self, stream: AsyncIterator[Any]) -> AsyncIterator[Any]:
        try:
            async for chunk in stream:
                self._hear(getattr(chunk, "message", chunk), chunk.text)
                yield chunk
        finally:
            self.close()
