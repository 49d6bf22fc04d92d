"""A handle on a live run, when a try was thrown away: what it gives does not hold void text.

"A typed reset event tells every view and every consumer that asked for it to discard; others get
one clean stream."
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from headrace.errors import ServerError
from headrace.merge import merge
from headrace.runnables import RunnableLambda, RunnableParallel
from survival.models import Speaker
from survival.pieces import AGAIN, WHOLE

CHAINS: dict[str, Any] = {
    "alone": lambda r: r,
    "parallel": lambda r: RunnableParallel(a=r),
    "piped": lambda r: r | RunnableLambda(lambda message: [message]),
}
every_chain = pytest.mark.parametrize("place", list(CHAINS))
resetting = pytest.mark.parametrize("resets", [False, True])


def made(place: str, resets: bool, **more: Any) -> Any:
    model = Speaker(fails={(1, 2): ServerError("down")}, said=[], **more)
    return CHAINS[place](model.with_retry(when="restart", resets=resets, **AGAIN))


@every_chain
@resetting
def test_the_whole_text(place, resets):
    with made(place, resets).open("x") as run:
        assert run.text.get() == WHOLE


@every_chain
@resetting
def test_text_read_after_the_end(place, resets):
    with made(place, resets).open("x") as run:
        assert run.output
        assert "".join(run.text) == WHOLE


@every_chain
@resetting
def test_text_read_while_it_comes(place, resets):
    """Chunks of a policy that holds back, or with a sign of what is void."""
    with made(place, resets).open("x") as run:
        assert merge(list(run.text)) == WHOLE


@every_chain
@resetting
def test_text_read_while_it_comes_async(place, resets):
    async def main() -> list[Any]:
        async with made(place, resets).open("x") as run:
            return [delta async for delta in run.text]

    assert merge(asyncio.run(main())) == WHOLE


@every_chain
@resetting
def test_tool_calls_read_after_the_end(place, resets):
    with made(place, resets, calls_tool=True).open("x") as run:
        assert run.output
        assert [call["id"] for call in run.tool_calls] == ["call-2"]
        assert [call["id"] for call in run.tool_calls.get()] == ["call-2"]


@every_chain
@resetting
def test_message_of_the_try_that_went_well(place, resets):
    chain = made(place, resets, calls_tool=True)
    message = merge(list(chain.stream("x")))
    message = message["a"] if place == "parallel" else message
    message = message[0] if place == "piped" else message
    assert message.content == WHOLE
    assert message.id == "id-2"
    assert [call["id"] for call in message.tool_calls] == ["call-2"]
    assert message.usage_metadata["output_tokens"] == 2
