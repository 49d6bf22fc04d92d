"""A service that breaks down when it is told to, and every combinator that is to survive it.

`Service` writes each of its bodies into the ledger, so that one left open is seen by the colours.
`WRAPS` are all ways to wrap a runnable that must not be seen while nothing goes wrong.
"""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from typing import Any

import pytest

from headrace.errors import ServerError
from headrace.resilience import (
    CircuitBreaker,
    ConcurrencyLimit,
    circuit_breaker,
    guard,
    limited,
    race,
)
from headrace.runnables import Runnable, RunnableGenerator, RunnableLambda
from laws.ledger import LEDGER

WORDS = ["The ", "wheel ", "turns ", "again."]
WHOLE = "".join(WORDS)
LONG = 60.0  # seconds that never pass in a test
AGAIN: dict[str, Any] = {"wait_exponential_jitter": False}
NEVER = RuntimeError("this one never answers")


class Service:
    """Gives `words`, each call anew; call n (from 1) fails at chunk k with `fails[(n, k)]`.

    Args:
        fails: the errors; a place after the last word fails at the end.
        blocks: the places at which a call waits: for ever in async code, 0.1 s in sync code.
        tagged: words are told apart by call: "1:The ".
    """

    def __init__(
        self,
        words: Iterable[Any] = WORDS,
        fails: Mapping[tuple[int, int], BaseException] | None = None,
        blocks: Iterable[tuple[int, int]] = (),
        tagged: bool = False,
        name: str = "service",
    ) -> None:
        self.words, self.fails, self.blocks = list(words), fails or {}, set(blocks)
        self.tagged, self.name = tagged, name
        self.calls = self.given = 0
        self.inputs: list[Any] = []
        self._lock = threading.Lock()

    def _began(self, value: Any) -> int:
        with self._lock:
            self.calls += 1
            self.inputs.append(value)
            return self.calls

    def _word(self, call: int, number: int) -> Any:
        if (call, number) in self.fails:
            raise self.fails[call, number]
        if number == len(self.words):
            return None
        self.given += 1
        word = self.words[number]
        return f"{call}:{word}" if self.tagged else word

    def sync(self, chunks: Iterator[Any]) -> Iterator[Any]:
        with LEDGER.body(self.name):
            call = self._began(list(chunks))
            for number in range(len(self.words) + 1):
                if (call, number) in self.blocks:
                    time.sleep(0.1)
                word = self._word(call, number)
                if number < len(self.words):
                    yield word

    async def async_(self, chunks: AsyncIterator[Any]) -> AsyncIterator[Any]:
        with LEDGER.body(self.name):
            call = self._began([chunk async for chunk in chunks])
            for number in range(len(self.words) + 1):
                if (call, number) in self.blocks:
                    await asyncio.Event().wait()
                word = self._word(call, number)
                if number < len(self.words):
                    yield word

    @property
    def runnable(self) -> Runnable[Any, Any]:
        return RunnableGenerator(self.sync, self.async_, name=self.name)


def _never(value: Any) -> Any:
    raise NEVER


Wrap = Callable[[Any], Any]
nothing = RunnableLambda(_never, name="never")
_MARK = re.compile("§")

WRAPS: dict[str, Wrap] = {
    "timeout": lambda r: r.with_timeout(first_chunk=LONG, idle=LONG, total=LONG),
    "retry": lambda r: r.with_retry(retry_if_exception_type=(ServerError,), **AGAIN),
    "restart": lambda r: r.with_retry(
        retry_if_exception_type=(ServerError,), when="restart", **AGAIN
    ),
    "resets": lambda r: r.with_retry(
        retry_if_exception_type=(ServerError,), when="restart", resets=True, **AGAIN
    ),
    "fallbacks": lambda r: r.with_fallbacks([nothing], exceptions_to_handle=(ServerError,)),
    "fallbacks-restart": lambda r: r.with_fallbacks(
        [nothing], exceptions_to_handle=(ServerError,), when="restart"
    ),
    "hedge": lambda r: r.with_hedge(nothing, after=LONG),
    "race": lambda r: race(r, nothing),
    "breaker": lambda r: circuit_breaker(r, CircuitBreaker()),
    "limited": lambda r: limited(r, ConcurrencyLimit(1)),
    "guard": lambda r: r | guard(_MARK, "", lookahead=1),
}
CHUNKWISE = [name for name in WRAPS if name != "guard"]
PAIRS = [(a, b) for a in WRAPS for b in WRAPS]

every_wrap = pytest.mark.parametrize("wrap", list(WRAPS))
every_pair = pytest.mark.parametrize(("outer", "inner"), PAIRS, ids=lambda name: name)


def text(chunks: Iterable[Any]) -> str:
    return "".join(chunks)
