"""`LogStreamCallbackHandler`: the log of a run, for programs that can only hand in a callback.

    handler = LogStreamCallbackHandler()
    chain.invoke(x, {"callbacks": [handler]})
    for patch in handler: ...           # the RunLogPatches that have come
    async for patch in handler: ...     # the same, waiting for more until the run has ended

`astream_log` and `stream_log` give the same patches, and hold the run where nobody takes them; this
one keeps all that has come.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, Future, get_running_loop
from collections.abc import AsyncIterator, Iterator
from threading import Lock

from ..events import (
    Event,
    RunCancelled,
    RunChunk,
    RunEnded,
    RunFailed,
    RunInfo,
    RunStarted,
    Takes,
)
from .filters import Names
from .log import Log, log_filter
from .run_log import RunLogPatch
from .subscription import settle_in

__all__ = ["LogStreamCallbackHandler"]

_ENDS = (RunEnded, RunFailed, RunCancelled)
_OF_THE_ROOT = frozenset({RunStarted, RunChunk, *_ENDS})


class LogStreamCallbackHandler:
    """Keeps the log of one run: of the first one that it is told of, with those inside it. Models
    that are invoked in it stream, so that their tokens can be logged.

    Args:
        include_names, include_types, include_tags, exclude_names, exclude_types, exclude_tags: of
            which runs inside to tell, as in `astream_log`.

    Raises:
        ConfigError: a filter is no list of strings.
    """

    streams_models = True

    def __init__(
        self,
        *,
        include_names: Names = None,
        include_types: Names = None,
        include_tags: Names = None,
        exclude_names: Names = None,
        exclude_types: Names = None,
        exclude_tags: Names = None,
    ) -> None:
        chosen = log_filter(
            include_names=include_names,
            include_types=include_types,
            include_tags=include_tags,
            exclude_names=exclude_names,
            exclude_types=exclude_types,
            exclude_tags=exclude_tags,
        )
        self._log = Log(chosen)
        self._root: RunInfo | None = None
        self._over = False
        self._patches: list[RunLogPatch] = []
        self._lock = Lock()  # branches of a parallel report from threads of their own
        self._waiting: list[tuple[AbstractEventLoop, Future[None]]] = []

    def wants(self, run: RunInfo) -> Takes:
        """The events of the first run and of those inside it."""
        with self._lock:
            if self._root is None:
                self._root = run
        if run is self._root:
            self._log.wants(run)  # so it learns which one is the outermost
            return _OF_THE_ROOT
        return self._log.wants(run) if self._root.id in run.parent_ids else ()

    def on_event(self, event: Event) -> None:
        with self._lock:
            ends = event.run is self._root and isinstance(event, _ENDS)
            if not (ends and isinstance(event, RunCancelled)):  # of which a log does not tell
                self._patches.extend(self._log.feed(event))
            self._over = self._over or ends
            waiting, self._waiting = self._waiting, []
        for loop, waiter in waiting:
            settle_in(loop, waiter)

    def __iter__(self) -> Iterator[RunLogPatch]:
        """The patches that have come so far."""
        return iter(list(self._patches))

    async def __aiter__(self) -> AsyncIterator[RunLogPatch]:
        """All patches, until the run has ended."""
        loop, place = get_running_loop(), 0
        while True:
            while place < len(self._patches):
                yield self._patches[place]
                place += 1
            with self._lock:
                if place < len(self._patches):
                    continue
                if self._over:
                    return
                waiter: Future[None] = loop.create_future()
                self._waiting.append((loop, waiter))
            await waiter
