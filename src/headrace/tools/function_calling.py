"""What models are told of tools: anything that describes a function, in OpenAI's form.

    convert_to_openai_function(thing) -> {"name", "description", "parameters"}
    convert_to_openai_tool(thing)     -> {"type": "function", "function": {…}}
    convert_to_json_schema(thing)     -> {"title", "description", "type", "properties", …}

| thing | name | description, arguments |
|---|---|---|
| a function, a callable object | its own | signature and docstring (Google, NumPy, reST) |
| a tool, `@tool` or `BaseTool` | its own | as it says; injected arguments left out |
| a pydantic class, of version 1 or 2 | its own | docstring and fields |
| a TypedDict, a dataclass | its own | docstring and fields, see `described` |
| a JSON schema | its `title` | its own |
| a dict in OpenAI's form, Anthropic's, or that of Bedrock's Converse | its own | its own |

Definitions are put where they are referred to, but recursive ones; titles are left out. Source of
the forms: the API references of OpenAI (chat completions, tools; structured outputs, for
`strict`), of Anthropic (messages, tools) and of Amazon Bedrock (Converse, toolSpec).
"""

from __future__ import annotations

import copy
import inspect
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, NotRequired, TypedDict

from ..errors import InputError
from ..json_schema import self_contained
from ..messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from ..messages.convert import is_langchains
from .base import BaseTool
from .described import is_described, is_model, json_schema_of
from .errors import ToolSchemaError
from .schema import create_schema_from_function
from .structured import Tool, name_of

__all__ = [
    "FunctionDescription",
    "ToolDescription",
    "convert_to_json_schema",
    "convert_to_openai_function",
    "convert_to_openai_tool",
    "tool_example_to_messages",
]


class FunctionDescription(TypedDict):
    """A function as a model is told of it; `parameters` is a JSON schema."""

    name: str
    description: NotRequired[str]
    parameters: NotRequired[dict[str, Any]]
    strict: NotRequired[bool]


class ToolDescription(TypedDict):
    """A tool as a model is told of it."""

    type: Literal["function"]
    function: FunctionDescription


_PROVIDED: Final = frozenset(
    {"function", "file_search", "computer", "computer_use_preview", "code_interpreter", "mcp",
     "image_generation", "web_search", "web_search_preview", "tool_search", "apply_patch",
     "namespace", "shell", "local_shell", "programmatic_tool_calling", "web_search_2025_08_26"}
)  # fmt: skip
"""Types of tools that OpenAI's API knows by itself; the descriptions of these go through as is."""


def convert_to_openai_function(
    function: Mapping[str, Any] | type | Callable[..., Any] | BaseTool,
    *,
    strict: bool | None = None,
) -> dict[str, Any]:
    """Describe a function to a model.

    Args:
        function: what describes it; see the table above.
        strict: True for the schema that providers can enforce: every key required, no others, at
            every level; and `"strict": True` beside it. None: nothing is said of it.

    Returns:
        A dict with `name` and, where they are known, `description`, `parameters`, `strict`.

    Raises:
        ToolSchemaError: nothing that describes a function (also a ValueError and a TypeError).
        ToolTypeError: a field whose type JSON has no word for.
    """
    if isinstance(function, Mapping):
        found = _of_dict(function)
    elif isinstance(function, BaseTool):
        found = _of_tool(function)
    elif isinstance(function, type) and _makes_tools(function):
        raise ToolSchemaError(
            f"{function.__name__} is a class of tools; give an instance: {function.__name__}()."
        )
    elif is_langchains(function):  # ahead of functions: some versions' tools can be called
        raise ToolSchemaError(
            f"{type(function).__name__} is LangChain's: give from_langchain(…) of the tool, with "
            "`from headrace.langchain import from_langchain`."
        )
    elif is_model(function) or is_described(function):
        found = _of_schema(json_schema_of(function))
    elif callable(function):
        found = _of_function(function)
    else:
        raise ToolSchemaError(
            f"Unsupported function {function!r} ({type(function).__name__}): a tool is described "
            "by a function, a @tool, a pydantic class, a TypedDict, a dataclass, a JSON schema "
            "with a title, or a dict in a provider's form. Of another runnable, make a tool with "
            "as_tool()."
        )
    return found if strict is None else _strictly(found, strict=strict)


def _makes_tools(cls: type) -> bool:
    """Whether it is a class of tools, ours or LangChain's, which would be read as arguments."""
    langchains = any(kind.__module__.startswith("langchain_core.tools") for kind in cls.__mro__)
    return langchains or issubclass(cls, BaseTool)


def convert_to_openai_tool(
    tool: Mapping[str, Any] | type | Callable[..., Any] | BaseTool,
    *,
    strict: bool | None = None,
) -> dict[str, Any]:
    """The same as `{"type": "function", "function": {…}}`, OpenAI's form of a tool.

    Dicts of the types of tools that OpenAI provides (`web_search`, `mcp` and so on) are returned
    as they are, and so are tools in this form already, unless `strict` is given.
    """
    if isinstance(tool, Mapping):
        kind = tool.get("type") or ""
        inner = tool.get("function")
        if kind == "function" and strict is not None and isinstance(inner, Mapping):
            return {**tool, "function": convert_to_openai_function(inner, strict=strict)}
        if kind in _PROVIDED or str(kind).startswith("web_search_preview"):
            return dict(tool)
        if kind == "custom" and "input_schema" not in tool:  # of free text; else it is Anthropic's
            return dict(tool)
    if isinstance(tool, Tool) and (tool.metadata or {}).get("type") == "custom_tool":
        custom = {"type": "custom", "name": tool.name, "description": tool.description}
        given = tool.metadata or {}
        return {**custom, "format": given["format"]} if "format" in given else custom
    return {"type": "function", "function": convert_to_openai_function(tool, strict=strict)}


def convert_to_json_schema(
    schema: Mapping[str, Any] | type | Callable[..., Any] | BaseTool,
    *,
    strict: bool | None = None,
) -> dict[str, Any]:
    """The same as a JSON schema of the arguments, with the name as its title.

    Raises:
        ToolSchemaError: what `convert_to_openai_function` refuses; a tool that a provider has.
    """
    tool = convert_to_openai_tool(schema, strict=strict)
    function = tool.get("function")
    if not isinstance(function, dict) or "name" not in function:
        raise ToolSchemaError(
            f"Input must be a valid OpenAI-format tool, with a name and a schema; received {tool}."
        )
    said = {"title": function["name"]}
    if "description" in function:
        said["description"] = function["description"]
    return {**said, **function.get("parameters", {})}


# -------------------------------------------------------------------- by kind


def _of_dict(given: Mapping[str, Any]) -> dict[str, Any]:
    if "name" in given and "input_schema" in given:  # Anthropic's form
        return _described(given, given["name"], given["input_schema"])
    if "toolSpec" in given:  # Bedrock's
        spec = given["toolSpec"]
        return _described(spec, spec["name"], spec["inputSchema"]["json"])
    if "name" in given:
        if set(given) - {"name"} and set(given).isdisjoint(_BESIDE_NAME):
            raise ToolSchemaError(
                f"Unsupported function {dict(given)}: beside its name, a function's description "
                'has "description" and "parameters", a JSON schema, and this has neither. Of '
                'fields, make {"title": …, "type": "object", "properties": {…}}.'
            )
        return {key: given[key] for key in _FUNCTION if key in given}
    if given.get("type") == "function" and isinstance(given.get("function"), Mapping):
        return _of_dict(given["function"])
    if "title" not in given:
        form = "type" in given or "properties" in given
        raise ToolSchemaError(
            f"Unsupported function {dict(given)}: "
            + (
                "to describe a function, a JSON schema must have a top-level 'title' key, which is "
                "the function's name."
                if form
                else "a dict describes a function in OpenAI's, Anthropic's or Bedrock's form, or "
                "as a JSON schema, which must have a top-level 'title' key."
            )
        )
    rest = {key: value for key, value in given.items() if key not in ("title", "description")}
    return _described(given, given["title"], rest if "properties" in rest else None)


_FUNCTION = ("name", "description", "parameters", "strict")
_BESIDE_NAME = (*_FUNCTION[1:], "type")  # one of them shows that `name` is a function's


def _described(
    given: Mapping[str, Any], name: str, parameters: dict[str, Any] | None
) -> dict[str, Any]:
    found: dict[str, Any] = {"name": name}
    if "description" in given:
        found["description"] = given["description"]
    return found if parameters is None else {**found, "parameters": parameters}


def _of_tool(tool: BaseTool) -> dict[str, Any]:
    if isinstance(tool, Tool) and not tool.args_schema:  # of one text, whatever it is called
        argument = {"__arg1": {"title": "__arg1", "type": "string"}}
        shown: Any = {"properties": argument, "required": ["__arg1"], "type": "object"}
        return {"name": tool.name, "description": tool.description, "parameters": shown}
    shown = tool.tool_call_schema
    whole = shown if isinstance(shown, dict) else json_schema_of(shown)
    return _of_schema(whole, tool.name, tool.description)


def _of_function(function: Any) -> dict[str, Any]:
    name = name_of(function)
    model = create_schema_from_function(
        name, function, parse_docstring=True, include_injected=False
    )
    return _of_schema(json_schema_of(model), name, inspect.cleandoc(model.__doc__ or ""))


def _of_schema(
    whole: Mapping[str, Any], name: str | None = None, description: str | None = None
) -> dict[str, Any]:
    """A function of a JSON schema, whose title and description are its where nothing is given."""
    schema = self_contained(whole)
    title, text = schema.pop("title", ""), schema.pop("description", "")
    return {
        "name": name or title,
        "description": description or text,
        "parameters": _without_titles(schema),
    }


_NAMED = frozenset({"properties", "patternProperties", "$defs", "definitions"})
_VALUES = frozenset({"default", "const", "examples", "enum"})


def _without_titles(schema: Mapping[str, Any], *, named: bool = False) -> dict[str, Any]:
    """A schema without the titles that repeat the names of its fields; `named`: the keys are
    names themselves. Alternatives in lists keep theirs, which tells them apart."""
    found: dict[str, Any] = {}
    for key, value in schema.items():
        if named:
            found[key] = _without_titles(value) if isinstance(value, dict) else value
        elif key in _VALUES or not isinstance(value, dict):
            if key != "title":
                found[key] = value
        else:
            found[key] = _without_titles(value, named=key in _NAMED)
    return found


# -------------------------------------------------------------------- strict


def _strictly(function: dict[str, Any], *, strict: bool) -> dict[str, Any]:
    said = function.get("strict", strict)
    if said != strict:
        raise ToolSchemaError(
            f"Function {function.get('name')!r} already has a 'strict' key with value {said}, "
            f"which is different from the argument strict={strict}: leave one of them out."
        )
    found = {**function, "strict": strict}
    if strict and "parameters" in found:
        found["parameters"] = copy.deepcopy(found["parameters"])
        _close(found["parameters"])
    return found


def _close(schema: Any) -> None:
    """Require every key and forbid others, in place, at every level."""
    if not isinstance(schema, dict):
        return
    properties = schema.get("properties")
    if isinstance(properties, dict) and properties:
        schema["required"] = list(properties)
    if "properties" in schema or "required" in schema or "additionalProperties" in schema:
        schema["additionalProperties"] = False
    for key in ("anyOf", "oneOf", "allOf", "prefixItems"):
        for each in schema.get(key) or ():
            _close(each)
    for key in ("properties", "$defs", "definitions"):
        inner = schema.get(key)
        for each in inner.values() if isinstance(inner, dict) else ():
            _close(each)
    items = schema.get("items")
    for each in items if isinstance(items, list) else [items]:
        _close(each)


# -------------------------------------------------------------------- examples


def tool_example_to_messages(
    input: str,
    tool_calls: Sequence[Any],
    tool_outputs: Sequence[str] | None = None,
    *,
    ai_response: str | None = None,
) -> list[BaseMessage]:
    """An example of extraction as a conversation to show a model.

    Args:
        input: what the user says.
        tool_calls: instances of pydantic classes, whose names are the tools'.
        tool_outputs: what each call answered; by default that it was in order.
        ai_response: what the model says in the end.

    Returns:
        The user's message, the model's with the calls, one of a tool for each call, and the
        model's last, if there is one.

    Raises:
        InputError: as many outputs as calls are needed.
    """
    if tool_outputs is not None and len(tool_outputs) != len(tool_calls):
        raise InputError(
            f"The number of tool_outputs ({len(tool_outputs)}) must match the number of tool_calls "
            f"({len(tool_calls)})."
        )
    calls = [
        {
            "id": str(uuid.uuid4()),
            "type": "function",
            "function": {"name": type(call).__name__, "arguments": call.model_dump_json()},
        }
        for call in tool_calls
    ]
    outputs = tool_outputs or ["You have correctly called this tool."] * len(calls)
    messages: list[BaseMessage] = [
        HumanMessage(input),
        AIMessage("", additional_kwargs={"tool_calls": calls}),
    ]
    for text, call in zip(outputs, calls, strict=True):
        messages.append(ToolMessage(text, tool_call_id=str(call["id"])))
    return [*messages, AIMessage(ai_response)] if ai_response else messages
