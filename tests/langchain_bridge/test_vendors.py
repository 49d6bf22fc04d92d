"""`langchain-openai` and `langchain-anthropic` over recorded bytes: what the bridge gives is what
they give, converted; answers, streams, tool calls, usage, errors."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from headrace.langchain import as_langchain, from_langchain, to_headrace, to_langchain
from headrace.merge import merge
from headrace.messages import HumanMessage, ToolMessage, message_chunk_to_message
from headrace.tools import tool
from laws.colours import both_drivers, every_colour
from providers.expected import expect
from providers.models import model_for as replayed
from providers.replay import Exchange, recording, recordings, replaying
from providers.replay_clients import base_url

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
APIS = ("chat.completions", "responses", "messages")


def few() -> list[Any]:
    """Of the recordings of each kind and API the first two."""
    seen: dict[Any, int] = {}
    chosen = []
    for exchange in recordings():
        key = (exchange.provider, exchange.api, exchange.kind, exchange.status)
        if exchange.provider not in ("openai", "anthropic") or exchange.api not in APIS:
            continue
        seen[key] = seen.get(key, 0) + 1
        if seen[key] <= 2:
            chosen.append(pytest.param(exchange, id=exchange.name))
    return chosen


def model_for(exchange: Exchange, url: str) -> Any:
    address = base_url(exchange.provider, url)
    name = exchange.model or "a-model"
    if exchange.provider == "anthropic":
        return ChatAnthropic(model=name, base_url=address, api_key="sk-none", max_retries=0)  # type: ignore[call-arg, arg-type]
    return ChatOpenAI(
        model=name,
        base_url=address,
        api_key="sk-none",  # type: ignore[arg-type]
        max_retries=0,
        use_responses_api=exchange.api == "responses",
        http_client=httpx.Client(),
        http_async_client=httpx.AsyncClient(),
    )


def outcome(call: Any) -> Any:
    """What a call gives; of one that fails the kind and the text."""
    try:
        return call()
    except Exception as error:
        return type(error), str(error)


def plain(value: Any, colour: Any) -> Any:
    """Without the ids that LangChain makes up."""
    if isinstance(value, list):
        return [plain(item, colour) for item in value]
    if isinstance(value, tuple):
        return value
    message = value.model_copy()
    if str(message.id).startswith("lc_run-"):
        message.id = None
    return message


@both_drivers
@pytest.mark.parametrize("exchange", few())
def test_the_same_as_the_integration_gives(colour: Any, exchange: Exchange) -> None:
    def body(doors: Any) -> None:
        with replaying(exchange) as server:
            theirs = model_for(exchange, server.url)
            ours = from_langchain(theirs)
            door = doors.stream if exchange.is_stream else doors.invoke
            expected = outcome(lambda: door(theirs, "What?"))
            found = outcome(lambda: door(ours, "What?"))
            assert plain(found, colour) == plain(to_headrace(expected), colour)
            assert len(server.requests) == 2
            first, second = server.requests
            assert first.body == second.body
            if isinstance(found, list):
                whole, theirs_whole = merge(found), merge_theirs(expected)
                assert whole.text == theirs_whole.text
                assert whole.tool_calls == theirs_whole.tool_calls
                assert whole.usage_metadata == theirs_whole.usage_metadata

    colour.run(body)


def merge_theirs(chunks: list[Any]) -> Any:
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole = whole + chunk
    return whole


class Answer(BaseModel):
    """An answer."""

    text: str


@tool
def look_up(query: str) -> str:
    """Look something up."""
    return query


@every_colour
@pytest.mark.parametrize("name", ["anthropic/messages.text.", "openai/chat-completions.text."])
def test_vendors_are_told_in_their_words(colour: Any, name: str) -> None:
    exchange = next(each for each in recordings() if each.name.startswith(name))

    def body(doors: Any) -> None:
        with replaying(exchange) as server:
            theirs = model_for(exchange, server.url)
            ours = from_langchain(theirs)
            doors.invoke(theirs.bind_tools([as_langchain(look_up)], tool_choice="any"), "What?")
            doors.invoke(ours.bind_tools([look_up], tool_choice="any"), "What?")
            outcome(lambda: doors.invoke(theirs.with_structured_output(Answer), "What?"))
            outcome(lambda: doors.invoke(ours.with_structured_output(Answer), "What?"))
            bodies = [request.body for request in server.requests]
            assert bodies[0] == bodies[1] and bodies[0]["tools"]
            assert bodies[2] == bodies[3]

    colour.run(body)


@both_drivers
@pytest.mark.parametrize("by", ["from_langchain", "as_langchain"])
def test_what_our_model_thought_is_sent_back_by_the_integration(colour: Any, by: str) -> None:
    """With its signature, without which Anthropic takes back no call of a model that thinks."""
    exchange = recording("anthropic/messages.tool_calls_stream.claude-haiku-4-5-20251001.05367a")
    said = expect(exchange)

    def body(doors: Any) -> None:
        with replaying(exchange) as server:
            ours = replayed(exchange, server.url)
            answer = merge(doors.stream(ours, "What?"))
            answer = message_chunk_to_message(answer)
            result = ToolMessage("2", tool_call_id=answer.tool_calls[0]["id"])
            theirs = model_for(exchange, server.url)
            messages: list[Any] = [HumanMessage("What?"), answer, result]
            if by == "from_langchain":
                doors.stream(from_langchain(theirs), messages)
            else:
                doors.stream(theirs, to_langchain(messages))
            sent = server.requests[-1].body["messages"][1]["content"]
            thought = next(block for block in sent if block["type"] == "thinking")
            assert thought["thinking"] == said.reasoning
            assert [thought["signature"]] == said.kept
            assert [b["name"] for b in sent if b["type"] == "tool_use"] == [said.calls[0].name]
            assert {block["type"] for block in sent} <= {"thinking", "text", "tool_use"}
            if doors.asynchronous:
                doors.wait(ours.aclose())
            ours.close()

    colour.run(body)


@every_colour
def test_closing_closes_the_response(colour: Any) -> None:
    exchange = next(
        each for each in recordings("anthropic", "messages", "text_stream") if each.is_stream
    )

    def body(doors: Any) -> None:
        with replaying(exchange, cut="events", end=("stall", len(exchange.body) // 2)) as server:
            stream = doors.open(from_langchain(model_for(exchange, server.url)), "What?")
            stream.next()
            stream.close()
            assert server.wait_closed_early()

    colour.run(body)


def test_all_are_recorded() -> None:
    assert recording("anthropic/messages.error-529").status == 529
    assert asyncio.iscoroutinefunction(ChatOpenAI.ainvoke)
