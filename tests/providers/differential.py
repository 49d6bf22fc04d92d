"""Two classes over the same recorded bytes, and what their messages say.

said(message)            what a message says, in words that Headrace and LangChain share
differing(ours, theirs)  the names of what they say otherwise, with both

Reasoning is read from `content_blocks`, where both put it. Usage is compared without LangChain's
split by service tier.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from functools import reduce
from typing import Any

from headrace.merge import merge
from headrace.messages import message_chunk_to_message
from providers.models import model_for
from providers.replay import Exchange, replaying

Said = dict[str, Any]


def said(message: Any) -> Said:
    """What a message says."""
    blocks = message.content_blocks
    return {
        "text": message.text,
        "calls": [(call["name"], call["args"], call["id"]) for call in message.tool_calls],
        "invalid calls": [(c["name"], c["args"], c["id"]) for c in message.invalid_tool_calls],
        "usage": _usage(message.usage_metadata or {}),
        "finish_reason": message.response_metadata.get("finish_reason"),
        "model_name": message.response_metadata.get("model_name"),
        "reasoning": "".join(b.get("reasoning", "") for b in blocks if b["type"] == "reasoning"),
        "refusal": "".join(b.get("refusal", "") for b in blocks if b["type"] == "refusal"),
        "kinds": _kinds(blocks),
        "citations": [
            (one.get("url"), one.get("title"), one.get("start_index"), one.get("end_index"))
            for block in blocks
            for one in block.get("annotations") or ()
        ],
        "sealed": [one for block in blocks for one in _sealed(block)],
    }


def _kinds(blocks: Any) -> list[str]:
    """What comes after what; pieces of one kind count once, empty texts do not."""
    kinds = [block["type"] for block in blocks if block != {"type": "text", "text": ""}]
    return [kind for kind, before in zip(kinds, [None, *kinds], strict=False) if kind != before]


def _sealed(block: Any) -> Iterator[str]:
    """What only the vendor can read."""
    held = {**block, **(block.get("extras") or {})}
    yield from (held[name] for name in ("encrypted_content", "signature") if held.get(name))


def _usage(told: Any) -> dict[str, int]:
    details = {
        **{f"input {k}": v for k, v in (told.get("input_token_details") or {}).items()},
        **{f"output {k}": v for k, v in (told.get("output_token_details") or {}).items()},
    }
    counts = {k: v for k, v in told.items() if isinstance(v, int)}
    return {**counts, **{k: v for k, v in details.items() if v}}


def differing(exchange: Exchange, theirs: Any) -> dict[str, tuple[Any, Any]]:
    """What the two say otherwise of an exchange, in words and in pieces.

    Args:
        theirs: makes the other class, of an exchange and a server's address; with what closes it.
    """
    with replaying(exchange) as server:
        model = model_for(exchange, server.url)
        other, close = theirs(exchange, server.url)
        try:
            if exchange.is_stream:
                mine, his = list(model.stream("Hi")), list(other.stream("Hi"))
                answers = message_chunk_to_message(merge(mine)), reduce(operator.add, his)
                pieces = [("pieces", _pieces(mine), _pieces(his))]
            else:
                answers, pieces = (model.invoke("Hi"), other.invoke("Hi")), []
        finally:
            model.close()
            close()
    one, two = said(answers[0]), said(answers[1])
    rows = [(name, one[name], two[name]) for name in one] + pieces
    return {name: (a, b) for name, a, b in rows if a != b}


def _pieces(chunks: list[Any]) -> list[str]:
    """The pieces of the text, of thoughts and of arguments, as they streamed."""
    return list(_all_pieces(chunks))


def _all_pieces(chunks: list[Any]) -> Iterator[str]:
    for chunk in chunks:
        if chunk.text:
            yield str(chunk.text)
        for block in chunk.content_blocks:
            if block["type"] == "reasoning" and block.get("reasoning"):
                yield block["reasoning"]
        yield from (call["args"] for call in chunk.tool_call_chunks if call["args"])
