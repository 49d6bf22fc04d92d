"""What servers say instead of an answer, in all its shapes, and connections that break."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from headrace import errors
from laws.colours import both_drivers
from providers.models import KEY
from providers.replay import replaying
from providers.replay_colours import run
from wires.wire import (
    CHAT,
    DIALECTS,
    GOOGLE,
    SSE,
    answered,
    ask,
    exchange,
    failing,
    fold,
    frame,
    model,
    said,
    streamed,
    whole,
)  # fmt: skip

every_dialect = pytest.mark.parametrize("dialect", DIALECTS)
ways = pytest.mark.parametrize("way", ["invoke", "stream"])


def raised(doors: Any, ours: Any, way: str, kind: Any = errors.ProviderError) -> Any:
    with pytest.raises(kind) as caught:
        getattr(doors, way)(ours, "?")
    return caught.value


HTML = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
STATUSES = {
    400: errors.BadRequestError,
    401: errors.AuthenticationError,
    403: errors.PermissionDeniedError,
    404: errors.NotFoundError,
    408: errors.GatewayTimeout,
    409: errors.ProviderError,
    413: errors.BadRequestError,
    422: errors.BadRequestError,
    429: errors.RateLimitError,
    500: errors.ServerError,
    502: errors.ServerError,
    503: errors.OverloadedError,
    504: errors.GatewayTimeout,
    529: errors.OverloadedError,
}
BODIES: dict[str, Any] = {
    "openai": {"error": {"message": "Our words.", "type": "t", "param": None, "code": None}},
    "flat": {"message": "Our words."},
    "string": {"error": "Our words."},
    "detail": {"detail": "Our words."},
    "details": {"detail": [{"loc": ["body", "x"], "msg": "Our words.", "type": "value_error"}]},
    "object": {"object": "error", "message": "Our words.", "type": "t", "code": 40303},
    "message object": {"error": {"message": {"text": "Our words."}, "code": 7}},
    "google": {"error": {"code": 400, "message": "Our words.", "status": "INTERNAL"}},
    "google list": [{"error": {"code": 400, "message": "Our words.", "status": "INTERNAL"}}],
    "anthropic": {"type": "error", "error": {"type": "t", "message": "Our words."}},
    "text": b"Our words.",
}
SILENT: dict[str, Any] = {
    "nothing": b"", "null": b"null", "number": b"17", "list": b"[]", "object": b"{}",
    "null error": {"error": None}, "null message": {"error": {"message": None}},
    "broken": b'{"error": {"mess', "html": HTML, "not utf-8": b"\xff\xfe\x00",
}  # fmt: skip


@both_drivers
@every_dialect
@ways
def test_each_status_is_its_error(colour: Any, dialect: str, way: str) -> None:
    made = [failing(dialect, status, BODIES["openai"]) for status in STATUSES]

    def body(doors: Any, ours: Any, server: Any) -> None:
        seen = {status: raised(doors, ours, way) for status in STATUSES}
        assert len(server.requests) == len(STATUSES), "max_retries=0 asks once"
        wrong = {s: type(e) for s, e in seen.items() if not isinstance(e, STATUSES[s])}
        assert not wrong
        assert [error.status for error in seen.values()] == list(STATUSES)

    ask(colour, made, body)


@both_drivers
@every_dialect
@pytest.mark.parametrize("status", [400, 500])
def test_every_shape_of_body_is_read(colour: Any, dialect: str, status: int) -> None:
    made = [
        failing(dialect, status, body, kind)
        for body in BODIES.values()
        for kind in ("application/json", "text/plain", "text/event-stream")
    ]

    def body(doors: Any, ours: Any, server: Any) -> None:
        for one in made:
            error = raised(doors, ours, "stream", STATUSES[status])
            assert "Our words." in str(error), (one.content_type, one.body)
            assert "Our words." in (error.provider_message or ""), (one.content_type, one.body)
            assert error.__cause__ is not None, one.body
            assert KEY not in str(error)

    ask(colour, made, body)


@both_drivers
@every_dialect
@ways
def test_bodies_that_say_nothing_are_no_riddle(colour: Any, dialect: str, way: str) -> None:
    made = [
        failing(dialect, 502, body, kind)
        for body in SILENT.values()
        for kind in ("application/json", "text/html")
    ]

    def body(doors: Any, ours: Any, server: Any) -> None:
        for one in made:
            error = raised(doors, ours, way, errors.ServerError)
            assert "502" in str(error), one.body
            assert error.status == 502, one.body

    ask(colour, made, body)


@both_drivers
@every_dialect
@ways
def test_retry_after_in_all_its_forms(colour: Any, dialect: str, way: str) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=3000), usegmt=True)
    forms: list[tuple[dict[str, str], float | None]] = [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": later}, 3000.0),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({}, None),
    ]
    made = [failing(dialect, 429, BODIES["openai"], **headers) for headers, _ in forms]

    def body(doors: Any, ours: Any, server: Any) -> None:
        for headers, seconds in forms:
            error = raised(doors, ours, way, errors.RateLimitError)
            if seconds is None:
                assert not error.retry_after, headers
            else:
                assert error.retry_after == pytest.approx(seconds, abs=60 if seconds > 99 else 0.1)

    ask(colour, made, body)


# ---- status 200, and yet no answer --------------------------------------------------------------


@both_drivers
@every_dialect
def test_an_error_under_status_200(colour: Any, dialect: str) -> None:
    made = whole(dialect, {"error": {"message": "Our words.", "type": "server_error", "code": 500}})

    def body(doors: Any, ours: Any, server: Any) -> None:
        for way in ("invoke", "stream"):
            assert "Our words." in str(raised(doors, ours, way))

    ask(colour, made, body)


@both_drivers
@every_dialect
@ways
def test_a_page_under_status_200_is_no_answer(colour: Any, dialect: str, way: str) -> None:
    made = exchange(dialect, HTML, headers={"content-type": "text/html"})
    ask(colour, made, lambda doors, ours, server: raised(doors, ours, way))


@both_drivers
@every_dialect
@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{}", b'"text"', b"{", b"17"])
def test_an_answer_that_is_none(colour: Any, dialect: str, body: bytes) -> None:
    ask(colour, whole(dialect, body), lambda doors, ours, server: raised(doors, ours, "invoke"))


@both_drivers
@every_dialect
@pytest.mark.parametrize("body", [b"", b"{", HTML])
def test_a_broken_answer_is_not_the_requests_fault(colour: Any, dialect: str, body: bytes) -> None:
    """Who retries must not be told that asking again would change nothing."""

    def check(doors: Any, ours: Any, server: Any) -> None:
        assert not isinstance(raised(doors, ours, "invoke"), errors.BadRequestError)

    ask(colour, whole(dialect, body), check)


@both_drivers
@every_dialect
def test_a_plain_answer_where_a_stream_was_asked_for(colour: Any, dialect: str) -> None:
    """Gateways do that. Either it is taken as the answer, or it is an error; never an empty one."""

    def body(doors: Any, ours: Any, server: Any) -> None:
        try:
            answer = fold(doors.stream(ours, "?"))
        except errors.ProviderError:
            return
        assert answer.text == "Whole."

    ask(colour, whole(dialect, answered(dialect, "Whole.")), body)


def _error_events(dialect: str) -> list[bytes]:
    inner = {"type": "overloaded_error", "message": "Our words."}
    if dialect == "anthropic":
        return [frame(dialect, {"type": "error", "error": inner})]
    if dialect == "responses":
        failed = {
            "type": "response.failed",
            "response": {"id": "resp_1", "object": "response", "status": "failed", "output": [],
                         "error": {"code": "server_error", "message": "Our words."}},
        }  # fmt: skip
        flat = {"type": "error", "code": "server_error", "message": "Our words.", "param": None}
        nested = {"type": "error", "error": {"type": "x", "message": "Our words."}}
        return [frame(dialect, one) for one in (failed, flat, nested)]
    if dialect in GOOGLE:
        said = {"error": {"code": 503, "message": "Our words.", "status": "UNAVAILABLE"}}
        return [frame(dialect, said)]
    if dialect == "cohere":
        end = {"finish_reason": "ERROR", "error": "Our words."}
        return [frame(dialect, {"type": "message-end", "delta": end})]
    bare = {"error": {"message": "Our words.", "type": "server_error", "code": "x"}}
    return [
        frame(dialect, bare),
        b"event: error\n" + frame(dialect, bare),
        frame(dialect, {"error": "Our words."}),
        frame(dialect, {"error": {"message": "Our words.", "code": 502}, "choices": []}),
    ]


@both_drivers
@every_dialect
def test_an_error_event_first_middle_and_last(colour: Any, dialect: str) -> None:
    events = said(dialect, ["one ", "two"])
    places = [0, len(events) - 3, len(events) - 1]
    made = [
        streamed(dialect, *events[:at], error, done=done)
        for error in _error_events(dialect)
        for at in places
        for done in (False, True)
    ]

    def body(doors: Any, ours: Any, server: Any) -> None:
        for one in made:
            stream = doors.open(ours, "?")
            with pytest.raises(errors.ProviderError) as caught:
                stream.rest()
            assert isinstance(caught.value, errors.StreamError), one.body
            assert "Our words." in str(caught.value), one.body
            if b'"two"' in one.body:
                assert caught.value.partial.text == "one two", one.body

    ask(colour, made, body)


# ---- the connection -----------------------------------------------------------------------------


@both_drivers
@every_dialect
@ways
def test_nobody_listens(colour: Any, dialect: str, way: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    ours = model(dialect, url)

    def body(doors: Any) -> None:
        error = raised(doors, ours, way, errors.ConnectionError)
        assert error.status is None
        assert error.provider

    run(colour, ours, body)


@both_drivers
@every_dialect
@ways
@pytest.mark.parametrize("end", ["hangup", ("reset", 0)])
def test_a_connection_that_breaks_before_the_answer(
    colour: Any, dialect: str, way: str, end: Any
) -> None:
    made = (
        streamed(dialect, *said(dialect, ["x"])) if way == "stream"
        else whole(dialect, answered(dialect, "x"))
    )  # fmt: skip
    kinds = (errors.ConnectionError, errors.IncompleteStream)
    ask(colour, made, lambda doors, ours, server: raised(doors, ours, way, kinds), how={"end": end})


@both_drivers
@every_dialect
@pytest.mark.parametrize("end", ["broken", "reset", "short"])
def test_a_connection_that_breaks_in_the_answer(colour: Any, dialect: str, end: str) -> None:
    events = said(dialect, ["one ", "two ", "three"])
    made = streamed(dialect, *events)
    at = made.body.index(b"two") + 1

    def body(doors: Any, ours: Any, server: Any) -> None:
        stream = doors.open(ours, "?")
        with pytest.raises((errors.IncompleteStream, errors.ConnectionError)) as caught:
            stream.rest()
        assert caught.value.partial.text == "one "
        assert caught.value.provider

    ask(colour, made, body, how={"end": (end, at)})


@both_drivers
@every_dialect
def test_a_whole_answer_that_breaks_off(colour: Any, dialect: str) -> None:
    made = whole(dialect, answered(dialect, "one two three"))
    half = len(made.body) // 2
    kinds = (errors.IncompleteStream, errors.ConnectionError)
    ask(
        colour, made, lambda doors, ours, server: raised(doors, ours, "invoke", kinds),
        how={"end": ("broken", half)},
    )  # fmt: skip


@both_drivers
@every_dialect
@ways
def test_a_server_that_says_nothing(colour: Any, dialect: str, way: str) -> None:
    def body(doors: Any, ours: Any, server: Any) -> None:
        error = raised(doors, ours, way, errors.ConnectionTimeout)
        assert error.which == "read"
        assert isinstance(error, TimeoutError)

    ask(
        colour, streamed(dialect, *said(dialect, ["x"])), body, how={"end": "silence"}, timeout=0.05
    )


@both_drivers
@every_dialect
def test_a_server_that_falls_silent(colour: Any, dialect: str) -> None:
    made = streamed(dialect, *said(dialect, ["one ", "two"]))
    at = made.body.index(b"two") - 1

    def body(doors: Any, ours: Any, server: Any) -> None:
        stream = doors.open(ours, "?")
        with pytest.raises(errors.ProviderError) as caught:
            stream.rest()
        assert isinstance(caught.value, TimeoutError)
        assert caught.value.partial.text == "one "
        assert server.wait_closed_early()

    ask(colour, made, body, how={"end": ("stall", at)}, timeout=0.1)


@both_drivers
@pytest.mark.parametrize("dialect", [name for name in CHAT if name != "azure"])
def test_a_redirect_is_followed_with_the_body(colour: Any, dialect: str) -> None:
    there = streamed(dialect, *said(dialect, ["moved"]))
    with replaying(there, cut="whole") as goal:
        moved = failing(dialect, 307, b"", location=f"{goal.url}/v1/chat/completions")

        def body(doors: Any, ours: Any, server: Any) -> None:
            try:
                answer = fold(doors.stream(ours, "?"))
            except errors.ProviderError as error:
                assert "307" in str(error)
                return
            assert answer.text == "moved"
            assert goal.requests[0].body == server.requests[0].body

        ask(colour, moved, body)


@both_drivers
@every_dialect
def test_a_stream_without_a_content_type(colour: Any, dialect: str) -> None:
    body = streamed(dialect, *said(dialect, ["one ", "two"])).body
    made = exchange(dialect, body, headers={"content-type": SSE.replace(" ", "").upper()})
    ask(
        colour, made,
        lambda doors, ours, server: _same(fold(doors.stream(ours, "?")).text, "one two"),
    )  # fmt: skip


def _same(seen: Any, expected: Any) -> None:
    assert seen == expected
