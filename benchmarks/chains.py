"""Every workload on the Runnable vocabulary: the same lines for Headrace and for langchain-core.

`lib` is one of the two (`jobs.Library`); nothing here asks which. Chains are built once, outside
the clock; where a run changes what it is given (models set the id of a chunk), every repetition
gets chunks of its own.
"""

# ruff: noqa: UP028 - a step loops over its chunks as a user's does; `yield from` would skip it

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from . import data
from .crowd import crowd
from .jobs import Job, Library

# ------------------------------------------------------------------ steps


def step(chunks: Iterator[Any]) -> Iterator[Any]:
    for chunk in chunks:
        yield chunk


async def astep(chunks: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for chunk in chunks:
        yield chunk


class Source:
    """A first step that yields what it holds, in both colours."""

    def __init__(self, lib: Library, held: list[Any] | None = None) -> None:
        self.held = held or []
        self.step = lib.runnables.RunnableGenerator(self.stream, self.astream)

    def stream(self, given: Iterator[Any]) -> Iterator[Any]:
        for _ in given:
            for chunk in self.held:
                yield chunk

    async def astream(self, given: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for _ in given:
            for chunk in self.held:
                yield chunk


def generator(lib: Library) -> Any:
    return lib.runnables.RunnableGenerator(step, astep)


def steps(kind: str, count: int) -> Callable[[Library, int], Job]:
    def job(lib: Library, size: int) -> Job:
        chain = Source(lib, data.texts(size)).step
        for _ in range(count - 1):
            chain = chain | generator(lib)
        return Job(kind, lambda _: getattr(chain, kind)("go"))

    return job


# ------------------------------------------------------------------ prompt, model, parser


def fake_model(lib: Library, held: list[Any]) -> Any:
    """A chat model as a user writes one: it streams what is in `held`, and answers `ANSWER`."""
    messages, outputs = lib.messages, lib.outputs
    message_of, generation_of = messages.AIMessage, outputs.ChatGeneration
    result_of = outputs.ChatResult

    class Fake(lib.language_models.BaseChatModel):  # type: ignore[name-defined,misc]
        def _generate(
            self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any
        ) -> Any:
            return result_of(generations=[generation_of(message=message_of(content=data.ANSWER))])

        def _stream(
            self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any
        ) -> Iterator[Any]:
            for chunk in held:
                yield chunk

        async def _astream(
            self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any
        ) -> AsyncIterator[Any]:
            for chunk in held:
                yield chunk

        @property
        def _llm_type(self) -> str:
            return "fake"

    return Fake()


def prompt(lib: Library) -> Any:
    return lib.prompts.ChatPromptTemplate.from_messages(
        [("system", "You are a {role}."), ("human", "tell me a joke about {topic}")]
    )


def chat_chain(lib: Library, held: list[Any]) -> Any:
    return prompt(lib) | fake_model(lib, held) | lib.output_parsers.StrOutputParser()


def message_chunks(lib: Library, size: int) -> list[Any]:
    kind = lib.messages.AIMessageChunk
    return [
        kind(content=text, chunk_position="last" if number == size else None)
        for number, text in enumerate(data.texts(size), 1)
    ]


def generation_chunks(lib: Library, size: int) -> list[Any]:
    kind = lib.outputs.ChatGenerationChunk
    return [kind(message=message) for message in message_chunks(lib, size)]


def chat(kind: str) -> Callable[[Library, int], Job]:
    def job(lib: Library, size: int) -> Job:
        held: list[Any] = []
        chain = chat_chain(lib, held)

        def make() -> None:
            held[:] = generation_chunks(lib, size)

        return Job(kind, lambda _: getattr(chain, kind)(data.INPUT), make)

    return job


# ------------------------------------------------------------------ parallel


def parallel(kind: str) -> Callable[[Library, int], Job]:
    def job(lib: Library, size: int) -> Job:
        parsers = lib.output_parsers

        class Loud(parsers.BaseTransformOutputParser[str]):  # type: ignore[name-defined,misc]
            def parse(self, text: str) -> str:
                return text.upper()

        source = Source(lib)
        text = parsers.StrOutputParser
        same = lib.runnables.RunnablePassthrough() | text()
        chain = source.step | {"text": text(), "again": text(), "loud": Loud(), "same": same}

        def make() -> None:
            source.held = message_chunks(lib, size)

        return Job(kind, lambda _: getattr(chain, kind)("go"), make)

    return job


def parallel_generators(kind: str) -> Callable[[Library, int], Job]:
    def job(lib: Library, size: int) -> Job:
        source = Source(lib, data.texts(size)).step
        chain = source | {key: generator(lib) for key in "abcd"}
        return Job(kind, lambda _: getattr(chain, kind)("go"))

    return job


# ------------------------------------------------------------------ calls


def invoke_lambdas(lib: Library, size: int) -> Job:
    first, second, third = (lib.runnables.RunnableLambda(function) for function in data.LAMBDAS)
    chain = first | second | third

    def go(_: Any) -> Any:
        for number in range(size):
            result = chain.invoke(number)
        return result

    return Job("value", go)


def invoke_chat(lib: Library, size: int) -> Job:
    chain = chat_chain(lib, [])

    def go(_: Any) -> Any:
        for _ in range(size):
            result = chain.invoke(data.INPUT)
        return result

    return Job("value", go)


def batch(lib: Library, size: int) -> Job:
    chain = chat_chain(lib, [])
    inputs = data.inputs(size)
    return Job("value", lambda _: chain.batch(inputs))


# ------------------------------------------------------------------ policies


async def _always(_: Any) -> bool:
    return True


def policies(kind: str) -> Callable[[Library, int], Job]:
    """The chain of `steps-3` under a retry, in an arm of a branch, under fallbacks."""

    def job(lib: Library, size: int) -> Job:
        runnables = lib.runnables
        bare = Source(lib, data.texts(size)).step | generator(lib) | generator(lib)
        condition = runnables.RunnableLambda(lambda _: True, _always)
        branch = runnables.RunnableBranch((condition, bare.with_retry()), generator(lib))
        chain = branch.with_fallbacks([generator(lib)])
        return Job(kind, lambda _: getattr(chain, kind)("go"))

    return job


def batch_retry(kind: str) -> Callable[[Library, int], Job]:
    def job(lib: Library, size: int) -> Job:
        flaky = data.Flaky()
        step = lib.runnables.RunnableLambda(flaky.call, flaky.acall)
        chain = step.with_retry(wait_exponential_jitter=False)
        numbers = list(range(size))
        door = chain.batch if kind == "value" else chain.abatch
        return Job(kind, lambda _: door(numbers), flaky.failed.clear)

    return job


# ------------------------------------------------------------------ lists


def _each(kind: str, step: Callable[[Library], Any]) -> Callable[[Library, int], Job]:
    def job(lib: Library, size: int) -> Job:
        chain = step(lib).map()
        texts = data.texts(size)
        door = chain.invoke if kind == "value" else chain.ainvoke
        return Job(kind, lambda _: door(texts))

    return job


def each_parser(kind: str) -> Callable[[Library, int], Job]:
    return _each(kind, lambda lib: lib.output_parsers.StrOutputParser())


def each_function(kind: str) -> Callable[[Library, int], Job]:
    return _each(kind, lambda lib: lib.runnables.RunnableLambda(data.shout, data.ashout))


def each_blocking(kind: str) -> Callable[[Library, int], Job]:
    return _each(kind, lambda lib: lib.runnables.RunnableLambda(data.shout))


# ------------------------------------------------------------------ messages


def build_chunk(lib: Library, size: int) -> Job:
    kind = lib.messages.AIMessageChunk

    def go(_: Any) -> Any:
        for _ in range(size):
            chunk = kind(content="word ")
        return chunk.content

    return Job("value", go)


def _two(lib: Library) -> Callable[[], Any]:
    kind = lib.messages.AIMessageChunk
    return lambda: (kind(content="one "), kind(content="two"))


def add_chunks(lib: Library, size: int) -> Job:
    def go(given: Any) -> Any:
        a, b = given
        for _ in range(size):
            total = a + b
        return total.content

    return Job("value", go, _two(lib))


def add_chunks_read(lib: Library, size: int) -> Job:
    def go(given: Any) -> Any:
        a, b = given
        for _ in range(size):
            text = (a + b).content
        return text

    return Job("value", go, _two(lib))


def _summed(chunks: list[Any]) -> Any:
    total = chunks[0]
    for chunk in chunks[1:]:
        total = total + chunk
    return total


def sum_text(lib: Library, size: int) -> Job:
    return Job("value", lambda chunks: _summed(chunks).content, lambda: message_chunks(lib, size))


def sum_tool_calls(lib: Library, size: int) -> Job:
    kind = lib.messages.AIMessageChunk

    def make() -> list[Any]:
        return [kind(content="", tool_call_chunks=[p]) for p in data.tool_call_pieces(size)]

    def go(chunks: list[Any]) -> Any:
        return [(call["name"], call["id"], call["args"]) for call in _summed(chunks).tool_calls]

    return Job("value", go, make)


# ------------------------------------------------------------------ many at once


def sleeping_chain(lib: Library) -> Any:
    """A chain whose model sleeps before each chunk."""
    message_of, generation_of = lib.messages.AIMessageChunk, lib.outputs.ChatGenerationChunk
    texts = data.texts(data.CROWD_CHUNKS)
    ends: list[dict[str, str]] = [{}] * (data.CROWD_CHUNKS - 1) + [{"chunk_position": "last"}]

    class Sleeping(lib.language_models.BaseChatModel):  # type: ignore[name-defined,misc]
        def _generate(
            self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any
        ) -> Any:
            raise NotImplementedError

        async def _astream(
            self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any
        ) -> AsyncIterator[Any]:
            for text, end in zip(texts, ends, strict=True):
                await asyncio.sleep(data.PAUSE)
                yield generation_of(message=message_of(content=text, **end))

        @property
        def _llm_type(self) -> str:
            return "sleeping"

    return prompt(lib) | Sleeping() | lib.output_parsers.StrOutputParser()


def many_streams(lib: Library, size: int) -> Job:
    chain = sleeping_chain(lib)
    return Job("crowd", lambda _: crowd(lambda: chain.astream(data.INPUT), size))


# ------------------------------------------------------------------ growth


def grow_concat(lib: Library, size: int) -> Job:
    source = Source(lib)
    chain = source.step | (lambda message: message.content)

    def make() -> None:
        source.held = message_chunks(lib, size)

    return Job("stream", lambda _: chain.stream("go"), make)


def grow_json(lib: Library, size: int) -> Job:
    source = Source(lib, data.json_pieces(size))
    chain = source.step | lib.output_parsers.JsonOutputParser()
    return Job("stream", lambda _: chain.stream("go"))


JOBS: dict[str, Callable[[Library, int], Job]] = {
    "steps-3": steps("stream", 3),
    "steps-3-async": steps("astream", 3),
    "steps-10": steps("stream", 10),
    "steps-10-async": steps("astream", 10),
    "chat": chat("stream"),
    "chat-async": chat("astream"),
    "parallel": parallel("stream"),
    "parallel-async": parallel("astream"),
    "parallel-generators": parallel_generators("stream"),
    "parallel-generators-async": parallel_generators("astream"),
    "invoke-lambdas": invoke_lambdas,
    "invoke-chat": invoke_chat,
    "batch": batch,
    "policies": policies("stream"),
    "policies-async": policies("astream"),
    "each": each_parser("value"),
    "each-async": each_parser("avalue"),
    "each-function": each_function("value"),
    "each-function-async": each_function("avalue"),
    "each-blocking-async": each_blocking("avalue"),
    "batch-retry": batch_retry("value"),
    "batch-retry-async": batch_retry("avalue"),
    "build-chunk": build_chunk,
    "add-chunks": add_chunks,
    "add-chunks-read": add_chunks_read,
    "sum-text": sum_text,
    "sum-tool-calls": sum_tool_calls,
    "crowd": many_streams,
    "grow-stream": steps("stream", 3),
    "grow-concat": grow_concat,
    "grow-parallel": parallel("stream"),
    "grow-json": grow_json,
}
