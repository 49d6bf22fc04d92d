"""What was said, as JSON for attributes of spans. Used only where content is asked for.

Messages have the shape of the conventions' JSON schemas: `{"role": …, "parts": [{"type": "text",
"content": …}, {"type": "tool_call", "id": …, "name": …, "arguments": …}, …]}`. Values that JSON
does not know are written as their `str`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ..callbacks.arguments import messages_of, prompts_of
from ..messages import BaseMessage, ToolMessage
from ..values import plain
from .attributes import finish_reasons, utf8

__all__ = ["as_json", "said_in", "said_out"]

_ROLES = {"human": "user", "ai": "assistant", "function": "tool"}


def as_json(value: Any) -> str:
    """JSON, ASCII only: lone surrogates are no UTF-8. What JSON cannot hold at all, such as dicts
    with odd keys or values that contain themselves, is written as its `ascii`."""
    try:
        return json.dumps(plain(value), default=str)
    except (TypeError, ValueError, RecursionError):
        return ascii(value)


def _text(value: Any) -> str:
    return utf8(value) if isinstance(value, str) else as_json(value)


def _part(block: Any) -> dict[str, Any]:
    kind = block.get("type")
    if kind == "text":
        return {"type": "text", "content": block.get("text", "")}
    if kind == "reasoning":
        return {"type": "reasoning", "content": block.get("reasoning", "")}
    if kind == "tool_call":
        call = {"type": kind, "id": block.get("id"), "name": block.get("name")}
        return {**call, "arguments": block.get("args")}
    return dict(block)


def _message(message: BaseMessage) -> dict[str, Any]:
    kind = message.type.removesuffix("MessageChunk").lower()
    role = getattr(message, "role", None) or _ROLES.get(kind, kind)
    if isinstance(message, ToolMessage):
        part = {"type": "tool_call_response", "id": message.tool_call_id}
        return {"role": role, "parts": [{**part, "response": message.content}]}
    return {"role": role, "parts": [_part(block) for block in message.content_blocks]}


def _answered(message: BaseMessage) -> str:
    reason = finish_reasons(message) or ["stop"]
    return as_json([{**_message(message), "finish_reason": reason[0]}])


def _prompt(text: str) -> dict[str, Any]:
    return {"role": "user", "parts": [{"type": "text", "content": text}]}


def _completion(text: Any) -> str:
    part = {"type": "text", "content": str(text)}
    return as_json([{"role": "assistant", "parts": [part], "finish_reason": "stop"}])


def _found(documents: Any) -> str:
    told = [{"id": one.id, "content": one.page_content} for one in documents]
    return as_json(told)


def _arguments(value: Any) -> str:
    is_call = isinstance(value, dict) and value.get("type") == "tool_call"
    return as_json(value.get("args") if is_call else value)


def _result(value: Any) -> str:
    return as_json(value.content if isinstance(value, ToolMessage) else value)


_Row = tuple[str, Callable[[Any], str]]
_IN: dict[str, _Row] = {
    "chat_model": (
        "gen_ai.input.messages",
        lambda value: as_json([_message(one) for one in messages_of(value)[0]]),
    ),
    "llm": (
        "gen_ai.input.messages",
        lambda value: as_json([_prompt(text) for text in prompts_of(value)]),
    ),
    "tool": ("gen_ai.tool.call.arguments", _arguments),
    "retriever": ("gen_ai.retrieval.query.text", _text),
}
_OUT: dict[str, _Row] = {
    "chat_model": ("gen_ai.output.messages", _answered),
    "llm": ("gen_ai.output.messages", _completion),
    "tool": ("gen_ai.tool.call.result", _result),
    "retriever": ("gen_ai.retrieval.documents", _found),
}


def said_in(run_type: str, value: Any) -> dict[str, str]:
    """A run's input, as an attribute; nothing where it is not known."""
    name, shape = _IN.get(run_type, ("headrace.input", _text))
    return {} if value is None else {name: shape(value)}


def said_out(run_type: str, value: Any) -> dict[str, str]:
    """A run's output, or as much of it as there was."""
    name, shape = _OUT.get(run_type, ("headrace.output", _text))
    return {} if value is None else {name: shape(value)}
