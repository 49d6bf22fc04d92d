"""Tools, their choice, schemas of answers and beta features, in the words of the Messages API.

Sources: https://docs.anthropic.com/en/api/messages; the guides on tool use, structured outputs and
beta headers; the installed SDK's list of betas. Pure functions and tables.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

__all__ = [
    "betas_for", "closed_schema", "is_own_tool", "output_format", "request_tools", "settings_in",
    "tool_choice",
]  # fmt: skip

_BESIDE: Final = (
    "cache_control", "defer_loading", "input_examples", "allowed_callers", "eager_input_streaming",
)  # fmt: skip
_NO_ARGUMENTS: Final = {"type": "object", "properties": {}}


def is_own_tool(tool: Any) -> bool:
    """Whether a tool is described in Anthropic's form already: a function with an `input_schema`,
    or one that Anthropic has, by its type (`{"type": "web_search_20250305", …}`)."""
    if not isinstance(tool, Mapping) or "function" in tool:
        return False
    if "input_schema" in tool:
        return True
    kind = str(tool.get("type") or "")
    return kind == "mcp_toolset" or (kind.rpartition("_")[2].isdigit() and "properties" not in tool)


def request_tools(tools: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The `tools` of a request, from OpenAI's form; Anthropic's own stay as they are."""
    return [_tool(tool) for tool in tools]


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    function = tool.get("function")
    if not isinstance(function, Mapping):
        return dict(tool)
    made: dict[str, Any] = {"name": function["name"]}
    if function.get("description"):
        made["description"] = function["description"]
    made["input_schema"] = {**_NO_ARGUMENTS, **(function.get("parameters") or {})}
    if function.get("strict") is not None:
        made["strict"] = function["strict"]
    return {**made, **settings_in(tool)}


def settings_in(held: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a tool that only Anthropic knows, among others."""
    return {name: held[name] for name in _BESIDE if held.get(name) is not None}


_WORDS: Final = {"auto": "auto", "none": "none", "any": "any", "required": "any"}


def tool_choice(given: Any, parallel: bool | None) -> dict[str, Any] | None:
    """The `tool_choice` of a request.

    Args:
        given: a word, the name of a tool, or what the API takes; None: as the API does.
        parallel: False: at most one call in an answer.
    """
    if isinstance(given, str):
        word = _WORDS.get(given)
        given = {"type": word} if word else {"type": "tool", "name": given}
    elif isinstance(given, Mapping) and "function" in given:  # OpenAI's form
        given = {"type": "tool", "name": given["function"]["name"]}
    if parallel is None:
        return None if given is None else dict(given)
    choice: dict[str, Any] = dict(given or {"type": "auto"})
    if choice.get("type") != "none":
        choice.setdefault("disable_parallel_tool_use", not parallel)
    return choice


# ---- schemas -------------------------------------------------------------------------------------


def output_format(response_format: Any) -> Any:
    """The format of `output_config`, from the form that `with_structured_output` binds."""
    held = response_format.get("json_schema") if isinstance(response_format, Mapping) else None
    if not isinstance(held, Mapping):
        return response_format
    return {"type": "json_schema", "schema": closed_schema(held["schema"])}


# What the API's grammar holds a model to, beside names and descriptions; other rules become words.
_ENFORCED: Final = frozenset(
    {"type", "properties", "required", "items", "enum", "const", "anyOf", "allOf", "$ref", "$defs",
     "definitions", "title", "description", "default", "additionalProperties"}
)  # fmt: skip
_FORMATS: Final = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
)


def closed_schema(schema: Any) -> Any:
    """A JSON schema as structured outputs take it: objects have no other fields than those named,
    and rules that cannot be enforced (lengths, ranges, patterns) stand in the description."""
    if not isinstance(schema, Mapping):
        return schema
    made: dict[str, Any] = {}
    told: list[str] = []
    for name, value in schema.items():
        if name in ("properties", "$defs", "definitions"):
            made[name] = {key: closed_schema(inner) for key, inner in value.items()}
        elif name in ("anyOf", "allOf", "oneOf"):
            made["anyOf" if name == "oneOf" else name] = [closed_schema(each) for each in value]
        elif name == "items":
            made[name] = closed_schema(value)
        elif name in _ENFORCED or _enforced(name, value):
            made[name] = value
        else:
            told.append(f"{name}: {value}")
    if schema.get("type") == "object" or "properties" in schema:
        made["additionalProperties"] = False
    if told:
        said = [schema["description"]] if schema.get("description") else []
        made["description"] = "\n\n".join([*said, f"({', '.join(told)})"])
    return made


def _enforced(name: str, value: Any) -> bool:
    return (name == "format" and value in _FORMATS) or (name == "minItems" and value in (0, 1))


# ---- betas ---------------------------------------------------------------------------------------

_BY_TOOL: Final[Mapping[str, str]] = {
    "advisor_20260301": "advisor-tool-2026-03-01",
    "code_execution_20250522": "code-execution-2025-05-22",
    "computer_20241022": "computer-use-2024-10-22",
    "computer_20250124": "computer-use-2025-01-24",
    "computer_20251124": "computer-use-2025-11-24",
    "mcp_toolset": "mcp-client-2025-11-20",
    "memory_20250818": "context-management-2025-06-27",
}
_BY_PARAMETER: Final[Mapping[str, str]] = {
    "context_management": "context-management-2025-06-27",
    "mcp_servers": "mcp-client-2025-11-20",
}


def betas_for(request: Mapping[str, Any], given: Collection[str] | None) -> list[str]:
    """The beta features of a request: those that are `given`, and those that it needs."""
    wanted = list(given or ())
    wanted += [_BY_TOOL[t["type"]] for t in request.get("tools") or () if t.get("type") in _BY_TOOL]
    wanted += [beta for name, beta in _BY_PARAMETER.items() if request.get(name)]
    config = request.get("output_config") or {}
    if config.get("task_budget"):
        wanted.append("task-budgets-2026-03-13")
    edits = (request.get("context_management") or {}).get("edits") or ()
    if any(edit.get("type") == "compact_20260112" for edit in edits):
        wanted.append("compact-2026-01-12")
    return list(dict.fromkeys(wanted))
