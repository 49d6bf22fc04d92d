"""What the tests of observed runs share: views opened in every colour, and pieces of chains.

`watch` opens a view behind the doors of a colour (see `laws.colours`). Bodies of user code write
into `LEDGER` when they are entered and left. Every wait for another thread or task is `WAIT` long
at most, and says so when it is over.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count
from typing import Any

from headrace.events import RunStarted
from headrace.language_models import BaseChatModel
from headrace.messages import AIMessage, AIMessageChunk
from headrace.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from headrace.runnables import RunnableGenerator, RunnableLambda
from laws.colours import END, AsyncStream, SyncStream
from laws.ledger import LEDGER, Recorder

__all__ = ["END", "HELD", "LEDGER", "LIMIT", "WAIT", "Endless", "Epoch", "Gate", "Gated",
           "Recorder", "acollect", "answering", "collect", "endless", "held", "parents", "relay",
           "starts", "until", "watch"]  # fmt: skip

WAIT = float(os.environ.get("BEHAVIOUR_WAIT", "20"))  # seconds after which a wait is a deadlock
LIMIT = WAIT + 5.0  # for a whole body, so that a wait says so before
HELD = 256  # events that a view may have waiting for its consumer


def watch(
    doors: Any, runnable: Any, value: Any, config: Any = None, typed: bool = False, **how: Any
) -> Any:
    """A view of a run, not started: a stream of `laws.colours`."""
    name = ("astream_" if doors.asynchronous else "stream_") + ("typed" if typed else "events")
    events = getattr(runnable, name)(value, config, **how)
    opened = AsyncStream(doors, events) if doors.asynchronous else SyncStream(events)
    return doors._open(opened)


def until(stream: Any, wanted: Callable[[Any], bool]) -> list[Any]:
    """The events up to the first that is wanted; fails where the stream ends before."""
    taken = []
    while (event := stream.next()) is not END:
        taken.append(event)
        if wanted(event):
            return taken
    raise AssertionError(f"ended without it, after {len(taken)} events: {taken[-3:]}")


def starts(events: list[Any]) -> list[dict[str, Any]]:
    return [event for event in events if event["event"].endswith("_start")]


def parents(events: list[Any]) -> list[list[str]]:
    """For each run that shows, in the order of the starts: its names from the root down to it."""
    if events and isinstance(events[0], dict):
        facts = [(e["run_id"], e["name"], e["parent_ids"]) for e in starts(events)]
    else:
        runs = [e.run for e in events if isinstance(e, RunStarted)]
        facts = [(str(r.id), r.name, [str(i) for i in r.parent_ids]) for r in runs]
    names = {id_: name for id_, name, _ in facts}
    assert len(names) == len(facts), f"a start came twice: {Counter(f[1] for f in facts)}"
    missing = [(name, i) for _, name, above in facts for i in above if i not in names]
    assert not missing, f"parents that never started: {missing}"
    return [[*(names[i] for i in above), name] for _, name, above in facts]


class Epoch:
    """Which test is on: what is endless ends with the test that made it, also where that failed
    and left it running."""

    number = 0


def forever() -> Iterator[int]:
    epoch = Epoch.number
    for number in count():
        if epoch != Epoch.number:
            return
        yield number


# ------------------------------------------------------------------ waiting


class Gate:
    """Opened by the consumer; user code waits at it, in a thread or in the loop."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.passed = False

    def open(self) -> None:
        self._event.set()

    def wait(self) -> None:
        assert self._event.wait(WAIT), "the consumer did not open the gate: it saw nothing"
        self.passed = True

    async def await_(self) -> None:
        end = time.monotonic() + WAIT
        while not self._event.is_set():
            assert time.monotonic() < end, "the consumer did not open the gate: it saw nothing"
            await asyncio.sleep(0.001)
        self.passed = True


def held(made: list[Any], stream: Any) -> int:
    """How many there are when nothing more is made while the consumer pauses."""
    before, end = -1, time.monotonic() + 2.0
    while before != len(made) and time.monotonic() < end:
        before = len(made)
        stream.pause(0.01)
    return len(made)


# ------------------------------------------------------------------ models


class _Model(BaseChatModel):
    """Streams natively in both colours, noted in LEDGER as `model`."""

    @property
    def _llm_type(self) -> str:
        return "of-the-test"

    def _token(self, number: int) -> ChatGenerationChunk | None:
        raise NotImplementedError

    def _between(self, number: int) -> None:
        """What happens before token `number`."""

    async def _abetween(self, number: int) -> None:
        await asyncio.sleep(0)

    def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        with LEDGER.body("model"):
            for number in forever():
                self._between(number)
                if (token := self._token(number)) is None:
                    return
                yield token

    async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
        with LEDGER.body("model"):
            for number in forever():
                await self._abetween(number)
                if (token := self._token(number)) is None:
                    return
                yield token

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        raise AssertionError("a view that shows tokens asks a model to stream")


def token(text: str) -> ChatGenerationChunk:
    return ChatGenerationChunk(message=AIMessageChunk(content=text))


class Endless(_Model):
    """Says `0 1 2 …` up to `stop`, or for ever; what it said is in `made`."""

    made: list[int] = []  # noqa: RUF012 - a pydantic field: each instance has its own
    stop_at: int = -1

    def _token(self, number: int) -> ChatGenerationChunk | None:
        if number == self.stop_at:
            return None
        self.made.append(number)
        return token(f"{number} ")

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        text = "".join(f"{number} " for number in range(self.stop_at))
        return ChatResult(generations=[ChatGeneration(message=AIMessage(content=text))])


class Gated(_Model):
    """Says one word, then waits at its gate before the second and last."""

    gate: Any

    def _token(self, number: int) -> ChatGenerationChunk | None:
        return token(("first ", "second")[number]) if number < 2 else None

    def _between(self, number: int) -> None:
        if number == 1:
            self.gate.wait()

    async def _abetween(self, number: int) -> None:
        if number == 1:
            await self.gate.await_()


def answering(text: str, name: str = "model") -> BaseChatModel:
    from headrace.language_models import FakeListChatModel

    return FakeListChatModel(responses=[text], name=name)


# ------------------------------------------------------------------ steps


def endless(made: list[int], name: str = "endless", stop: int = -1) -> RunnableLambda[Any, Any]:
    """Gives `"0 "`, `"1 "`, …; what it gave is in `made`."""

    def numbers(_: Any) -> Any:
        with LEDGER.body(name):
            for number in forever():
                if number == stop:
                    return
                made.append(number)
                yield f"{number} "

    async def anumbers(_: Any) -> Any:
        with LEDGER.body(name):
            for number in forever():
                if number == stop:
                    return
                await asyncio.sleep(0)
                made.append(number)
                yield f"{number} "

    return RunnableLambda(numbers, anumbers, name=name)


def _relay(chunks: Any) -> Any:
    with LEDGER.body("relay"):
        yield from chunks


async def _arelay(chunks: Any) -> Any:
    with LEDGER.body("relay"):
        async for chunk in chunks:
            yield chunk


def relay(name: str = "relay") -> RunnableGenerator[Any, Any]:
    return RunnableGenerator(_relay, _arelay, name=name)


def collect(value: Any) -> Any:
    """A step that needs the whole value: the root gives nothing before."""
    return value


async def acollect(value: Any) -> Any:
    return value
