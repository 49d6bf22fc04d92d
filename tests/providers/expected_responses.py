"""A second reading of OpenAI's Responses: items, streamed part by part.

The rules: the last event has the whole answer; it is `response.completed`, `.incomplete` or
`.failed`. Deltas are read all the same, so that a stream can be read up to any event. Thoughts are
the summaries of reasoning items. An `error` event and `.failed` are errors. Function calls are
known by their `call_id`. What only OpenAI can read (`encrypted_content`) must be kept, and so must
the ids of reasoning and of what its own tools did.
"""

from __future__ import annotations

from typing import Any

from providers.expected import Call, Reader, Usage
from providers.expected_errors import error_in_stream

LAST = {"response.completed", "response.incomplete", "response.failed"}


class ResponsesReader(Reader):
    """One answer."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: dict[int, Call] = {}

    def event(self, name: str | None, data: Any) -> None:
        kind = data["type"]
        if kind == "error":
            self.said.error = error_in_stream(data.get("error") or data)
        elif kind in LAST:
            self._last(data["response"])
        elif kind in ("response.output_text.delta",):
            self.said.text += data["delta"]
        elif kind in ("response.refusal.delta",):
            self.said.refusal += data["delta"]
        elif kind in ("response.reasoning_summary_text.delta", "response.reasoning_text.delta"):
            self.said.reasoning += data["delta"]
        elif kind == "response.output_text.annotation.added":
            self.said.citations += 1
        elif kind == "response.output_item.added":
            self._item(data["output_index"], data["item"])
        elif kind in (
            "response.function_call_arguments.delta",
            "response.custom_tool_call_input.delta",
        ):
            self._calls[data["output_index"]].text += data["delta"]
        elif kind == "response.output_item.done":
            self._keep(data["item"])

    def _item(self, index: int, item: dict[str, Any]) -> None:
        if item["type"] in ("function_call", "custom_tool_call"):
            free = item["type"] == "custom_tool_call"
            call = Call(item["name"], item["call_id"], free=free)
            self._calls[index] = call
            self.said.calls.append(call)

    def _keep(self, item: dict[str, Any]) -> None:
        if item.get("encrypted_content"):
            self.said.kept.append(item["encrypted_content"])
        if item["type"] in ("reasoning", "code_interpreter_call", "web_search_call"):
            self.said.kept.append(item["id"])
        if item["type"] == "code_interpreter_call":
            self.said.kept.append(item["code"])

    def answer(self, data: Any) -> None:
        said = self.said
        for index, item in enumerate(data["output"]):
            self._item(index, item)
            self._keep(item)
            if index in self._calls:
                self._calls[index].text = item.get("arguments") or item.get("input") or ""
            said.reasoning += "".join(part["text"] for part in item.get("summary", []))
            for part in item.get("content") or []:
                said.text += part.get("text", "")
                said.refusal += part.get("refusal", "")
                said.citations += len(part.get("annotations", []))
        self._last(data)

    def _last(self, response: dict[str, Any]) -> None:
        said = self.said
        if response["status"] == "failed":
            said.error = error_in_stream(response["error"])
        said.whole = said.over = True
        said.ids = {response["id"], *(item["id"] for item in response["output"] if "id" in item)}
        said.models = {response["model"]}
        reason = (response.get("incomplete_details") or {}).get("reason")
        said.finish_reasons = {response["status"]} | ({reason} if reason else set())
        told = response.get("usage")
        if told:
            said.usage = Usage(
                input=told["input_tokens"],
                output=told["output_tokens"],
                total=told["total_tokens"],
                cache_read=told["input_tokens_details"].get("cached_tokens", 0),
                reasoning=told["output_tokens_details"].get("reasoning_tokens", 0),
            )
