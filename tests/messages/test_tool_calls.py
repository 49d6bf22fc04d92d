"""Law 11: any split or interleaving of the same tool-call deltas merges to the same calls."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.merge import merge
from headrace.messages import (
    AIMessage,
    AIMessageChunk,
    ToolCall,
    message_chunk_to_message,
    tool_call,
    tool_call_chunk,
)
from messages.trees import fold_tree, left_fold

args = st.dictionaries(
    st.text(alphabet='ab"\\é', max_size=3),
    st.one_of(st.integers(), st.text(max_size=5), st.lists(st.booleans(), max_size=2)),
    max_size=3,
)
names = st.text(alphabet="fg_", min_size=1, max_size=6)


def deltas(call: ToolCall, index: int, cuts: list[int]) -> list[dict[str, Any]]:
    """A call as a provider streams it: name and id first, then its arguments as cut."""
    text = json.dumps(call["args"])
    bounds = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    start: dict[str, Any] = {"name": call["name"], "args": "", "id": call["id"], "index": index}
    pieces = [text[a:b] for a, b in pairwise(bounds)]
    return [start, *({"name": None, "args": p, "id": None, "index": index} for p in pieces)]


@st.composite
def streams(draw: Any) -> tuple[list[ToolCall], list[AIMessageChunk]]:
    """Some calls, and chunks that carry their deltas, split and interleaved in any way."""
    given_args = draw(st.lists(args, min_size=1, max_size=3))
    calls = [
        tool_call(name=draw(names), args=one, id=f"call_{n}") for n, one in enumerate(given_args)
    ]
    queues = [
        deltas(call, n, draw(st.lists(st.integers(0, 200), max_size=5)))
        for n, call in enumerate(calls)
    ]
    chunks = [[queue.pop(0)] for queue in queues]  # the calls begin in their order
    while any(queues):
        queue = draw(st.sampled_from([queue for queue in queues if queue]))
        if draw(st.booleans()):
            chunks.append([queue.pop(0)])
        else:
            chunks[-1].append(queue.pop(0))
    return calls, [AIMessageChunk("", tool_call_chunks=chunk) for chunk in chunks]


@given(streams(), st.data())
def test_any_split_interleaving_and_grouping_gives_the_calls(
    stream: tuple[list[ToolCall], list[AIMessageChunk]], data: st.DataObject
) -> None:
    calls, chunks = stream
    for total in (left_fold(chunks), merge(chunks), fold_tree(chunks, data.draw)):
        assert total.tool_calls == calls
        assert total.invalid_tool_calls == []
        assert message_chunk_to_message(total) == AIMessage("", tool_calls=calls)


def pieces(*rows: tuple[str | None, str | None, str | None]) -> list[AIMessageChunk]:
    """Chunks of (name, args, id) deltas, all of index 0."""
    return [
        AIMessageChunk("", tool_call_chunks=[tool_call_chunk(name=n, args=a, id=i, index=0)])
        for n, a, i in rows
    ]


PARALLEL_UNDER_ONE_INDEX = pieces(
    ("f", '{"a"', "1"), (None, ": 1}", None), ("g", "{", "2"), (None, "}", None), ("h", "{}", "3")
)


@given(st.data())
def test_calls_that_share_an_index_are_told_apart_by_id(data: st.DataObject) -> None:
    total = fold_tree(PARALLEL_UNDER_ONE_INDEX, data.draw)
    assert [(c["name"], c["args"], c["id"]) for c in total.tool_calls] == [
        ("f", {"a": 1}, "1"),
        ("g", {}, "2"),
        ("h", {}, "3"),
    ]


@pytest.mark.parametrize(
    ("chunks", "calls"),
    [
        (pieces(("f", "{", None), (None, "}", "1")), [("f", "{}", "1")]),  # the id comes late
        (pieces(("f", "{", ""), (None, "}", "1")), [("f", "{}", "1")]),
        (pieces(("f", "{", "1"), (None, "}", "1")), [("f", "{}", "1")]),
        (pieces(("get_", None, "1"), ("it", "{}", None)), [("get_it", "{}", "1")]),
        (pieces((None, "{", None), (None, "}", None)), [(None, "{}", None)]),
        (pieces((None, "{}", None), ("f", "{}", "1")), [(None, "{}", None), ("f", "{}", "1")]),
        (pieces((None, "{}", None), ("f", "{}", None)), [(None, "{}", None), ("f", "{}", None)]),
        (pieces(("f", None, "1"), (None, None, None)), [("f", None, "1")]),
    ],
)
def test_which_call_a_delta_continues(
    chunks: list[AIMessageChunk], calls: list[tuple[str | None, str | None, str | None]]
) -> None:
    merged = left_fold(chunks).tool_call_chunks
    assert [(c["name"], c["args"], c["id"]) for c in merged] == calls


def test_chunks_without_an_index_are_calls_of_their_own() -> None:
    one = AIMessageChunk("", tool_calls=[tool_call(name="f", args={"a": 1}, id="1")])
    two = AIMessageChunk("", tool_call_chunks=[tool_call_chunk(name="g", args="{}", id="2")])
    assert [c["name"] for c in (one + two + one).tool_calls] == ["f", "g", "f"]


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("", {}),
        (None, {}),
        ("{", {}),
        ('{"a": "b', {"a": "b"}),
        ('{"a": [1, {"b', {"a": [1, {}]}),
        ('{"a": 1}', {"a": 1}),
        ("[1]", None),
        ("oops", None),
        ('{"a": 1}}', {"a": 1}),
    ],
)
def test_calls_are_read_as_far_as_they_have_arrived(text: str | None, read: Any) -> None:
    chunk = AIMessageChunk(
        "", tool_call_chunks=[tool_call_chunk(name="f", args=text, id="1", index=0)]
    )
    if read is None:
        assert chunk.tool_calls == []
        assert [call["args"] for call in chunk.invalid_tool_calls] == [text]
    else:
        assert [call["args"] for call in chunk.tool_calls] == [read]
        assert chunk.invalid_tool_calls == []


def test_calls_follow_the_chunks_that_are_set() -> None:
    chunk = AIMessageChunk("", tool_calls=[tool_call(name="f", args={}, id="1")])
    assert chunk.tool_call_chunks == [tool_call_chunk(name="f", args="{}", id="1")]
    assert chunk.tool_calls[0]["name"] == "f"
    chunk.tool_call_chunks = [tool_call_chunk(name="g", args="{}", id="2", index=0)]
    assert chunk.tool_calls[0]["name"] == "g"
    both = AIMessageChunk(
        "",
        tool_calls=[tool_call(name="f", args={}, id="1")],
        tool_call_chunks=[tool_call_chunk(name="g", args="{}", id="2", index=0)],
    )
    assert [call["name"] for call in both.tool_calls] == ["g"]
    invalid = AIMessageChunk(
        "", invalid_tool_calls=[{"name": "f", "args": "oops", "id": "1", "error": "no"}]
    )
    assert [part["args"] for part in invalid.tool_call_chunks] == ["oops"]
    assert invalid.tool_calls == []


def test_blocks_of_calls_that_stream_in() -> None:
    part = {"name": "f", "args": '{"a"', "id": "1", "index": 0}
    chunk = AIMessageChunk("hi", tool_call_chunks=[part])
    assert chunk.content_blocks == [
        {"type": "text", "text": "hi"},
        {"type": "tool_call_chunk", **part},
    ]
    done = chunk + AIMessageChunk(
        "",
        tool_call_chunks=[{"name": None, "args": ": 1}", "id": None, "index": 0}],
        chunk_position="last",
    )
    assert done.content_blocks[1] == {"type": "tool_call", "name": "f", "args": {"a": 1}, "id": "1"}


# ---- calls that were cut short ------------------------------------------------------------------

TEXT = '{"a": 1, "b": [2, {"c": "x"}]}'


def cut_at(place: int) -> AIMessageChunk:
    """A call whose arguments came so far, beside one that came whole."""
    pieces = [
        {"name": "f", "args": TEXT[:place], "id": "1", "index": 0},
        {"name": "g", "args": "{}", "id": "2", "index": 1},
    ]
    return AIMessageChunk("", tool_call_chunks=pieces)


LAST = AIMessageChunk("", chunk_position="last")
WHOLE = {"name": "f", "args": json.loads(TEXT), "id": "1", "type": "tool_call"}
OTHER = {"name": "g", "args": {}, "id": "2", "type": "tool_call"}


@pytest.mark.parametrize("place", range(1, len(TEXT) + 1))
@pytest.mark.parametrize("read", [False, True], ids=["not read before", "read before"])
@pytest.mark.parametrize(
    "end",
    [
        lambda growing: growing + LAST,
        lambda growing: merge([growing, LAST]),
        message_chunk_to_message,
        lambda growing: message_chunk_to_message(growing + LAST),
        lambda growing: setattr(growing, "chunk_position", "last") or growing,
    ],
    ids=["sum", "merge", "message of a growing one", "message", "set"],
)
def test_half_a_call_is_a_call_only_while_it_grows(place: int, read: bool, end: Any) -> None:
    growing = cut_at(place)
    if read:
        assert [call["id"] for call in growing.tool_calls] == ["1", "2"]
    ended = end(growing)
    if place == len(TEXT):
        assert (ended.tool_calls, ended.invalid_tool_calls) == ([WHOLE, OTHER], [])
        return
    assert ended.tool_calls == [OTHER]
    (invalid,) = ended.invalid_tool_calls
    assert (invalid["name"], invalid["args"], invalid["id"]) == ("f", TEXT[:place], "1")
    assert "cut short" in invalid["error"]
    kinds = [block["type"] for block in ended.content_blocks]
    assert kinds == ["tool_call", "invalid_tool_call"]
    if isinstance(ended, AIMessageChunk):
        assert (growing + AIMessageChunk("")).tool_calls[0]["id"] == "1" or ended is growing


def test_a_growing_message_goes_on_growing_after_one_was_made_of_it() -> None:
    growing = cut_at(6)
    assert len(message_chunk_to_message(growing).invalid_tool_calls) == 1  # type: ignore[attr-defined]
    assert len(growing.tool_calls) == 2
    rest = AIMessageChunk("", tool_call_chunks=[
        {"name": None, "args": TEXT[6:], "id": None, "index": 0}])  # fmt: skip
    assert (growing + rest + LAST).tool_calls == [WHOLE, OTHER]


@pytest.mark.parametrize(
    ("text", "what"), [("[1]", "are [1]"), ('{"a" 1}', "not JSON"), ("null", "are None")]
)
def test_arguments_that_are_no_object_are_told(text: str, what: str) -> None:
    chunk = AIMessageChunk("", tool_call_chunks=[
        {"name": "f", "args": text, "id": "1", "index": 0}], chunk_position="last")  # fmt: skip
    assert chunk.tool_calls == []
    assert what in chunk.invalid_tool_calls[0]["error"]
    assert chunk.invalid_tool_calls[0]["args"] == text


def test_calls_that_somebody_set_or_changed_stay() -> None:
    growing = cut_at(len(TEXT))
    growing.tool_calls[0]["args"]["more"] = 1
    assert message_chunk_to_message(growing).tool_calls[0]["args"]["more"] == 1  # type: ignore[attr-defined]
    growing = cut_at(6)
    growing.tool_calls[1]["args"]["more"] = 1  # beside half a call, which is none
    message: Any = message_chunk_to_message(growing)
    assert message.tool_calls == [{**OTHER, "args": {"more": 1}}]
    assert [call["id"] for call in message.invalid_tool_calls] == ["1"]
    growing = cut_at(6)
    growing.tool_calls = []
    assert message_chunk_to_message(growing).tool_calls == []  # type: ignore[attr-defined]
    given = AIMessageChunk("", tool_calls=[{"name": "f", "args": {"a": 1}, "id": "1"}])
    assert message_chunk_to_message(given).tool_calls == given.tool_calls  # type: ignore[attr-defined]
