"""Law 11: `+` on chunks is associative, and any split or interleaving of the same tool-call deltas
merges to the same calls, wherever in a chain they are added up."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.chat_history import InMemoryChatMessageHistory
from headrace.events import RunEnded
from headrace.language_models import BaseChatModel
from headrace.merge import merge
from headrace.messages import AIMessageChunk
from headrace.outputs import ChatGenerationChunk
from headrace.runnables import (
    AddableDict,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
    RunnableWithMessageHistory,
)
from laws.colours import ASYNC, SYNC, both_drivers
from laws.effort import examples
from laws.events import root_end
from laws.kinds import cut_text, texts
from laws.ledger import Recorder
from laws.registry import ENTRIES
from laws.registry_components import seen

ADDABLE = (str, list, AddableDict, AIMessageChunk)


def tree_sum(items: list[Any], draw: Any) -> Any:
    """The sum of chunks, grouped as `draw` says."""
    if len(items) == 1:
        return items[0]
    at = draw(st.integers(1, len(items) - 1))
    return tree_sum(items[:at], draw) + tree_sum(items[at:], draw)


def chunks_of(entry: Any) -> list[Any]:
    colour = ASYNC if entry.async_only else SYNC
    return colour.run(lambda doors: doors.transform(entry.make(), entry.kind.pieces(4)))  # type: ignore[no-any-return]


STREAMS = [
    entry
    for entry in ENTRIES
    if entry.fold is merge and len(entry.kind.pieces(4)) == 4 and not entry.own
]


@pytest.mark.parametrize("entry", STREAMS, ids=repr)
@examples(5)
@given(data=st.data())
def test_chunks_add_up_to_the_same_however_they_are_grouped(entry, data):
    chunks = chunks_of(entry)
    assert chunks
    if all(isinstance(chunk, ADDABLE) for chunk in chunks):
        total = tree_sum(chunks, data.draw)
        assert entry.view(total) == entry.view(merge(chunks))
    else:  # what cannot be added comes in one piece
        assert len(chunks) == 1


def test_most_entries_give_chunks_that_add_up():
    several = [entry.name for entry in STREAMS if len(chunks_of(entry)) > 1]
    assert len(several) > 25


# ---- tool calls ---------------------------------------------------------------------------------

CALLS = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from(["f", "g_h"]), "args": st.dictionaries(texts, texts, max_size=2)}
    ),
    min_size=1,
    max_size=3,
)


def deltas(calls: list[dict[str, Any]], draw: Any) -> list[list[dict[str, Any]]]:
    """The calls as tool-call chunks: each call's arguments cut anywhere, the calls interleaved,
    several deltas in one message or not. The name comes first; the id with it, as providers do."""
    queues = []
    for index, call in enumerate(calls):
        pieces = cut_text(json.dumps(call["args"]), draw)
        head = {"name": call["name"], "args": "", "id": f"id{index}", "index": index}
        if draw(st.booleans()):
            head["args"] = pieces.pop(0)
        rest = [{"name": None, "args": piece, "id": None, "index": index} for piece in pieces]
        queues.append([head, *rest])
    messages: list[list[dict[str, Any]]] = []
    while any(queues):
        queue = draw(st.sampled_from([queue for queue in queues if queue]))
        delta = queue.pop(0)
        same = messages and draw(st.booleans())
        if same and all(other["index"] != delta["index"] for other in messages[-1]):
            messages[-1].append(delta)
        else:
            messages.append([delta])
    return messages


class Deltas(BaseChatModel):
    """Streams the given deltas, with a piece of text and of usage in each."""

    pieces: list[Any]

    def _chunk(self, piece: Any) -> ChatGenerationChunk:
        usage = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
        message = AIMessageChunk(content="t", tool_call_chunks=piece, usage_metadata=usage)
        return ChatGenerationChunk(message=message)

    def _stream(self, messages: Any, stop: Any = None, **kwargs: Any) -> Iterator[Any]:
        for piece in self.pieces:
            yield self._chunk(piece)

    async def _astream(self, messages: Any, stop: Any = None, **kwargs: Any) -> AsyncIterator[Any]:
        for piece in self.pieces:
            yield self._chunk(piece)

    @property
    def _llm_type(self) -> str:
        return "deltas"


def _calls(message: Any) -> list[Any]:
    return [(call["name"], call["args"], call["id"]) for call in message.tool_calls]


@both_drivers
@examples(25)
@given(calls=CALLS, data=st.data())
def test_tool_calls_are_the_same_in_every_place(calls, data, colour):
    pieces = deltas(calls, data.draw)
    expected = [(call["name"], call["args"], f"id{i}") for i, call in enumerate(calls)]
    model = Deltas(pieces=pieces)
    history = InMemoryChatMessageHistory()
    remembers = RunnableWithMessageHistory(model, lambda session_id: history).with_config(
        configurable={"session_id": "s"}
    )

    def check(message: Any) -> None:
        got = sorted(_calls(message), key=lambda call: call[2])
        assert got == expected
        assert message.usage_metadata["total_tokens"] == 3 * len(pieces)
        assert message.content == "t" * len(pieces)

    def body(doors: Any) -> None:
        for way in ("invoke", "stream"):
            recorder = Recorder()
            output = getattr(doors, way)(model, "x", recorder.config)
            check(merge(output) if way == "stream" else output)
            end = root_end(recorder.events)
            assert isinstance(end, RunEnded)
            check(end.output)
            got: list[Any] = []
            getattr(doors, way)(model | RunnableLambda(got.append), "x")
            check(got[0])
            fan = RunnableParallel(a=model, b=RunnablePassthrough()) | RunnablePassthrough()
            output = getattr(doors, way)(fan, "x")
            check((merge(output) if way == "stream" else output)["a"])
            history.clear()
            getattr(doors, way)(remembers, "x")
            check(history.messages[-1])

    colour.run(body)


@examples(40)
@given(calls=CALLS, data=st.data())
def test_deltas_are_associative(calls, data):
    chunks = [
        AIMessageChunk(content="", tool_call_chunks=piece) for piece in deltas(calls, data.draw)
    ]
    assert seen(tree_sum(chunks, data.draw)) == seen(merge(chunks))
