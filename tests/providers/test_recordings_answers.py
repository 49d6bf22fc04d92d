"""Every recorded answer, through our classes: the message says what the body says.

What is expected comes from `expected.py`, which reads the bodies a second time. Streams are read in
all four colours and however the bytes are cut; plain answers by `invoke` and `ainvoke`. What cannot
be known of an exchange is in `expected.UNKNOWABLE`, with the reason, and not asked. The smallest
pieces have 7 bytes, in bodies of more than 7 kB so many that there are 1000.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from headrace.messages import AIMessage, message_chunk_to_message
from laws.colours import ASYNC, COLOURS, SYNC, Colour, both_drivers
from providers.expected import UNKNOWABLE, expect, unknowable
from providers.expected_check import differences, stream_faults
from providers.models import model_for
from providers.replay import Exchange, Server, recording, recordings, replaying
from providers.replay_colours import run
from providers.replay_exchanges import Cut

QUESTION = "What?"  # the answer is the recorded one, whatever is asked


def _cuts(exchange: Exchange) -> list[Cut]:
    return ["whole", "events", "recorded", max(7, len(exchange.body) // 1000), ("random", 5)]


def every(wanted: Callable[[Exchange], bool]) -> Any:
    """Runs a test for each answer of a chat model that is wanted and can be judged."""
    return pytest.mark.parametrize(
        "exchange",
        [
            pytest.param(exchange.as_sse(), id=exchange.name)
            for exchange in recordings()
            if exchange.kind not in ("error", "embeddings")
            and wanted(exchange)
            and not unknowable(exchange, "everything")
            and expect(exchange).error is None
        ],
    )


def folded(chunks: list[Any]) -> AIMessage:
    """The chunks of a stream as one message."""
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole = whole + chunk
    message = message_chunk_to_message(whole)
    assert isinstance(message, AIMessage)
    return message


def _reads(colour: Colour, server: Server, exchange: Exchange, cuts: list[Cut]) -> None:
    """The stream, cut in each of these ways, is the expected message."""
    model, said = model_for(exchange, server.url), expect(exchange)

    def body(doors: Any) -> None:
        for cut in cuts:
            server.play(exchange, cut=cut)
            chunks = doors.stream(model, QUESTION)
            assert not stream_faults(chunks), (cut, stream_faults(chunks))
            wrong = differences(folded(chunks), said)
            assert not wrong, (cut, wrong)

    run(colour, model, body)


@every(lambda exchange: exchange.is_stream)
def test_a_stream_is_what_its_body_says(exchange: Exchange) -> None:
    with replaying(exchange) as server:
        _reads(SYNC, server, exchange, _cuts(exchange))
        _reads(ASYNC, server, exchange, ["events", ("random", 9)])
        for colour in COLOURS:
            if colour not in (SYNC, ASYNC):
                _reads(colour, server, exchange, ["recorded"])


@both_drivers
@every(lambda exchange: not exchange.is_stream)
def test_a_plain_answer_is_what_its_body_says(exchange: Exchange, colour: Colour) -> None:
    said = expect(exchange)
    with replaying(exchange) as server:
        model = model_for(exchange, server.url)

        def body(doors: Any) -> None:
            wrong = differences(doors.invoke(model, QUESTION), said)
            assert not wrong, wrong
            (request,) = server.requests
            assert not (request.body or {}).get("stream"), "a whole answer is asked for as such"

        run(colour, model, body)


@every(lambda exchange: exchange.is_stream)
def test_invoke_with_streaming_is_the_fold_of_the_stream(exchange: Exchange) -> None:
    """Each stream in one of the two drivers, in turn."""
    colour = ASYNC if recordings().index(recording(exchange.name)) % 2 else SYNC
    with replaying(exchange) as server:
        streaming = model_for(exchange, server.url, streaming=True)
        plain = model_for(exchange, server.url)

        def body(doors: Any) -> None:
            answer = doors.invoke(streaming, QUESTION)
            stream = folded(doors.stream(plain, QUESTION))
            assert _alike(answer) == _alike(stream)
            if doors.asynchronous:
                doors.wait(streaming.aclose())

        run(colour, plain, body)


def _alike(message: AIMessage) -> dict[str, Any]:
    """A message as a dict, without what is made up anew for each answer."""
    dumped = message.model_dump()
    for call in dumped.get("tool_calls", []):
        if str(call["id"]).startswith("call_") or not call["id"]:
            call["id"] = None
    return dumped


@pytest.mark.parametrize(("name", "part", "why"), UNKNOWABLE, ids=lambda value: value[:60])
def test_what_cannot_be_known_is_about_recordings_that_exist(
    name: str, part: str, why: str
) -> None:
    assert any(name in exchange.name for exchange in recordings())
    assert part in ("everything", "request", "message")
    assert len(why.split()) > 1
