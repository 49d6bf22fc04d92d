"""A recorded request as a user of the library would have made it.

    asked(exchange) -> Asked(messages, tools, tool_choice, settings)

Messages are ours; content other than text stays in the vendor's form, which is read on the way in.
Tools are in OpenAI's form, but for the vendors' own, which stay as they are. Settings are given to
`bind` by the vendor's names (Google's: those of its SDK).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from headrace.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from providers.replay_exchanges import Exchange

# What the method or the class says, not the user.
OURS = {"model", "messages", "stream", "stream_options", "tools", "tool_choice", "input", "system"}


@dataclass
class Asked:
    """A request."""

    messages: list[BaseMessage]
    tools: list[dict[str, Any]] = field(default_factory=list)
    tool_choice: Any = None
    settings: dict[str, Any] = field(default_factory=dict)

    def bound(self, model: Any) -> Any:
        """The model with the tools and settings of the request."""
        if self.tools:
            more = {} if self.tool_choice is None else {"tool_choice": self.tool_choice}
            model = model.bind_tools(self.tools, **more)
        return model.bind(**self.settings) if self.settings else model


def asked(exchange: Exchange) -> Asked:
    """See the head of the file."""
    body = {key: value for key, value in exchange.request_body.items() if value is not None}
    if exchange.api.startswith(("gemini.", "vertex.")):
        return _google(body)
    settings = {key: value for key, value in body.items() if key not in OURS}
    tools, choice = body.get("tools") or [], body.get("tool_choice")
    if exchange.api == "messages":
        return Asked(_anthropic(body), [_of_anthropic(tool) for tool in tools], choice, settings)
    if exchange.api == "responses":
        return Asked(list(_responses(body["input"])), list(tools), choice, settings)
    return Asked([_chat(message) for message in body["messages"]], tools, choice, settings)


# ---- chat.completions and Cohere ----------------------------------------------------------------


def _chat(told: dict[str, Any]) -> BaseMessage:
    role, content = told["role"], told.get("content") or ""
    name = told.get("name")
    if role in ("system", "developer"):
        return SystemMessage(content, name=name)
    if role == "tool":
        return ToolMessage(content, tool_call_id=told["tool_call_id"], name=name)
    if role == "user":
        return HumanMessage(content, name=name)
    calls = [
        {
            "name": call["function"]["name"],
            "args": json.loads(call["function"]["arguments"]),
            "id": call["id"],
        }
        for call in told.get("tool_calls") or []
    ]
    return AIMessage(content, tool_calls=calls, name=name)


# ---- Responses ----------------------------------------------------------------------------------


def _responses(items: Any) -> Iterator[BaseMessage]:
    if isinstance(items, str):
        yield HumanMessage(items)
        return
    for item in items:
        match item.get("type", "message"):
            case "function_call":
                args = json.loads(item["arguments"])
                call = {"name": item["name"], "args": args, "id": item["call_id"]}
                yield AIMessage("", tool_calls=[call])
            case "function_call_output":
                yield ToolMessage(item["output"], tool_call_id=item["call_id"])
            case "message":
                yield _chat({"role": item["role"], "content": _input_text(item["content"])})


def _input_text(content: Any) -> Any:
    if isinstance(content, str):
        return content
    return [{**part, "type": part["type"].removeprefix("input_")} for part in content]


# ---- Anthropic ----------------------------------------------------------------------------------


def _anthropic(body: dict[str, Any]) -> list[BaseMessage]:
    messages: list[BaseMessage] = [SystemMessage(body["system"])] if body.get("system") else []
    for told in body["messages"]:
        messages.extend(_anthropic_message(told["role"], told["content"]))
    return messages


def _anthropic_message(role: str, content: Any) -> Iterator[BaseMessage]:
    blocks = [] if isinstance(content, str) else content
    if role == "assistant":
        calls = [
            {"name": block["name"], "args": block["input"], "id": block["id"]}
            for block in blocks
            if block["type"] == "tool_use"
        ]
        rest = [block for block in blocks if block["type"] != "tool_use"]
        yield AIMessage(content if isinstance(content, str) else rest, tool_calls=calls)
        return
    for block in blocks:
        if block["type"] == "tool_result":
            yield ToolMessage(block["content"], tool_call_id=block["tool_use_id"])
    rest = [block for block in blocks if block["type"] != "tool_result"]
    if rest or isinstance(content, str):
        yield HumanMessage(content if isinstance(content, str) else rest)


def _of_anthropic(tool: dict[str, Any]) -> dict[str, Any]:
    if set(tool) - {"name", "description", "input_schema", "type"} or "input_schema" not in tool:
        return tool
    function = {"name": tool["name"], "parameters": tool["input_schema"]}
    if "description" in tool:
        function["description"] = tool["description"]
    return {"type": "function", "function": function}


# ---- Google -------------------------------------------------------------------------------------


def snake(node: Any) -> Any:
    """The keys of Google's JSON as its SDK names them; what stands under a schema stays."""
    if isinstance(node, list):
        return [snake(value) for value in node]
    if not isinstance(node, dict):
        return node
    return {
        (name := re.sub(r"(?<=[a-z])([A-Z])", lambda m: "_" + m[1].lower(), key)): (
            value if name in ("args", "response") or name.endswith("schema") else snake(value)
        )
        for key, value in node.items()
    }


def _google(body: dict[str, Any]) -> Asked:
    told = snake(body)
    system = told.get("system_instruction")
    messages: list[BaseMessage] = []
    if system:
        messages.append(SystemMessage("".join(part["text"] for part in system["parts"])))
    for content in told["contents"]:
        messages.extend(_google_message(content))
    settings = dict(told.get("generation_config") or {})
    for key in ("safety_settings", "model_armor_config"):
        if key in told:
            settings[key] = told[key]
    mode = told.get("tool_config", {}).get("function_calling_config", {}).get("mode")
    tools = [tool for group in told.get("tools", []) for tool in _google_tools(group)]
    return Asked(messages, tools, mode.lower() if mode else None, settings)


def _google_tools(group: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for told in group.get("function_declarations", []):
        function = {key: told[key] for key in ("name", "description") if key in told}
        schema = told.get("parameters") or told.get("parameters_json_schema")
        yield {"type": "function", "function": {**function, "parameters": schema or EMPTY}}
    own = {key: value for key, value in group.items() if key != "function_declarations"}
    if own:
        yield own


EMPTY: dict[str, Any] = {"type": "object", "properties": {}}


def _google_message(content: dict[str, Any]) -> Iterator[BaseMessage]:
    parts = [part for part in content["parts"] if "function_response" not in part]
    for part in content["parts"]:
        if "function_response" in part:
            told = part["function_response"]
            call_id = told.get("id") or f"call-{told['name']}"
            yield ToolMessage(json.dumps(told["response"]), tool_call_id=call_id, name=told["name"])
    if content.get("role") == "model":
        calls = [
            {"name": c["name"], "args": c["args"], "id": c.get("id") or f"call-{c['name']}"}
            for c in (part["function_call"] for part in parts if "function_call" in part)
        ]
        text: Any = [{"type": "text", "text": part["text"]} for part in parts if "text" in part]
        yield AIMessage(text or "", tool_calls=calls)
    elif parts:
        yield HumanMessage([_google_part(part) for part in parts])


def _google_part(part: dict[str, Any]) -> dict[str, Any]:
    if "file_data" in part:
        told = part["file_data"]
        kind = told["mime_type"].split("/")[0]
        kind = kind if kind in ("image", "audio", "video") else "file"
        return {"type": kind, "url": told["file_uri"], "mime_type": told["mime_type"]}
    return {"type": "text", "text": part["text"]}
