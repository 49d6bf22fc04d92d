"""The same sums and conversions on langchain-core and on Headrace, field by field.

Where the two are meant to differ, the generated values stay out of it: strings inside lists of
content, empty strings beside lists, names in sums, late values under a repeated `id`, and numbers
of other types than int. docs/differences.md has the reasons.
"""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import langchain_core.documents as lc_documents
import langchain_core.messages as lc
import langchain_core.messages.ai as lc_ai
import langchain_core.outputs as lc_outputs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import headrace.documents as hr_documents
import headrace.messages as hr
import headrace.outputs as hr_outputs
from headrace.merge import merge

texts = st.text(alphabet="ab", max_size=3)
blocks = st.one_of(
    st.fixed_dictionaries({"type": st.just("text"), "text": texts}),
    st.fixed_dictionaries(
        {"type": st.just("text"), "text": texts, "index": st.integers(0, 2)},
        optional={"id": st.just("b1")},
    ),
    st.fixed_dictionaries({"type": st.just("image"), "url": texts}),
)


def unique_indexes(items: list[Any]) -> bool:
    """Whether no two blocks of one chunk have the same index."""
    indexes = [item["index"] for item in items if "index" in item]
    return len(set(indexes)) == len(indexes)


lists = st.lists(blocks, max_size=3).filter(unique_indexes)
metadata = st.fixed_dictionaries(
    {},
    optional={
        "text": st.one_of(st.none(), texts),
        "id": st.just("same"),
        "model_provider": st.just("openai"),
        "count": st.integers(0, 3),
        "index": st.integers(0, 3),
        "flag": st.just(True),
        "inner": st.dictionaries(st.sampled_from("kl"), texts, max_size=2),
        "list": lists,
    },
)
counts = st.integers(0, 9)
details = st.dictionaries(st.sampled_from(["audio", "cache_read"]), counts, min_size=1, max_size=2)
usages = st.fixed_dictionaries(
    dict.fromkeys(("input_tokens", "output_tokens", "total_tokens"), counts),
    optional={"input_token_details": details, "output_token_details": details},
)


def tool_deltas(index: int) -> st.SearchStrategy[list[dict[str, Any]]]:
    """What one chunk has of the call with an index: nothing, or a delta with its name or not."""
    return st.lists(
        st.fixed_dictionaries(
            {
                "name": st.sampled_from([None, "f", "get_"]),
                "args": st.one_of(st.none(), st.sampled_from(['{"a": ', "1", "}", '"b', "{}"])),
                "id": st.sampled_from([None, f"call_{index}"]),
                "index": st.just(index),
            }
        ),
        max_size=1,
    )


# Every call begins with its name and id: what comes without a beginning is read differently.
STARTS = [{"name": "f", "args": None, "id": f"call_{n}", "index": n} for n in range(2)]

chunk_fields = st.fixed_dictionaries(
    {"content": st.just("")},
    optional={
        "additional_kwargs": metadata,
        "response_metadata": metadata,
        "usage_metadata": usages,
        "id": st.sampled_from(["lc_1", "lc_run-1", "msg_1", "msg_2"]),
        "chunk_position": st.just("last"),
        "tool_call_chunks": st.tuples(tool_deltas(0), tool_deltas(1)).map(
            lambda two: [*two[0], *two[1]]
        ),
    },
)


@st.composite
def streams(draw: Any) -> list[dict[str, Any]]:
    """The fields of a stream's chunks; contents are all text or all lists."""
    chunks = draw(st.lists(chunk_fields, min_size=1, max_size=6))
    contents = draw(st.sampled_from([texts, lists]))
    for chunk in chunks:
        chunk["content"] = draw(contents)
    chunks[0]["tool_call_chunks"] = STARTS
    return chunks  # type: ignore[no-any-return]


FIELDS = (
    *("content", "additional_kwargs", "response_metadata", "usage_metadata", "id", "type"),
    *("tool_call_chunks", "chunk_position", "text"),
)


def fold(chunks: list[Any]) -> Any:
    total = chunks[0]
    for chunk in chunks[1:]:
        total = total + chunk
    return total


@given(streams())
def test_sums_of_chunks(stream: list[dict[str, Any]]) -> None:
    theirs = fold([lc.AIMessageChunk(**fields) for fields in stream])
    ours = [hr.AIMessageChunk(**fields) for fields in stream]
    for total in (fold(ours), merge(ours), ours[0] + ours[1:]):
        for field in FIELDS:
            assert getattr(total, field) == getattr(theirs, field), field
        assert total.model_dump().keys() == theirs.model_dump().keys()


whole_calls = st.dictionaries(st.sampled_from("ab"), st.one_of(counts, texts), max_size=2)


@given(st.lists(whole_calls, min_size=1, max_size=3), st.lists(st.integers(0, 60), max_size=4))
def test_tool_calls_of_whole_streams(calls: list[dict[str, Any]], cuts: list[int]) -> None:
    stream: list[dict[str, Any]] = []
    for index, args in enumerate(calls):
        text = json.dumps(args)
        bounds = sorted({0, len(text), *(cut % len(text) for cut in cuts)})
        head = {"name": "f", "args": "", "id": f"call_{index}", "index": index}
        tail = [
            {"name": None, "args": text[a:b], "id": None, "index": index}
            for a, b in pairwise(bounds)
        ]
        stream.extend({"content": "", "tool_call_chunks": [delta]} for delta in [head, *tail])
    theirs = fold([lc.AIMessageChunk(**fields) for fields in stream])
    ours = merge([hr.AIMessageChunk(**fields) for fields in stream])
    assert ours.tool_calls == theirs.tool_calls
    assert ours.invalid_tool_calls == theirs.invalid_tool_calls
    their_whole: Any = lc.message_chunk_to_message(theirs)
    assert hr.message_chunk_to_message(ours).model_dump() == their_whole.model_dump()


@given(st.one_of(st.none(), usages), st.one_of(st.none(), usages))
def test_usage(left: Any, right: Any) -> None:
    assert hr.add_usage(left, right) == lc_ai.add_usage(left, right)
    assert hr.subtract_usage(left, right) == lc_ai.subtract_usage(left, right)


CALL = {"name": "f", "args": {"a": 1}, "id": "1", "type": "tool_call"}
RAW = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}

WRITTEN: list[Any] = [
    "a",
    ("human", "a"),
    ("ai", "a"),
    {"role": "user", "content": "a", "name": "n", "id": "7"},
    {"role": "assistant", "content": None, "tool_calls": [RAW]},
    {"role": "assistant", "content": "a", "tool_calls": [CALL]},
    {"role": "tool", "content": ["a"], "tool_call_id": "1", "artifact": [1], "status": "error"},
    {"role": "developer", "content": "a", "extra": 1},
    {"type": "system", "content": [{"type": "text", "text": "a"}]},
    {"role": "function", "name": "f", "content": "a"},
]


@pytest.mark.parametrize("written", WRITTEN, ids=repr)
def test_what_users_write(written: Any) -> None:
    [theirs], [ours] = lc.convert_to_messages([written]), hr.convert_to_messages([written])
    assert ours.model_dump() == theirs.model_dump()
    assert hr.message_to_dict(ours) == lc.message_to_dict(theirs)
    assert hr.get_buffer_string([ours]) == lc.get_buffer_string([theirs])
    xml = hr.get_buffer_string([ours], format="xml")
    assert xml == lc.get_buffer_string([theirs], format="xml")
    assert ours.pretty_repr() == theirs.pretty_repr()
    assert ours.content_blocks == theirs.content_blocks
    [back] = hr.messages_from_dict(lc.messages_to_dict([theirs]))
    assert back == ours


@given(st.lists(st.tuples(texts, st.one_of(st.none(), metadata)), min_size=1, max_size=4))
def test_sums_of_generations(parts: list[tuple[str, Any]]) -> None:
    theirs = fold([lc_outputs.GenerationChunk(text=t, generation_info=i) for t, i in parts])
    ours = fold([hr_outputs.GenerationChunk(text=t, generation_info=i) for t, i in parts])
    assert (ours.text, ours.generation_info or None) == (
        theirs.text,
        theirs.generation_info or None,
    )
    chats = fold(
        [
            hr_outputs.ChatGenerationChunk(message=hr.AIMessageChunk(t), generation_info=i)
            for t, i in parts
        ]
    )
    assert (chats.text, chats.generation_info) == (ours.text, ours.generation_info)


def test_documents() -> None:
    for fields in ({"page_content": "a"}, {"page_content": "a", "metadata": {"k": 1}, "id": "1"}):
        theirs = lc_documents.Document(**fields)
        ours = hr_documents.Document(**fields)
        assert (str(ours), repr(ours)) == (str(theirs), repr(theirs))
        assert ours.model_dump() == theirs.model_dump()
