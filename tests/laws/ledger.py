"""What user code in the registry writes down: which bodies were entered, and that they were left.

Every generator body of a test opens a page (`with LEDGER.body("name")`), so after closing a stream
`LEDGER.open` says whose `finally` has not run. `Source` is an input that counts what is pulled.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any


class Ledger:
    """Bodies of user code, by name. Several threads write to it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        self.entered: Counter[str] = Counter()
        self.open: Counter[str] = Counter()
        self.threads: set[int] = set()

    @contextmanager
    def body(self, name: str) -> Iterator[None]:
        with self._lock:
            self.entered[name] += 1
            self.open[name] += 1
            self.threads.add(threading.get_ident())
        try:
            yield
        finally:
            with self._lock:
                self.open[name] -= 1

    @property
    def still_open(self) -> list[str]:
        return sorted((+self.open).elements())


LEDGER = Ledger()


class Source:
    """An input stream that knows how often it was pulled, and whether it was left.

    Args:
        pieces: the chunks; may be endless.
        fail: raised instead of chunk number `fail_at`.
    """

    def __init__(
        self, pieces: Iterable[Any], *, fail_at: int = -1, fail: BaseException | None = None
    ) -> None:
        self.pieces = pieces
        self.fail_at, self.fail = fail_at, fail
        self.pulls = 0
        self.leaving = False  # set by the consumer when it begins to close
        self.pulled_while_leaving = 0

    def _pulled(self) -> None:
        self.pulls += 1
        if self.leaving:
            self.pulled_while_leaving += 1
        if self.fail is not None and self.pulls - 1 == self.fail_at:
            raise self.fail

    def sync(self) -> Iterator[Any]:
        with LEDGER.body("source"):
            for piece in self.pieces:
                self._pulled()
                yield piece

    async def async_(self) -> AsyncIterator[Any]:
        with LEDGER.body("source"):
            for piece in self.pieces:
                await asyncio.sleep(0)
                self._pulled()
                yield piece


class Recorder:
    """An observer that keeps every event. `on` is called with each, in the emitting thread."""

    def __init__(self, on: Callable[[Any], None] | None = None) -> None:
        self.events: list[Any] = []
        self.on = on

    def on_event(self, event: Any) -> None:
        self.events.append(event)
        if self.on is not None:
            self.on(event)

    @property
    def config(self) -> dict[str, Any]:
        return {"callbacks": [self]}
