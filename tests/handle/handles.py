"""One test body for handles of both colours, and a model whose pace a test sets.

`opened(doors, runnable, input)` is `with` or `async with` of `runnable.open(input)`; what it gives
reads projections through the doors' event loop where they have one.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager

from pydantic import Field

from headrace.language_models import BaseChatModel
from headrace.messages import AIMessageChunk
from headrace.outputs import ChatGenerationChunk

END = object()


class SyncHandle:
    def __init__(self, run):
        self.run = run

    def read(self, projection):
        return list(projection)

    def iterate(self, projection):
        return iter(projection)

    def next(self, iterator):
        return next(iterator, END)

    def rest(self, iterator):
        return list(iterator)

    def get(self, projection):
        return projection.get()

    def output(self):
        return self.run.output


class AsyncHandle:
    def __init__(self, run, doors):
        self.run, self._wait = run, doors.wait

    def read(self, projection):
        return self.rest(projection)

    def iterate(self, projection):
        return aiter(projection)

    def next(self, iterator):
        async def one():
            return await anext(iterator, END)

        return self._wait(one())

    def rest(self, iterator):
        async def all_of_it():
            return [item async for item in iterator]

        return self._wait(all_of_it())

    def get(self, projection):
        return self._wait(projection)

    def output(self):
        return self._wait(self.run.output)


@contextmanager
def opened(doors, runnable, value="x", config=None, **kwargs):
    handle = runnable.open(value, config, **kwargs)
    if not doors.asynchronous:
        with handle as run:
            yield SyncHandle(run)
        return

    async def enter():
        return await handle.__aenter__()

    async def leave():
        await handle.__aexit__(None, None, None)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, f"leaving the block left tasks: {left}"

    run = doors.wait(enter())
    try:
        yield AsyncHandle(run, doors)
    finally:
        doors.wait(leave())


class Scripted(BaseChatModel):
    """Streams `chunks` (strings, messages; an exception is raised), and counts what it did.

    With `gated` it gives a chunk for each `go()`, no more.
    """

    chunks: list = Field(default_factory=list)
    gated: bool = False

    def model_post_init(self, context):
        self._begun = self._given = self._closed = 0
        self._gate = threading.Semaphore(0)

    def go(self, count=1):
        for _ in range(count):
            self._gate.release()

    def _piece(self, piece):
        if isinstance(piece, BaseException):
            raise piece
        self._given += 1
        message = AIMessageChunk(content=piece) if isinstance(piece, str) else piece.model_copy()
        return ChatGenerationChunk(message=message)

    def _stream(self, messages, stop=None, run_manager=None, **kwargs):
        self._begun += 1
        try:
            for piece in self.chunks:
                if self.gated:
                    self._gate.acquire()
                yield self._piece(piece)
        finally:
            self._closed += 1

    async def _astream(self, messages, stop=None, run_manager=None, **kwargs):
        self._begun += 1
        try:
            for piece in self.chunks:
                while self.gated and not self._gate.acquire(blocking=False):  # noqa: ASYNC110
                    await asyncio.sleep(0)
                await asyncio.sleep(0)
                yield self._piece(piece)
        finally:
            self._closed += 1

    @property
    def _llm_type(self):
        return "scripted"
