"""Streams that break off: never a short success, and the partial is what had come.

Every recorded stream is ended properly after k whole events, for k = 0, 1, …; of streams with more
than 20 events the first 4, the last 4 and 5 between. Before the end of the message this must
raise; once the stream has said that it is over, it must succeed; between the two (the message is
whole, its usage may be missing) either is right, but the text must be. Then connections that are
closed, reset or fall silent, in the middle of an event.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

import pytest

from headrace.errors import (
    ConnectionError,
    ConnectionTimeout,
    IncompleteStream,
    ProviderError,
    StreamError,
)
from headrace.messages import HumanMessage
from laws.colours import ASYNC, SYNC, Colour, both_drivers
from providers.expected import Expected, documents, ends, expect, unknowable
from providers.expected_check import beginning, differences
from providers.models import model_for
from providers.replay import Exchange, Server, recordings, replaying
from providers.replay_colours import run
from providers.replay_exchanges import event_ends
from providers.test_recordings_answers import folded

STREAMS = [e.as_sse() for e in recordings() if e.is_stream and not unknowable(e, "everything")]
every_stream = pytest.mark.parametrize("exchange", STREAMS, ids=repr)
PATIENCE = 0.3  # seconds that the models of these tests wait for a piece
NO_PATIENCE = 0.04  # where none comes


def one_per_api() -> list[Exchange]:
    """A stream of each provider and API; the longest of those with few events."""
    found: dict[tuple[str, str], Exchange] = {}
    for exchange in STREAMS:
        if exchange.kind == "text_stream" and 5 < len(event_ends(exchange)) < 60:
            found[exchange.provider, exchange.api] = exchange
    return list(found.values())


one_of_each = pytest.mark.parametrize("exchange", one_per_api(), ids=repr)


def places(count: int) -> list[int]:
    """After how many events a stream of `count` is ended."""
    if count <= 20:
        return list(range(count + 1))
    step = (count - 8) / 5
    between = [4 + int(n * step) for n in range(5)]
    return [*range(4), *between, *range(count - 3, count + 1)]


def _few(count: int) -> list[int]:
    return sorted({0, count // 2, count})


def _outcome(doors: Any, model: Any) -> tuple[list[Any], ProviderError | None]:
    """What a stream gave, and how it failed."""
    stream, got = doors.open(model, "What?"), []
    try:
        while True:
            chunk = stream.next()
            if repr(chunk) == "END":
                return got, None
            got.append(chunk)
    except ProviderError as error:
        return got, error
    finally:
        stream.close()


def _judge(count: int, exchange: Exchange, got: list[Any], error: Any) -> list[str]:
    """What is wrong with the outcome of a stream that was ended after `count` events."""
    whole, over = ends(exchange)
    said = expect(exchange, count)
    if error is None:
        if count < whole or expect(exchange).error:
            return ["a short success"]
        if count >= over:
            return differences(folded(got), expect(exchange))
        return beginning(folded(got), said)
    if count >= over and said.error is None:
        return [f"complete, and yet {type(error).__name__}: {error}"]
    if not isinstance(error, IncompleteStream | StreamError):
        return [f"the wrong error: {error!r}"]
    return [*beginning(error.partial, said), *_given(got, said)]


def _given(got: list[Any], said: Expected) -> list[str]:
    """What was given out before the error must be what had come."""
    if not got:
        return beginning(None, said)
    whole = got[0]
    for chunk in got[1:]:
        whole = whole + chunk
    return beginning(whole, said)


def _cut(colour: Colour, server: Server, exchange: Exchange, counts: list[int]) -> None:
    model = model_for(exchange, server.url)

    def body(doors: Any) -> None:
        for count in counts:
            server.play(exchange, end=("short_events", count))
            wrong = _judge(count, exchange, *_outcome(doors, model))
            assert not wrong, (f"ended after event {count} of {ends(exchange)}", wrong)

    run(colour, model, body)


@every_stream
def test_a_stream_that_ends_early_is_no_success(exchange: Exchange) -> None:
    count = len(event_ends(exchange))
    with replaying(exchange) as server:
        _cut(SYNC, server, exchange, places(count))
        _cut(ASYNC, server, exchange, _few(count))


@every_stream
def test_no_event_but_the_last_ends_a_stream(exchange: Exchange) -> None:
    """After each event: what the model's reader lacks is told until the end, and no longer."""
    model = model_for(exchange, "http://127.0.0.1:9")
    reader = model._reader(model._request([HumanMessage("What?")], None, {}, stream=True))
    whole, over = ends(exchange)
    if expect(exchange).error is not None:
        over = len(documents(exchange)) + 1  # nor does an error
    complete = []
    for count, (_, event) in enumerate(documents(exchange), 1):
        if event == "[DONE]":
            event = {"done": True}
        if isinstance(event, dict) and reader.failure(event) is None:
            reader.feed(event)
        if reader._missing() is None:
            complete.append(count)
    last = len(documents(exchange))
    assert complete in [list(range(first, last + 1)) for first in range(whole, over + 1)]


@both_drivers
@one_of_each
def test_pieces_that_come_late(exchange: Exchange, colour: Colour) -> None:
    """Cut anywhere, with pauses between the pieces."""
    with replaying(exchange, cut=("random", 3), delay=0.0005) as server:
        model = model_for(exchange, server.url)

        def body(doors: Any) -> None:
            got, error = _outcome(doors, model)
            assert error is None
            assert not differences(folded(got), expect(exchange))

        run(colour, model, body)


@every_stream
def test_invoke_that_streams_is_no_short_success(exchange: Exchange) -> None:
    count = ends(exchange)[0] - 1
    with replaying(exchange, end=("short_events", count)) as server:
        model = model_for(exchange, server.url, streaming=True)
        with pytest.raises((IncompleteStream, StreamError)) as caught:
            model.invoke("What?")
    assert not beginning(caught.value.partial, expect(exchange, count))


def _breaks(exchange: Exchange, how: str, colour: Colour, share: float) -> None:
    """In the middle of an event, after such a share of what comes before the message's end."""
    bounds = [0, *event_ends(exchange)]
    count = int((ends(exchange)[0] - 1) * share)
    size = (bounds[count] + bounds[count + 1]) // 2
    assert count == bisect_right(bounds, size) - 1
    said = expect(exchange, count)
    with replaying(exchange, end=(how, size)) as server:
        model = model_for(exchange, server.url)

        def body(doors: Any) -> None:
            got, error = _outcome(doors, model)
            assert isinstance(error, IncompleteStream | StreamError | ConnectionError)
            if count:
                assert not isinstance(error, ConnectionError), "it had begun to answer"
            assert error.__cause__ is not None, "the SDK's exception is the cause"
            wrong = [*beginning(error.partial, said), *_given(got, said)]
            assert not wrong, (size, wrong)

        run(colour, model, body)


@every_stream
@pytest.mark.parametrize(("how", "colour"), [("broken", SYNC), ("reset", ASYNC)], ids=str)
def test_a_connection_that_breaks_in_the_middle(
    exchange: Exchange, how: str, colour: Colour
) -> None:
    _breaks(exchange, how, colour, share=0.5)


@one_of_each
@pytest.mark.parametrize(("how", "colour"), [("broken", ASYNC), ("reset", SYNC)], ids=str)
def test_a_connection_that_breaks_near_the_end(
    exchange: Exchange, how: str, colour: Colour
) -> None:
    _breaks(exchange, how, colour, share=0.9)


@both_drivers
@one_of_each
def test_a_stream_that_falls_silent(exchange: Exchange, colour: Colour) -> None:
    bounds = [0, *event_ends(exchange)]
    count = ends(exchange)[0] // 2
    with replaying(exchange, end=("stall", bounds[count])) as server:
        model = model_for(exchange, server.url, timeout=PATIENCE)

        def body(doors: Any) -> None:
            got, error = _outcome(doors, model)
            assert isinstance(error, ConnectionTimeout), error
            assert not _given(got, expect(exchange, count))
            assert not beginning(error.partial, expect(exchange, count))
            assert error.provider
            assert error.seconds in (PATIENCE, None)

        run(colour, model, body)
        assert server.wait_closed_early(), "the response was not closed"


@both_drivers
@one_of_each
@pytest.mark.parametrize(
    ("end", "kind"), [("hangup", ConnectionError), ("silence", ConnectionTimeout)]
)
def test_no_answer_at_all(exchange: Exchange, colour: Colour, end: Any, kind: Any) -> None:
    with replaying(exchange, end=end) as server:
        model = model_for(exchange, server.url, timeout=NO_PATIENCE)

        def body(doors: Any) -> None:
            with pytest.raises(kind) as caught:
                doors.invoke(model, "What?")
            assert caught.value.partial is None
            _, error = _outcome(doors, model)
            assert isinstance(error, kind) and error is not None
            assert error.__cause__ is not None

        run(colour, model, body)


@both_drivers
@one_of_each
def test_nobody_listens(exchange: Exchange, colour: Colour) -> None:
    with replaying(exchange) as server:
        url = server.url
    model = model_for(exchange, url)

    def body(doors: Any) -> None:
        with pytest.raises(ConnectionError) as caught:
            doors.invoke(model, "What?")
        assert not isinstance(caught.value, ConnectionTimeout)
        assert caught.value.provider

    run(colour, model, body)


def test_places_are_where_they_are_said_to_be() -> None:
    assert places(3) == [0, 1, 2, 3]
    assert len(places(20)) == 21
    assert len(set(places(956))) == 13
    assert {0, 3, 953, 956} <= set(places(956))
    assert max(places(956)) == 956
