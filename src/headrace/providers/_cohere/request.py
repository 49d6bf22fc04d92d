"""Messages, tools, documents and settings to a request of Cohere's Chat API v2. Pure functions.

Source: https://docs.cohere.com/v2/reference/chat. Messages look as in the Chat Completions
protocol; what the model thought (`thinking`) and its tool plan are sent back to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from headrace.documents import Document
from headrace.errors import ConfigError, InputError
from headrace.messages import AIMessage, BaseMessage

from .._base.own import is_own
from .._chat.request import request_messages

__all__ = ["cohere_documents", "cohere_messages", "cohere_options"]

_ROLES: Final = {"developer": "system", "function": "tool"}
_NOT_TAKEN: Final = ("audio", "file", "input_audio", "video")
_SAID: Final = ("text", "image_url", "thinking", "document")  # parts that Cohere takes


# ---- messages ------------------------------------------------------------------------------------


def cohere_messages(messages: Sequence[BaseMessage], provider: str) -> list[dict[str, Any]]:
    """The `messages` of a request.

    Args:
        provider: as it stands in `response_metadata` of messages of Cohere's own.

    Raises:
        InputError: there is no message, or a block that Cohere does not take.
    """
    if not messages:
        return request_messages(messages)  # which refuses that
    return [each for message in messages for each in _written(message, provider)]


def _written(message: BaseMessage, provider: str) -> list[dict[str, Any]]:
    own = is_own(message, provider)
    blocks: Any = message.content
    plan = ""
    if isinstance(blocks, list):
        if not isinstance(message, AIMessage):
            _check(blocks)
        if own:
            plan = "".join(block["reasoning"] for block in blocks if _is_plan(block))
        content = [_sent_back(block, own) for block in blocks if not (own and _is_plan(block))]
        message = message.model_copy(update={"content": content})
    made = request_messages([message], kept=("thinking",) if own else ())
    for each in made:
        each["role"] = _ROLES.get(each["role"], each["role"])
        each.pop("name", None)
        each.pop("refusal", None)
        if each["role"] == "assistant" and plan:
            each["tool_plan"] = plan
        if each.get("tool_calls") and not each["content"]:
            del each["content"]
        if isinstance(each.get("content"), list):
            _check(each["content"], _SAID)
    return made


def _is_plan(block: Any) -> bool:
    return (
        isinstance(block, dict)
        and block.get("type") == "reasoning"
        and bool((block.get("extras") or {}).get("tool_plan"))
    )


def _sent_back(block: Any, own: bool) -> Any:
    kind = block.get("type") if isinstance(block, dict) else None
    if kind == "reasoning" and own:
        return {"type": "thinking", "thinking": block.get("reasoning") or ""}
    if kind == "refusal":  # of another vendor's model
        return {"type": "text", "text": block.get("refusal") or ""}
    return block


def _check(content: Sequence[Any], taken: Sequence[str] | None = None) -> None:
    """Refuse what Cohere does not take: what is not `taken`, or what nobody writes otherwise."""
    for part in content:
        kind = part.get("type") if isinstance(part, Mapping) else "text"
        if kind in _NOT_TAKEN or (taken is not None and kind not in taken):
            raise InputError(
                f"Cohere takes no content block of type {kind!r}: {part!r:.200}. Give "
                "text and images; what is in files as text, or as documents=[…]."
            )


# ---- documents -----------------------------------------------------------------------------------


def cohere_documents(documents: Sequence[Any]) -> list[Any]:
    """Documents that the answer may cite: texts, `Document`s, dicts with or without "data"."""
    return [_document(each) for each in documents]


def _document(given: Any) -> Any:
    if isinstance(given, Document):
        made: dict[str, Any] = {"data": {"text": given.page_content, **given.metadata}}
        return {"id": str(given.id), **made} if given.id else made
    if isinstance(given, Mapping) and "data" not in given:
        data = {name: value for name, value in given.items() if name != "id"}
        return {"id": str(given["id"]), "data": data} if given.get("id") else {"data": data}
    return given


# ---- what else is asked --------------------------------------------------------------------------


def cohere_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings in Cohere's words.

    Raises:
        ConfigError: Cohere cannot be asked for that.
    """
    options = {_NAMES.get(name, name): value for name, value in given.items()}
    for name, write in _WRITE.items():
        if name in options:
            write(options)
    return options


def _tools(options: dict[str, Any]) -> None:
    """A tool is strict by itself in other protocols; here all are, or none."""
    tools = [dict(tool) for tool in options["tools"] or ()]
    for tool in tools:
        if isinstance(tool.get("function"), Mapping):
            function = tool["function"] = dict(tool["function"])
            if function.pop("strict", None):
                options["strict_tools"] = True
    options["tools"] = tools


def _tool_choice(options: dict[str, Any]) -> None:
    choice = options.pop("tool_choice")
    word = choice.upper() if isinstance(choice, str) else choice
    if word in (None, "AUTO"):
        return
    if word in _CHOICES:
        options["tool_choice"] = _CHOICES[word]
        return
    # No word for one tool: it is the only one that the model is told of.
    options["tool_choice"] = "REQUIRED"
    options["tools"] = [
        tool for tool in options.get("tools") or () if tool["function"]["name"] == choice
    ]


def _parallel(options: dict[str, Any]) -> None:
    if options.pop("parallel_tool_calls") is False:
        raise ConfigError(
            "Cohere cannot be asked for at most one tool call (parallel_tool_calls=False): leave "
            "it out."
        )


def _format(options: dict[str, Any]) -> None:
    wanted = options["response_format"]
    if isinstance(wanted, Mapping) and wanted.get("type") == "json_schema":
        schema = (wanted.get("json_schema") or {}).get("schema")
        options["response_format"] = {"type": "json_object", "json_schema": schema}


def _listed(options: dict[str, Any]) -> None:
    options["documents"] = cohere_documents(options["documents"] or ())


_NAMES: Final = {"stop": "stop_sequences", "top_p": "p", "top_k": "k"}
_CHOICES: Final = {"ANY": "REQUIRED", "REQUIRED": "REQUIRED", "NONE": "NONE"}
_WRITE: Final[Mapping[str, Callable[[dict[str, Any]], None]]] = {
    "tools": _tools,
    "tool_choice": _tool_choice,
    "parallel_tool_calls": _parallel,
    "response_format": _format,
    "documents": _listed,
}
