"""Messages, tools and settings to a request of the Chat Completions protocol, which OpenAI defined
(https://platform.openai.com/docs/api-reference/chat/create) and many speak. Pure functions.

What the model thought, and what a vendor's own tools did, is not sent: the protocol has no place
for it; vendors that want it back say so in `kept`, or in `beside`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from headrace.conversation import convert_to_openai_messages
from headrace.errors import InputError
from headrace.language_models.structured import Asked
from headrace.messages import AIMessage, BaseMessage, ToolMessage

from .inputs import as_read, finished

__all__ = ["CHOICES", "request_messages", "response_format", "thoughts_of", "tool_choice",
           "wanted_usage"]  # fmt: skip

# Blocks of a model's own message that the protocol has no place for.
_UNSAID: Final = frozenset(
    {
        "reasoning", "thinking", "redacted_thinking", "non_standard", "invalid_tool_call", "image",
        "tool_call", "tool_call_chunk", "tool_use", "function_call", "input_json_delta",
        "server_tool_call", "server_tool_call_chunk", "server_tool_result", "server_tool_use",
        "audio",
    }
)  # fmt: skip
CHOICES: Final = {"auto": "auto", "none": "none", "any": "required", "required": "required"}
"""A `tool_choice` that is no tool's name, in OpenAI's words."""


def request_messages(
    messages: Sequence[BaseMessage],
    *,
    kept: Collection[str] = (),
    refusals: bool = True,
    beside: Callable[[AIMessage], Mapping[str, Any]] | None = None,
) -> list[dict[str, Any]]:
    """The `messages` of a request.

    Args:
        kept: types of blocks that this vendor takes back, of those that are left out else.
        refusals: whether it knows refusals; if not, they are said as text.
        beside: fields that a message of the model's own has here besides.

    Raises:
        InputError: there is no message, or a block that the protocol cannot say.
    """
    if not messages:
        raise InputError("A chat model needs at least one message; the prompt made none.")
    if not refusals:
        messages = [_without_refusals(message) for message in messages]
    made = []
    for message in messages:
        if isinstance(message, AIMessage):
            made.append({**_own(message, kept), **(beside(message) if beside else {})})
        else:
            made += _in_form(message)
    return made


def thoughts_of(message: AIMessage) -> str:
    """What the model thought, as far as it said so."""
    blocks = [b for b in _blocks(message.content) if b.get("type") == "reasoning"]
    return "".join(block.get("reasoning") or "" for block in blocks)


def _without_refusals(message: BaseMessage) -> BaseMessage:
    content = message.content
    if not any(block.get("type") == "refusal" for block in _blocks(content)):
        return message
    said = [
        {"type": "text", "text": block.get("refusal") or ""}
        if isinstance(block, dict) and block.get("type") == "refusal"
        else block
        for block in content
    ]
    return message.model_copy(update={"content": said})


def _in_form(message: BaseMessage) -> list[dict[str, Any]]:
    """Content as it is: a string, or blocks."""
    content = message.content
    if isinstance(content, str):
        return convert_to_openai_messages([message], text_format="string")
    read = as_read(content, result=isinstance(message, ToolMessage))
    written = convert_to_openai_messages(
        [message.model_copy(update={"content": read})], text_format="block"
    )
    if len(written) == 1:  # no results of tools stood among the blocks
        written[0]["content"] = finished(written[0]["content"], read)
    return written


def _own(message: AIMessage, kept: Collection[str]) -> dict[str, Any]:
    """A message of the model's own."""
    content = message.content
    if isinstance(content, list):
        said = [block for block in content if isinstance(block, str) or _is_said(block, kept)]
        message = message.model_copy(update={"content": _plain(as_read(said))})
    (written,) = _in_form(message)
    calls = [*written.get("tool_calls", ()), *_unparsed(message)]
    old = message.additional_kwargs.get("function_call")
    if calls:
        written["tool_calls"] = calls
    elif old:
        written["function_call"] = old
    if (calls or old) and not written["content"]:
        written["content"] = None
    audio = next((b["id"] for b in _blocks(content) if b.get("type") == "audio" and b.get("id")), 0)
    if audio:
        written["audio"] = {"id": audio}
    return dict(written)


def _unparsed(message: AIMessage) -> list[dict[str, Any]]:
    """Calls whose arguments are no JSON, as the model wrote them: their results follow."""
    return [
        {
            "type": "function",
            "id": call["id"],
            "function": {"name": call["name"], "arguments": call["args"] or ""},
        }
        for call in message.invalid_tool_calls
        if call["id"] and call["name"]
    ]


def _is_said(block: Mapping[str, Any], kept: Collection[str]) -> bool:
    kind = block.get("type")
    return kind in kept or kind not in _UNSAID


def _plain(said: list[Any]) -> Any:
    """Text blocks without what only an answer has (numbers, citations); text alone as a string."""
    blocks = [
        {name: b[name] for name in ("type", "text", "cache_control") if name in b}
        if isinstance(b, dict) and b.get("type") == "text"
        else b
        for b in said
    ]
    if all(isinstance(b, str) or b.keys() == {"type", "text"} for b in blocks):
        return "".join(b if isinstance(b, str) else b["text"] for b in blocks)
    return blocks


def _blocks(content: Any) -> list[dict[str, Any]]:
    return [b for b in content if isinstance(b, dict)] if isinstance(content, list) else []


def tool_choice(given: Any) -> Any:
    """A `tool_choice` in the protocol's words; see `language_models/binding.py` for ours."""
    if isinstance(given, Mapping) and given.get("type") == "allowed_tools":
        return _allowed(given)
    if not isinstance(given, str):
        return given
    return CHOICES.get(given) or {"type": "function", "function": {"name": given}}


def _allowed(given: Mapping[str, Any]) -> Any:
    """Of several tools, in this protocol's form or in that of OpenAI's Responses API."""
    inner = given.get("allowed_tools", given)
    tools = [
        tool
        if isinstance(tool.get(tool.get("type")), Mapping)
        else {"type": tool["type"], tool["type"]: {"name": tool.get("name")}}
        for tool in inner["tools"]
    ]
    held = {"mode": inner.get("mode", "auto"), "tools": tools}
    return {"type": "allowed_tools", "allowed_tools": held}


def response_format(given: Any) -> Any:
    """A `response_format` in the protocol's words.

    Args:
        given: in these words already; the inner `{"name", "schema"}` of one; a JSON schema; or
            another thing that `with_structured_output` takes, such as a pydantic class, to which
            the model is then held (`strict`), as by OpenAI's SDK.
    """
    if isinstance(given, Mapping):
        if "type" in given and "properties" not in given:
            return given
        if "schema" in given and "name" in given:
            return {"type": "json_schema", "json_schema": given}
    strict = None if isinstance(given, Mapping) else True
    asked = Asked(given, "json_schema", strict, options={})
    return {"type": "json_schema", "json_schema": asked.described()}


def wanted_usage(request: dict[str, Any]) -> dict[str, Any]:
    """A request whose stream tells its usage."""
    options = {"include_usage": True, **(request.get("stream_options") or {})}
    return {**request, "stream_options": options}
