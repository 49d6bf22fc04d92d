"""Content blocks of a model's answer, made of its chunks: where each begins, grows and ends.

`Answer` is the machine: `feed(chunk)` and `end()` give triples (event class, index, block), which
`told(run, triples)` makes events of. Blocks are text, reasoning, tool calls, and whatever else
content holds; `index` is a block's place in the answer, from 0.

A block ends when a piece of another one comes, when the provider says that the answer is over
(`chunk_position == "last"`) or when the model's run ends, whichever is first. A tool call alone
waits until its arguments are a whole JSON text, because some providers send the pieces of several
calls by turns: what has ended is never added to. A call without arguments ends with the answer. A
run that fails or is cancelled ends no block: what it had open was cut off.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from ..callbacks.arguments import MODELS
from ..events import (
    BlockDelta,
    BlockEnded,
    BlockStarted,
    Event,
    RunCancelled,
    RunChunk,
    RunEnded,
    RunFailed,
    RunInfo,
)
from ..flow import ROOM
from ..merge import merge_dicts
from ..messages import AIMessage, AIMessageChunk, BaseMessage
from ..messages.content import standard_blocks
from ..messages.tool_calls import (
    chunks_of_calls,
    continues_call,
    parse_tool_call_chunks,
    tool_call_chunk,
)
from ..messages.usage import UsageMetadata, sum_usage
from .filters import Filter
from .typed import Typed

__all__ = ["Answer", "TypedBlocks", "terminal_again", "told"]

Triple = tuple[type[Any], int, dict[str, Any]]

_CALLS = frozenset({"tool_call", "tool_call_chunk", "invalid_tool_call", "tool_use",
                    "input_json_delta", "function_call"})  # fmt: skip
_TEXT_KEY = ("text", None)
_CUT = {"text": "text", "reasoning": "reasoning"}  # blocks that come in pieces without an index


class _Block:
    """One block: its pieces so far, joined now and then so that memory follows the text."""

    __slots__ = ("_parts", "_room", "ended", "id", "index", "key", "name", "type")

    def __init__(self, index: int, key: Any, piece: dict[str, Any]) -> None:
        self.index, self.key = index, key
        self.type = "tool_call" if piece["type"] == "tool_call_chunk" else piece["type"]
        self.id, self.name = piece.get("id"), piece.get("name")
        self.ended = False
        self._parts: list[dict[str, Any]] = []
        self._room = ROOM

    def add(self, piece: dict[str, Any]) -> None:
        self._parts.append(piece)
        if len(self._parts) > self._room:
            self._room += self._room >> 5
            self._joined()

    def _joined(self) -> dict[str, Any]:
        if len(self._parts) != 1:
            self._parts = [merge_dicts(self._parts)]
        return self._parts[0]

    def head(self) -> dict[str, Any]:
        """What is known when it begins."""
        known = {"type": self.type, "id": self.id, "name": self.name}
        return {key: value for key, value in known.items() if value is not None}

    def whole(self) -> dict[str, Any]:
        """All of it that has come; a tool call's arguments are parsed."""
        joined = self._joined()
        if self.type != "tool_call":
            return dict(joined)
        call = tool_call_chunk(name=self.name, args=joined.get("args"), id=self.id)
        calls, invalid = parse_tool_call_chunks([call], ended=True)
        return dict(calls[0] if calls else invalid[0])

    def so_far(self) -> dict[str, Any]:
        """All of it that has come, as one piece."""
        return dict(self._joined())

    def is_over(self) -> bool:
        """Whether it can have no more when another block has begun."""
        if self.type != "tool_call":
            return True
        try:
            json.loads(self._joined().get("args") or "")
        except ValueError:
            return False
        return True

    def continues_with(self, piece: dict[str, Any]) -> bool:
        """Of tool calls of one index: whether a piece belongs to this one, as in messages."""
        args = (part.get("args") for part in self._parts)
        return continues_call(piece, self.id, self.name, args)

    def learn(self, piece: dict[str, Any]) -> None:
        """A name or an id that comes after the beginning."""
        self.id = self.id or piece.get("id")
        if piece.get("name"):
            self.name = (self.name or "") + piece["name"]


class Answer:
    """The machine; see the file's head. `add` keeps chunks for later, when nobody listens."""

    __slots__ = ("_open", "_pending", "blocks", "heard", "model", "usage")

    def __init__(self) -> None:
        self.blocks: list[_Block] = []
        self.heard = False  # whether anything has come
        self.usage: UsageMetadata | None = None
        self.model: str | None = None
        self._open: dict[Any, _Block] = {}
        self._pending: list[Any] = []

    def add(self, chunk: Any) -> None:
        """Take a chunk in, without saying what becomes of it."""
        self.heard = True
        self._pending.append(chunk)
        if len(self._pending) > ROOM:
            self.settle()

    def settle(self) -> Answer:
        """Work through what was kept; a run of plain text at once."""
        pending, self._pending = self._pending, []
        texts: list[str] = []
        for chunk in pending:
            content: Any = chunk if chunk.__class__ is str else getattr(chunk, "content", None)
            if content.__class__ is str and getattr(chunk, "_more", None) is None:
                texts.append(content)
                continue
            self._feed("".join(texts))
            texts.clear()
            self._feed(chunk)
        self._feed("".join(texts))
        return self

    def feed(self, chunk: Any) -> list[Triple]:
        """What a chunk begins, adds and ends; None of it for what is neither text nor message."""
        self.heard = True
        if self._pending:
            self.settle()
        return self._feed(chunk)

    def end(self) -> list[Triple]:
        """The model's run has ended: so have its blocks."""
        self.settle()
        return [self._end(block) for block in list(self._open.values())]

    def _feed(self, chunk: Any) -> list[Triple]:
        content = chunk if chunk.__class__ is str else getattr(chunk, "content", None)
        if content.__class__ is str and getattr(chunk, "_more", None) is None:
            return self._piece(_TEXT_KEY, {"type": "text", "text": content}) if content else []
        if not isinstance(chunk, BaseMessage):
            return []
        out: list[Triple] = []
        for key, piece in _pieces(chunk):
            out += self._piece(key, piece)
        self._note(chunk)
        if getattr(chunk, "chunk_position", None) == "last":
            out += [self._end(block) for block in list(self._open.values())]
        return out

    def _note(self, chunk: BaseMessage) -> None:
        usage = getattr(chunk, "usage_metadata", None)
        if usage:
            self.usage = sum_usage([self.usage, usage])
        self.model = self.model or chunk.response_metadata.get("model_name")

    def _piece(self, key: Any, piece: dict[str, Any]) -> list[Triple]:
        block, out = self._open.get(key), []
        call = piece["type"] == "tool_call_chunk"
        if block is None or (call and not block.continues_with(piece)):
            out = [self._end(one) for one in list(self._open.values())
                   if one is block or one.is_over()]  # fmt: skip
            block = self._open[key] = _Block(len(self.blocks), key, piece)
            self.blocks.append(block)
            out.append((BlockStarted, block.index, block.head()))
        elif call:
            block.learn(piece)
        block.add(piece)
        if not call or piece.get("args"):
            out.append((BlockDelta, block.index, piece))
        if key[1] is None and key is not _TEXT_KEY and block.type not in _CUT:
            out.append(self._end(block))  # nothing can be added to what has no index
        elif block is not self.blocks[-1] and block.is_over():
            out.append(self._end(block))
        return out

    def _end(self, block: _Block) -> Triple:
        block.ended = True
        del self._open[block.key]
        return (BlockEnded, block.index, block.whole())


def _pieces(message: BaseMessage) -> Iterator[tuple[Any, dict[str, Any]]]:
    """(which block, piece) of a message or a chunk, in the order of its fields."""
    reasoning = message.additional_kwargs.get("reasoning_content")
    if isinstance(reasoning, str) and reasoning:
        yield ("reasoning", None), {"type": "reasoning", "reasoning": reasoning}
    calls: list[Any] = []
    if isinstance(message, AIMessageChunk):
        calls = message.tool_call_chunks
    elif isinstance(message, AIMessage):
        calls = chunks_of_calls(message.tool_calls, message.invalid_tool_calls)
    content = message.content
    for block in [content] if isinstance(content, str) else content:
        if isinstance(block, str):
            if block:
                yield _TEXT_KEY, {"type": "text", "text": block}
        elif block.get("type") not in _CALLS:
            for piece in standard_blocks([block]):
                yield (piece["type"], piece.get("index", block.get("index"))), piece
        elif block["type"] == "tool_call_chunk" and not calls:
            yield ("tool_call", block.get("index")), block
    for call in calls:
        yield ("tool_call", call["index"]), {**call, "type": "tool_call_chunk"}


# ------------------------------------------------------------------ events


def told(run: RunInfo, triples: Iterable[Triple]) -> list[Any]:
    """Events of blocks, with the run's next numbers."""
    number: Any = run._next  # type: ignore[attr-defined]
    return [kind(run, number(), index, block) for kind, index, block in triples]


def terminal_again(event: RunEnded) -> RunEnded:
    """The end of a run, with a number after those of the blocks that ended with it."""
    again = RunEnded(event.run, event.run._next(), event.input, event.output)  # type: ignore[attr-defined]
    again.time = event.time
    return again


class TypedBlocks(Typed):
    """The view behind `stream_typed(blocks=True)`: typed events, and those of blocks after each
    chunk of a model they are made of."""

    __slots__ = ("_answers",)

    def __init__(self, chosen: Filter) -> None:
        super().__init__(chosen)
        self._answers: dict[RunInfo, Answer] = {}

    def feed(self, event: Event) -> Iterable[Event]:
        run = event.run
        if run.run_type not in MODELS:
            return super().feed(event)
        if isinstance(event, RunChunk):
            answer = self._answers.get(run)
            if answer is None:
                answer = self._answers[run] = Answer()
            return [event, *told(run, answer.feed(event.chunk))]
        if isinstance(event, RunEnded):
            answer = self._answers.pop(run, None) or Answer()
            triples = [] if answer.heard else answer.feed(event.output)
            triples += answer.end()
            return [*told(run, triples), terminal_again(event)] if triples else (event,)
        if isinstance(event, (RunFailed, RunCancelled)):
            self._answers.pop(run, None)
        return super().feed(event)
