"""Sums of chunks whose content is blocks: reasoning, citations, calls of tools and of servers.

However the chunks of a stream are grouped, and however the pieces of a block are cut, the sum has
the same content, the same standard blocks, calls and usage.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.merge import merge
from headrace.messages import AIMessageChunk, message_chunk_to_message
from messages.trees import fold_tree, left_fold

words = st.text(alphabet='ab {}"', min_size=1, max_size=12)


def cut(text: str, draw: Any) -> list[str]:
    """A text in pieces, one or more."""
    places = sorted(draw(st.sets(st.integers(1, max(1, len(text) - 1)), max_size=3)))
    ends = [*places, len(text)]
    return [text[start:end] for start, end in zip([0, *places], ends, strict=True)]


def anthropic(draw: Any) -> list[dict[str, Any]]:
    """The chunks of an answer in Anthropic's form: thinking, text with a citation, a call."""
    args = json.dumps({"a": draw(words)})
    pieces = cut(args, draw)
    call = {"type": "tool_use", "id": "c1", "name": "f", "input": {}, "index": 2}
    return [
        *({"content": [{"type": "thinking", "thinking": piece, "index": 0}]}
          for piece in cut(draw(words), draw)),
        {"content": [{"type": "thinking", "signature": "s", "index": 0}]},
        *({"content": [{"type": "text", "text": piece, "index": 1}]}
          for piece in cut(draw(words), draw)),
        {"content": [{"type": "text", "text": "", "index": 1, "citations": [
            {"type": "char_location", "cited_text": draw(words), "document_title": "d"}]}]},
        {"content": [call], "tool_call_chunks": [
            {"name": "f", "args": "", "id": "c1", "index": 2}]},
        *({"content": [{"type": "input_json_delta", "partial_json": piece, "index": 2}],
           "tool_call_chunks": [{"name": None, "args": piece, "id": None, "index": 2}]}
          for piece in pieces),
    ]  # fmt: skip


def responses(draw: Any) -> list[dict[str, Any]]:
    """The same in the form of OpenAI's Responses API, with a search of the web."""
    args = json.dumps({"a": draw(words)})
    call = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "", "index": 3}
    return [
        *({"content": [{"type": "reasoning", "id": "r", "index": 0, "summary": [
            {"type": "summary_text", "text": piece, "index": part}]}]}
          for part in (0, 1) for piece in cut(draw(words), draw)),
        {"content": [{"type": "web_search_call", "id": "w", "status": "completed", "index": 1}]},
        *({"content": [{"type": "text", "text": piece, "index": 2}]}
          for piece in cut(draw(words), draw)),
        {"content": [{"type": "text", "text": "", "index": 2, "annotations": [
            {"type": "url_citation", "url": "u", "title": draw(words)}]}]},
        {"content": [call], "tool_call_chunks": [
            {"name": "f", "args": "", "id": "c1", "index": 3}]},
        *({"content": [{"type": "function_call", "arguments": piece, "index": 3}],
           "tool_call_chunks": [{"name": None, "args": piece, "id": None, "index": 3}]}
          for piece in cut(args, draw)),
    ]  # fmt: skip


FORMS = {"anthropic": anthropic, "openai": responses}


def chunks_of(provider: str, draw: Any) -> list[AIMessageChunk]:
    facts = {"response_metadata": {"model_provider": provider}}
    chunks = [AIMessageChunk(**fields, **facts) for fields in FORMS[provider](draw)]
    usage = {"input_tokens": 2, "output_tokens": 1, "total_tokens": 3}
    for chunk in chunks[::2]:
        chunk.usage_metadata = usage  # type: ignore[assignment]
    return [*chunks, AIMessageChunk("", chunk_position="last", **facts)]  # type: ignore[arg-type]


def facts_of(message: Any) -> Any:
    """All that a reader of a message sees."""
    return {
        name: getattr(message, name)
        for name in ("content", "content_blocks", "text", "tool_calls", "invalid_tool_calls",
                     "usage_metadata", "response_metadata")
    }  # fmt: skip


@pytest.mark.parametrize("provider", sorted(FORMS))
@given(st.data())
def test_any_grouping_gives_the_same_message(provider: str, data: Any):
    chunks = chunks_of(provider, data.draw)
    whole = merge(chunks)
    wanted = facts_of(whole)
    assert facts_of(left_fold(chunks)) == wanted
    assert facts_of(fold_tree(chunks, data.draw)) == wanted
    assert facts_of(message_chunk_to_message(whole)) == wanted
    assert wanted["usage_metadata"]["total_tokens"] == 3 * len(chunks[:-1][::2])


@pytest.mark.parametrize("provider", sorted(FORMS))
@given(st.data())
def test_the_blocks_of_a_whole_answer(provider: str, data: Any):
    whole = merge(chunks_of(provider, data.draw))
    blocks = whole.content_blocks
    kinds = [block["type"] for block in blocks]
    assert kinds[0] == "reasoning"
    assert kinds[-1] == "tool_call"
    [text] = [block for block in blocks if block["type"] == "text"]
    assert text["text"] == whole.text
    assert [one["type"] for one in text["annotations"]] == ["citation"]
    assert blocks[-1]["args"] == whole.tool_calls[0]["args"]
    assert json.loads(json.dumps(blocks)) == blocks


@pytest.mark.parametrize("provider", sorted(FORMS))
@given(st.data())
def test_blocks_only_grow(provider: str, data: Any):
    """Text and reasoning that was shown is never taken back as the sum grows."""
    chunks = chunks_of(provider, data.draw)[:-1]
    before: dict[Any, str] = {}
    for n in range(1, len(chunks) + 1):
        now = {
            block["index"]: block.get("text", block.get("reasoning", ""))
            for block in merge(chunks[:n]).content_blocks
            if block["type"] in ("text", "reasoning")
        }
        assert before.keys() <= now.keys()
        assert all(now[index].startswith(text) for index, text in before.items())
        before = now
