# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
"""What shows a run from inside, and what a class of one's own may say of its doors."""

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextlib import aclosing, closing
from typing import Any, assert_type

from headrace.events import Event
from headrace.messages.usage import UsageMetadata
from headrace.runnables import Runnable, RunnableConfig


def shown(size: Runnable[str, int]) -> None:
    with closing(size.stream_events("a")) as dicts:
        assert_type(dicts, Generator[dict[str, Any], None, None])
    with closing(size.stream_typed("a")) as events:
        assert_type(list(events), list[Event])
    with closing(size.stream_log("a")) as patches:
        assert_type(patches, Generator[Any, None, None])


async def shown_async(size: Runnable[str, int]) -> None:
    async with aclosing(size.astream_events("a", include_types=["chain"])) as dicts:
        async for told in dicts:
            assert_type(told["name"], Any)
    async with aclosing(size.astream_typed("a")) as events:
        assert_type(events, AsyncGenerator[Event, None])
    async with aclosing(size.astream_log("a")) as patches:
        assert [patch async for patch in patches]


def live(size: Runnable[str, int]) -> None:
    with size.open("a") as run:
        assert_type(run.output, int)
        assert_type(run.chunks.get(), int)
        assert_type(list(run.chunks), list[int])
        assert_type(run.usage.total, UsageMetadata | None)
        assert_type(list(run.text.with_policy("coalesce")), list[str])
        assert_type(run.events(policy="drop_oldest", limit=3).get(), list[Event])


async def live_async(size: Runnable[str, int]) -> None:
    async with size.open("a") as run:
        assert_type(await run.output, int)
        assert_type(await run.chunks, int)
        assert_type([chunk async for chunk in run.chunks], list[int])
        assert_type(run.usage.by_model["m"]["total_tokens"], int)


class Own(Runnable[str, int]):
    """Doors of one's own say what the inherited ones say: generators."""

    def stream(
        self, input: str, config: RunnableConfig | None = None, **kwargs: Any
    ) -> Generator[int, None, None]:
        yield from super().stream(input, config, **kwargs)

    async def astream(
        self, input: str, config: RunnableConfig | None = None, **kwargs: Any
    ) -> AsyncGenerator[int, None]:
        yield len(input)

    def transform(
        self, input: Iterator[str], config: RunnableConfig | None = None, **kwargs: Any
    ) -> Generator[int, None, None]:
        return super().transform(input, config, **kwargs)

    async def atransform(
        self, input: AsyncIterator[str], config: RunnableConfig | None = None, **kwargs: Any
    ) -> AsyncGenerator[int, None]:
        async for text in input:
            yield len(text)


def overridden(own: Own) -> None:
    assert_type(own.stream("a"), Generator[int, None, None])
    assert_type((own | str).invoke("a"), str)
