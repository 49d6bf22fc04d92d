"""What a chat model is made with, of each class: every argument that users know is taken, and shows
in what a server on loopback gets."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import httpx
import httpx2
import pytest

import headrace.providers as providers
from headrace.errors import ConnectionTimeout, ServerError
from laws.colours import Colour, every_colour
from providers.models import CHAT, Credentials
from providers.replay import Exchange, recordings, replaying
from providers.replay_clients import SUFFIXES
from providers.replay_colours import run
from providers.replay_made import made

KEY = "sk-a-key-of-many-letters"
PROVIDERS = {name: provider for provider, name in CHAT.items()} | {"ChatVertexAI": "vertex"}
CLASSES = sorted(PROVIDERS)
OVER_OPENAI = ("AzureChatOpenAI", "ChatFireworks", "ChatNVIDIA", "ChatOpenAI", "ChatTogether")
WITH_HTTPX2 = (*OVER_OPENAI, "ChatAnthropic", "ChatGoogleGenerativeAI", "ChatVertexAI")
APIS = ("chat.completions", "messages", "v2.chat", "gemini.generateContent")

every_class = pytest.mark.parametrize("name", CLASSES)


@cache
def _answer(name: str) -> Exchange:
    """A recorded answer, whole, that a class reads."""
    provider = PROVIDERS[name]
    apis = ("vertex.generateContent",) if provider == "vertex" else APIS
    return next(
        exchange
        for exchange in recordings()
        if exchange.kind == "text"
        and exchange.api in apis
        and exchange.provider == ("google" if provider == "vertex" else provider)
        and not exchange.request_body.get("stream")
    )


def _made(name: str, url: str, **given: Any) -> Any:
    """A model of this class, for the server at `url`."""
    suffix = SUFFIXES.get(PROVIDERS[name], "")
    usual: dict[str, Any] = {
        "model": "m", "api_key": KEY, "base_url": url + suffix, "max_retries": 0,
    }  # fmt: skip
    if name == "AzureChatOpenAI":
        usual |= {"azure_deployment": "m", "openai_api_version": "2024-10-21"}
    if "credentials" in given:
        del usual["api_key"]
    return getattr(providers, name)(**{**usual, **given})


def _asked(name: str, colour: Colour, **given: Any) -> Any:
    """The request of a model with these settings."""
    with replaying(_answer(name)) as server:
        model = _made(name, server.url, **given)
        run(colour, model, lambda doors: doors.invoke(model, "hi"))
        (request,) = server.requests
    return request


def _values(body: Any, *names: str) -> list[Any]:
    """What stands under one of these names, at any depth."""
    if isinstance(body, list):
        return [value for each in body for value in _values(each, *names)]
    if not isinstance(body, Mapping):
        return []
    found = [value for key, value in body.items() if key in names]
    return found + [value for each in body.values() for value in _values(each, *names)]


@every_colour
@every_class
def test_what_is_said_in_the_request(name: str, colour: Colour) -> None:
    request = _asked(
        name, colour, model="another-model", temperature=0.25, max_tokens=7, top_p=0.5,
        stop=["end"], default_headers={"x-team": "blue"}, default_query={"q": "1"},
        model_kwargs={"of_tomorrow": 1},
    )  # fmt: skip
    body = request.body
    assert "another-model" in (*_values(body, "model"), *request.path.replace(":", "/").split("/"))
    assert _values(body, "temperature") == [0.25]
    assert _values(body, "max_tokens", "max_completion_tokens", "maxOutputTokens") == [7]
    assert _values(body, "top_p", "topP", "p") == [0.5]
    assert _values(body, "stop", "stop_sequences", "stopSequences") == [["end"]]
    assert _values(body, "of_tomorrow", "ofTomorrow") == [1]
    assert request.headers["x-team"] == "blue"
    assert request.query["q"] == "1"


@every_colour
@every_class
def test_the_key_is_sent_and_shown_nowhere(name: str, colour: Colour) -> None:
    request = _asked(name, colour)
    assert any(KEY in value for value in request.headers.values())
    assert KEY not in json.dumps(request.body) + request.path + str(request.query)
    model = _made(name, "http://127.0.0.1:1")
    assert KEY not in repr(model) + str(model) + model._get_llm_string() + str(model.model_dump())


@every_class
def test_the_address(name: str) -> None:
    with replaying(_answer(name)) as server:
        model = _made(name, f"{server.url}/behind/a/gateway")
        model.invoke("hi")
        model.close()
    assert server.requests[0].path.startswith("/behind/a/gateway/")


@every_colour
@every_class
def test_the_timeout(name: str, colour: Colour) -> None:
    with replaying(_answer(name), end="silence") as server:
        model = _made(name, server.url, timeout=0.05)

        def body(doors: Any) -> None:
            for ask in (doors.invoke, doors.stream):
                with pytest.raises(ConnectionTimeout, match=r"0\.05"):
                    ask(model, "hi")

        run(colour, model, body)


SOON = {"retry-after-ms": "1", "retry-after": "0.001"}


@every_class
@pytest.mark.parametrize("retries", [0, 1, 2])
def test_how_often_it_is_asked_again(
    name: str, retries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # of the SDKs, between two tries
    with replaying(made(503, {"error": {"message": "busy"}}, **SOON)) as server:
        model = _made(name, server.url, max_retries=retries)
        with pytest.raises(ServerError):
            model.invoke("hi")
        model.close()
        assert len(server.requests) == 1 + retries


def _seen(http: Any, kind: Callable[..., Any], requests: list[Any], *, waits: bool) -> Any:
    """An HTTP client that tells of its requests."""

    async def awaited(request: Any) -> None:
        requests.append(request)

    return kind(event_hooks={"request": [awaited if waits else requests.append]})


@every_colour
@every_class
def test_http_clients_of_ones_own(name: str, colour: Colour) -> None:
    http: Any = httpx2 if name in WITH_HTTPX2 else httpx
    mine: list[Any] = []
    with replaying(_answer(name)) as server:
        client = _seen(http, http.Client, mine, waits=False)
        other = _seen(http, http.AsyncClient, mine, waits=True)
        model = _made(name, server.url, http_client=client, http_async_client=other)

        def body(doors: Any) -> None:
            doors.invoke(model, "hi")
            if doors.asynchronous:
                doors.wait(other.aclose())

        run(colour, model, body)
        client.close()
        assert len(mine) == len(server.requests) == 1


@every_colour
@pytest.mark.parametrize("name", ["ChatCohere", "ChatMistralAI"])
def test_http_clients_of_ones_own_stay_open(name: str, colour: Colour) -> None:
    with replaying(_answer(name)) as server:
        client, other = httpx.Client(), httpx.AsyncClient()
        model = _made(name, server.url, http_client=client, http_async_client=other)

        def body(doors: Any) -> None:
            doors.invoke(model, "hi")
            if doors.asynchronous:
                doors.wait(model.aclose())
                assert not other.is_closed
                doors.wait(other.aclose())

        run(colour, model, body)
        model.close()
        assert not client.is_closed
        client.close()


@pytest.mark.parametrize("wanted", [True, False])
@every_class
def test_whether_streams_tell_their_usage(name: str, wanted: bool) -> None:
    with replaying(_answer(name)) as server:  # a server that does not know how to stream
        model = _made(name, server.url, stream_usage=wanted)
        for more in ({}, {"stream_usage": not wanted}):
            list(model.stream("hi", **more))
        model.close()
    bodies = [request.body for request in server.requests]
    told = [True in _values(body, "include_usage") for body in bodies]
    speaks_chat = name in (*OVER_OPENAI, "ChatGroq")
    assert told == ([wanted, not wanted] if speaks_chat else [False, False])
    assert not any(_values(body, "stream_usage", "streamUsage") for body in bodies)


@every_class
def test_one_text_that_ends_the_answer(name: str) -> None:
    with replaying(_answer(name)) as server:
        model = _made(name, server.url)
        for asked in (model, model.bind(stop="end")):
            asked.invoke("hi", **({} if asked is not model else {"stop": "end"}))
        model.close()
    for request in server.requests:
        assert _values(request.body, "stop", "stop_sequences", "stopSequences") == [["end"]]


@every_class
def test_none_is_not_sent(name: str) -> None:
    with replaying(_answer(name)) as server:
        model = _made(name, server.url, temperature=0.5)
        for nothing in ("temperature", "max_tokens", "stop", "tools", "tool_choice", "extra_body"):
            more = {"temperature": None, nothing: None}
            model.invoke("hi", **more)
        model.close()
    for request in server.requests:
        assert not _values(request.body, "temperature", "stop", "tools")
        assert "null" not in request.raw.decode()


@every_colour
def test_where_google_cloud_is_asked_and_as_whom(colour: Colour) -> None:
    request = _asked(
        "ChatVertexAI", colour, project="p", location="europe-west4", credentials=Credentials()
    )
    assert "/projects/p/locations/europe-west4/publishers/google/models/m:" in request.path
    assert request.headers["authorization"] == "Bearer a-token"
