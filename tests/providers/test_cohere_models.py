"""ChatCohere and CohereEmbeddings over HTTP: connections, retries, errors, whole conversations."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from pydantic import BaseModel

from headrace.errors import (
    AuthenticationError,
    BadRequestError,
    ContentFilterError,
    ContextLengthError,
    OverloadedError,
    RateLimitError,
    ServerError,
)
from headrace.messages import HumanMessage, ToolMessage
from headrace.providers import ChatCohere, CohereEmbeddings
from laws.colours import Colour, both_drivers
from providers.replay import recording, replaying
from providers.replay_colours import run
from providers.replay_made import made

KEY: Any = "a-key"
TEXT = recording("cohere/v2-chat.text_stream.command-a-03-2025.1d848f")
PLAIN = recording("cohere/v2-chat.text.command-a-03-2025.6d97ed")
CALLS = recording("cohere/v2-chat.tool_calls_stream.command-a-03-2025.67e7a6")
EMBEDDED = recording("cohere/v2-embed.embeddings.embed-v4-0")
BUSY = {"retry-after-ms": "1", "x-debug-trace-id": "trace-1"}


def chat(url: str, **settings: Any) -> ChatCohere:
    return ChatCohere(model="command-a", base_url=url, api_key=KEY, **settings)


@both_drivers
def test_a_conversation_with_tools(colour: Colour) -> None:
    with replaying([CALLS, PLAIN]) as server:
        model = chat(server.url, max_retries=0)

        def body(doors: Any) -> None:
            answer = doors.invoke(model.model_copy(update={"streaming": True}), "Which language?")
            results = [ToolMessage("Ruby", tool_call_id=call["id"]) for call in answer.tool_calls]
            assert results
            doors.invoke(model, [HumanMessage("Which language?"), answer, *results])
            own = server.requests[1].body["messages"][1]
            assert own["tool_plan"] == answer.content[0]["reasoning"]
            assert "content" not in own
            ids = [call["id"] for call in own["tool_calls"]]
            assert ids == [m["tool_call_id"] for m in server.requests[1].body["messages"][2:]]

        run(colour, model, body)


@both_drivers
def test_what_goes_with_each_request(colour: Colour) -> None:
    with replaying([PLAIN, TEXT]) as server:
        model = chat(
            server.url,
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
                assert request.path == "/v2/chat"
            assert [r.body.get("stream") for r in server.requests] == [False, True]

        run(colour, model, body)


@both_drivers
@pytest.mark.parametrize("retries", [0, 2])
def test_whole_answers_are_asked_for_again_as_often_as_said(colour: Colour, retries: int) -> None:
    with replaying(made(503, {"message": "busy"}, **BUSY)) as server:
        model = chat(server.url, max_retries=retries)

        def body(doors: Any) -> None:
            with pytest.raises(OverloadedError, match="busy") as caught:
                doors.invoke(model, "?")
            assert len(server.requests) == 1 + retries
            assert caught.value.request_id == "trace-1"

        run(colour, model, body)


@both_drivers
def test_streams_are_asked_for_once(colour: Colour) -> None:
    with replaying(made(429, {"message": "slow down"}, **{"retry-after": "7"})) as server:
        model = chat(server.url, max_retries=3)

        def body(doors: Any) -> None:
            with pytest.raises(RateLimitError, match="slow down") as caught:
                doors.stream(model, "?")
            assert caught.value.retry_after == 7
            assert type(caught.value.__cause__).__module__.startswith("cohere.")
            assert len(server.requests) == 1

        run(colour, model, body)


@both_drivers
def test_a_stream_that_is_answered_as_a_whole(colour: Colour) -> None:
    with replaying(PLAIN) as server:
        model = chat(server.url)

        def body(doors: Any) -> None:
            (*_, last) = doors.stream(model, "?")
            assert last.chunk_position == "last"
            whole = doors.invoke(model, "?")
            assert "".join(chunk.text for chunk in doors.stream(model, "?")) == whole.text

        run(colour, model, body)


@both_drivers
@pytest.mark.parametrize("told", [{"finish_reason": "ERROR", "error": "no"},
                                  {"finish_reason": "TIMEOUT"}])  # fmt: skip
def test_a_whole_answer_that_failed_is_no_answer(colour: Colour, told: dict[str, Any]) -> None:
    answer = {"id": "x", "message": {"role": "assistant", "content": []}, "usage": {}, **told}
    with replaying(made(200, answer)) as server:
        model = chat(server.url, max_retries=0)

        def body(doors: Any) -> None:
            with pytest.raises(ServerError, match=told.get("error") or "TIMEOUT"):
                doors.invoke(model, "?")

        run(colour, model, body)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"error_type": "TOO_MANY_TOKENS", "message": "too many tokens"}, ContextLengthError),
        (422, {"message": "No valid response generated"}, BadRequestError),
        (401, "no JSON at all", AuthenticationError),
        (498, {"message": "a token that is blocked"}, ContentFilterError),
    ],
)
def test_errors(status: int, body: Any, kind: Any) -> None:
    with replaying(made(status, body)) as server:
        model = chat(server.url, max_retries=0)
        for ask in (lambda: model.invoke("?"), lambda: list(model.stream("?"))):
            with pytest.raises(kind) as caught:
                ask()
            assert caught.value.status == status
        model.close()


def test_a_client_of_the_users_is_used_and_stays_open() -> None:
    with replaying(PLAIN) as server, httpx.Client(headers={"x-mine": "yes"}) as http:
        model = chat(server.url, http_client=http)
        model.invoke("?")
        model.close()
        assert server.requests[0].headers["x-mine"] == "yes"
        assert not http.is_closed


@pytest.mark.parametrize("name", ["COHERE_API_KEY", "CO_API_KEY"])
def test_the_key_of_the_environment(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delenv("COHERE_API_KEY", raising=False)
    monkeypatch.delenv("CO_API_KEY", raising=False)
    with replaying(PLAIN) as server:
        model = ChatCohere(model="command-a", base_url=server.url)
        with pytest.raises(AuthenticationError, match="COHERE_API_KEY or CO_API_KEY"):
            model.invoke("?")
        monkeypatch.setenv(name, "from-the-environment")
        model.invoke("?")
        model.close()
        assert server.requests[0].headers["authorization"] == "Bearer from-the-environment"


class Person(BaseModel):
    name: str
    age: int


@both_drivers
def test_structured_output(colour: Colour) -> None:
    with replaying(recording("cohere/v2-chat.json.command-a-03-2025")) as server:
        model = chat(server.url)

        def body(doors: Any) -> None:
            structured = model.with_structured_output(Person)
            assert doors.invoke(structured, "Who?") == Person(name="John", age=30)
            assert server.requests[0].body["response_format"]["type"] == "json_object"

        run(colour, model, body)


# ---- embeddings ----------------------------------------------------------------------------------


def _vectors(count: int) -> dict[str, Any]:
    return {"id": "x", "embeddings": {"float": [[float(n)] for n in range(count)]}, "texts": []}


@both_drivers
def test_embeddings_in_batches(colour: Colour) -> None:
    answers = [made(200, _vectors(96)), made(200, _vectors(4)), made(200, _vectors(1))]
    with replaying(answers) as server:
        model = CohereEmbeddings(
            model="embed-v4.0", base_url=server.url, api_key=KEY, dimensions=256,
            max_concurrency=1,
        )  # fmt: skip
        texts = [f"text {n}" for n in range(100)]

        def body(doors: Any) -> None:
            if doors.asynchronous:
                vectors = doors.wait(model.aembed_documents(texts))
                query = doors.wait(model.aembed_query("what?"))
            else:
                vectors, query = model.embed_documents(texts), model.embed_query("what?")
            assert len(vectors) == 100
            assert query == [0.0]
            bodies = [request.body for request in server.requests]
            assert [len(b["texts"]) for b in bodies] == [96, 4, 1]
            assert [b["input_type"] for b in bodies] == ["search_document"] * 2 + ["search_query"]
            assert {b["output_dimension"] for b in bodies} == {256}
            assert bodies[0]["embedding_types"] == ["float"]

        run(colour, model, body)


def test_recorded_embeddings() -> None:
    with replaying(EMBEDDED) as server:
        model = CohereEmbeddings(model="embed-v4.0", base_url=server.url, api_key=KEY)
        vector = model.embed_query("Ruby")
        model.close()
    assert vector[:2] == [0.025118703, 0.01667362]


def test_embeddings_that_are_refused() -> None:
    with replaying(made(401, {"message": "invalid api token"})) as server:
        model = CohereEmbeddings(model="e", base_url=server.url, api_key=KEY, max_retries=0)
        with pytest.raises(AuthenticationError, match="invalid api token"):
            model.embed_query("?")
        model.close()
