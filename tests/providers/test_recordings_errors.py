"""Every recorded error, as an answer and inside a stream, becomes the right exception.

Checked: the class, provider, status, what the provider said, its name for the request, after how
many seconds it wants to be asked again, and that the SDK's exception is the cause. Our classes ask
once here (`max_retries=0`).
"""

from __future__ import annotations

from typing import Any

import pytest

from headrace import errors
from headrace.errors import ProviderError, StreamError
from laws.colours import ASYNC, SYNC, Colour, both_drivers, every_colour
from providers.expected import expect, unknowable
from providers.expected_check import beginning
from providers.expected_errors import ExpectedError
from providers.models import model_for
from providers.replay import Exchange, recordings, replaying
from providers.replay_colours import run

CHATS = [e for e in recordings() if "embed" not in e.api.lower()]
ERRORS = [pytest.param(e, id=e.name) for e in CHATS if e.kind == "error"]
REPORTED = [
    pytest.param(e.as_sse(), id=e.name)
    for e in CHATS
    if e.is_stream and not unknowable(e, "everything") and expect(e).error
]
BLOCKED = [e for e in CHATS if e.kind != "error" and not e.is_stream and expect(e).error]
ERRORS += [pytest.param(e, id=e.name) for e in BLOCKED]


def _facts(error: ProviderError, exchange: Exchange, said: ExpectedError) -> list[str]:
    """What is wrong with an error."""
    wrong = []
    expected: list[tuple[str, Any, Any]] = [
        ("class", type(error).__name__, said.name),
        ("status", error.status, said.status),
        ("retry_after", error.retry_after, said.retry_after),
    ]
    if said.message is not None and not unknowable(exchange, "message"):
        expected.append(("provider_message", error.provider_message, said.message))
    if said.request_id is not None:
        expected.append(("request_id", error.request_id, said.request_id))
    if said.code is not None:
        expected.append(("code", error.code, said.code))
    for what, found, wanted in expected:
        if found != wanted:
            wrong.append(f"{what} is {found!r}, expected {wanted!r}")
    if not error.provider:
        wrong.append("names no provider")
    if said.message and said.message.split("\n")[0][:40] not in str(error):
        wrong.append(f"does not quote the provider: {error}")
    if "no-key" in str(error):
        wrong.append(f"shows the key: {error}")
    return wrong


def _causes(error: BaseException) -> list[str]:
    """The packages of the exceptions that led to this one."""
    found: list[str] = []
    cause = error.__cause__
    while cause is not None:
        found.append(type(cause).__module__.split(".")[0])
        cause = cause.__cause__ or cause.__context__
    return found


SDKS = {"google": "google", "anthropic": "anthropic", "cohere": "cohere", "groq": "groq"}
SDKS |= {"mistral": "mistralai"}


@both_drivers
@pytest.mark.parametrize("exchange", ERRORS)
def test_an_answer_that_is_an_error(exchange: Exchange, colour: Colour) -> None:
    said = expect(exchange).error
    assert said is not None
    with replaying(exchange) as server:
        model = model_for(exchange, server.url)

        def body(doors: Any) -> None:
            for ask in (doors.invoke, doors.stream):
                with pytest.raises(ProviderError) as caught:
                    ask(model, "What?")
                wrong = _facts(caught.value, exchange, said)
                assert not wrong, (ask.__name__, wrong)
                assert caught.value.partial is None
                if exchange.status >= 400:
                    assert SDKS.get(exchange.provider, "openai") in _causes(caught.value)

        run(colour, model, body)
        assert len(server.requests) == 2, "with max_retries=0 each call asks once"


@every_colour
@pytest.mark.parametrize("exchange", REPORTED)
def test_an_error_that_is_reported_inside_a_stream(exchange: Exchange, colour: Colour) -> None:
    expected = expect(exchange)
    said = expected.error
    assert said is not None
    with replaying(exchange) as server:
        model = model_for(exchange, server.url)

        def body(doors: Any) -> None:
            stream = doors.open(model, "What?")
            with pytest.raises(StreamError) as caught:
                stream.rest()
            stream.close()
            wrong = _facts(caught.value, exchange, said)
            assert not wrong, wrong
            wrong = beginning(caught.value.partial, expected)
            assert not wrong, wrong

        run(colour, model, body)


@pytest.mark.parametrize("exchange", REPORTED)
def test_what_came_before_the_error_is_given_out(exchange: Exchange) -> None:
    expected = expect(exchange)
    for colour in (SYNC, ASYNC):
        with replaying(exchange) as server:
            model = model_for(exchange, server.url)
            got: list[Any] = []

            def body(doors: Any, model: Any = model, got: list[Any] = got) -> None:
                stream = doors.open(model, "What?")
                with pytest.raises(StreamError):
                    while True:
                        got.append(stream.next())
                stream.close()

            run(colour, model, body)
            whole = None
            for chunk in got:
                whole = chunk if whole is None else whole + chunk
            assert not beginning(whole, expected)


@pytest.mark.parametrize("exchange", REPORTED)
def test_invoke_of_a_failing_stream_fails(exchange: Exchange) -> None:
    with replaying(exchange) as server:
        model = model_for(exchange, server.url, streaming=True)
        with pytest.raises(StreamError) as caught:
            model.invoke("What?")
    assert not beginning(caught.value.partial, expect(exchange))


def test_the_table_of_expectations_names_classes_that_exist() -> None:
    names = {expect(e.values[0]).error.name for e in ERRORS}  # type: ignore[union-attr,arg-type]
    assert len(names) >= 8
    for name in names:
        assert issubclass(getattr(errors, name), ProviderError)
