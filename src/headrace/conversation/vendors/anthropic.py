"""Anthropic's Messages API: https://docs.anthropic.com/en/api/messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...messages import AIMessage
from ._parts import Block, Vendor, call_of, is_growing, made, non_standard, objects_of

__all__ = [
    "ANTHROPIC", "citation", "input_json_delta", "other_block", "text_with", "tool_use",
]  # fmt: skip

# Where citations of documents name their document, and what they are called here.
_IN_DOCUMENTS = frozenset(
    {"char_location", "content_block_location", "page_location", "search_result_location"}
)
_PLAIN_TEXT = frozenset({"type", "text", "index"})  # what most chunks of a stream have
_SERVER_TOOLS = {"code_execution": "code_interpreter"}


def citation(source: Block) -> Block:
    """A standard citation; one of a kind that is not known is wrapped."""
    kind = source.get("type")
    if "cited_text" in source and kind == "web_search_result_location" and "url" in source:
        return made("citation", source, {"cited_text", "url", "title", "index"},
                    cited_text=source["cited_text"], url=source["url"],
                    title=source.get("title") or None)  # fmt: skip
    if "cited_text" in source and kind in _IN_DOCUMENTS:
        title = source["document_title"] if "document_title" in source else source.get("title")
        block = made("citation", source, {"cited_text", "document_title", "title", "index"},
                     cited_text=source["cited_text"], title=title or None)  # fmt: skip
        return {**block, "title": title} if "document_title" in source else block
    return {"type": "non_standard_annotation", "value": source}


def text_with(source: Block, citations: list[Block]) -> list[Block]:
    """A block of text with these annotations."""
    if source.keys() <= _PLAIN_TEXT and "text" in source:
        return [dict(source)]
    return [made("text", source, {"text", "citations"}, text=source.get("text", ""),
                 annotations=citations or None)]  # fmt: skip


def _text(source: Block, message: AIMessage) -> list[Block]:
    return text_with(source, [citation(one) for one in source.get("citations") or ()])


def _thinking(source: Block, message: AIMessage) -> list[Block]:
    return [made("reasoning", source, {"thinking"}, reasoning=source.get("thinking", ""))]


def _refusal(source: Block, message: AIMessage) -> list[Block]:
    return [made("refusal", source, {"refusal"}, refusal=source.get("refusal", ""))]


def tool_use(source: Block, message: AIMessage) -> list[Block]:
    """A call of a tool of the user's."""
    given = {
        "name": source.get("name", ""),
        "args": source.get("input", {}),
        "id": source.get("id", ""),
    }
    block = call_of(message, source.get("id"), given)
    if block["type"] != "tool_call_chunk" and "index" in source:
        block["index"] = source["index"]
    extras = {name: source[name] for name in ("caller", "toolset_name") if name in source}
    return [{**block, "extras": extras} if extras else block]


def input_json_delta(source: Block, message: AIMessage) -> list[Block]:
    """A piece of arguments, which belongs to a call of the user's tools or of the vendor's."""
    block = call_of(message, None, {})
    if block["type"] == "tool_call_chunk":
        return [block]
    return [made("server_tool_call_chunk", source, {"partial_json"},
                 args=source.get("partial_json", ""))]  # fmt: skip


def _server_call(name: str, source: Block, message: AIMessage, **extras: Any) -> list[Block]:
    used = {"name", "input", "id", "partial_json"}
    fields: Block = {"name": name, "id": source.get("id", "")}
    if extras:
        fields["extras"] = extras
    given = source.get("input", {})
    if given == {} and "partial_json" not in source and is_growing(message):
        return [made("server_tool_call_chunk", source, used, args="", **fields)]
    args = given or objects_of(source.get("partial_json")) or {}
    return [made("server_tool_call", source, used, args=args, **fields)]


def _server_tool_use(source: Block, message: AIMessage) -> list[Block]:
    name = str(source.get("name", ""))
    return _server_call(_SERVER_TOOLS.get(name, name), source, message)


def _mcp_tool_use(source: Block, message: AIMessage) -> list[Block]:
    named = {"tool_name": source["name"]} if "name" in source else {}
    return _server_call("remote_mcp", source, message, **named)


def other_block(source: Block, message: Any = None) -> list[Block]:
    """The result of a tool that Anthropic runs; a block of any other kind is wrapped."""
    kind = source.get("type")
    if not isinstance(kind, str) or not kind.endswith("_tool_result"):
        return non_standard(source)
    output = source.get("content")
    failed = source.get("is_error") or (isinstance(output, Mapping) and output.get("error_code"))
    return [made("server_tool_result", source, {"tool_use_id", "content", "is_error"},
                 tool_call_id=source.get("tool_use_id", ""), output=output or None,
                 status="error" if failed else "success",
                 extras={"block_type": kind})]  # fmt: skip


def _finish(message: AIMessage, blocks: list[Block]) -> None:
    """A refusal may be told of beside the content."""
    facts = message.response_metadata
    if facts.get("stop_reason") != "refusal" or any(b["type"] == "refusal" for b in blocks):
        return
    details = facts.get("stop_details")
    details = details if isinstance(details, dict) else {}
    refusal: Block = {"type": "refusal", "refusal": details.get("explanation") or ""}
    if details.get("category"):
        refusal["extras"] = {"category": details["category"]}
    blocks.append(refusal)


ANTHROPIC = Vendor(
    {
        "text": _text,
        "thinking": _thinking,
        "refusal": _refusal,
        "tool_use": tool_use,
        "input_json_delta": input_json_delta,
        "server_tool_use": _server_tool_use,
        "mcp_tool_use": _mcp_tool_use,
    },
    other_block,
    _finish,
)
