"""ChatMistralAI beside langchain-mistralai, on the same replayed bytes.

Compared are the pieces of a stream, one by one, and the facts of the whole message, after what both
libraries write each in their own way is written in one (`_pieces`, `_facts`). Where Headrace does
otherwise on purpose, that is asserted as it is.
"""

from __future__ import annotations

from typing import Any

import langchain_core.messages as theirs
import pytest
from langchain_mistralai import ChatMistralAI as Theirs

from headrace.merge import merge
from headrace.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from headrace.providers import ChatMistralAI
from providers.replay import Exchange, recording, recordings, replaying

KEY: Any = "a-key"
ANSWERS = [
    exchange
    for exchange in recordings("mistral", "chat.completions")
    if exchange.kind not in ("error", "embeddings")
]
STREAMS = [exchange for exchange in ANSWERS if exchange.is_stream]
PLAIN = [exchange for exchange in ANSWERS if not exchange.is_stream]


def ours_at(url: str) -> ChatMistralAI:
    return ChatMistralAI(model="small", base_url=url, api_key=KEY, max_retries=0)


def theirs_at(url: str) -> Any:
    settings: Any = {"model": "small", "base_url": f"{url}/v1", "api_key": KEY, "max_retries": 0}
    return Theirs(**settings)


def _closed(model: Any) -> None:
    model.client.close()


def _pieces(chunks: list[Any]) -> list[tuple[str, str]]:
    """What each chunk adds, as (kind, text); chunks that add nothing are left out."""
    made: list[tuple[str, str]] = []
    for chunk in chunks:
        content = chunk.content if isinstance(chunk.content, list) else [chunk.content]
        made += [piece for block in content for piece in _piece(block) if piece[1]]
        for call in chunk.tool_call_chunks:
            made.append(("call", f"{call['id']} {call['name']} {call['args']}"))
    return made


def _piece(block: Any) -> list[tuple[str, str]]:
    if isinstance(block, str):
        return [("text", block)]
    if block["type"] == "thinking":  # LangChain's, as Mistral sends it
        return [("reasoning", part["text"]) for part in block["thinking"]]
    kind = block["type"]
    return [(kind, block.get(kind, ""))]


def _facts(message: Any) -> dict[str, Any]:
    calls = [(call["id"], call["name"], call["args"]) for call in message.tool_calls]
    usage = message.usage_metadata
    return {
        "calls": calls,
        "usage": [usage[name] for name in ("input_tokens", "output_tokens", "total_tokens")],
        "finish_reason": message.response_metadata["finish_reason"],
        "model_name": message.response_metadata["model_name"],
    }


@pytest.mark.parametrize("exchange", STREAMS, ids=repr)
def test_streams(exchange: Exchange) -> None:
    with replaying(exchange) as server:
        own, other = ours_at(server.url), theirs_at(server.url)
        mine, their = list(own.stream("?")), list(other.stream("?"))
        own.close()
        _closed(other)
    assert _pieces(mine) == _pieces(their)
    whole = their[0]
    for chunk in their[1:]:
        whole = whole + chunk
    assert _facts(merge(mine)) == _facts(whole)


@pytest.mark.parametrize("exchange", PLAIN, ids=repr)
def test_plain_answers(exchange: Exchange) -> None:
    with replaying(exchange) as server:
        own, other = ours_at(server.url), theirs_at(server.url)
        mine, their = own.invoke("?"), other.invoke("?")
        own.close()
        _closed(other)
    assert [p for block in _blocks(mine) for p in _piece(block) if p[1]] == [
        p for block in _blocks(their) for p in _piece(block) if p[1]
    ]
    facts, told = _facts(mine), _facts(their)
    assert told.pop("model_name") == "small", "theirs is the one that was asked"
    assert facts.pop("model_name") == exchange.model, "ours is the one that answered"
    assert facts == told


def _blocks(message: Any) -> list[Any]:
    return message.content if isinstance(message.content, list) else [message.content]


def _sent(model: Any, url_server: Any, messages: list[Any]) -> Any:
    model.invoke(messages)
    return url_server.requests[-1].body["messages"]


CALL = {"name": "add", "args": {"a": 1}, "id": "toolu_01", "type": "tool_call"}


def test_a_conversation_is_sent_alike() -> None:
    with replaying(recording("mistral/chat-completions.text.mistral-large-latest")) as server:
        own, other = ours_at(server.url), theirs_at(server.url)
        mine = _sent(own, server, [
            SystemMessage("Be short."), HumanMessage("1+1?"),
            AIMessage("", tool_calls=[CALL]), ToolMessage("2", tool_call_id="toolu_01"),
        ])  # fmt: skip
        their = _sent(other, server, [
            theirs.SystemMessage("Be short."), theirs.HumanMessage("1+1?"),
            theirs.AIMessage("", tool_calls=[CALL]),
            theirs.ToolMessage("2", tool_call_id="toolu_01"),
        ])  # fmt: skip
        own.close()
        _closed(other)
    for messages in (mine, their):
        ids = messages[2]["tool_calls"][0].pop("id"), messages[3].pop("tool_call_id")
        assert ids[0] == ids[1]
        assert len(ids[0]) == 9 and ids[0].isalnum()
        for message in messages:
            for field in ("name", "prefix"):  # null and false, where one says them
                assert not message.pop(field, None)
            message["content"] = message["content"] or ""
            for call in message.get("tool_calls") or ():
                call.pop("type", None)
                call.pop("index", None)
    assert mine == their


def test_a_stream_that_ends_early_is_a_success_with_langchain_only() -> None:
    exchange = recording("mistral/chat-completions.text_stream.mistral-large-latest")
    with replaying(exchange, end=("short_events", 3)) as server:
        own, other = ours_at(server.url), theirs_at(server.url)
        assert list(other.stream("?"))
        with pytest.raises(Exception, match="ended without a finish reason"):
            list(own.stream("?"))
        own.close()
        _closed(other)


def test_an_answer_to_go_on_with_is_marked_without_being_told() -> None:
    exchange = recording("mistral/chat-completions.text.mistral-large-latest")
    with replaying(exchange) as server:
        own, other = ours_at(server.url), theirs_at(server.url)
        mine = _sent(own, server, [HumanMessage("?"), AIMessage("I am")])
        their = _sent(other, server, [theirs.HumanMessage("?"), theirs.AIMessage("I am")])
        own.close()
        _closed(other)
    assert mine[-1]["prefix"] is True
    assert not their[-1].get("prefix")
