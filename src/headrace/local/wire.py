"""Messages to llama.cpp's request and its chunks back to message chunks. Pure functions.

    HumanMessage, SystemMessage, AIMessage, ToolMessage, FunctionMessage, ChatMessage
        -> {"role": ..., "content": text, ...}
    {"choices": [{"delta": {"content": text}}]}
        -> AIMessageChunk(text, id=...)
    the last two, with `finish_reason` and with `usage`
        -> one AIMessageChunk("", response_metadata, usage_metadata, chunk_position="last")

The embedded model reads text only. `usage_metadata` leaves out how much of the prompt was cached:
that depends on what ran before, and equal calls are to have equal results.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from headrace.errors import IncompleteStream, InputError
from headrace.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    UsageMetadata,
)

from .tool_answers import AnswerReader

__all__ = ["ChunkReader", "as_request_messages"]

# The first match counts; a kind's role, or None where the message carries its own.
_ROLES: tuple[tuple[type[BaseMessage], str | None], ...] = (
    (HumanMessage, "user"),
    (AIMessage, "assistant"),
    (SystemMessage, "system"),
    (ToolMessage, "tool"),
    (FunctionMessage, "tool"),
    (ChatMessage, None),
)

# Blocks of a model's own message that are not part of what it said aloud.
_UNSPOKEN = frozenset(
    ("reasoning", "thinking", "tool_call", "tool_call_chunk", "tool_use", "invalid_tool_call")
)


def as_request_messages(messages: Sequence[BaseMessage]) -> list[dict[str, Any]]:
    """The `messages` of a request.

    Raises:
        InputError: none at all, a kind without a role, content that is not text, or text that
            UTF-8 cannot write.
    """
    if not messages:
        raise InputError("A chat model needs at least one message; the prompt made none.")
    return [_as_request_message(message) for message in messages]


def _as_request_message(message: BaseMessage) -> dict[str, Any]:
    for kind, known in _ROLES:
        if isinstance(message, kind):
            role = known or message.role  # type: ignore[attr-defined]
            break
    else:
        raise InputError(
            f"ChatLocal cannot send a {type(message).__name__}: use a human, AI, system, tool, "
            "function or chat message."
        )
    request = {"role": role, "content": _text(message)}
    if isinstance(message, AIMessage) and message.tool_calls:
        request["tool_calls"] = [_as_request_call(call) for call in message.tool_calls]
    elif isinstance(message, ToolMessage):
        request["tool_call_id"] = message.tool_call_id
    return request


def _as_request_call(call: Mapping[str, Any]) -> dict[str, Any]:
    function = {"name": call["name"], "arguments": json.dumps(call["args"])}
    return {"id": call["id"] or "", "type": "function", "function": function}


def _text(message: BaseMessage) -> str:
    content = message.content
    text = content if isinstance(content, str) else "".join(_parts(message, content))
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"The text of a {type(message).__name__} has a lone surrogate "
            f"({text[error.start]!a}) at index {error.start}, which UTF-8 cannot write: remove "
            "it, e.g. with text.encode('utf-8', 'replace').decode()."
        ) from error
    return text


def _parts(message: BaseMessage, content: Sequence[str | Mapping[str, Any]]) -> list[str]:
    parts: list[str] = []
    for index, block in enumerate(content):
        if isinstance(block, str):
            parts.append(block)
        elif isinstance(block.get("text"), str) and block.get("type", "text") == "text":
            parts.append(block["text"])
        elif not (isinstance(message, AIMessage) and block.get("type") in _UNSPOKEN):
            raise InputError(
                f"ChatLocal reads text only: block {index} of a {type(message).__name__} is of "
                f"type {block.get('type')!r}. Describe it in words, or use a provider's model."
            )
    return parts


class ChunkReader:
    """Reads one answer: `feed` each chunk, then `finish`.

    Every message chunk bears the answer's id. Text comes out as it goes in, or as `answers` reads
    it; what llama.cpp says at the end is gathered into one last chunk.
    """

    __slots__ = ("_answers", "_id", "_model", "_reason", "_text", "_usage")

    def __init__(self, answers: AnswerReader | None = None) -> None:
        self._answers = answers
        self._id: str | None = None
        self._model = ""
        self._reason: str | None = None
        self._usage: Mapping[str, Any] | None = None
        self._text: list[str] = []

    def feed(self, chunk: Mapping[str, Any]) -> AIMessageChunk | None:
        """The message chunk in it, if there is one."""
        if self._id is None:
            self._id, self._model = chunk["id"], chunk["model"]
        self._usage = chunk.get("usage") or self._usage
        choices = chunk["choices"]
        if not choices:
            return None
        choice = choices[0]
        self._reason = choice["finish_reason"] or self._reason
        text = choice["delta"].get("content")
        if not text:
            return None
        self._text.append(text)
        if self._answers is None:
            return AIMessageChunk(text, id=self._id)
        said, calls = self._answers.feed(text, str(self._id))
        if not said and not calls:
            return None
        return AIMessageChunk(said, id=self._id, tool_call_chunks=calls)

    def finish(self) -> AIMessageChunk:
        """The last chunk.

        Raises:
            IncompleteStream: llama.cpp did not say why it ended.
        """
        if self._reason is None:
            raise IncompleteStream(
                "The embedded model's stream ended without a finish reason.",
                partial=AIMessageChunk("".join(self._text), id=self._id),
            )
        metadata = {"finish_reason": self._reason, "model_name": self._model}
        last = AIMessageChunk("", id=self._id, response_metadata=metadata, chunk_position="last")
        if self._usage is not None:
            last.usage_metadata = UsageMetadata(
                input_tokens=self._usage["prompt_tokens"],
                output_tokens=self._usage["completion_tokens"],
                total_tokens=self._usage["total_tokens"],
            )
        return last
