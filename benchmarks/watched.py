"""Workloads that watch a run from inside, on the Runnable vocabulary and by hand.

A hand-written program has no events; what stands for them here are the same three dicts per chunk
(of the model, the parser, the chain), yielded by one async generator.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from . import chains, data, raw
from .crowd import crowd
from .jobs import Job, Library

Jobs = Callable[[Library, int], Job]

# ------------------------------------------------------------------ what contenders must agree on


def told(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Of v2 events, those that carry a chunk: kind and text."""
    return [
        (event["event"], text_of(event["data"]["chunk"]))
        for event in events
        if event["event"].endswith("_stream")
    ]


def text_of(chunk: Any) -> str:
    return chunk if isinstance(chunk, str) else str(chunk.content)


def logged(patches: list[Any]) -> list[str]:
    """Of a log, what the root streamed."""
    ops = [op for patch in patches for op in patch.ops]
    return [op["value"] for op in ops if op["path"] == "/streamed_output/-"]


def states(logs: list[Any]) -> list[str]:
    """Of logs with their states, what the root had streamed by the end."""
    return list(logs[-1].state["streamed_output"])


# ------------------------------------------------------------------ on Runnables


def _chat(kind: str, door: Callable[[Any], Any], shown: Callable[[list[Any]], Any]) -> Jobs:
    def job(lib: Library, size: int) -> Job:
        held: list[Any] = []
        chain = chains.chat_chain(lib, held)

        def make() -> None:
            held[:] = chains.generation_chunks(lib, size)

        return Job(kind, lambda _: door(chain), make, shown)

    return job


def handler(lib: Library, size: int) -> Job:
    """A callback handler that counts tokens."""
    held: list[Any] = []
    chain = chains.chat_chain(lib, held)

    class Counting(lib.callbacks.BaseCallbackHandler):  # type: ignore[name-defined,misc]
        tokens = 0

        def on_llm_new_token(self, token: Any, **kwargs: Any) -> None:
            self.tokens += 1

    def make() -> None:
        held[:] = chains.generation_chunks(lib, size)

    return Job("astream", lambda _: chain.astream(data.INPUT, {"callbacks": [Counting()]}), make)


def many_watched(lib: Library, size: int) -> Job:
    chain = chains.sleeping_chain(lib)

    async def texts() -> AsyncIterator[str]:
        async for event in chain.astream_events(data.INPUT, version="v2"):
            if event["event"] == "on_chain_stream":
                yield event["data"]["chunk"]

    return Job("crowd", lambda _: crowd(texts, size))


def tiny_events(lib: Library, size: int) -> Job:
    """Chunks of one letter: what is measured is not the text."""
    chunk_of, generation_of = lib.messages.AIMessageChunk, lib.outputs.ChatGenerationChunk
    held: list[Any] = []
    chain = chains.chat_chain(lib, held)

    def make() -> None:
        ends = [None] * (size - 1) + ["last"]
        held[:] = [generation_of(message=chunk_of(content="x", chunk_position=e)) for e in ends]

    def go(_: Any) -> Any:
        return chain.astream_events(data.INPUT, version="v2")

    return Job("astream", go, make, told)


events = _chat("astream", lambda c: c.astream_events(data.INPUT, version="v2"), told)
sync_events = _chat("stream", lambda c: c.stream_events(data.INPUT, version="v2"), told)
log = _chat("astream", lambda c: c.astream_log(data.INPUT), logged)
log_states = _chat("astream", lambda c: c.astream_log(data.INPUT, diff=False), states)

JOBS: dict[str, Jobs] = {
    "events": events,
    "events-sync": sync_events,
    "grow-events": events,
    "memory-events": tiny_events,
    "log": log,
    "log-states": log_states,
    "grow-log": log,
    "grow-log-states": log_states,
    "handler": handler,
    "crowd-events": many_watched,
}

# ------------------------------------------------------------------ by hand


def _reported(name: str, chunk: Any) -> dict[str, Any]:
    return {"event": f"on_{name}_stream", "name": name, "data": {"chunk": chunk}}


def by_hand(chunks: list[raw.Chunk]) -> Iterator[dict[str, Any]]:
    for chunk in raw.model(raw.prompt(data.INPUT), chunks):
        yield _reported("chat_model", chunk)
        yield _reported("parser", chunk.content)
        yield _reported("chain", chunk.content)


async def aby_hand(chunks: list[raw.Chunk]) -> AsyncIterator[dict[str, Any]]:
    async for chunk in raw.amodel(raw.prompt(data.INPUT), chunks):
        yield _reported("chat_model", chunk)
        yield _reported("parser", chunk.content)
        yield _reported("chain", chunk.content)


def _raw_events(kind: str, made: Callable[[list[raw.Chunk]], Any]) -> Callable[[int], Job]:
    def job(size: int) -> Job:
        return Job(kind, made, raw.chunks_of(size), told)

    return job


def raw_tiny(size: int) -> Job:
    return Job("astream", aby_hand, lambda: [raw.Chunk("x") for _ in range(size)], told)


def raw_many_watched(size: int) -> Job:
    async def texts() -> AsyncIterator[str]:
        for text in data.texts(data.CROWD_CHUNKS):
            await asyncio.sleep(data.PAUSE)
            for event in map(_reported, ("chat_model", "parser", "chain"), [text] * 3):
                if event["event"] == "on_chain_stream":
                    yield event["data"]["chunk"]

    return Job("crowd", lambda _: crowd(texts, size))


RAW: dict[str, Callable[[int], Job]] = {
    "events": _raw_events("astream", aby_hand),
    "events-sync": _raw_events("stream", by_hand),
    "grow-events": _raw_events("astream", aby_hand),
    "memory-events": raw_tiny,
    "log": raw.chat_async,
    "log-states": raw.chat_async,
    "grow-log": raw.chat_async,
    "grow-log-states": raw.chat_async,
    "handler": raw.chat_async,
    "crowd-events": raw_many_watched,
}
