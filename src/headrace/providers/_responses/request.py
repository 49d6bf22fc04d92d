"""Messages, tools and settings to a request of OpenAI's Responses API. Pure functions.

Source: https://platform.openai.com/docs/api-reference/responses/create. A conversation is a list of
items: messages, calls and their results, what the model thought. An answer of the same provider is
sent back as the items that it was, in their order and with their ids: `openai_items` has the order
(see `_responses/reader.py`), content and tool calls have the rest; what was taken out of them is
left out, what was added goes behind. Of other vendors' answers text, tool calls and results are
sent.

Where nothing is stored (`store=False`) ids mean nothing to OpenAI: they are left out, and so is
reasoning without `encrypted_content`. Reasoning that nothing follows is refused, and not sent.

| Chat Completions | here |
|---|---|
| `max_tokens`, `max_completion_tokens` | `max_output_tokens` |
| `response_format`, `verbosity` | `text` |
| `reasoning_effort` | `reasoning["effort"]` |
| `logprobs` | `include` |
| tools, `tool_choice` | flat; `strict` is said, because it is the default here and not there |
| `stop`, `seed`, `n`, penalties, `logit_bias` | unknown here: an error |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from headrace.errors import ConfigError, InputError
from headrace.messages import AIMessage, BaseMessage

from .._chat.request import CHOICES, response_format
from .items import items_of

__all__ = ["ONLY_RESPONSES", "continued", "responses_request", "wants_responses"]

Request = dict[str, Any]

ONLY_RESPONSES: Final = frozenset(
    {"reasoning", "include", "previous_response_id", "conversation", "text", "truncation",
     "background", "context_management", "instructions", "max_output_tokens", "max_tool_calls",
     "prompt"}
)  # fmt: skip
"""Parameters that the Responses API has and Chat Completions has not."""

_ONLY_CHAT: Final = (
    "stop", "seed", "n", "frequency_penalty", "presence_penalty", "logit_bias", "modalities",
    "audio", "prediction", "web_search_options",
)  # fmt: skip
_LOGPROBS: Final = "message.output_text.logprobs"
_CHAT_TOOLS: Final = frozenset({"function", "custom"})  # types that Chat Completions has too


def wants_responses(request: Mapping[str, Any]) -> bool:
    """Whether a request has something that only this API knows."""
    tools = request.get("tools") or ()
    return not ONLY_RESPONSES.isdisjoint(request) or any(
        isinstance(tool, Mapping) and _chat_form(tool) is None for tool in tools
    )


def _chat_form(tool: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What a tool, or a choice of one, in the form of Chat Completions holds; None of others."""
    kind = tool.get("type")
    inner = tool.get(kind) if kind in _CHAT_TOOLS else None
    return inner if isinstance(inner, Mapping) else None


def continued(messages: Sequence[BaseMessage]) -> tuple[Sequence[BaseMessage], str | None]:
    """The messages behind the last answer that OpenAI has stored, and that answer's id."""
    for place in range(len(messages) - 1, -1, -1):
        message = messages[place]
        if isinstance(message, AIMessage):
            for id in (message.response_metadata.get("id"), message.id):
                if isinstance(id, str) and id.startswith("resp_"):
                    return messages[place + 1 :], id
    return messages, None


def responses_request(
    messages: Sequence[BaseMessage], settings: Mapping[str, Any], provider: str
) -> Request:
    """The arguments of `responses.create`.

    Args:
        settings: the model and the other parameters, in this API's words or in those of Chat
            Completions.
        provider: whose answers are sent back as they were.

    Raises:
        ConfigError: a parameter that this API does not have.
        InputError: there is no message, or a block that cannot be said.
    """
    request = {name: value for name, value in settings.items() if value is not None}
    if not messages and not request.get("previous_response_id") and not request.get("prompt"):
        raise InputError("A chat model needs at least one message; the prompt made none.")
    _refuse(request)
    request["input"] = items_of(messages, provider, stored=request.get("store") is not False)
    for name in ("max_tokens", "max_completion_tokens"):
        if name in request:
            request.setdefault("max_output_tokens", request.pop(name))
    _tell_reasoning(request)
    _tell_text(request)
    if request.pop("logprobs", None) or "top_logprobs" in request:
        included = request.get("include") or []
        request["include"] = [*included, *({_LOGPROBS} - {*included})]
    if "tools" in request:
        request["tools"] = [_tool(tool) for tool in request["tools"]]
    else:
        request.pop("parallel_tool_calls", None)
    if "tool_choice" in request:
        request["tool_choice"] = _choice(request["tool_choice"], request.get("tools") or ())
    return request


def _refuse(request: Request) -> None:
    if request.get("n") == 1:
        del request["n"]
    found = [name for name in _ONLY_CHAT if request.get(name) is not None]
    if found:
        given = ", ".join(f"{name}={request[name]!r:.80}" for name in found)
        raise ConfigError(
            f"OpenAI's Responses API has no {', '.join(found)}: leave out {given}, or use Chat "
            "Completions with use_responses_api=False, and without what only the Responses API has."
        )


def _tell_reasoning(request: Request) -> None:
    effort = request.pop("reasoning_effort", None)
    if effort is not None:
        request["reasoning"] = {"effort": effort, **(request.get("reasoning") or {})}


def _tell_text(request: Request) -> None:
    form, verbosity = request.pop("response_format", None), request.pop("verbosity", None)
    text = dict(request.get("text") or {})
    if form is not None:
        form = response_format(form)
        inner = form.get("json_schema") if isinstance(form, Mapping) else None
        text["format"] = {"type": "json_schema", **inner} if inner else form
    if verbosity is not None:
        text["verbosity"] = verbosity
    if text:
        request["text"] = text


def _tool(tool: Any) -> Any:
    """A tool in this API's form; what is in it already, and OpenAI's own tools, as they are."""
    inner = _chat_form(tool)
    if inner is None:
        return tool
    made = {**{n: v for n, v in tool.items() if n != tool["type"]}, **inner}
    return made if tool["type"] == "custom" else {"strict": False, **made}


def _choice(choice: Any, tools: Sequence[Any]) -> Any:
    """A `tool_choice`: a word, the name of a tool, or a dict in either API's form."""
    if isinstance(choice, Mapping) and choice.get("type") == "allowed_tools":
        held = choice.get("allowed_tools", choice)
        allowed = [_choice(tool, ()) for tool in held["tools"]]
        return {"type": "allowed_tools", "mode": held.get("mode", "auto"), "tools": allowed}
    if isinstance(choice, Mapping):
        inner = _chat_form(choice)
        return choice if inner is None else {"type": choice["type"], **inner}
    if choice in CHOICES:
        return CHOICES[choice]
    for tool in tools:
        if tool.get("name") == choice and tool.get("type") in _CHAT_TOOLS:
            return {"type": tool["type"], "name": choice}
        if tool.get("type") == choice or tool.get("server_label") == choice:
            label = {"server_label": tool["server_label"]} if "server_label" in tool else {}
            return {"type": tool["type"], **label}
    return {"type": "function", "name": choice}
