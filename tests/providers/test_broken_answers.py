"""Answers that are none: web pages, text, JSON of another form, bodies that break off, vectors that
are missing. Every class raises a sentence that says what came, in both drivers.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from headrace.errors import (
    ConnectionError,
    ConnectionTimeout,
    IncompleteStream,
    NotFoundError,
    ProviderError,
    ServerError,
    StreamError,
)
from laws.colours import Colour, both_drivers
from providers.models import embeddings_for, model_for
from providers.replay import Exchange, recordings, replaying
from providers.replay_colours import run
from providers.replay_made import made

PAGE = "<!DOCTYPE html><html><head><title>Sorry</title></head><body>The proxy rests</body></html>"
TEXT = "upstream connect error or disconnect/reset before headers"


def _one_of_each(wanted: Callable[[Exchange], bool]) -> list[Exchange]:
    """A recording of each provider and API."""
    return list({(e.provider, e.api): e for e in recordings() if wanted(e)}.values())


CHATS = _one_of_each(lambda e: e.kind not in ("error", "embeddings") and not e.is_stream)
EMBEDDINGS = _one_of_each(lambda e: e.kind == "embeddings")
every_chat = pytest.mark.parametrize("exchange", CHATS, ids=repr)
every_embedding = pytest.mark.parametrize("exchange", EMBEDDINGS, ids=repr)


def test_all_classes_are_here() -> None:
    assert len({e.provider for e in CHATS}) == 10
    assert any(e.api.startswith("vertex.") for e in CHATS)
    assert len({e.provider for e in EMBEDDINGS}) == 5


def _answer(body: Any, kind: str) -> Exchange:
    return made(200, body, **{"content-type": kind, "x-request-id": "r-1"})


def _ways(doors: Any, model: Any) -> list[Callable[[], Any]]:
    return [lambda: doors.invoke(model, "Hi"), lambda: doors.stream(model, "Hi")]


# ---- what is no answer at all --------------------------------------------------------------------


@both_drivers
@every_chat
@pytest.mark.parametrize(
    "kind", ["text/html; charset=utf-8", "text/plain", "application/json", "text/event-stream"]
)
def test_a_web_page_is_quoted(exchange: Exchange, kind: str, colour: Colour) -> None:
    """Whatever its content type says. It is a wrong address, or a proxy's."""
    named = "text/html" if "html" in kind else "a web page"
    with replaying(_answer(PAGE, kind)) as server:
        model = model_for(exchange, server.url)

        def body(doors: Any) -> None:
            for ask in _ways(doors, model):
                with pytest.raises(NotFoundError) as caught:
                    ask()
                error = caught.value
                assert f"answered {named}, and not an answer: check base_url" in str(error)
                assert "The page says: Sorry The proxy rests" in str(error)
                assert "<" not in str(error)
                assert (error.status, error.request_id) == (200, "r-1")
                assert error.__cause__ is not None

        run(colour, model, body)


@both_drivers
@every_chat
def test_text_is_quoted(exchange: Exchange, colour: Colour) -> None:
    with replaying(_answer(TEXT, "text/plain")) as server:
        model = model_for(exchange, server.url)

        def body(doors: Any) -> None:
            for ask in _ways(doors, model):
                with pytest.raises(ProviderError, match="upstream connect error") as caught:
                    ask()
                assert isinstance(caught.value, ServerError | StreamError)
                assert not isinstance(caught.value, IncompleteStream)
                assert caught.value.request_id == "r-1"

        run(colour, model, body)


@every_chat
def test_a_stream_may_begin_with_a_comment_or_any_field(exchange: Exchange) -> None:
    """Lines that a reader does not know are no reason to refuse a stream."""
    for begun in ("\ufeff: hello\n\n", "\r\n\r\n", "retry: 100\n\n", "other: x\n\n", "event\n\n"):
        with replaying(_answer(begun, "text/event-stream"), cut="whole") as server:
            model = model_for(exchange, server.url)
            with pytest.raises(IncompleteStream):
                list(model.stream("Hi"))
            model.close()


# ---- JSON of another form ------------------------------------------------------------------------

ODD = [
    {"choices": [{"message": {"content": "Hi", "tool_calls": 7}}], "content": 7, "output": 7,
     "candidates": [{"content": {"parts": 7}}], "message": {"content": 7}},
    {"some": None, "thing": True},
]  # fmt: skip


@both_drivers
@every_chat
@pytest.mark.parametrize("odd", ODD, ids=["misshapen", "other"])
def test_what_the_server_sent_is_quoted_as_it_sent_it(
    exchange: Exchange, odd: Any, colour: Colour
) -> None:
    with replaying(_answer(odd, "application/json")) as server:
        model = model_for(exchange, server.url)

        def body(doors: Any) -> None:
            for ask in _ways(doors, model):
                with pytest.raises(StreamError, match="sent what is not as its API") as caught:
                    ask()
                assert json.dumps(odd)[:200] in str(caught.value)
                assert caught.value.request_id == "r-1"
                assert caught.value.partial is None

        run(colour, model, body)


# ---- bodies that break off -----------------------------------------------------------------------


@both_drivers
@every_chat
@pytest.mark.parametrize("how", ["reset", "broken"])
def test_a_whole_answer_that_breaks_off(exchange: Exchange, how: str, colour: Colour) -> None:
    with replaying(exchange, end=(how, len(exchange.body) // 2)) as server:
        model = model_for(exchange, server.url)

        def body(doors: Any) -> None:
            with pytest.raises(ConnectionError, match="broke off before its answer") as caught:
                doors.invoke(model, "Hi")
            error = caught.value
            assert not isinstance(error, ConnectionTimeout)
            assert "could not be reached" not in str(error)
            assert error.provider
            assert error.__cause__ is not None

        run(colour, model, body)


@every_chat
def test_a_whole_answer_that_stops_coming(exchange: Exchange) -> None:
    with replaying(exchange, end=("stall", len(exchange.body) // 2)) as server:
        model = model_for(exchange, server.url, timeout=0.1)
        with pytest.raises(ConnectionTimeout, match="did not answer within") as caught:
            model.invoke("Hi")
        model.close()
    assert caught.value.seconds == 0.1


@both_drivers
@every_embedding
def test_embeddings_that_break_off(exchange: Exchange, colour: Colour) -> None:
    with replaying(exchange, end=("reset", len(exchange.body) // 2)) as server:
        model = embeddings_for(exchange, server.url)

        def body(doors: Any) -> None:
            with pytest.raises(ConnectionError, match="broke off before its answer"):
                _embedded(doors, model, ["a"])

        run(colour, model, body)


# ---- vectors that are missing --------------------------------------------------------------------


def _embedded(doors: Any, model: Any, texts: list[str]) -> Any:
    if doors.asynchronous:
        return doors.wait(model.aembed_documents(texts))
    return model.embed_documents(texts)


def _fewer(exchange: Exchange, vectors: list[Any]) -> Any:
    """The recorded answer with these vectors."""
    told = json.loads(exchange.body)
    if exchange.provider == "google":
        told["embeddings"] = [{"values": vector} for vector in vectors]
    elif exchange.provider == "cohere":
        told["embeddings"] = {"float": vectors}
    else:
        told["data"] = [
            {"object": "embedding", "index": place, "embedding": vector}
            for place, vector in enumerate(vectors)
        ]
    return told


@both_drivers
@every_embedding
@pytest.mark.parametrize(
    ("vectors", "said"),
    [
        ([], "0 vectors for 2 texts"),
        ([[0.5]], "1 vectors for 2 texts"),
        ([[0.5], [0.25], [1.0]], "3 vectors for 2 texts"),
        ([[0.5], []], "1 vectors for 2 texts, and 1 without numbers"),
    ],
)
def test_vectors_that_do_not_fit_the_texts(
    exchange: Exchange, vectors: list[Any], said: str, colour: Colour
) -> None:
    with replaying(_answer(_fewer(exchange, vectors), "application/json")) as server:
        model = embeddings_for(exchange, server.url)

        def body(doors: Any) -> None:
            with pytest.raises(ProviderError, match=said) as caught:
                _embedded(doors, model, ["a", "b"])
            error = caught.value
            assert (error.status, error.request_id) == (200, "r-1")
            assert str(error.provider) in str(error)
            assert repr(model.model) in str(error)

        run(colour, model, body)


@every_embedding
@pytest.mark.parametrize("body", [PAGE, "{}", "[]", "null", '{"data": null, "embeddings": null}'])
def test_an_answer_without_vectors(exchange: Exchange, body: str) -> None:
    with replaying(_answer(body, "application/json")) as server:
        model = embeddings_for(exchange, server.url)
        with pytest.raises(ProviderError) as caught:
            model.embed_query("a")
        model.close()
    assert caught.value.request_id == "r-1"
    if body == PAGE:
        assert "The page says: Sorry" in str(caught.value)
