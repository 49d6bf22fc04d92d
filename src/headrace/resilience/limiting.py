"""`limited`: any runnable under a limiter, as models are by their `rate_limiter`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from .. import _async, _sync
from ..errors import ConfigError
from ..flow import Once
from ..language_models.limiting import agrant, grant
from ..rate_limiters import BaseRateLimiter
from ..run import Run
from ..runnables import schema
from ..runnables._copying import ByValue
from ..runnables._repr import shown
from ..runnables.base import Input, Output, Runnable
from ..runnables.coerce import coerce_to_runnable
from ..shapes import Flow, Kwargs, Leaf, Node, Pieces
from .wrong import Enclosing

__all__ = ["RunnableWithLimit", "limited"]


class RunnableWithLimit(ByValue, Enclosing, Leaf, Runnable[Input, Output]):
    """`bound`, each call of which waits for `rate_limiter`: see `limited`."""

    _layout = "inside"
    _written = "limited(model.{call}, …)"
    _passes = True  # its chunks are those of `bound`

    def __init__(
        self, *, bound: Any, rate_limiter: BaseRateLimiter, name: str | None = None
    ) -> None:
        if not isinstance(rate_limiter, BaseRateLimiter):
            raise ConfigError(
                f"The limiter is {rate_limiter!r} ({type(rate_limiter).__name__}): give a "
                "ConcurrencyLimit, a RateLimiter or what shared_limiter(…) gives."
            )
        self.bound = coerce_to_runnable(bound)
        self.rate_limiter = rate_limiter
        self.name = name
        self._fold, self._many = self.bound._fold, self.bound._many
        self._async_only = self.bound._async_only

    @contextmanager
    def _granted(self, value: Any, run: Run) -> Iterator[Run]:
        """The run of `bound`, in its place."""
        granted = grant(self, value, run)
        inner = run.fork()
        try:
            yield inner
        except BaseException as error:
            _sync.abandon(error, inner, run.streams)
            raise
        else:
            _sync.close_streams(inner)
        finally:
            if granted is not None:
                granted.close()

    @asynccontextmanager
    async def _agranted(self, value: Any, run: Run) -> AsyncIterator[Run]:
        granted = await agrant(self, value, run)
        inner = run.fork()
        try:
            yield inner
        except BaseException as error:
            await _async.abandon(error, inner, run.streams)
            raise
        else:
            await _async.close_streams(inner)
        finally:
            if granted is not None:
                granted.close()

    def _open(self, source: Any, run: Run, kw: Kwargs) -> Iterator[Any]:
        value = _sync.fold_source(source)
        with self._granted(value, run) as inner:
            yield from _sync.open_step(self.bound, Once(value), inner, kw)

    async def _aopen(self, source: Any, run: Run, kw: Kwargs) -> AsyncIterator[Any]:
        value = await _async.fold_source(source)
        async with self._agranted(value, run) as inner:
            async for chunk in _async.open_step(self.bound, Once(value), inner, kw):
                yield chunk

    def _value(self, value: Any, run: Run, kw: Kwargs) -> Any:
        with self._granted(value, run) as inner:
            return _sync.value_step(self.bound, value, inner, kw)

    async def _avalue(self, value: Any, run: Run, kw: Kwargs) -> Any:
        async with self._agranted(value, run) as inner:
            return await _async.value_step(self.bound, value, inner, kw)

    def _fold_after(self, fold: Any) -> Any:
        return self.bound._fold_after(None)

    def _typed_by(self, side: schema.Side, config: Any) -> tuple[Any, Any]:
        return self.bound, config

    def _children(self) -> Sequence[tuple[str | None, Node]]:
        return [("", self.bound)]

    def _reads(self) -> Pieces:
        return Pieces.NONE

    def _flow(self) -> Flow:
        inner: Flow = self.bound._flow()
        return inner if inner.kind == "barrier" else Flow("source")

    def _terms_told(self) -> str:
        return repr(self.rate_limiter)

    def __repr__(self) -> str:
        return f"limited({shown(self.bound)}, {self.rate_limiter!r})"


def limited(
    runnable: Runnable[Input, Output], limiter: BaseRateLimiter
) -> RunnableWithLimit[Input, Output]:
    """`runnable`, each call of which first waits for its place or its share. For what is no model:
    a tool, a retriever, a chain that calls a service.

    It reads its whole input before it waits, so that steps of one chain may share a limiter: the
    one before has ended by then. A runnable inside another one that holds the same
    `ConcurrencyLimit` may wait for ever. A limiter that counts tokens takes those of the input, a
    text or messages.
    """
    return RunnableWithLimit(bound=runnable, rate_limiter=limiter)
