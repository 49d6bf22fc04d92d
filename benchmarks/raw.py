"""Every workload written by hand: plain generators and functions, no library.

This is the floor that ratios are taken from, so it does the same visible work and nothing else: the
same chunks come out, in the same number of steps, one generator each.
"""

# ruff: noqa: UP028 - a step loops over its chunks as a user's does; `yield from` would skip it

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from itertools import tee
from typing import Any

from . import data
from .crowd import crowd
from .jobs import Job


class Chunk:
    """What a hand-written program would call a message chunk."""

    __slots__ = ("content", "id", "name")

    def __init__(self, content: str, id: str | None = None, name: str | None = None) -> None:
        self.content = content
        self.id = id
        self.name = name

    def __add__(self, other: Chunk) -> Chunk:
        return Chunk(self.content + other.content, self.id or other.id, self.name or other.name)


# ------------------------------------------------------------------ steps


def source(chunks: Iterable[Any]) -> Iterator[Any]:
    for chunk in chunks:
        yield chunk


def step(chunks: Iterator[Any]) -> Iterator[Any]:
    for chunk in chunks:
        yield chunk


async def asource(chunks: Iterable[Any]) -> AsyncIterator[Any]:
    for chunk in chunks:
        yield chunk


async def astep(chunks: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for chunk in chunks:
        yield chunk


def steps(count: int) -> Callable[[int], Job]:
    def job(size: int) -> Job:
        texts = data.texts(size)

        def go(_: Any) -> Iterator[str]:
            stream = source(texts)
            for _ in range(count - 1):
                stream = step(stream)
            return stream

        return Job("stream", go)

    return job


def asteps(count: int) -> Callable[[int], Job]:
    def job(size: int) -> Job:
        texts = data.texts(size)

        def go(_: Any) -> AsyncIterator[str]:
            stream = asource(texts)
            for _ in range(count - 1):
                stream = astep(stream)
            return stream

        return Job("astream", go)

    return job


# ------------------------------------------------------------------ prompt, model, parser


def prompt(values: dict[str, str]) -> list[tuple[str, str]]:
    return [
        ("system", f"You are a {values['role']}."),
        ("human", f"tell me a joke about {values['topic']}"),
    ]


def model(messages: list[tuple[str, str]], chunks: list[Chunk]) -> Iterator[Chunk]:
    for chunk in chunks:
        yield chunk


async def amodel(messages: list[tuple[str, str]], chunks: list[Chunk]) -> AsyncIterator[Chunk]:
    for chunk in chunks:
        yield chunk


def parser(chunks: Iterator[Chunk]) -> Iterator[str]:
    for chunk in chunks:
        yield chunk.content


async def aparser(chunks: AsyncIterator[Chunk]) -> AsyncIterator[str]:
    async for chunk in chunks:
        yield chunk.content


def answer(messages: list[tuple[str, str]]) -> Chunk:
    return Chunk(data.ANSWER)


def chunks_of(size: int) -> Callable[[], list[Chunk]]:
    return lambda: [Chunk(text) for text in data.texts(size)]


def chat(size: int) -> Job:
    return Job("stream", lambda given: parser(model(prompt(data.INPUT), given)), chunks_of(size))


def chat_async(size: int) -> Job:
    return Job("astream", lambda given: aparser(amodel(prompt(data.INPUT), given)), chunks_of(size))


# ------------------------------------------------------------------ parallel


def _text(chunk: Chunk) -> str:
    return chunk.content


def _upper(chunk: Chunk) -> str:
    return chunk.content.upper()


INLINE = {"text": _text, "again": _text, "loud": _upper, "same": _text}


def parallel(size: int) -> Job:
    def go(chunks: list[Chunk]) -> Iterator[dict[str, str]]:
        for chunk in source(chunks):
            for key, function in INLINE.items():
                yield {key: function(chunk)}

    return Job("stream", go, chunks_of(size))


def parallel_async(size: int) -> Job:
    async def go(chunks: list[Chunk]) -> AsyncIterator[dict[str, str]]:
        async for chunk in asource(chunks):
            for key, function in INLINE.items():
                yield {key: function(chunk)}

    return Job("astream", go, chunks_of(size))


def parallel_generators(size: int) -> Job:
    texts = data.texts(size)

    def go(_: Any) -> Iterator[dict[str, str]]:
        given = tee(source(texts), 4)
        branches = [(key, step(given[at])) for at, key in enumerate("abcd")]
        while branches:
            for key, branch in list(branches):
                try:
                    yield {key: next(branch)}
                except StopIteration:
                    branches.remove((key, branch))

    return Job("stream", go)


def parallel_generators_async(size: int) -> Job:
    texts = data.texts(size)

    async def go(_: Any) -> AsyncIterator[dict[str, str]]:
        stream = asource(texts)
        queues: list[deque[str]] = [deque() for _ in "abcd"]

        async def given(queue: deque[str]) -> AsyncIterator[str]:
            while True:
                if not queue:
                    chunk = await anext(stream, None)
                    if chunk is None:
                        return
                    for each in queues:
                        each.append(chunk)
                yield queue.popleft()

        branches = [(key, astep(given(queue))) for key, queue in zip("abcd", queues, strict=True)]
        while branches:
            for key, branch in list(branches):
                try:
                    yield {key: await anext(branch)}
                except StopAsyncIteration:
                    branches.remove((key, branch))

    return Job("astream", go)


# ------------------------------------------------------------------ calls


def invoke_lambdas(size: int) -> Job:
    first, second, third = data.LAMBDAS

    def go(_: Any) -> Any:
        for number in range(size):
            result = third(second(first(number)))
        return result

    return Job("value", go)


def invoke_chat(size: int) -> Job:
    def go(_: Any) -> Any:
        for _ in range(size):
            result = answer(prompt(data.INPUT)).content
        return result

    return Job("value", go)


def batch(size: int) -> Job:
    inputs = data.inputs(size)
    return Job("value", lambda _: [answer(prompt(values)).content for values in inputs])


# ------------------------------------------------------------------ policies


def retried(opened: Callable[[], Iterator[Any]]) -> Iterator[Any]:
    for attempt in range(3):
        started = False
        try:
            for chunk in opened():
                started = True
                yield chunk
            return
        except Exception:
            if started or attempt == 2:
                raise


def branched(
    choose: Callable[[], bool], arm: Callable[[], Iterator[Any]], other: Callable[[], Iterator[Any]]
) -> Iterator[Any]:
    for chunk in (arm if choose() else other)():
        yield chunk


def backed_up(
    opened: Callable[[], Iterator[Any]], other: Callable[[], Iterator[Any]]
) -> Iterator[Any]:
    started = False
    try:
        for chunk in opened():
            started = True
            yield chunk
    except Exception:
        if started:
            raise
        yield from other()


def policies(size: int) -> Job:
    bare = steps(3)(size).go

    def go(given: Any) -> Iterator[str]:
        def opened() -> Iterator[str]:
            return bare(given)  # type: ignore[no-any-return]

        def chosen() -> Iterator[str]:
            return branched(lambda: True, lambda: retried(opened), opened)

        return backed_up(chosen, opened)

    return Job("stream", go)


async def aretried(opened: Callable[[], AsyncIterator[Any]]) -> AsyncIterator[Any]:
    for attempt in range(3):
        started = False
        try:
            async for chunk in opened():
                started = True
                yield chunk
            return
        except Exception:
            if started or attempt == 2:
                raise


async def abranched(
    choose: Callable[[], bool],
    arm: Callable[[], AsyncIterator[Any]],
    other: Callable[[], AsyncIterator[Any]],
) -> AsyncIterator[Any]:
    async for chunk in (arm if choose() else other)():
        yield chunk


async def abacked_up(
    opened: Callable[[], AsyncIterator[Any]], other: Callable[[], AsyncIterator[Any]]
) -> AsyncIterator[Any]:
    started = False
    try:
        async for chunk in opened():
            started = True
            yield chunk
    except Exception:
        if started:
            raise
        async for chunk in other():
            yield chunk


def policies_async(size: int) -> Job:
    bare = asteps(3)(size).go

    def go(given: Any) -> AsyncIterator[str]:
        def opened() -> AsyncIterator[str]:
            return bare(given)  # type: ignore[no-any-return]

        def chosen() -> AsyncIterator[str]:
            return abranched(lambda: True, lambda: aretried(opened), opened)

        return abacked_up(chosen, opened)

    return Job("astream", go)


def _tried(flaky: data.Flaky, number: int) -> int:
    for _ in range(2):
        try:
            return flaky.call(number)
        except ConnectionError:
            continue
    return flaky.call(number)


def batch_retry(size: int) -> Job:
    flaky = data.Flaky()
    return Job(
        "value", lambda _: [_tried(flaky, number) for number in range(size)], flaky.failed.clear
    )


# ------------------------------------------------------------------ lists


def text_of(value: str) -> str:
    return value


def each_parser(size: int) -> Job:
    texts = data.texts(size)
    return Job("value", lambda _: [text_of(text) for text in texts])


def each_function(size: int) -> Job:
    texts = data.texts(size)
    return Job("value", lambda _: [data.shout(text) for text in texts])


def each_function_async(size: int) -> Job:
    texts = data.texts(size)

    async def go(_: Any) -> list[str]:
        return await asyncio.gather(*[data.ashout(text) for text in texts])

    return Job("avalue", go)


def each_blocking_async(size: int) -> Job:
    texts = data.texts(size)

    async def go(_: Any) -> list[str]:
        return await asyncio.gather(*[asyncio.to_thread(data.shout, text) for text in texts])

    return Job("avalue", go)


# ------------------------------------------------------------------ messages


def build_chunk(size: int) -> Job:
    def go(_: Any) -> Any:
        for _ in range(size):
            chunk = Chunk(content="word ")
        return chunk.content

    return Job("value", go)


def add_chunks(size: int) -> Job:
    def go(given: Any) -> Any:
        a, b = given
        for _ in range(size):
            total = a + b
        return total.content

    return Job("value", go, lambda: (Chunk("one "), Chunk("two")))


def add_chunks_read(size: int) -> Job:
    def go(given: Any) -> Any:
        a, b = given
        for _ in range(size):
            text = (a + b).content
        return text

    return Job("value", go, lambda: (Chunk("one "), Chunk("two")))


def sum_text(size: int) -> Job:
    return Job(
        "value", lambda chunks: "".join([chunk.content for chunk in chunks]), chunks_of(size)
    )


def sum_tool_calls(size: int) -> Job:
    pieces = data.tool_call_pieces(size)

    def go(_: Any) -> Any:
        text = "".join([piece["args"] for piece in pieces])
        return [(pieces[0]["name"], pieces[0]["id"], json.loads(text))]

    return Job("value", go)


def many_streams(size: int) -> Job:
    async def sleeping(messages: list[tuple[str, str]]) -> AsyncIterator[Chunk]:
        for text in data.texts(data.CROWD_CHUNKS):
            await asyncio.sleep(data.PAUSE)
            yield Chunk(text)

    return Job("crowd", lambda _: crowd(lambda: aparser(sleeping(prompt(data.INPUT))), size))


# ------------------------------------------------------------------ growth


def grow_concat(size: int) -> Job:
    def go(chunks: list[Chunk]) -> Iterator[str]:
        yield "".join([chunk.content for chunk in source(chunks)])

    return Job("stream", go, chunks_of(size))


def grow_json(size: int) -> Job:
    pieces = data.json_pieces(size)

    def go(_: Any) -> Iterator[Any]:
        yield json.loads("".join(source(pieces)))

    return Job("stream", go)


JOBS: dict[str, Callable[[int], Job]] = {
    "steps-3": steps(3),
    "steps-3-async": asteps(3),
    "steps-10": steps(10),
    "steps-10-async": asteps(10),
    "chat": chat,
    "chat-async": chat_async,
    "parallel": parallel,
    "parallel-async": parallel_async,
    "parallel-generators": parallel_generators,
    "parallel-generators-async": parallel_generators_async,
    "invoke-lambdas": invoke_lambdas,
    "invoke-chat": invoke_chat,
    "batch": batch,
    "policies": policies,
    "policies-async": policies_async,
    "each": each_parser,
    "each-async": each_parser,
    "each-function": each_function,
    "each-function-async": each_function_async,
    "each-blocking-async": each_blocking_async,
    "batch-retry": batch_retry,
    "batch-retry-async": batch_retry,
    "build-chunk": build_chunk,
    "add-chunks": add_chunks,
    "add-chunks-read": add_chunks_read,
    "sum-text": sum_text,
    "sum-tool-calls": sum_tool_calls,
    "crowd": many_streams,
    "grow-stream": steps(3),
    "grow-concat": grow_concat,
    "grow-parallel": parallel,
    "grow-json": grow_json,
}
