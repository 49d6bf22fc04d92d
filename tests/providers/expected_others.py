"""A second reading of Anthropic's messages, Cohere's v2 chat and Google's generateContent.

Anthropic: the input is what was read new, from the cache and into the cache; a later usage takes
the place of the earlier ones key by key; a tool's input may come as pieces of JSON, even none.
Cohere: `tokens` is what was processed (`billed_units` what is paid); a `message-end` that says
ERROR reports a failure. Google: thoughts are parts with `thought`; output includes them, input what
tools brought; the end is a `finishReason`; a prompt that was blocked has no candidates.
"""

from __future__ import annotations

import json
from typing import Any

from providers.expected import Call, Reader, Usage
from providers.expected_errors import error_in_stream, error_of_prompt


class MessagesReader(Reader):
    """Anthropic."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: dict[int, Call] = {}
        self._usage: dict[str, Any] = {}

    def event(self, name: str | None, data: Any) -> None:
        said = self.said
        match data["type"]:
            case "error":
                said.error = error_in_stream(data["error"])
            case "message_start":
                said.ids, said.models = {data["message"]["id"]}, {data["message"]["model"]}
                self._used(data["message"]["usage"])
            case "content_block_start":
                self._block(data["index"], data["content_block"])
            case "content_block_delta":
                self._delta(data["index"], data["delta"])
            case "message_delta":
                if data["delta"].get("stop_reason"):
                    said.finish_reasons, said.whole = {data["delta"]["stop_reason"]}, True
                self._used(data["usage"])
            case "message_stop":
                said.over = True

    def answer(self, data: Any) -> None:
        self.said.ids, self.said.models = {data["id"]}, {data["model"]}
        for index, block in enumerate(data["content"]):
            self._block(index, block)
        self.said.finish_reasons = {data["stop_reason"]}
        self.said.whole = self.said.over = True
        self._used(data["usage"])

    def _block(self, index: int, block: dict[str, Any]) -> None:
        said = self.said
        if block["type"] == "tool_use":
            call = self._calls[index] = Call(block["name"], block["id"])
            call.text = json.dumps(block["input"]) if block.get("input") else ""
            said.calls.append(call)
            return
        said.text += block.get("text", "") if block["type"] == "text" else ""
        said.reasoning += block.get("thinking", "")
        said.citations += len(block.get("citations") or [])
        said.kept += _secrets(block)
        if block["type"].endswith("tool_result") or block["type"] == "server_tool_use":
            said.kept.append(block.get("tool_use_id") or block["id"])

    def _delta(self, index: int, delta: dict[str, Any]) -> None:
        said = self.said
        said.text += delta.get("text", "")
        said.reasoning += delta.get("thinking", "")
        said.citations += "citation" in delta
        if delta.get("signature"):
            said.kept.append(delta["signature"])
        if index in self._calls:
            self._calls[index].text += delta.get("partial_json", "")

    def _used(self, told: dict[str, Any]) -> None:
        self._usage |= {key: value for key, value in told.items() if value is not None}
        usage = self._usage
        read = usage.get("cache_read_input_tokens", 0)
        written = usage.get("cache_creation_input_tokens", 0)
        input, output = usage.get("input_tokens", 0) + read + written, usage["output_tokens"]
        thoughts = (usage.get("output_tokens_details") or {}).get("thinking_tokens", 0)
        self.said.usage = Usage(input, output, input + output, read, written, thoughts)


def _secrets(node: Any) -> list[str]:
    """What only the vendor can read."""
    found: list[str] = []
    if isinstance(node, list):
        for value in node:
            found += _secrets(value)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key in ("signature", "encrypted_content", "data") and isinstance(value, str):
                found += [value] if value else []
            else:
                found += _secrets(value)
    return found


class CohereReader(Reader):
    """Cohere v2."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: dict[int, Call] = {}

    def event(self, name: str | None, data: Any) -> None:
        if data == "[DONE]":
            return
        delta = data.get("delta") or {}
        message = delta.get("message") or {}
        match data["type"]:
            case "message-start":
                self.said.ids = {data["id"]}
            case "content-start" | "content-delta":
                self._part(message["content"])
            case "tool-plan-delta":
                self.said.plan += message["tool_plan"]
            case "tool-call-start":
                call = self._calls[data["index"]] = Call()
                self.said.calls.append(call)
                self._call(call, message["tool_calls"])
            case "tool-call-delta":
                self._call(self._calls[data["index"]], message["tool_calls"])
            case "citation-start":
                self._cited([message["citations"]])
            case "message-end":
                self._end(delta)

    def answer(self, data: Any) -> None:
        message = data["message"]
        self.said.ids = {data["id"]}
        for part in message.get("content") or []:
            self._part(part)
        self.said.plan = message.get("tool_plan") or ""
        self._cited(message.get("citations") or [])
        for told in message.get("tool_calls") or []:
            call = Call()
            self.said.calls.append(call)
            self._call(call, told)
        self._end(data)

    def _cited(self, citations: list[dict[str, Any]]) -> None:
        self.said.citations += len(citations)
        self.said.sources += sum(len(citation["sources"]) for citation in citations)

    def _part(self, part: dict[str, Any]) -> None:
        self.said.text += part.get("text") or ""
        self.said.reasoning += part.get("thinking") or ""

    def _call(self, call: Call, told: dict[str, Any]) -> None:
        function = told.get("function") or {}
        call.id = call.id or told.get("id")
        call.name = call.name or function.get("name") or ""
        call.text += function.get("arguments") or ""

    def _end(self, told: dict[str, Any]) -> None:
        self.said.finish_reasons = {told["finish_reason"]}
        self.said.whole = self.said.over = True
        if told["finish_reason"] == "ERROR":
            self.said.error = error_in_stream(told)
        usage = told.get("usage") or {}
        tokens = usage.get("tokens")
        if tokens:
            input, output = int(tokens["input_tokens"]), int(tokens["output_tokens"])
            cached, thoughts = usage.get("cached_tokens", 0), tokens.get("reasoning_tokens", 0)
            self.said.usage = Usage(input, output, input + output, int(cached), 0, int(thoughts))


class GoogleReader(Reader):
    """Gemini and Vertex."""

    def event(self, name: str | None, data: Any) -> None:
        self.answer(data)

    def answer(self, data: Any) -> None:
        said = self.said
        said.ids |= {data["responseId"]} if data.get("responseId") else set()
        said.models |= {data["modelVersion"]} if data.get("modelVersion") else set()
        for candidate in data.get("candidates") or []:
            for part in (candidate.get("content") or {}).get("parts") or []:
                self._part(candidate.get("index", 0), part)
            if candidate.get("finishReason") and not candidate.get("index"):
                said.finish_reasons, said.whole = {candidate["finishReason"]}, True
            supports = (candidate.get("groundingMetadata") or {}).get("groundingSupports") or []
            said.citations += len(supports)
            said.sources += sum(len(s.get("groundingChunkIndices", [])) for s in supports)
        if (data.get("promptFeedback") or {}).get("blockReason"):
            said.error = error_of_prompt(data["promptFeedback"])
        if data.get("usageMetadata", {}).get("promptTokenCount") is not None:
            said.usage = _google_usage(data["usageMetadata"])

    def _part(self, index: int, part: dict[str, Any]) -> None:
        said = self.said
        if part.get("thoughtSignature"):
            said.kept.append(part["thoughtSignature"])
        if index:
            said.others[index] = said.others.get(index, "") + part.get("text", "")
        elif part.get("thought"):
            said.reasoning += part.get("text", "")
        elif "functionCall" in part:
            call = part["functionCall"]
            said.calls.append(Call(call["name"], call.get("id"), json.dumps(call.get("args", {}))))
        else:
            said.text += part.get("text", "")
        for kind, key in (("executableCode", "code"), ("codeExecutionResult", "output")):
            if kind in part:
                said.kept.append(part[kind][key])


def _google_usage(told: dict[str, Any]) -> Usage:
    thoughts = told.get("thoughtsTokenCount", 0)
    input = told["promptTokenCount"] + told.get("toolUsePromptTokenCount", 0)
    return Usage(
        input=input,
        output=told.get("candidatesTokenCount", 0) + thoughts,
        total=told["totalTokenCount"],
        cache_read=told.get("cachedContentTokenCount", 0),
        reasoning=thoughts,
    )
