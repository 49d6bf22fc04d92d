"""Messages as one text, for models and prompts that take text: lines, or XML elements.

The lines are `Prefix: text`. The elements are `<message type="prefix">content</message>`, escaped,
so that text which looks like a line of a speaker cannot be taken for one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from headrace.errors import InputError
from headrace.messages.ai import AIMessage
from headrace.messages.base import BaseMessage
from headrace.messages.plain import (
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
)
from headrace.messages.tool import ToolMessage

__all__ = ["get_buffer_string"]

_MAX_TEXT = 500  # characters of a document, or of a server tool's arguments or output, in XML
_MAX_ID = 64  # characters of a tool call's id in XML


def get_buffer_string(
    messages: Iterable[BaseMessage],
    human_prefix: str = "Human",
    ai_prefix: str = "AI",
    *,
    system_prefix: str = "System",
    function_prefix: str = "Function",
    tool_prefix: str = "Tool",
    message_separator: str = "\n",
    format: Literal["prefix", "xml"] = "prefix",
) -> str:
    """The messages as one text.

    Args:
        messages: the messages.
        human_prefix: what stands for the user, and so on for the other kinds. A `ChatMessage` has
            its role.
        message_separator: between two messages.
        format: `"prefix"` gives lines of the messages' text, tool calls after the text of the
            message they are in; `"xml"` gives elements, with images and the like by their URL,
            long pieces cut, base64 data left out.

    Raises:
        InputError: an unknown format, or a message of a kind that has no prefix.
    """
    show = _FORMATS.get(format)
    if show is None:
        raise InputError(f"Unrecognized format {format!r}: use one of {sorted(_FORMATS)}.")
    prefixes: dict[type[BaseMessage], str] = {
        HumanMessage: human_prefix,
        AIMessage: ai_prefix,
        SystemMessage: system_prefix,
        FunctionMessage: function_prefix,
        ToolMessage: tool_prefix,
    }
    return message_separator.join(show(message, prefixes) for message in messages)


def _speaker(message: BaseMessage, prefixes: Mapping[type[BaseMessage], str]) -> str:
    if isinstance(message, ChatMessage):
        return message.role
    for kind, prefix in prefixes.items():
        if isinstance(message, kind):
            return prefix
    raise InputError(f"A {type(message).__name__} has no text form: {message!r}.")


def _line(message: BaseMessage, prefixes: Mapping[type[BaseMessage], str]) -> str:
    calls: Any = None
    if isinstance(message, AIMessage):
        calls = message.tool_calls or message.additional_kwargs.get("function_call")
    return f"{_speaker(message, prefixes)}: {message.text}{calls or ''}"


# ---------------------------------------------------------------------------------------- XML


def _element(message: BaseMessage, prefixes: Mapping[type[BaseMessage], str]) -> str:
    who = _speaker(message, {kind: prefix.lower() for kind, prefix in prefixes.items()})
    content = message.content
    items = [content] if isinstance(content, str) else content
    inner = " ".join(filter(None, map(_item, items)))
    calls = _call_elements(message)
    start = f"<message type={_quoted(who)}>"
    if not calls:
        return f"{start}{inner}</message>"
    lines = [f"<content>{inner}</content>"] if inner else []
    return "\n".join([start, *(f"  {line}" for line in lines + calls), "</message>"])


def _call_elements(message: BaseMessage) -> list[str]:
    """The tool calls of a message, or its function call in the old form, as elements."""
    if not isinstance(message, AIMessage):
        return []
    if message.tool_calls:
        return [
            f"<tool_call id={_quoted(_cut(call['id'] or '', _MAX_ID))}"
            f" name={_quoted(call['name'])}>{_escaped(_json(call['args']))}</tool_call>"
            for call in message.tool_calls
        ]
    call = message.additional_kwargs.get("function_call")
    if call is None:
        return []
    arguments = _escaped(str(call.get("arguments") or "{}"))
    return [f"<function_call name={_quoted(call.get('name'))}>{arguments}</function_call>"]


def _item(item: str | dict[str, Any]) -> str:
    """One item of content; empty for what has no form here."""
    if isinstance(item, str):
        return _escaped(item)
    show = _BLOCKS.get(item.get("type", ""))
    return "" if show is None or item.get("base64") else show(item)


def _media(tag: str) -> Callable[[Mapping[str, Any]], str]:
    """An element for media that is elsewhere: by its URL, else by its file's id."""

    def show(block: Mapping[str, Any]) -> str:
        for key in ("url", "file_id"):
            where = block.get(key)
            if where:
                return "" if where.startswith("data:") else f"<{tag} {key}={_quoted(where)} />"
        return ""

    return show


def _image_url(block: Mapping[str, Any]) -> str:
    image = block.get("image_url")
    return _media("image")(image) if isinstance(image, dict) else ""


def _reasoning(block: Mapping[str, Any]) -> str:
    text = block.get("reasoning")
    return f"<reasoning>{_escaped(text)}</reasoning>" if text else ""


def _server_call(block: Mapping[str, Any]) -> str:
    return (
        f"<server_tool_call id={_quoted(block.get('id'))} name={_quoted(block.get('name'))}>"
        f"{_escaped(_cut(_json(block.get('args', {})), _MAX_TEXT))}</server_tool_call>"
    )


def _server_result(block: Mapping[str, Any]) -> str:
    output = block.get("output")
    shown = _escaped(_cut(_json(output), _MAX_TEXT)) if output else ""
    return (
        f"<server_tool_result tool_call_id={_quoted(block.get('tool_call_id'))}"
        f" status={_quoted(block.get('status'))}>{shown}</server_tool_result>"
    )


_BLOCKS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "text": lambda block: _escaped(block.get("text") or ""),
    "text-plain": lambda block: _escaped(_cut(block.get("text") or "", _MAX_TEXT)),
    "reasoning": _reasoning,
    "image": _media("image"),
    "image_url": _image_url,
    "audio": _media("audio"),
    "video": _media("video"),
    "server_tool_call": _server_call,
    "server_tool_result": _server_result,
}

_FORMATS = {"prefix": _line, "xml": _element}

_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_BREAKS = str.maketrans({"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"})


def _escaped(text: str) -> str:
    return text.translate(_ESCAPES)


def _quoted(value: Any) -> str:
    """An attribute's value in quotes; in single ones where it holds double ones only."""
    text = _escaped(str(value or "")).translate(_BREAKS)
    if '"' not in text:
        return f'"{text}"'
    return f"'{text}'" if "'" not in text else '"' + text.replace('"', "&quot;") + '"'


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length]}..."


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
