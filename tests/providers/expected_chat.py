"""A second reading of chat.completions, in the dialects of seven vendors.

The rules, from the vendors' references and the recordings:

- the message is choice 0; its end is a `finish_reason`; the stream's is `[DONE]`;
- `finish_reason` may be told twice: the last that is not null counts;
- `usage` may come anywhere, again and again: the last counts (`x_groq.usage` where no other is);
- thoughts are in `reasoning` or `reasoning_content`; where both are told they are the same;
  Mistral's are the `thinking` parts of a list in `content`;
- pieces of a tool call have one `index`; without one, each is a call; an id or name that is null or
  missing in later pieces says nothing.
"""

from __future__ import annotations

from typing import Any

from providers.expected import Call, Reader, Usage
from providers.expected_errors import error_in_stream


class ChatReader(Reader):
    """One answer."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: dict[Any, Call] = {}

    def event(self, name: str | None, data: Any) -> None:
        if data == "[DONE]":
            self.said.over = True
        elif name == "error" or data.get("error"):
            self.said.error = error_in_stream(data.get("error", data))
        else:
            self._document(data, "delta")

    def answer(self, data: Any) -> None:
        self._document(data, "message")

    def _document(self, data: dict[str, Any], key: str) -> None:
        self.said.ids |= {data["id"]} - {""}
        self.said.models |= {data["model"]} - {""}
        for choice in data.get("choices") or []:
            message = choice.get(key) or {}
            if choice.get("index", 0):
                self._other(choice["index"], message)
                continue
            self._message(message)
            if choice.get("finish_reason"):
                self.said.finish_reasons = {choice["finish_reason"]}
                self.said.whole = True
        told = data.get("usage") or (self.said.usage is None and _of_groq(data))
        if told:
            self.said.usage = _usage(told)

    def _other(self, index: int, message: dict[str, Any]) -> None:
        text = self.said.others.get(index, "")
        self.said.others[index] = text + (message.get("content") or "")

    def _message(self, message: dict[str, Any]) -> None:
        said = self.said
        content = message.get("content") or ""
        if isinstance(content, str):
            said.text += content
        else:
            for part in content:
                said.text += part.get("text", "")
                said.reasoning += "".join(t.get("text", "") for t in part.get("thinking", []))
        said.text += (message.get("audio") or {}).get("transcript") or ""  # what the voice says
        said.reasoning += message.get("reasoning") or message.get("reasoning_content") or ""
        said.refusal += message.get("refusal") or ""
        said.citations += len(message.get("annotations") or [])
        for call in message.get("tool_calls") or []:
            self._call(call)
        for tool in message.get("executed_tools") or []:
            said.kept += [tool[key] for key in ("output",) if tool.get(key)]

    def _call(self, piece: dict[str, Any]) -> None:
        place = piece.get("index", ("alone", len(self._calls)))
        known = self._calls.get(place)
        if known is not None and piece.get("id") and known.id and piece["id"] != known.id:
            self._calls[("before", len(self._calls))] = known  # its number is used again
            known = None
        if known is None:
            known = self._calls[place] = Call()
            self.said.calls.append(known)
        function = piece.get("function") or {}
        known.id = known.id or piece.get("id")
        known.name = known.name or function.get("name") or ""
        known.text += function.get("arguments") or ""


def _of_groq(data: dict[str, Any]) -> Any:
    return (data.get("x_groq") or {}).get("usage")


def _usage(told: dict[str, Any]) -> Usage:
    of_input = told.get("prompt_tokens_details") or {}
    of_output = told.get("completion_tokens_details") or {}
    return Usage(
        input=told["prompt_tokens"],
        output=told["completion_tokens"],
        total=told["total_tokens"],
        cache_read=of_input.get("cached_tokens") or told.get("cached_tokens") or 0,
        reasoning=of_output.get("reasoning_tokens") or told.get("reasoning_tokens") or 0,
    )
