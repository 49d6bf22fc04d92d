"""What a request's body says, in a form in which two that say the same are equal.

    says("chat.completions", body) -> {"messages": [...], "tools": [...], "temperature": 0.5, ...}

A text is a part of type text; `developer` is `system`; messages of one role that follow each other
are one where the vendor takes them so; arguments are parsed; null and absent are the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from providers.replay_asked import snake

Body = dict[str, Any]


def says(api: str, body: Body) -> Body:
    """See the head of the file."""
    if api.startswith(("gemini.", "vertex.")):
        return _google(snake(body))
    read: dict[str, Callable[[Body], Body]] = {"messages": _anthropic, "responses": _responses}
    return _cleaned(read.get(api, _chat)(dict(body)))


def _cleaned(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _cleaned(value) for key, value in node.items() if value is not None}
    return [_cleaned(value) for value in node] if isinstance(node, list) else node


def _role(role: str) -> str:
    return {"developer": "system", "model": "assistant"}.get(role, role)


def _parts(content: Any) -> list[Any]:
    """Content as parts; texts by themselves."""
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    parts = []
    for part in content or []:
        kind = part.get("type", "").removeprefix("input_").removeprefix("output_")
        part = {"type": "text", **part, **({"type": kind} if kind else {})}
        if part != {"type": "text", "text": ""}:
            parts.append({k: v for k, v in part.items() if v not in (None, [])})
    return parts


def _merged(messages: Iterable[Body]) -> list[Body]:
    """Messages of one role that follow each other as one."""
    merged: list[Body] = []
    for message in messages:
        if merged and merged[-1]["role"] == message["role"]:
            for key, value in message.items():
                if isinstance(value, list):
                    merged[-1][key] = merged[-1].get(key, []) + value
        else:
            merged.append(dict(message))
    return merged


def _chat(body: Body) -> Body:
    body["messages"] = [_chat_message(message) for message in body["messages"]]
    body["tools"] = [_tool(tool) for tool in body.get("tools") or []] or None
    if "max_completion_tokens" in body:
        body["max_tokens"] = body.pop("max_completion_tokens")
    body["tool_choice"] = _choice(body.get("tool_choice"))
    return body


def _choice(choice: Any) -> Any:
    """Where nothing is said, "auto" counts, and several calls at once; "any" is "required"."""
    if isinstance(choice, str):
        choice = {"any": "required"}.get(choice.lower(), choice.lower())
    if isinstance(choice, dict) and choice.get("disable_parallel_tool_use") is False:
        choice = {key: v for key, v in choice.items() if key != "disable_parallel_tool_use"}
    return None if choice in ("auto", {"type": "auto"}) else choice


def _chat_message(told: Body) -> Body:
    return {
        "role": _role(told["role"]),
        "parts": _parts(told.get("content")),
        "calls": [
            [c["id"], c["function"]["name"], json.loads(c["function"]["arguments"])]
            for c in told.get("tool_calls") or []
        ],
        "call": told.get("tool_call_id"),
        "name": None if told["role"] == "tool" else told.get("name"),  # the call's id says it
        "prefix": told.get("prefix") or None,
    }


def _tool(tool: Body) -> Body:
    told = tool.get("function", tool)
    if "parameters" not in told and "input_schema" not in told:
        return tool
    schema = told.get("parameters") or told.get("input_schema")
    strict = told.get("strict") or None
    return {
        "name": told["name"],
        "description": told.get("description") or None,
        "schema": schema,
        "strict": strict,
    }


def _responses(body: Body) -> Body:
    items = body["input"]
    if isinstance(items, str):
        items = [{"role": "user", "content": items}]
    body["input"] = [_item(item) for item in items]
    body["tools"] = [_tool(tool) for tool in body.get("tools") or []] or None
    body["tool_choice"] = _choice(body.get("tool_choice"))
    return body


def _item(item: Body) -> Body:
    match item.get("type", "message"):
        case "function_call":
            return {"call": [item["call_id"], item["name"], json.loads(item["arguments"])]}
        case "function_call_output":
            return {"answers": item["call_id"], "parts": _parts(item["output"])}
        case _:
            return {"role": _role(item["role"]), "parts": _parts(item["content"])}


def _anthropic(body: Body) -> Body:
    body["system"] = _parts(body.get("system")) or None
    body["messages"] = _merged(_anthropic_message(told) for told in body["messages"])
    body["tools"] = [
        {**tool, **_tool(tool), "input_schema": None, "type": None}
        if "input_schema" in tool
        else tool
        for tool in body.get("tools") or []
    ] or None
    body["tool_choice"] = _choice(body.get("tool_choice"))
    return body


def _anthropic_message(told: Body) -> Body:
    parts = [
        {**part, "content": _parts(part.get("content"))} if part["type"] == "tool_result" else part
        for part in _parts(told["content"])
    ]
    return {"role": told["role"], "parts": parts}


# ---- Google -------------------------------------------------------------------------------------


def _google(body: Body) -> Body:
    said = {key: value for key, value in body.items() if key not in GOOGLE}
    system = body.get("system_instruction")
    said["system"] = "".join(part["text"] for part in system["parts"]) if system else None
    said["messages"] = _merged(
        {"role": _role(c.get("role", "user")), "parts": [_google_part(p) for p in c["parts"]]}
        for c in body["contents"]
    )
    said["tools"] = [
        _google_tool(tool)
        for group in body.get("tools") or []
        for tool in group.get("function_declarations") or [group]
    ] or None
    config = body.get("tool_config", {}).get("function_calling_config", {})
    said["tool_choice"] = None if config.get("mode") == "AUTO" else config.get("mode")
    said["settings"] = _lowered(body.get("generation_config") or {})
    cleaned: Body = _cleaned(said)
    return cleaned


GOOGLE = {"contents", "system_instruction", "tools", "tool_config", "generation_config"}


def _google_part(part: Body) -> Body:
    if "function_call" in part:
        return {"call": [part["function_call"]["name"], part["function_call"].get("args") or {}]}
    if "function_response" in part:  # of the result only the texts: its form is the caller's
        told = part["function_response"]
        return {"answers": told["name"], "texts": sorted(_texts(told["response"]))}
    return {key: value for key, value in part.items() if key != "thought_signature"}


def _texts(node: Any) -> Iterable[str]:
    if isinstance(node, dict):
        node = list(node.values())
    if isinstance(node, list):
        return [text for value in node for text in _texts(value)]
    return [str(node)]


def _google_tool(tool: Body) -> Body:
    if "name" not in tool:
        return tool
    schema = tool.get("parameters") or tool.get("parameters_json_schema")
    empty = not (schema or {}).get("properties")
    return {
        "name": tool["name"],
        "description": tool.get("description"),
        "schema": None if empty else _lowered(schema),
    }


def _lowered(node: Any) -> Any:
    """A schema with its types in lower case and without what says nothing."""
    if isinstance(node, list):
        return [_lowered(value) for value in node]
    if not isinstance(node, dict):
        return node
    found = snake(node)
    return {
        key: value.lower() if key == "type" and isinstance(value, str) else _lowered(value)
        for key, value in found.items()
        if key not in ("property_ordering", "nullable", "title", "$schema")
    }
