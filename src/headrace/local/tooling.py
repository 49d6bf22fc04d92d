"""Tools for the embedded model: what it is told of them, and the grammar that holds it to them.

llama.cpp takes `tools` and does not enforce them. So the tools are described in the prompt, and a
JSON schema of the answers that are possible (`tool_answers` says which) is enforced in their place.

    tooling_of(kwargs)         -> a `Tooling`, or None; takes what `bind_tools` bound out of kwargs
    tooling.response_format    the schema, for the request
    tooling.told(messages)     the conversation, spelt out, with the tools described in it
    spelt_out(messages)        a conversation with calls and results as text, which any model reads
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from headrace.errors import InputError
from headrace.language_models.binding import tool_choice_of
from headrace.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

__all__ = ["Tooling", "spelt_out", "tooling_of"]

MOST_CALLS: Final = 8  # in one answer; a small model would go on for ever
_NOTHING: Final[dict[str, Any]] = {
    "type": "object", "properties": {}, "additionalProperties": False
}  # fmt: skip
_ENOUGH: Final = 'If this is enough to answer, write {"answer": the text}.'
_REFERRED: Final = ("$defs", "definitions")


class Tooling:
    """The tools of one call.

    Args:
        tools: descriptions in OpenAI's form.
        choice: "auto", "any" or the name of a tool.
        parallel: one answer may have several calls.
    """

    def __init__(self, tools: Sequence[Mapping[str, Any]], choice: str, parallel: bool) -> None:
        self._functions = [_function_of(tool) for tool in tools]
        self._choice = choice
        self._parallel = parallel

    @property
    def response_format(self) -> dict[str, Any]:
        """The JSON schema of the answers, as a request has it."""
        definitions: dict[str, Any] = {}
        calls = [_call_schema(each, definitions) for each in self._callable()]
        forms = [_only({"calls": _several(calls)})] if self._parallel else calls
        if self._choice == "auto":
            forms = [_only({"answer": {"type": "string"}}), *forms]
        schema = forms[0] if len(forms) == 1 else {"anyOf": forms}
        if definitions:
            schema = {**schema, "$defs": definitions}
        return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}

    def told(self, conversation: Sequence[BaseMessage]) -> list[BaseMessage]:
        """The conversation spelt out, its first system message (or a new one) describing the tools.

        Behind the last result stands how to answer: a small model that has just called a tool
        would make the same call again, and again.
        """
        messages = spelt_out(conversation)
        if messages and self._choice == "auto" and isinstance(conversation[-1], ToolMessage):
            messages[-1] = HumanMessage(f"{messages[-1].text}\n{_ENOUGH}")
        lines = [
            "You have these tools:",
            *(json.dumps(each, ensure_ascii=False) for each in self._callable()),
            self._rule(),
        ]
        described = "\n".join(lines)
        first = messages[0] if messages else None
        if isinstance(first, SystemMessage):
            return [SystemMessage(f"{first.text}\n\n{described}"), *messages[1:]]
        return [SystemMessage(described), *messages]

    def _callable(self) -> list[Mapping[str, Any]]:
        named = [each for each in self._functions if each["name"] == self._choice]
        return named or self._functions

    def _rule(self) -> str:
        call = '{"name": the tool\'s name, "arguments": its arguments}'
        rule = f'{{"calls": [{call}, ...]}}' if self._parallel else call
        said = f"To use {'tools' if self._parallel else 'a tool'}, write {rule}."
        if self._choice == "auto":
            return f'{said} To answer without a tool, write {{"answer": the text}}.'
        return said


def tooling_of(kwargs: dict[str, Any]) -> Tooling | None:
    """What `bind_tools` bound for a call, taken out of `kwargs`; None where no tool may be called.

    Raises:
        ConfigError: a `tool_choice` that is none of the tools.
        InputError: a response format beside the tools; a tool that is no function.
    """
    tools = kwargs.pop("tools", None) or []
    choice, parallel = kwargs.pop("tool_choice", None), kwargs.pop("parallel_tool_calls", None)
    if not tools:
        return None
    names = [_function_of(tool)["name"] for tool in tools]
    said = tool_choice_of(choice, names) or "auto"
    if said == "none":
        return None
    if kwargs.get("response_format") is not None:
        raise InputError(
            "A call of ChatLocal has both tools and response_format, and its grammar can hold it "
            "to one of them: bind tool_choice='none', or no response_format."
        )
    return Tooling(tools, said, bool(parallel))


def spelt_out(messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    """The conversation without tool calls and results: what was called and what came of it is
    text, in the form in which the model calls. Templates of many models have no words for them."""
    names = {
        call["id"]: call["name"]
        for message in messages
        if isinstance(message, AIMessage)
        for call in message.tool_calls
    }
    return [_as_text(message, names) for message in messages]


def _as_text(message: BaseMessage, names: Mapping[Any, str]) -> BaseMessage:
    if isinstance(message, AIMessage) and message.tool_calls:
        calls = [{"name": call["name"], "arguments": call["args"]} for call in message.tool_calls]
        written = json.dumps(calls[0] if len(calls) == 1 else {"calls": calls}, ensure_ascii=False)
        return AIMessage("\n".join(filter(None, (message.text, written))))
    if isinstance(message, ToolMessage):
        name = message.name or names.get(message.tool_call_id) or "the tool"
        failed = " (it failed)" if message.status == "error" else ""
        return HumanMessage(f"Result of {name}{failed}: {message.text}")
    return message


# ---- schemas ------------------------------------------------------------------------------------


def _function_of(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    function = tool.get("function")
    if not isinstance(function, Mapping) or "name" not in function:
        raise InputError(
            f"ChatLocal can call functions only, and was given the tool {dict(tool)!r}: bind a "
            "function, or use the model of the vendor who provides that tool."
        )
    return function


def _only(properties: dict[str, Any]) -> dict[str, Any]:
    """An object of exactly these members."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _several(calls: list[dict[str, Any]]) -> dict[str, Any]:
    items = calls[0] if len(calls) == 1 else {"anyOf": calls}
    return {"type": "array", "items": items, "minItems": 1, "maxItems": MOST_CALLS}


def _call_schema(function: Mapping[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema of a call; what it refers to goes into `definitions`, under its own name."""
    name = function["name"]
    parameters = function.get("parameters") or _NOTHING
    if parameters.get("type") == "object" and not parameters.get("properties"):
        parameters = {**parameters, **_NOTHING}
    for key in _REFERRED:
        for inner, schema in (parameters.get(key) or {}).items():
            definitions[f"{name}.{inner}"] = _moved(schema, name)
    arguments = _moved({k: v for k, v in parameters.items() if k not in _REFERRED}, name)
    return _only({"name": {"const": name}, "arguments": arguments})


def _moved(schema: Any, name: str) -> Any:
    """A schema whose references lead to where its definitions have gone."""
    if isinstance(schema, list):
        return [_moved(each, name) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    found = {key: _moved(value, name) for key, value in schema.items()}
    ref = found.get("$ref")
    if isinstance(ref, str):
        for key in _REFERRED:
            if ref.startswith(f"#/{key}/"):
                found["$ref"] = f"#/$defs/{name}.{ref.removeprefix(f'#/{key}/')}"
    return found
