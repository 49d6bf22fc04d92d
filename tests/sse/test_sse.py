"""Server-sent events: as the WHATWG standard has them, wherever bytes are cut, at a linear cost."""

from __future__ import annotations

import pickle
import sys
from itertools import pairwise
from typing import Any

import httpx_sse._decoders as theirs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import EventTooLongError, HeadraceError, InputError
from headrace.sse import KEEP_ALIVE, ServerSentEvent, SseDecoder, encode

E = ServerSentEvent


def decoded(*pieces: bytes | str, **how: Any) -> list[ServerSentEvent]:
    decoder = SseDecoder(**how)
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events + decoder.finish()


# What is sent, and the events that it is.
STREAMS: list[tuple[bytes, list[ServerSentEvent]]] = [
    (b"", []),
    (b"data: a\n\n", [E("a")]),
    (b"data: a\r\n\r\n", [E("a")]),
    (b"data: a\r\r", [E("a")]),
    (b"data: a\n\r\n", [E("a")]),
    (b"data: a\r\n\r", [E("a")]),
    (b"data: a\r\n\n", [E("a")]),
    (b"data:a\n\n", [E("a")]),
    (b"data:  a \n\n", [E(" a ")]),
    (b"data: a\ndata: b\ndata\ndata:\n\n", [E("a\nb\n\n")]),
    (b"data\n\n", [E("")]),
    (b"data:\n\n", [E("")]),
    (b"data\ndata\n\n", [E("\n")]),
    (b"data: a: b\n\n", [E("a: b")]),
    (b"data: a\n", []),
    (b"data: a\n\ndata: b", [E("a")]),
    (b"data: a\n\ndata: b\n", [E("a")]),
    (b"\n\n\n", []),
    (b": a comment\n\n", []),
    (b":\n\ndata: a\n\n", [E("a")]),
    (b"data: a\n: between\ndata: b\n\n", [E("a\nb")]),
    (b"event: token\ndata: a\n\ndata: b\n\n", [E("a", "token"), E("b")]),
    (b"event: token\n\ndata: b\n\n", [E("b")]),
    (b"event: x\nevent: y\ndata: b\n\n", [E("b", "y")]),
    (b"event\ndata: b\n\n", [E("b")]),
    (b"id: 1\ndata: a\n\ndata: b\n\n", [E("a", id="1"), E("b", id="1")]),
    (b"id: 1\n\ndata: b\n\n", [E("b", id="1")]),
    (b"id: 1\ndata: a\n\nid\ndata: b\n\n", [E("a", id="1"), E("b")]),
    (b"id: 1\nid: 2\0\ndata: a\n\n", [E("a", id="1")]),
    (b"id: a\0b\ndata: a\n\n", [E("a")]),
    (b"retry: 100\ndata: a\n\ndata: b\n\n", [E("a", retry=100), E("b")]),
    (b"retry: 1x\nretry: -1\nretry: 1.5\nretry\nretry: +3\ndata: a\n\n", [E("a")]),
    (b"retry:  3\nretry: 1_0\nretry: \xd9\xa3\ndata: a\n\n", [E("a")]),
    (b"retry: 007\ndata: a\n\n", [E("a", retry=7)]),
    (b"retry: " + b"9" * 5000 + b"\ndata: a\n\n", [E("a")]),
    (b"Data: a\n data: b\ndata : c\nfoo: d\nfoo\n\n", []),
    (b"\xef\xbb\xbfdata: a\n\n", [E("a")]),
    (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n", []),
    (b"\xef\xbb\xbf\n\ndata: a\n\n", [E("a")]),
    (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [E("a")]),
    ("data: é€😀\n\n".encode(), [E("é€😀")]),
    (b"data: \xff\xe2\x82\n\n", [E("\ufffd\ufffd")]),
    ("data: a\u2028b\x0bc\x85d\n\n".encode(), [E("a\u2028b\x0bc\x85d")]),
    (b"data: \xef\xbb\xbfa\n\n", [E("\ufeffa")]),
    (b'data: {"a":\ndata: 1}\n\ndata: [DONE]\n\n', [E('{"a":\n1}'), E("[DONE]")]),
]


@pytest.mark.parametrize(("sent", "events"), STREAMS)
def test_as_the_standard_has_it_wherever_it_is_cut(
    sent: bytes, events: list[ServerSentEvent]
) -> None:
    assert decoded(sent) == events
    assert decoded(*(sent[at : at + 1] for at in range(len(sent)))) == events
    for cut in range(len(sent) + 1):
        assert decoded(sent[:cut], sent[cut:]) == events, cut
        assert decoded(sent[:cut], b"", sent[cut:]) == events, cut


@pytest.mark.parametrize(("sent", "events"), STREAMS)
def test_text_is_read_as_bytes_are(sent: bytes, events: list[ServerSentEvent]) -> None:
    text = sent.decode("utf-8", "replace")
    for cut in range(len(text) + 1):
        assert decoded(text[:cut], text[cut:]) == events, cut


PARTS = st.sampled_from(
    [
        *(b"data", b"data:", b"data: ", b"event: ", b"id:", b"retry: ", b":", b" ", b"a", b"12"),
        *(
            b"\n",
            b"\r",
            b"\r\n",
            b"\n\n",
            b"\0",
            "é".encode(),
            "😀".encode(),
            b"\xe2",
            b"\xef\xbb\xbf",
        ),
    ]
)
SENT = st.lists(PARTS, max_size=40).map(b"".join)


@given(SENT, st.lists(st.integers(0, 200), max_size=8))
def test_cuts_change_nothing(sent: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(sent)) for cut in cuts), len(sent)]
    pieces = [sent[a:b] for a, b in pairwise(edges)]
    assert decoded(*pieces) == decoded(sent)


@given(SENT)
def test_an_event_comes_as_soon_as_its_blank_line_does(sent: bytes) -> None:
    """After any prefix, the events are those of the prefix: nothing waits for what comes later."""
    decoder, so_far = SseDecoder(), []
    for at in range(len(sent)):
        so_far += decoder.feed(sent[at : at + 1])
        assert so_far == decoded(sent[: at + 1])


FIELDS = st.one_of(
    st.sampled_from(["data: x", "data", "data: two  words", "event: token", ": hello", "other: 1"]),
    st.text("abc:é😀 \u2028", min_size=1, max_size=8).map("data: v{}".format),
    st.integers(0, 9999).map("retry: {}".format),
    st.text("xyz1", min_size=1, max_size=4).map("id: {}".format),
)
BLOCKS = st.lists(st.lists(FIELDS, min_size=1, max_size=6), max_size=6)


@given(BLOCKS, st.sampled_from(["\n", "\r", "\r\n"]), st.integers(1, 9))
def test_events_are_those_of_httpx_sse(blocks: list[list[str]], end: str, size: int) -> None:
    """It gives events without data as well, which the standard does not; those are left out."""
    text = "".join("".join(field + end for field in block) + end for block in blocks)
    lines, events = theirs.SSELineDecoder(), theirs.SSEDecoder()
    given = map(events.decode, [*lines.decode(text), *lines.flush(), ""])
    expected = [E(e.data, e.event, e.id, e.retry) for e in given if e is not None]
    ours = decoded(*(text[at : at + size] for at in range(0, len(text), size)))
    assert [e for e in ours if e.data] == [e for e in expected if e.data]


def test_what_is_known_when_the_connection_breaks() -> None:
    decoder = SseDecoder()
    decoder.feed(b"id: 1\nretry: 50\ndata: a\n\nid: 2\nretry: 60\ndata: b\n")
    decoder.finish()
    assert decoder.last_event_id == "1", "the event of id 2 was not complete"
    assert decoder.retry == 60
    assert decoder.feed(b"\xef\xbb\xbfdata: c\n\n") == [E("c", id="1")]


@pytest.mark.parametrize("cut", [b"\xe2", b"data: x\r", b"data: x", b"\xef\xbb"])
def test_another_stream_begins_afresh(cut: bytes) -> None:
    decoder = SseDecoder()
    decoder.feed(cut)
    decoder.finish()
    assert decoder.feed(b"\ndata: a\n\n") == [E("a")]


@pytest.mark.parametrize(
    "sent", [b"x" * 101, b"data: " + b"x" * 95, b"data: x\n" * 13, b":\n" * 51, b"x\n" * 51]
)
def test_an_event_is_bounded_however_it_comes(sent: bytes) -> None:
    for size in (1, 7, len(sent)):
        decoder = SseDecoder(max_event=100)
        with pytest.raises(EventTooLongError, match="100 characters") as caught:
            for at in range(0, len(sent), size):
                decoder.feed(sent[at : at + size])
        assert caught.value.limit == 100


def test_the_bound_is_for_each_event() -> None:
    sent = b"data: 12345678\n\n" * 50
    assert decoded(sent, max_event=16) == [E("12345678")] * 50
    with pytest.raises(EventTooLongError):
        decoded(sent, max_event=15)


def test_the_error_is_one_of_ours_a_value_error_and_can_be_pickled() -> None:
    error = pickle.loads(pickle.dumps(EventTooLongError(5)))
    assert isinstance(error, (HeadraceError, ValueError))
    assert (type(error), error.limit) == (EventTooLongError, 5)


def _calls(sent: bytes, size: int) -> int:
    """Calls, of Python and of C, made for a stream in pieces of one size."""
    decoder, calls = SseDecoder(), 0

    def count(frame: Any, event: str, arg: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        for at in range(0, len(sent), size):
            decoder.feed(sent[at : at + size])
    finally:
        sys.setprofile(before)
    return calls


@pytest.mark.parametrize("unit", [b"data: abc\n\n", b"data: abcd\n", b"x", b"\r", b": c\r\n"])
@pytest.mark.parametrize("size", [1, 5, 1000])
def test_twice_the_text_takes_twice_the_calls(unit: bytes, size: int) -> None:
    once, twice = _calls(unit * 2000, size), _calls(unit * 4000, size)
    assert twice <= 2.1 * once + 50


def test_a_line_that_comes_in_pieces_is_joined_once() -> None:
    decoder = SseDecoder()
    for _ in range(1000):
        decoder.feed(b"x" * 10)
    assert len(decoder._line) == 1000


# ------------------------------------------------------------------ encoding

ONE_LINE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"))
DATA = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"))


@given(DATA, ONE_LINE.filter(bool), ONE_LINE, st.none() | st.integers(0, 10**17))
def test_what_is_sent_arrives(data: str, event: str, id: str, retry: int | None) -> None:
    whole = E(data, event, id, retry)
    assert decoded(encode(whole)) == [whole]
    assert decoded(encode(whole), KEEP_ALIVE, encode(E("b"))) == [whole, E("b", id=id)]


@pytest.mark.parametrize(
    ("event", "sent"),
    [
        (E("a"), b"data: a\n\n"),
        (E(), b"data: \n\n"),
        (E(" a"), b"data:  a\n\n"),
        (E("a\nb\r\nc\rd\n"), b"data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n"),
        (E("a", "token", "7", 20), b"event: token\nid: 7\nretry: 20\ndata: a\n\n"),
        (E("é"), b"data: \xc3\xa9\n\n"),
        (E("a\ud800"), b"data: a?\n\n"),
        (E("a", "message", "message"), b"id: message\ndata: a\n\n"),
    ],
)
def test_how_it_is_sent(event: ServerSentEvent, sent: bytes) -> None:
    assert encode(event) == sent


@pytest.mark.parametrize(
    "event", [E("a", "x\ny"), E("a", "x\r"), E("a", id="1\n2"), E("a", id="1\r"), E("a", id="\0")]
)
def test_what_would_be_another_event_is_refused(event: ServerSentEvent) -> None:
    with pytest.raises(InputError, match="one line"):
        encode(event)


def test_events_are_values() -> None:
    event = E("a", "token", "7", 20)
    assert event == E("a", "token", "7", 20) != E("a", "token", "7")
    assert hash(event) == hash(E("a", "token", "7", 20))
    assert repr(event) == "ServerSentEvent(data='a', event='token', id='7', retry=20)"
    assert repr(E("a")) == "ServerSentEvent(data='a')"
    assert event != "a"
    assert not hasattr(event, "__dict__")
    assert pickle.loads(pickle.dumps(event)) == event
