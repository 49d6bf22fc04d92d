"""Messages, tools and settings as the body of a request to Gemini. Pure functions.

Source: https://ai.google.dev/api/generate-content, and Vertex AI's reference, which is the same but
for a few fields. Settings go by their Python names; what is not in a table here is taken for a
field of `generationConfig`, and its name is written as JSON has it (`top_k` becomes `topK`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from headrace.errors import ConfigError
from headrace.messages import BaseMessage

from .contents import written

__all__ = ["is_built_in", "request_body"]

Body = dict[str, Any]

_ABOVE: Final = frozenset(
    {"contents", "systemInstruction", "tools", "toolConfig", "safetySettings", "cachedContent",
     "labels", "modelArmorConfig", "serviceTier", "store"}
)  # fmt: skip
_RENAMED: Final = {"maxTokens": "maxOutputTokens", "stop": "stopSequences", "n": "candidateCount"}
_THINKING: Final = frozenset({"thinkingBudget", "thinkingLevel", "includeThoughts"})
# Tools that Google has, which are described by their names alone.
_BUILT_IN: Final = frozenset(
    {"googleSearch", "googleSearchRetrieval", "codeExecution", "urlContext", "googleMaps",
     "enterpriseWebSearch", "retrieval", "computerUse", "fileSearch", "mcpServers",
     "parallelAiSearch", "functionDeclarations"}
)  # fmt: skip
_ONLY_JSON: Final = frozenset({"$ref", "$defs", "additionalProperties", "const", "oneOf", "allOf"})
_MODES: Final = {"auto": "AUTO", "none": "NONE", "any": "ANY", "required": "ANY"}


def request_body(
    messages: Sequence[BaseMessage], settings: Mapping[str, Any], *, model: str
) -> Body:
    """The body of a request.

    Args:
        settings: by their names; those that are None are left out. A later one counts.
        model: its name.

    Raises:
        InputError: the messages cannot be said to Gemini.
        ConfigError: a setting cannot.
    """
    system, contents = written(messages, model)
    body: Body = {"contents": contents}
    if system:
        body["systemInstruction"] = {"role": "user", "parts": system}
    for name, value in settings.items():
        if value is not None:
            _put(body, _camel(name), value)
    return body


def _put(body: Body, name: str, value: Any) -> None:
    put = _PUT.get(name)
    if put is not None:
        put(body, value)
    elif name in _ABOVE:
        body[name] = value
    elif name in _THINKING:
        level = name == "thinkingLevel" and isinstance(value, str)
        config = _config(body).setdefault("thinkingConfig", {})
        _config(body)["thinkingConfig"] = {**config, name: value.upper() if level else value}
    else:
        _config(body)[_RENAMED.get(name, name)] = value


def _config(body: Body) -> Body:
    config: Body = body.setdefault("generationConfig", {})
    return config


def _camel(name: str) -> str:
    return re.sub(r"_([a-z0-9])", lambda found: found[1].upper(), name)


# ---- settings that say more than one field -------------------------------------------------------


def _generation(body: Body, value: Mapping[str, Any]) -> None:
    for name, each in value.items():
        _put(body, _camel(name), each)


def _safety(body: Body, value: Any) -> None:
    if isinstance(value, Mapping):
        value = [{"category": each, "threshold": limit} for each, limit in value.items()]
    body["safetySettings"] = value


def _format(body: Body, value: Any) -> None:
    """`response_format` in OpenAI's form, as `with_structured_output` sets it; a schema."""
    kind = value.get("type") if isinstance(value, Mapping) else None
    if kind == "text":
        return
    _config(body)["responseMimeType"] = "application/json"
    if kind == "json_schema":
        _config(body)["responseJsonSchema"] = value["json_schema"]["schema"]
    elif kind != "json_object":
        _schema(body, value)


def _schema(body: Body, value: Any) -> None:
    """`response_schema`: a schema of Google's, a JSON schema, or a class. Of a schema that could be
    either, Google's is meant, which is a part of OpenAPI's."""
    config = _config(body)
    config.setdefault("responseMimeType", "application/json")
    if not isinstance(value, Mapping):
        from headrace.output_parsers.schemas import schema_of

        config["responseJsonSchema"] = schema_of(value).json_schema()
    else:
        config["responseJsonSchema" if _in_json_schema(value) else "responseSchema"] = value


def _in_json_schema(schema: Any) -> bool:
    """Whether it says what only JSON schemas say."""
    if isinstance(schema, list):
        return any(map(_in_json_schema, schema))
    if not isinstance(schema, Mapping):
        return False
    return not _ONLY_JSON.isdisjoint(schema) or any(map(_in_json_schema, schema.values()))


def _logprobs(body: Body, value: Any) -> None:
    """True, or how many other tokens are to be told with each."""
    if value is False:
        return
    _config(body)["responseLogprobs"] = True
    if value is not True:
        _config(body)["logprobs"] = value


def _parallel(body: Body, value: bool) -> None:
    if not value:
        raise ConfigError(
            "parallel_tool_calls=False: Gemini cannot be told to call one tool at a time. Leave it "
            "out, and take the first of `tool_calls`."
        )


def _nothing(body: Body, value: Any) -> None:
    """What Gemini has no word for, and does anyway."""


# ---- tools ---------------------------------------------------------------------------------------


def is_built_in(tool: Any) -> bool:
    """Whether it is a tool of Google's, e.g. `{"google_search": {}}`."""
    if isinstance(tool, str):
        return _camel(tool) in _BUILT_IN
    tool = _as_dict(tool)
    if not isinstance(tool, Mapping):
        return False
    names = [tool["type"]] if isinstance(tool.get("type"), str) else list(tool)
    return bool(names) and all(_camel(name) in _BUILT_IN for name in names)


def _as_dict(tool: Any) -> Any:
    """A tool as a dict, where it is one of the SDK's."""
    if type(tool).__module__.startswith("google.genai"):
        return tool.model_dump(mode="json", by_alias=True, exclude_none=True)
    return tool


def _tools(body: Body, value: Sequence[Any]) -> None:
    declared: list[Body] = []
    made: list[Body] = []
    for tool in value:
        if is_built_in(tool):
            made.append(_built_in(tool))
        else:
            declared.append(_declared(tool))
    body["tools"] = [*([{"functionDeclarations": declared}] if declared else []), *made]


def _built_in(tool: Any) -> Body:
    if isinstance(tool, str):
        return {_camel(tool): {}}
    tool = dict(_as_dict(tool))
    if isinstance(tool.get("type"), str):
        return {_camel(tool.pop("type")): tool}
    return {_camel(name): value for name, value in tool.items()}


def _declared(tool: Mapping[str, Any]) -> Body:
    """A function, of its description in OpenAI's form, or in Google's."""
    function = tool.get("function", tool)
    made: Body = {"name": function["name"]}
    if function.get("description") is not None:
        made["description"] = function["description"]
    parameters = function.get("parameters")
    for name in ("parametersJsonSchema", "parameters_json_schema"):
        parameters = function.get(name) or parameters
    if parameters:
        in_capitals = str(parameters.get("type", "")).isupper()
        made["parameters" if in_capitals else "parametersJsonSchema"] = parameters
    return made


def _tool_choice(body: Body, value: Any) -> None:
    """A word, a name, several names, or what Google takes."""
    if isinstance(value, Mapping):
        calling = value.get("functionCallingConfig") or value.get("function_calling_config")
        calling = dict(calling or value)
    elif isinstance(value, str) and value in _MODES:
        calling = {"mode": _MODES[value]}
    else:
        names = [value] if isinstance(value, str) else list(value)
        calling = {"mode": "ANY", "allowedFunctionNames": names}
    body["toolConfig"] = {**(body.get("toolConfig") or {}), "functionCallingConfig": calling}


def _tool_config(body: Body, value: Mapping[str, Any]) -> None:
    body["toolConfig"] = {**(body.get("toolConfig") or {}), **value}


_PUT: Final[Mapping[str, Callable[[Body, Any], None]]] = {
    "generationConfig": _generation,
    "safetySettings": _safety,
    "responseFormat": _format,
    "responseSchema": _schema,
    "logprobs": _logprobs,
    "parallelToolCalls": _parallel,
    "strict": _nothing,
    "tools": _tools,
    "toolChoice": _tool_choice,
    "toolConfig": _tool_config,
}
