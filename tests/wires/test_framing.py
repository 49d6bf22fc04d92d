"""Server-sent events as servers may send them: every dialect, framed in every lawful way."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from headrace.errors import IncompleteStream, ProviderError
from laws.colours import both_drivers
from providers.replay import Exchange
from wires.wire import (
    CHAT,
    DIALECTS,
    DONE,
    SSE,
    answered,
    ask,
    exchange,
    fold,
    frame,
    heard,
    said,
    streamed,
    whole,
)  # fmt: skip

PIECES = ["Grüße, ", "漢字 ", "👩‍👩‍👧 ", "and \u2028 a line", "."]
TEXT = "".join(PIECES)
every_dialect = pytest.mark.parametrize("dialect", DIALECTS)
chat_dialects = pytest.mark.parametrize("dialect", CHAT)


def raw(dialect: str, body: bytes, **headers: str) -> Exchange:
    return exchange(dialect, body, headers={"content-type": SSE, **headers})


def plain(dialect: str) -> bytes:
    return frame(dialect, *said(dialect, PIECES)) + (DONE if dialect in CHAT else b"")


def _commented(body: bytes) -> bytes:
    return b": hello\n\n" + body.replace(b"\n\n", b"\n\n: keep-alive\n\n:\n") + b": bye\n\n"


FRAMINGS = {
    "as documented": lambda body: body,
    "CRLF": lambda body: body.replace(b"\n", b"\r\n"),
    "CR": lambda body: body.replace(b"\n", b"\r"),
    "byte order mark": lambda body: b"\xef\xbb\xbf" + body,
    "comments": _commented,
    "retry and id": lambda body: (b"retry: 3000\n\nid: 1\n" + body).replace(
        b"\n\ndata: ", b"\n\nid: 7\nretry: 10\ndata: "
    ),
    "no blank": lambda body: body.replace(b"data: ", b"data:"),
    "many blank lines": lambda body: b"\n\n\n" + body.replace(b"\n\n", b"\n\n\n\n"),
    "unknown field": lambda body: body.replace(b"data: ", b"nonsense: 1\nmore\ndata: "),
    "event without data": lambda body: b"event: nothing\n\n" + body,
}


@both_drivers
@every_dialect
@pytest.mark.parametrize("framing", FRAMINGS)
def test_every_lawful_framing_says_the_same(colour: Any, dialect: str, framing: str) -> None:
    def check(answer: Any) -> None:
        assert answer.text == TEXT
        assert answer.usage_metadata["input_tokens"] == 7
        assert answer.usage_metadata["output_tokens"] == 3
        assert answer.response_metadata["finish_reason"]

    heard(colour, raw(dialect, FRAMINGS[framing](plain(dialect))), check)


@both_drivers
@every_dialect
def test_events_that_arrive_byte_by_byte(colour: Any, dialect: str) -> None:
    def body(doors: Any, ours: Any, server: Any) -> None:
        texts = [piece.text for piece in doors.stream(ours, "?")]
        assert [text for text in texts if text] == PIECES

    ask(colour, raw(dialect, plain(dialect).replace(b"\n", b"\r\n")), body, how={"cut": 1})


@both_drivers
@every_dialect
def test_a_stream_may_be_compressed(colour: Any, dialect: str) -> None:
    made = raw(dialect, gzip.compress(plain(dialect)), **{"content-encoding": "gzip"})
    ask(
        colour, made, lambda doors, ours, server: _is(fold(doors.stream(ours, "?")).text, TEXT),
        how={"cut": 7},
    )  # fmt: skip


@both_drivers
@every_dialect
def test_an_answer_may_be_compressed(colour: Any, dialect: str) -> None:
    packed = gzip.compress(whole(dialect, answered(dialect, TEXT)).body)
    heard(
        colour, whole(dialect, packed, **{"content-encoding": "gzip"}),
        lambda answer: _is(answer.text, TEXT),
    )  # fmt: skip


@both_drivers
@every_dialect
def test_whole_answers_and_streams_agree(colour: Any, dialect: str) -> None:
    made = [whole(dialect, answered(dialect, TEXT)), streamed(dialect, *said(dialect, PIECES))]

    def body(doors: Any, ours: Any, server: Any) -> None:
        one, other = doors.invoke(ours, "?"), fold(doors.stream(ours, "?"))
        assert one.text == other.text == TEXT
        assert one.usage_metadata == other.usage_metadata
        for key in ("finish_reason", "model_name", "model_provider"):
            assert one.response_metadata[key] == other.response_metadata[key], key
        assert one.id == other.id

    ask(colour, made, body)


@both_drivers
@chat_dialects
def test_done_twice_and_garbage_after_it(colour: Any, dialect: str) -> None:
    body = plain(dialect) + DONE + b"data: {not json\n\ntrailing"
    heard(colour, raw(dialect, body), lambda answer: _is(answer.text, TEXT))


@both_drivers
@every_dialect
def test_an_empty_stream_is_no_answer(colour: Any, dialect: str) -> None:
    def body(doors: Any, ours: Any, server: Any) -> None:
        with pytest.raises(IncompleteStream) as caught:
            doors.stream(ours, "?")
        assert caught.value.provider

    ask(colour, raw(dialect, b""), body)


@both_drivers
@every_dialect
def test_a_stream_of_comments_only_is_no_answer(colour: Any, dialect: str) -> None:
    def body(doors: Any, ours: Any, server: Any) -> None:
        with pytest.raises(IncompleteStream):
            doors.stream(ours, "?")

    ask(colour, raw(dialect, b": ping\n\n: ping\n\n"), body)


@both_drivers
@every_dialect
def test_what_is_not_json_is_an_error_of_the_providers(colour: Any, dialect: str) -> None:
    events = said(dialect, PIECES)
    made = raw(dialect, frame(dialect, *events[:3], b"data: {oops\n\n", *events[3:]))

    def body(doors: Any, ours: Any, server: Any) -> None:
        stream = doors.open(ours, "?")
        with pytest.raises(ProviderError) as caught:
            stream.rest()
        assert "oops" in str(caught.value), "the offending value is to be named"

    ask(colour, made, body)


@both_drivers
@every_dialect
@pytest.mark.parametrize("data", ["null", "[]", "17", '"text"', "{}", '{"type": "brand.new"}'])
def test_events_that_say_nothing_are_never_fatal(colour: Any, dialect: str, data: str) -> None:
    """Passed over, or an error of the provider's: never a bare AttributeError."""
    events = said(dialect, PIECES)
    odd = f"data: {data}\n\n".encode()
    made = streamed(dialect, *events[:3], odd, *events[3:])

    def body(doors: Any, ours: Any, server: Any) -> None:
        try:
            answer = fold(doors.stream(ours, "?"))
        except ProviderError:
            assert not data.startswith("{"), "unknown events are never fatal"
            return
        assert answer.text == TEXT

    ask(colour, made, body)


@both_drivers
@every_dialect
def test_every_cut_between_events_is_seen(colour: Any, dialect: str) -> None:
    """Never a short success: where `[DONE]` alone is missing, nothing else may be."""
    events = said(dialect, ["one ", "two ", "three"])
    last = len(events) + (dialect in CHAT)
    made = [raw(dialect, frame(dialect, *events[:count])) for count in range(1, last)]

    def body(doors: Any, ours: Any, server: Any) -> None:
        for count in range(1, last):
            try:
                answer = fold(doors.stream(ours, "?"))
            except IncompleteStream as error:
                assert error.partial is None or "one two three".startswith(error.partial.text)
                assert count < len(events) or dialect in CHAT
            else:
                assert count == len(events), f"a success after {count} of {len(events)} events"
                assert answer.text == "one two three"
                assert answer.usage_metadata["total_tokens"] == 10

    ask(colour, made, body)


def _is(seen: Any, expected: Any) -> None:
    assert seen == expected
