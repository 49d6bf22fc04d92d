"""Law 6 of logs: four times the chunks cost about four times the time and the memory."""

from __future__ import annotations

import asyncio
import gc
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from headrace.jsonstream._snapshot import SnapshotList
from headrace.language_models import BaseChatModel
from headrace.messages import AIMessageChunk
from headrace.output_parsers import StrOutputParser
from headrace.outputs import ChatGenerationChunk
from headrace.runnables import RunnableGenerator
from headrace.views import RunLogPatch

N = 1000
TRIES = 5  # the machine may be busy
BOUND = 8  # four times the chunks: 4 where costs are linear, 16 where they are quadratic


class Many(BaseChatModel):
    """A model that gives so many chunks of four characters."""

    number: int

    @property
    def _llm_type(self) -> str:
        return "many"

    def _generate(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        for _ in range(self.number):
            yield ChatGenerationChunk(message=AIMessageChunk("abcd"))

    async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
        for _ in range(self.number):
            yield ChatGenerationChunk(message=AIMessageChunk("abcd"))


def lists(number: int) -> Any:
    def stream(source: Iterator[Any]) -> Iterator[list[int]]:
        for _ in source:
            for at in range(number):
                yield [at]

    async def astream(source: AsyncIterator[Any]) -> AsyncIterator[list[int]]:
        async for _ in source:
            for at in range(number):
                yield [at]

    return RunnableGenerator(stream, astream)


CHAINS: dict[str, Callable[[int], Any]] = {
    "text": lambda number: Many(number=number) | StrOutputParser(),
    "message": lambda number: Many(number=number),
    "list": lists,
}


def _look(log: Any) -> int:
    state = log.state
    total = state["final_output"]
    return len(getattr(total, "content", total) or "") + sum(
        len(entry["streamed_output"]) for entry in state["logs"].values()
    )


# what a consumer does with each item; how the log is asked for
CONSUMERS: dict[str, tuple[Callable[[Any], Any], bool]] = {
    "patches": (lambda patch: None, True),
    "logs": (lambda log: None, False),
    "states": (_look, False),
}


def cost(runnable: Any, use: Callable[[Any], Any], diff: bool, asynchronous: bool) -> float:
    """Seconds of the processor, all threads together."""

    async def main() -> None:
        async for item in runnable.astream_log("x", diff=diff):
            use(item)

    gc.collect()
    gc.disable()  # it looks at all that is kept, whenever it likes
    start = time.process_time()
    try:
        if asynchronous:
            asyncio.run(main())
        else:
            for item in runnable.stream_log("x", diff=diff):
                use(item)
        return time.process_time() - start
    finally:
        gc.enable()


@pytest.mark.parametrize("asynchronous", [True, False], ids=["async", "sync"])
@pytest.mark.parametrize("consumer", CONSUMERS)
@pytest.mark.parametrize("chain", CHAINS)
def test_time(chain: str, consumer: str, asynchronous: bool) -> None:
    use, diff = CONSUMERS[consumer]
    make = CHAINS[chain]
    ones, fours = [], []
    for _ in range(TRIES):
        ones.append(cost(make(N), use, diff, asynchronous))
        fours.append(cost(make(4 * N), use, diff, asynchronous))
        if min(fours) < BOUND * min(ones):
            return
    pytest.fail(f"{N} chunks took {min(ones):.4f} s, four times as many {min(fours):.4f} s")


def _peak(work: Callable[[], Any]) -> int:
    """Bytes at the most, while what `work` gives is held."""
    tracemalloc.start()
    try:
        held = work()
        return tracemalloc.get_traced_memory()[1] if held is not None else 0
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("diff", [True, False])
def test_memory_of_who_keeps_what_came(diff: bool) -> None:
    """All patches, or all logs whose states nobody has looked at."""

    def kept(number: int) -> Any:
        return list(lists(number).stream_log("x", diff=diff))

    kept(10)
    assert _peak(lambda: kept(4 * N)) < 5 * _peak(lambda: kept(N))


def test_memory_of_who_looks_and_keeps_none() -> None:
    def looked(number: int) -> Any:
        return sum(_look(log) for log in lists(number).stream_log("x", diff=False))

    looked(10)
    assert _peak(lambda: looked(4 * N)) < 5 * _peak(lambda: looked(N))


def test_time_of_sums() -> None:
    """`log + patch` for each patch, with a look at every state."""

    def summed(number: int) -> float:
        patches = list(lists(number).stream_log("x"))
        start = time.process_time()
        log: Any = RunLogPatch()
        for patch in patches:
            log = log + patch
            _look(log)
        return time.process_time() - start

    assert min(summed(4 * N) for _ in range(2)) < BOUND * min(summed(N) for _ in range(3))


def test_states_looked_at_one_after_the_other_are_not_copied(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A long list is made a few times in all, and brought up to date for each state."""
    made: list[int] = []
    begin = SnapshotList.__init__

    def counted(self: Any, items: Any = ()) -> None:
        begin(self, items)
        made.append(len(self))

    monkeypatch.setattr(SnapshotList, "__init__", counted)
    for log in (Many(number=N) | StrOutputParser()).stream_log("x", diff=False):
        _look(log)
    assert 4 <= len(made) <= 16, "one or two of each of the four lists"
