"""A model that says what a script says, and the tools that its calls are for.

Which line is due follows from the conversation: as many as there are messages of the model in it.
So one model serves any number of runs at once, and gives each of them the same.
"""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

from pydantic import Field

from headrace.language_models import BaseChatModel
from headrace.merge import merge
from headrace.messages import AIMessage, AIMessageChunk, message_chunk_to_message
from headrace.outputs import ChatGeneration, ChatGenerationChunk, ChatResult


def call(name: str, id: str | None = None, /, **args: Any) -> dict[str, Any]:
    return {"name": name, "args": args, "id": id or f"{name}-1", "type": "tool_call"}


def says(text: str = "", *calls: dict[str, Any], **more: Any) -> AIMessage:
    """A line of a script."""
    return AIMessage(text, tool_calls=list(calls), **more)


class Scripted(BaseChatModel):
    """See the head of the file. `asked`: what it was asked, and the keywords of each call."""

    script: list[AIMessage]
    asked: list[Any] = Field(default_factory=list, exclude=True)

    def _line(self, messages: list[Any], kwargs: dict[str, Any]) -> AIMessage:
        self.asked.append((list(messages), kwargs))
        at = sum(isinstance(message, AIMessage) for message in messages)
        line = self.script[at]
        return line.model_copy()

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any) -> Any:
        message = self._line(messages, kw)
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def _agenerate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any):
        return self._generate(messages, **kw)

    def _stream(self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any) -> Any:
        yield from pieces(self._line(messages, kw))

    async def _astream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        for piece in pieces(self._line(messages, kw)):
            yield piece

    @property
    def _llm_type(self) -> str:
        return "scripted"


class Telling(BaseChatModel):
    """A model that says these lines, token by token. `told`: how many tokens it has been asked
    for, in all."""

    lines: list[list[AIMessageChunk]]
    told: list[AIMessageChunk] = Field(default_factory=list, exclude=True)

    def _tokens(self, messages: list[Any]) -> Iterator[ChatGenerationChunk]:
        for token in self.lines[sum(isinstance(message, AIMessage) for message in messages)]:
            self.told.append(token)
            yield ChatGenerationChunk(message=token.model_copy())

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any) -> Any:
        message = message_chunk_to_message(merge([c.message for c in self._tokens(messages)]))
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any) -> Any:
        yield from self._tokens(messages)

    async def _astream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        for token in self._tokens(messages):
            yield token

    @property
    def _llm_type(self) -> str:
        return "telling"


def pieces(message: AIMessage) -> Iterator[ChatGenerationChunk]:
    """A message in chunks: its text by two characters, each call's arguments by three."""
    text = str(message.content)
    cut: list[dict[str, Any]] = [{"content": text[n : n + 2]} for n in range(0, len(text), 2)]
    written = [(c["name"], json.dumps(c["args"]), c["id"]) for c in message.tool_calls]
    written += [(c["name"], c["args"], c["id"]) for c in message.invalid_tool_calls]
    for index, (name, args, id) in enumerate(written):
        begin = {"name": name, "args": "", "id": id, "index": index}
        rest = [
            {"name": None, "args": args[n : n + 3], "id": None, "index": index}
            for n in range(0, len(args), 3)
        ]
        cut += [{"content": "", "tool_call_chunks": [piece]} for piece in (begin, *rest)]
    for number, fields in enumerate(cut or [{"content": ""}], 1):
        last = "last" if number == max(len(cut), 1) else None
        yield ChatGenerationChunk(message=AIMessageChunk(chunk_position=last, **fields))


class Meeting:
    """Lets as many as are expected go on when all have come: they were there at the same time."""

    def __init__(self, expected: int) -> None:
        self._barrier = threading.Barrier(expected, timeout=5)

    def __call__(self) -> None:
        self._barrier.wait()


def seen(message: Any) -> Any:
    """What is compared of a message: all but ids made anew for each run."""
    calls = [(c["name"], c["args"], c["id"]) for c in getattr(message, "tool_calls", ())]
    calls += [(c["name"], c["args"], c["id"]) for c in getattr(message, "invalid_tool_calls", ())]
    answers = getattr(message, "tool_call_id", None), getattr(message, "status", None)
    return (type(message).__name__.removesuffix("Chunk"), message.content, calls, answers)


def transcript(state: Any) -> list[Any]:
    return [seen(message) for message in state["messages"]]
