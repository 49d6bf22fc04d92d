"""`ChatOpenAI` over the Responses API, from the HTTP request to the message and back."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from headrace.errors import (
    ConfigError,
    IncompleteStream,
    ModelRefusalError,
    ServerError,
    StreamError,
)
from headrace.merge import merge
from headrace.messages import HumanMessage, ToolMessage, message_chunk_to_message
from headrace.providers import ChatOpenAI
from headrace.tools import tool
from laws.colours import Colour, every_colour
from providers.replay import Exchange, recording, replaying
from providers.replay_colours import run

TEXT = recording("openai/responses.text_stream.gpt-4-1.ccd721")
PLAIN = recording("openai/responses.text.gpt-4-1.c156bc")
CALLS = recording("openai/responses.tool_calls_stream.gpt-5.dc4e66")
FAILED = recording("openai/responses.error_stream.gpt-5-4-mini.48f6ae")
JSON = recording("openai/responses.json_stream.gpt-4o.be686f")
REFUSED = recording("openai/responses.json_stream.gpt-4o.0782f4")
SEARCHED = recording("openai/responses.text_stream.gpt-5-2.61e4a7")


def _model(url: str, **settings: Any) -> ChatOpenAI:
    given = {"model": "gpt-5", "base_url": f"{url}/v1", "api_key": "k", "max_retries": 0}
    return ChatOpenAI(**{**given, "use_responses_api": True, **settings})


def _cut(exchange: Exchange, kind: str) -> Exchange:
    """The stream before its first event of this type."""
    body, _, _ = exchange.body.partition(f"event: {kind}\n".encode())
    return replace(exchange, body=body, chunk_lengths=None)


@tool
def add(a: int, b: int) -> int:
    """Adds."""
    return a + b


@tool
def multiply(a: int, b: int) -> int:
    """Multiplies."""
    return a * b


@every_colour
def test_an_agents_loop(colour: Colour) -> None:
    """Thoughts, calls and results go back in the order and with the ids that they came with."""
    with replaying([CALLS, TEXT]) as server:
        model = _model(server.url)
        able = model.bind_tools([add, multiply])

        def body(doors: Any) -> None:
            said: list[Any] = [HumanMessage("What is 2+3, and 2*3?")]
            answer = merge(doors.stream(able, said))
            tools = {"add": add, "multiply": multiply}
            results = [tools[call["name"]].invoke(call) for call in answer.tool_calls]
            said += [answer, *results]
            assert doors.stream(able, said)
            first, second = (request.body for request in server.requests)
            assert [t["name"] for t in first["tools"]] == ["add", "multiply"]
            kinds = [item["type"] for item in second["input"]]
            calls = len(answer.tool_calls)
            assert calls == 2
            assert kinds == [
                "message", "reasoning", *["function_call"] * calls,
                *["function_call_output"] * calls,
            ]  # fmt: skip
            sent = second["input"]
            assert sent[1]["id"].startswith("rs_") and sent[2]["id"].startswith("fc_")
            assert [i["call_id"] for i in sent[2:4]] == [i["call_id"] for i in sent[4:]]

        run(colour, model, body)


@every_colour
def test_a_plain_answer(colour: Colour) -> None:
    with replaying(PLAIN) as server:
        model = _model(server.url, temperature=0, reasoning={"effort": "low"}, store=False)

        def body(doors: Any) -> None:
            answer = doors.invoke(model, "Hi")
            assert answer.text and answer.response_metadata["status"] == "completed"
            (request,) = server.requests
            assert request.path == "/v1/responses"
            assert request.body == {
                "model": "gpt-5", "temperature": 0, "reasoning": {"effort": "low"},
                "store": False, "input": [{"type": "message", "role": "user", "content": "Hi"}],
            }  # fmt: skip

        run(colour, model, body)


@every_colour
def test_an_error_in_the_middle(colour: Colour) -> None:
    with replaying(FAILED) as server:
        model = _model(server.url)

        def body(doors: Any) -> None:
            with pytest.raises(StreamError, match="An error occurred while processing") as caught:
                doors.stream(model, "Hi")
            assert (caught.value.code, caught.value.status) == ("server_error", 200)
            assert type(caught.value.__cause__).__name__ == "APIError"

        run(colour, model, body)


def test_a_response_that_failed_is_an_error_without_an_error_event() -> None:
    events = FAILED.body.split(b"\n\n")
    body = b"\n\n".join(event for event in events if not event.startswith(b"event: error"))
    with replaying(replace(FAILED, body=body, chunk_lengths=None)) as server:
        model = _model(server.url)
        with pytest.raises(StreamError, match="An error occurred while processing"):
            list(model.stream("Hi"))
        model.close()


def test_a_whole_answer_that_failed_is_an_error() -> None:
    failed = json.loads(PLAIN.body) | {
        "status": "failed", "output": [], "error": {"code": "server_error", "message": "Oh no."}
    }  # fmt: skip
    with replaying(replace(PLAIN, body=json.dumps(failed).encode())) as server:
        model = _model(server.url)
        with pytest.raises(ServerError, match=r"Oh no\."):
            model.invoke("Hi")
        model.close()


def test_an_error_without_an_event_line_is_read_too() -> None:
    body = b"\n\n".join(
        event.partition(b"\n")[2] if event.startswith(b"event: error") else event
        for event in FAILED.body.split(b"\n\n")
    )
    with replaying(replace(FAILED, body=body, chunk_lengths=None)) as server:
        model = _model(server.url)
        with pytest.raises(StreamError, match="An error occurred while processing"):
            list(model.stream("Hi"))
        model.close()


@every_colour
def test_structured_output(colour: Colour) -> None:
    schema = {
        "title": "Output", "type": "object", "properties": {"output": {"type": "integer"}},
        "required": ["output"],
    }  # fmt: skip
    with replaying(JSON) as server:
        model = _model(server.url)

        def body(doors: Any) -> None:
            chain = model.with_structured_output(schema, strict=True)
            assert doors.stream(chain, "What?")[-1] == {"output": 7}
            form = server.requests[0].body["text"]["format"]
            assert (form["type"], form["name"], form["strict"]) == ("json_schema", "Output", True)
            assert form["schema"]["additionalProperties"] is False

        run(colour, model, body)


def test_a_refusal_is_told_as_such() -> None:
    schema = {"title": "Output", "type": "object", "properties": {"output": {"type": "integer"}}}
    with replaying(REFUSED) as server:
        model = _model(server.url, streaming=True)
        with pytest.raises(ModelRefusalError, match="I can't assist"):
            model.with_structured_output(schema).invoke("What?")
        model.close()


def test_openais_own_tools() -> None:
    """They choose this API by themselves, and their text comes as blocks from its first piece."""
    with replaying(SEARCHED) as server:
        model = _model(server.url, use_responses_api=None)
        able = model.bind_tools([{"type": "web_search"}], tool_choice="web_search")
        chunks = list(able.stream("What?"))
        (request,) = server.requests
        assert request.body["tools"] == [{"type": "web_search"}]
        assert request.body["tool_choice"] == {"type": "web_search"}
        model.close()
    texts = [chunk.content for chunk in chunks if chunk.text]
    assert texts and all(isinstance(content, list) for content in texts)


def test_a_stream_without_its_last_event_is_incomplete_with_what_came() -> None:
    with replaying(_cut(TEXT, "response.completed")) as server:
        model = _model(server.url)
        with pytest.raises(IncompleteStream, match=r"without response\.completed") as caught:
            list(model.stream("Hi"))
        assert caught.value.partial.text
        model.close()


def test_stop_is_an_error_before_anything_is_sent() -> None:
    with replaying(TEXT) as server:
        model = _model(server.url, stop=["x"])
        with pytest.raises(ConfigError, match=r"no stop: leave out stop=\['x'\]"):
            model.invoke("Hi")
        assert server.requests == []


def test_invoke_is_the_fold_of_the_stream() -> None:
    with replaying(CALLS) as server:
        model = _model(server.url, streaming=True)
        folded = message_chunk_to_message(merge(list(model.stream("Hi"))))
        assert model.invoke("Hi") == folded
        model.close()


def test_results_of_tools_find_their_calls() -> None:
    result = ToolMessage("5", tool_call_id="call_1")
    with replaying(PLAIN) as server:
        model = _model(server.url)
        model.invoke([HumanMessage("Hi"), result])
        model.close()
        assert server.requests[0].body["input"][1]["output"] == "5"
