"""Leaving a stream closes the HTTP response: the server notices that its client has gone.

The server sends the first piece of the answer and then nothing, so that only a closed connection
can end it. Each wait has a bound; nothing sleeps.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from typing import Any

import pytest

from laws.colours import Colour, every_colour
from providers.expected import documents, expect
from providers.models import model_for
from providers.replay import Exchange, Server, replaying
from providers.replay_colours import run
from providers.replay_exchanges import event_ends
from providers.test_cuts import one_of_each

WITHIN = 5.0  # seconds; a bound for a machine that is busy, not a wish


@contextmanager
def _stalled(exchange: Exchange) -> Iterator[tuple[Server, Any]]:
    """A server that stalls once something of the message has come, and a model that asks it."""
    events = range(1, len(documents(exchange)) + 1)
    first = next(n for n in events if not expect(exchange, n).empty)
    with replaying(exchange, end=("stall", event_ends(exchange)[first - 1])) as server:
        yield server, model_for(exchange, server.url)


@every_colour
@one_of_each
def test_closing(exchange: Exchange, colour: Colour) -> None:
    with _stalled(exchange) as (server, model):

        def body(doors: Any) -> None:
            stream = doors.open(model, "What?")
            assert stream.next() is not None
            stream.close()
            assert server.wait_closed_early(timeout=WITHIN)

        run(colour, model, body)
        assert server.closed_early == 1


@one_of_each
def test_a_loop_that_is_left(exchange: Exchange) -> None:
    with _stalled(exchange) as (server, model):
        for _ in model.stream("What?"):
            break
        assert server.wait_closed_early(timeout=WITHIN)


@one_of_each
def test_an_exception_in_the_loop(exchange: Exchange) -> None:
    async def main(model: Any) -> None:
        try:
            async with aclosing(model.astream("What?")) as stream:
                async for _ in stream:
                    raise LookupError("mine")
        finally:
            await model.aclose()

    with _stalled(exchange) as (server, model):
        with pytest.raises(LookupError, match="mine"):
            asyncio.run(main(model))
        assert server.wait_closed_early(timeout=WITHIN)


@one_of_each
def test_a_task_that_is_cancelled(exchange: Exchange) -> None:
    async def main(model: Any) -> None:
        begun = asyncio.Event()

        async def read() -> None:
            async with aclosing(model.astream("What?")) as stream:
                async for _ in stream:
                    begun.set()

        task = asyncio.create_task(read())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await model.aclose()

    with _stalled(exchange) as (server, model):
        asyncio.run(main(model))
        assert server.wait_closed_early(timeout=WITHIN)


@one_of_each
def test_an_answer_whose_caller_is_cancelled(exchange: Exchange) -> None:
    async def main(model: Any, server: Server) -> None:
        task = asyncio.create_task(model.ainvoke("What?"))
        assert await asyncio.to_thread(server.wait_requests)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await model.aclose()

    with replaying(exchange, end="silence") as server:
        asyncio.run(main(model_for(exchange, server.url), server))
        assert server.wait_closed_early(timeout=WITHIN)


@pytest.mark.allows_leaks(reason="that the loop's end closes the connections is what is tested")
@one_of_each
def test_the_end_of_the_loop_closes_the_connections(exchange: Exchange) -> None:
    with replaying(exchange, keep_alive=True) as server:
        model = model_for(exchange, server.url)

        async def main() -> str:
            return "".join([chunk.text async for chunk in model.astream("What?")])

        said = [asyncio.run(main()) for _ in range(2)]
        assert said == [expect(exchange).text] * 2
        assert server.wait_connections_closed(timeout=WITHIN)


@one_of_each
def test_one_model_in_several_event_loops(exchange: Exchange) -> None:
    """Connections are kept alive here, and belong to the loop that opened them."""
    with replaying(exchange, keep_alive=True) as server:
        model = model_for(exchange, server.url)

        async def main() -> str:
            texts = [chunk.text async for chunk in model.astream("What?")]
            await model.aclose()
            return "".join(texts)

        said = [asyncio.run(main()) for _ in range(3)]
        assert said == [expect(exchange).text] * 3
