"""Law 3 where lanes are at work: what they pull is closed after them, never under them.

A step that opens a stream of its own while it runs (an async generator function behind a lambda, a
model, a returned runnable) stands before a fan-out whose lanes are pulling when the consumer goes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from headrace.language_models import GenericFakeChatModel
from headrace.messages import AIMessage
from headrace.runnables import Runnable, RunnableGenerator, RunnableLambda, RunnableParallel, each
from laws.colours import every_colour

TIMES = 40  # whether a lane is pulling just then is for the scheduler to say


def _letters(value: Any) -> Iterator[str]:
    yield from "abcabc"


async def _aletters(value: Any) -> AsyncIterator[str]:
    for letter in "abcabc":
        await asyncio.sleep(0)
        yield letter


async def _asteps(chunks: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for chunk in chunks:
        await asyncio.sleep(0)
        yield chunk


def _steps(chunks: Iterator[Any]) -> Iterator[Any]:
    yield from chunks


UPSTREAM: dict[str, Callable[[], Runnable[Any, Any]]] = {
    "a generator function": lambda: RunnableLambda(_letters, _aletters),
    "a returned runnable": lambda: RunnableLambda(lambda _: RunnableLambda(_letters, _aletters)),
    "a model": lambda: GenericFakeChatModel(messages=iter([AIMessage("a b c d")])),
}


@every_colour
@pytest.mark.parametrize("upstream", UPSTREAM)
@pytest.mark.parametrize("after", [1, 2, 5])
def test_leaving_while_lanes_pull(upstream, after, colour):
    lane = RunnableGenerator(_steps, _asteps)
    whole: list[Any] = []

    def body(doors: Any) -> None:
        for _ in range(TIMES):
            fan = RunnableParallel(
                a=RunnableParallel(a=lane, b=lane, c=lane | RunnableLambda(whole.append)),
                b=RunnableGenerator(_steps),
                c=each(lambda chunk: chunk),
            )
            chain = UPSTREAM[upstream]() | fan
            stream = doors.open(chain, "x")
            for _ in range(after):
                stream.next()
            stream.close()

    colour.run(body)
    text = [getattr(each, "content", each) for each in whole]
    assert set(text) <= {"abcabc", "a b c d"}  # a function never gets less than the whole
