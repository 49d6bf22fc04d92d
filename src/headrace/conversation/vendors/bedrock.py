"""Bedrock's Converse API, in the snake case in which integrations hand its blocks on:
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html."""

from __future__ import annotations

from ...messages import AIMessage
from ._parts import Block, Vendor, made, non_standard
from .anthropic import input_json_delta, text_with, tool_use

__all__ = ["CONVERSE"]


def _citation(source: Block) -> Block:
    parts = source.get("source_content")
    known = isinstance(parts, list) and all(isinstance(part, dict) for part in parts)
    cited = "".join(part.get("text", "") for part in parts or ()) if known else None
    return made("citation", source, {"title", "source_content", "index"},
                title=source.get("title"), cited_text=cited or None)  # fmt: skip


def _text(source: Block, message: AIMessage) -> list[Block]:
    return text_with(source, [_citation(one) for one in source.get("citations") or ()])


def _reasoning(source: Block, message: AIMessage) -> list[Block]:
    held = source.get("reasoning_content") or {}
    kept = {name: held[name] for name in ("signature", "redacted_content") if held.get(name)}
    fields = {"extras": kept} if kept else {}
    return [made("reasoning", source, {"reasoning_content"}, reasoning=held.get("text") or None,
                 **fields)]  # fmt: skip


def _delta(source: Block, message: AIMessage) -> list[Block]:
    made_of = input_json_delta(source, message)
    return made_of if made_of[0]["type"] == "tool_call_chunk" else non_standard(source)


CONVERSE = Vendor(
    {
        "text": _text,
        "reasoning_content": _reasoning,
        "tool_use": tool_use,
        "input_json_delta": _delta,
    },
    non_standard,
    lambda message, blocks: None,
)
