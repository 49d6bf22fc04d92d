"""`ChatAnthropic` beside langchain-anthropic's, on the same replayed bytes.

Compared are the pieces of every stream, in order, and what the whole message says, after taking off
what the SDK's classes add (nulls) and what says nothing (that the model itself called a tool, empty
texts). What differs on purpose is in docs/differences.md, and asserted here: counts that
langchain-anthropic loses, and facts that it does not keep.
"""

from __future__ import annotations

from typing import Any

import pytest
from langchain_anthropic import ChatAnthropic as LangChains
from langchain_core.messages import convert_to_messages

from headrace.messages import message_chunk_to_message
from providers.expected import documents
from providers.models import KEY, model_for
from providers.replay import Exchange, recordings, replaying

ANSWERS = [
    pytest.param(e, id=e.name) for e in recordings("anthropic") if not e.kind.startswith("error")
]
STREAMS = [param for param in ANSWERS if param.values[0].is_stream]  # type: ignore[attr-defined]
PIECES = {"text": "text", "reasoning": "reasoning", "tool_call_chunk": "args"}
# What langchain-anthropic counts for whole answers only.
BY_LIFETIME = ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")


def theirs(exchange: Exchange, url: str) -> Any:
    """LangChain's model as the request was: what it sends decides in which form it gives text."""
    asked = exchange.request_body
    settings: dict[str, Any] = {name: asked[name] for name in ("thinking",) if name in asked}
    model = LangChains(
        model=exchange.model, base_url=url, api_key=KEY, max_retries=0, timeout=30, **settings
    )
    return model.bind(tools=asked["tools"]) if asked.get("tools") else model


def question(exchange: Exchange) -> Any:
    return convert_to_messages(exchange.request_body["messages"])


def plain(node: Any) -> Any:
    """Without nulls and without what numbers the blocks."""
    if isinstance(node, dict):
        return {k: plain(v) for k, v in node.items() if v is not None and k != "index"}
    return [plain(item) for item in node] if isinstance(node, list) else node


def said(blocks: list[Any]) -> list[Any]:
    """Blocks that say something; texts without annotations are joined with the text before."""
    found: list[Any] = []
    for block in map(plain, blocks):
        extras = block.get("extras") or {}
        if block["type"] == "tool_call" and extras.get("caller") == {"type": "direct"}:
            del extras["caller"]
        if not extras:
            block.pop("extras", None)
        joins = found and found[-1].keys() == block.keys() == {"type", "text"}
        if joins:
            found[-1]["text"] += block["text"]
        elif block != {"type": "text", "text": ""}:
            found.append(block)
    return found


def counts(usage: Any) -> Any:
    """Token counts in total and by what the cache did; zeros say nothing."""
    details = {**(usage.get("input_token_details") or {})}
    split = sum(details.pop(name, None) or 0 for name in BY_LIFETIME)
    details["cache_creation"] = details.get("cache_creation") or split
    totals = {name: usage[name] for name in ("input_tokens", "output_tokens", "total_tokens")}
    kept = {name: number for name, number in details.items() if number}
    return {**totals, **kept, **(usage.get("output_token_details") or {})}


def pieces(chunks: list[Any]) -> list[tuple[str, str]]:
    """What comes of text, thoughts and arguments, piece by piece."""
    return [
        (block["type"], block[PIECES[block["type"]]])
        for chunk in chunks
        for block in chunk.content_blocks
        if block["type"] in PIECES and block.get(PIECES[block["type"]])
    ]


def folded(chunks: list[Any]) -> Any:
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole = whole + chunk
    return whole


def both(exchange: Exchange) -> tuple[list[Any], list[Any]]:
    """What both give: the chunks of a stream, or one message."""
    with replaying(exchange) as server:
        mine, other = model_for(exchange, server.url), theirs(exchange, server.url)
        if exchange.is_stream:
            found = list(mine.stream("?")), list(other.stream(question(exchange)))
        else:
            found = [mine.invoke("?")], [other.invoke(question(exchange))]
        mine.close()
    return found


@pytest.mark.parametrize("exchange", STREAMS)
def test_streams_come_in_the_same_pieces(exchange: Exchange) -> None:
    mine, other = both(exchange)
    assert pieces(mine) == pieces(other)
    assert len(pieces(mine)) > 0 or exchange.kind.startswith("empty")


@pytest.mark.parametrize("exchange", ANSWERS)
def test_messages_say_the_same(exchange: Exchange) -> None:
    mine, other = map(folded, both(exchange))
    assert said(mine.content_blocks) == said(other.content_blocks)
    assert plain(mine.tool_calls) == plain(other.tool_calls)
    assert mine.id is not None
    facts, others = mine.response_metadata, other.response_metadata
    for name in ("model_name", "model_provider", "stop_reason"):
        assert facts[name] == others[name]
    assert facts.get("stop_sequence") == others.get("stop_sequence")


@pytest.mark.parametrize("exchange", ANSWERS)
def test_tokens_are_counted_alike(exchange: Exchange) -> None:
    mine, other = (counts(folded(found).usage_metadata) for found in both(exchange))
    if exchange.is_stream and not _tells_input_at_the_end(exchange):
        # langchain-anthropic reads the counts at the end alone
        assert mine["input_tokens"] > 0
        assert other["input_tokens"] == 0
        assert mine["output_tokens"] == other["output_tokens"]
    else:
        assert mine == other


def _tells_input_at_the_end(exchange: Exchange) -> bool:
    (end,) = (event for _, event in documents(exchange) if event["type"] == "message_delta")
    return end["usage"].get("input_tokens") is not None


@pytest.mark.parametrize("exchange", STREAMS)
def test_a_stream_says_as_much_as_a_whole_answer(exchange: Exchange) -> None:
    """What langchain-anthropic tells of whole answers only: the finish, the counts, the id."""
    mine, other = map(folded, both(exchange))
    message = message_chunk_to_message(mine)
    assert {"usage", "finish_reason", "model", "id"} <= message.response_metadata.keys()
    assert other.response_metadata.keys() < message.response_metadata.keys()
