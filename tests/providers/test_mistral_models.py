"""ChatMistralAI and MistralAIEmbeddings over HTTP: connections, retries, errors, conversations."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from pydantic import BaseModel

from headrace.errors import (
    AuthenticationError,
    BadRequestError,
    ConnectionTimeout,
    InputError,
    OverloadedError,
    RateLimitError,
    ServerError,
    StreamError,
)
from headrace.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from headrace.providers import ChatMistralAI, MistralAIEmbeddings
from laws.colours import Colour, both_drivers
from providers.replay import recording, replaying
from providers.replay_colours import run
from providers.replay_made import made, made_stream

KEY: Any = "a-key"
TEXT = recording("mistral/chat-completions.text_stream.mistral-large-latest")
PLAIN = recording("mistral/chat-completions.text.mistral-large-latest")
CALLS = recording("mistral/chat-completions.tool_calls.mistral-small-latest")
THOUGHT = recording("mistral/chat-completions.reasoning.magistral-medium-latest")
BUSY = {"retry-after-ms": "1", "mistral-correlation-id": "id-1"}


def chat(url: str, **settings: Any) -> ChatMistralAI:
    return ChatMistralAI(model="small", base_url=url, api_key=KEY, **settings)


@both_drivers
def test_a_conversation_with_tools_and_thoughts(colour: Colour) -> None:
    with replaying([CALLS, THOUGHT, PLAIN]) as server:
        model = chat(server.url, max_retries=0)

        def body(doors: Any) -> None:
            said: list[Any] = [HumanMessage("Roll the dice 3 times")]
            said.append(doors.invoke(model, said))
            said += [ToolMessage("4", tool_call_id=call["id"]) for call in said[1].tool_calls]
            said.append(doors.invoke(model, said))
            doors.invoke(model, [*said, HumanMessage("Sure?")])
            sent = server.requests[2].body["messages"]
            ids = [call["id"] for call in sent[1]["tool_calls"]]
            assert ids == [m["tool_call_id"] for m in sent[2:5]] == ["vAKGXGFZD", "n9P3tR143",
                                                                     "tXj57CGus"]  # fmt: skip
            thought, text = sent[5]["content"]
            assert thought["thinking"][0]["text"].startswith("Okay, the user")
            assert text["text"] == said[5].text

        run(colour, model, body)


@both_drivers
def test_what_goes_with_each_request(colour: Colour) -> None:
    with replaying([PLAIN, TEXT]) as server:
        model = chat(
            f"{server.url}/v1",
            default_headers={"x-team": "blue"},
            default_query={"q": "1"},
            model_kwargs={"a_new_parameter": 1},
        )

        def body(doors: Any) -> None:
            doors.invoke(model, "?")
            assert doors.stream(model, "?")
            for request in server.requests:
                assert request.headers["authorization"] == "Bearer a-key"
                assert request.headers["x-team"] == "blue"
                assert request.query == {"q": "1"}
                assert request.body["a_new_parameter"] == 1
                assert request.path == "/v1/chat/completions"
            assert [r.body.get("stream") for r in server.requests] == [False, True]

        run(colour, model, body)


@both_drivers
@pytest.mark.parametrize("retries", [0, 1, 2])
def test_the_sdk_asks_again_as_often_as_said(colour: Colour, retries: int) -> None:
    with replaying(made(503, {"object": "error", "message": "busy"}, **BUSY)) as server:
        model = chat(server.url, max_retries=retries)

        def body(doors: Any) -> None:
            for ask in (doors.invoke, doors.stream):
                server.requests.clear()
                with pytest.raises(OverloadedError, match="busy") as caught:
                    ask(model, "?")
                assert len(server.requests) == 1 + retries
                assert caught.value.request_id == "id-1"
                assert type(caught.value.__cause__).__module__.startswith("mistralai.")

        run(colour, model, body)


@both_drivers
def test_an_answer_after_another_try(colour: Colour) -> None:
    with replaying([made(429, {"message": "slow"}, **BUSY), PLAIN]) as server:
        model = chat(server.url, max_retries=1)

        def body(doors: Any) -> None:
            assert doors.invoke(model, "?").text
            assert len(server.requests) == 2

        run(colour, model, body)


@both_drivers
def test_a_stream_that_is_answered_as_a_whole(colour: Colour) -> None:
    with replaying(PLAIN) as server:
        model = chat(server.url)

        def body(doors: Any) -> None:
            chunks = doors.stream(model, "?")
            assert chunks[-1].chunk_position == "last"
            assert "".join(c.text for c in chunks) == doors.invoke(model, "?").text

        run(colour, model, body)


@both_drivers
def test_an_answer_that_the_sdk_cannot_read(colour: Colour) -> None:
    answer = {"id": "x", "choices": [{"message": {"content": "Hi", "role": "new"},
                                      "finish_reason": "stop"}]}  # fmt: skip
    with replaying(made(200, answer)) as server:
        model = chat(server.url)

        def body(doors: Any) -> None:
            assert doors.invoke(model, "?").content == "Hi"

        run(colour, model, body)


FAILED = {"choices": [{"index": 0, "message": {"content": ""}, "finish_reason": "error"}]}


@both_drivers
def test_answers_that_failed(colour: Colour) -> None:
    piece = {"choices": [{"index": 0, "delta": {"content": "Hel"}, "finish_reason": None}]}
    error = {"object": "error", "message": "gone", "code": "1000"}
    with replaying(made(200, FAILED)) as server:
        model = chat(server.url, max_retries=0)

        def body(doors: Any) -> None:
            with pytest.raises(ServerError, match="finish_reason 'error'"):
                doors.invoke(model, "?")
            for end in (FAILED, error):
                server.play(made_stream(piece, end, "[DONE]"))
                with pytest.raises(StreamError) as caught:
                    doors.stream(model, "?")
                assert caught.value.partial.content == "Hel"

        run(colour, model, body)


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        (401, {"detail": "Unauthorized"}, AuthenticationError, "Unauthorized"),
        (422, {"detail": [{"loc": ["body", "n"], "msg": "too big"}]}, BadRequestError,
         "body.n: too big"),
        (422, {"detail": "of another form"}, BadRequestError, "of another form"),
        (429, {"message": "Requests rate limit exceeded"}, RateLimitError, "rate limit"),
        (500, "no JSON at all", ServerError, "no JSON at all"),
    ],
)  # fmt: skip
def test_errors(status: int, body: Any, kind: Any, said: str) -> None:
    with replaying(made(status, body)) as server:
        model = chat(server.url, max_retries=0)
        for ask in (lambda: model.invoke("?"), lambda: list(model.stream("?"))):
            with pytest.raises(kind, match=said) as caught:
                ask()
            assert caught.value.status == status
        model.close()


@both_drivers
def test_what_the_sdks_types_refuse_is_named(colour: Colour) -> None:
    """The SDK checks a request before it is sent, with types of its own."""
    picture = {"type": "image", "base64": "iVBORw0KGgo=", "mime_type": "image/png"}
    asked = [SystemMessage([picture]), HumanMessage("?")]
    with replaying(made(200, {})) as server:
        model = chat(server.url)

        def body(doors: Any) -> None:
            for ask in (doors.invoke, doors.stream):
                with pytest.raises(InputError, match=r"Mistral's SDK.*system") as caught:
                    ask(model, asked)
                assert type(caught.value.__cause__).__name__ == "ValidationError"
                with pytest.raises(InputError, match=r"temperature.*'hot'"):
                    ask(model.bind(temperature="hot"), "?")

        run(colour, model, body)
        assert not server.requests


@both_drivers
def test_the_timeout_counts(colour: Colour) -> None:
    with replaying(TEXT, end=("stall", 0)) as server:
        model = chat(server.url, timeout=0.05, max_retries=0)

        def body(doors: Any) -> None:
            for ask in (doors.invoke, doors.stream):
                with pytest.raises(ConnectionTimeout, match=r"0\.05 seconds"):
                    ask(model, "?")

        run(colour, model, body)


def test_a_client_of_the_users_is_used_and_stays_open() -> None:
    httpx2: Any = import_module("httpx2")
    with replaying(PLAIN) as server, httpx2.Client(headers={"x-mine": "yes"}) as http:
        model = chat(server.url, http_client=http)
        model.invoke("?")
        model.close()
        assert server.requests[0].headers["x-mine"] == "yes"
        assert not http.is_closed


def test_its_timeout_counts_where_the_model_has_none() -> None:
    httpx2: Any = import_module("httpx2")
    with replaying(TEXT, end=("stall", 0)) as server, httpx2.Client(timeout=0.05) as http:
        model = chat(server.url, http_client=http, max_retries=0)
        with pytest.raises(ConnectionTimeout):
            list(model.stream("?"))
        model.close()


def test_a_header_of_the_users_takes_the_place_of_the_sdks() -> None:
    with replaying(PLAIN) as server:
        model = chat(server.url, default_headers={"authorization": "Basic x"})
        model.invoke("?")
        model.close()
        assert server.requests[0].headers["authorization"] == "Basic x"


@both_drivers
def test_the_rest_of_an_answer(colour: Colour) -> None:
    pieces = [
        {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": end}]}
        for text, end in (("I ", None), ("am", None), (" here", None), ("", "stop"))
    ]
    with replaying(made_stream(*pieces, "[DONE]")) as server:
        model = chat(server.url)

        def body(doors: Any) -> None:
            chunks = doors.stream(model, [HumanMessage("Where?"), AIMessage("I am")])
            assert "".join(chunk.text for chunk in chunks) == " here"
            assert server.requests[0].body["messages"][-1]["prefix"] is True

        run(colour, model, body)


@both_drivers
def test_a_stream_that_broke_off_is_gone_on_with(colour: Colour) -> None:
    def stream(*texts: str, end: str | None = None) -> Any:
        ends = [None] * (len(texts) - 1) + [end]
        return made_stream(*[
            {"id": "an-id", "choices": [{"delta": {"content": text}, "finish_reason": why}]}
            for text, why in zip(texts, ends, strict=True)
        ])  # fmt: skip

    with replaying([stream("One ", "two"), stream("One two", " three", end="stop")]) as server:
        model = chat(server.url, max_retries=0)
        steady = model.with_retry(when="continue", wait_exponential_jitter=False,
                                  exponential_jitter_params={"initial": 0, "max": 0})  # fmt: skip

        def body(doors: Any) -> None:
            assert "".join(c.text for c in doors.stream(steady, "Count")) == "One two three"
            last = server.requests[1].body["messages"][-1]
            assert (last["content"], last["prefix"]) == ("One two", True)

        run(colour, model, body)


class Result(BaseModel):
    result: int


@both_drivers
@pytest.mark.parametrize("method", ["json_schema", "json_mode"])
def test_structured_output(colour: Colour, method: Any) -> None:
    with replaying(recording("mistral/chat-completions.json.mistral-small-latest")) as server:
        model = chat(server.url)

        def body(doors: Any) -> None:
            structured = model.with_structured_output(Result, method=method)
            assert doors.invoke(structured, "The root of 64?") == Result(result=8)
            wanted = server.requests[0].body["response_format"]
            assert wanted["type"] == ("json_schema" if method == "json_schema" else "json_object")
            if method == "json_schema":
                assert wanted["json_schema"]["schema"]["required"] == ["result"]

        run(colour, model, body)


# ---- embeddings ----------------------------------------------------------------------------------


def _vectors(first: int, count: int) -> Any:
    data = [{"object": "embedding", "index": n, "embedding": [float(first + n)]}
            for n in range(count)]  # fmt: skip
    return made(200, {"id": "x", "object": "list", "model": "m", "usage": {}, "data": data[::-1]})


def _embedded(doors: Any, model: MistralAIEmbeddings, texts: list[str]) -> list[list[float]]:
    if doors.asynchronous:
        vectors: list[list[float]] = doors.wait(model.aembed_documents(texts))
        return vectors
    return model.embed_documents(texts)


def _embeddings(url: str, **settings: Any) -> MistralAIEmbeddings:
    return MistralAIEmbeddings(
        model="mistral-embed", base_url=url, api_key=KEY, max_concurrency=1, max_retries=0,
        **settings,
    )  # fmt: skip


@both_drivers
def test_embeddings_in_batches_by_number_and_by_size(colour: Colour) -> None:
    with replaying([_vectors(0, 2), _vectors(2, 1), _vectors(3, 2)]) as server:
        model = _embeddings(server.url, dimensions=8)
        texts = ["a" * 24_000, "b" * 23_000, "c" * 90_000, "d", "e"]

        def body(doors: Any) -> None:
            assert _embedded(doors, model, texts) == [[0.0], [1.0], [2.0], [3.0], [4.0]]
            sizes = [[t[0] for t in request.body["input"]] for request in server.requests]
            assert sizes == [["a", "b"], ["c"], ["d", "e"]]
            assert server.requests[0].body["output_dimension"] == 8

        run(colour, model, body)


@both_drivers
def test_a_batch_that_is_too_large_is_asked_in_halves(colour: Colour) -> None:
    refused = recording("mistral/embeddings.error-400.mistral-embed")
    with replaying([refused, _vectors(0, 1), _vectors(1, 2)]) as server:
        model = _embeddings(server.url)

        def body(doors: Any) -> None:
            assert _embedded(doors, model, ["a", "b", "c"]) == [[0.0], [1.0], [2.0]]
            assert [len(r.body["input"]) for r in server.requests] == [3, 1, 2]

        run(colour, model, body)


@both_drivers
def test_one_text_that_is_too_large_is_refused(colour: Colour) -> None:
    with replaying(recording("mistral/embeddings.error-400.mistral-embed")) as server:
        model = _embeddings(server.url)

        def body(doors: Any) -> None:
            with pytest.raises(BadRequestError, match="Too many inputs"):
                _embedded(doors, model, ["a"])
            assert len(server.requests) == 1

        run(colour, model, body)


def test_recorded_embeddings() -> None:
    with replaying(recording("mistral/embeddings.embeddings.mistral-embed")) as server:
        model = _embeddings(server.url)
        vector = model.embed_query("Hello world")
        model.close()
    assert vector[:2] == [-0.022186279296875, 0.041412353515625]
