"""The same conversations through langchain-core's functions and Headrace's."""

from __future__ import annotations

import warnings
from typing import Any

import langchain_core.messages as lc
import langchain_core.messages.utils as lc_utils
import pytest
from hypothesis import given
from hypothesis import strategies as st

import headrace.messages as hr
from conversation.twins import conversations, names, pair, shown, without_made_up_ids

kinds = st.lists(st.sampled_from(["system", "human", "ai", "tool"]), max_size=2)
words = st.lists(st.sampled_from(["ann", "bob"]), max_size=2)
numbers = st.lists(st.sampled_from(["1", "2", "c1"]), max_size=2)
filters = st.fixed_dictionaries(
    {},
    optional={
        "include_names": words,
        "exclude_names": words,
        "include_types": kinds,
        "exclude_types": kinds,
        "include_ids": numbers,
        "exclude_ids": numbers,
        "exclude_tool_calls": st.one_of(st.booleans(), st.lists(st.sampled_from(["c1", "c2"]))),
    },
)


@given(conversations, filters)
def test_filter_messages(conversation: Any, arguments: dict[str, Any]):
    theirs, ours = pair(conversation)
    before = shown(ours)
    assert shown(hr.filter_messages(ours, **arguments)) == shown(
        lc.filter_messages(theirs, **arguments)
    )
    assert shown(ours) == before


@given(conversations, st.sampled_from(["\n", "", " | "]))
def test_merge_message_runs(conversation: Any, separator: str):
    # Not the same by intent: names and ids of runs, and texts that stand beside blocks, where an
    # empty one adds nothing and others join.
    for kind, fields in conversation:
        fields.update(name=None, id=kind)
        if isinstance(fields["content"], list):
            fields["content"] = [b for b in fields["content"] if b["type"] != "text"]
        fields["content"] = fields["content"] or "empty"
    theirs, ours = pair(conversation)
    before = shown(ours)
    merged = hr.merge_message_runs(ours, chunk_separator=separator)
    assert shown(merged) == shown(lc.merge_message_runs(theirs, chunk_separator=separator))
    assert shown(ours) == before


def by_words(messages: Any) -> int:
    """Tokens: the words of texts, 3 for any other block, 1 for each message."""
    total = 0
    for message in messages:
        content = message.content
        for block in [content] if isinstance(content, str) else content:
            text = block if isinstance(block, str) else block.get("text")
            total += 3 if text is None else len(text.split())
        total += 1
    return total


trims = st.fixed_dictionaries(
    {
        "max_tokens": st.integers(0, 25),
        "allow_partial": st.booleans(),
        "end_on": st.one_of(st.none(), st.sampled_from(["human", "ai"]), kinds),
    }
)


@given(conversations, trims, st.sampled_from([len, by_words]))
def test_trim_messages_first(conversation: Any, arguments: dict[str, Any], counter: Any):
    theirs, ours = pair(conversation)
    trim = {**arguments, "strategy": "first", "token_counter": counter}
    assert shown(hr.trim_messages(ours, **trim)) == shown(lc.trim_messages(theirs, **trim))


@given(
    conversations,
    trims,
    st.sampled_from([len, by_words]),
    st.one_of(st.none(), st.sampled_from(["human", "system"]), kinds),
    st.booleans(),
    st.booleans(),
)
def test_trim_messages_last(
    conversation: Any, arguments: Any, counter: Any, start_on: Any, system: bool, by_words: bool
):
    theirs, ours = pair(conversation)
    before = shown(ours)
    trim = {
        **arguments,
        "token_counter": counter,
        "start_on": start_on,
        "include_system": system,
        "text_splitter": (lambda text: [f"{w} " for w in text.split(" ")]) if by_words else None,
    }
    mine, other = hr.trim_messages(ours, **trim), lc.trim_messages(theirs, **trim)
    assert shown(ours) == before
    head = 1 if system and mine and mine[0].type == "system" else 0
    assert counter(mine) <= arguments["max_tokens"] or len(mine) == head
    # LangChain counts the pieces of a cut text in reverse, where words of two lines become one.
    if counter(other) <= arguments["max_tokens"] or not arguments["allow_partial"]:
        assert shown(mine) == shown(other)


@given(conversations, st.integers(0, 300), st.sampled_from(["first", "last"]))
def test_trim_messages_by_the_estimate(conversation: Any, most: int, strategy: Any):
    theirs, ours = pair(conversation)
    trim = {"max_tokens": most, "token_counter": "approximate", "strategy": strategy}
    kept = hr.trim_messages(ours, **trim)
    assert shown(kept) == shown(lc.trim_messages(theirs, **trim))
    assert not kept or hr.count_tokens_approximately(kept) <= most


@given(
    conversations,
    st.fixed_dictionaries(
        {},
        optional={
            "chars_per_token": st.sampled_from([1, 3.5, 4.0]),
            "extra_tokens_per_message": st.sampled_from([0, 2.5, 3.0]),
            "count_name": st.booleans(),
            "tokens_per_image": st.sampled_from([0, 85]),
            "use_usage_metadata_scaling": st.booleans(),
            "tools": st.just([{"name": "f", "parameters": {"type": "object"}}]),
        },
    ),
)
def test_count_tokens_approximately(conversation: Any, arguments: dict[str, Any]):
    theirs, ours = pair(conversation)
    assert hr.count_tokens_approximately(ours, **arguments) == lc_utils.count_tokens_approximately(
        theirs, **arguments
    )


# Blocks of all the forms that the conversion knows; those of a file without a name warn.
_BLOCKS = [
    "a string",
    {"type": "text", "text": "hello"},
    {"type": "image_url", "image_url": {"url": "https://a/b", "detail": "low"}},
    {"type": "image", "url": "https://a/b"},
    {"type": "image", "base64": "AAAA", "mime_type": "image/png"},
    {"type": "image", "source_type": "base64", "data": "AAAA", "mime_type": "image/png"},
    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
    {"image": {"format": "png", "source": {"bytes": b"\x01\x02"}}},
    {"type": "media", "mime_type": "image/png", "data": b"\x01\x02"},
    {"type": "audio", "base64": "AAAA", "mime_type": "audio/wav"},
    {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
    {"type": "file", "base64": "AAAA", "mime_type": "application/pdf", "filename": "a.pdf"},
    {"type": "file", "base64": "AAAA", "mime_type": "application/pdf"},
    {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA"}},
    {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA", "filename": "a"}},
    {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": "ü"}},
    {"type": "tool_use", "id": "c9", "name": "f", "input": {"a": "ü"}},
    {"type": "function_call", "call_id": "c9", "name": "f", "arguments": "{}"},
    {"type": "tool_result", "tool_use_id": "c1", "content": "4"},
    {"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "json", "json": {"a": 1}}]},
    {"type": "json", "json": {"a": [1, "ü"]}},
    {"json": {"a": 1}},
    {"type": "guard_content", "guard_content": {"text": {"text": "safe"}}},
    {"guard_content": {"text": "safe"}},
    {"type": "refusal", "refusal": "no"},
    {"type": "refusal", "refusal": ""},
    {"type": "thinking", "thinking": "hm", "signature": "s"},
    {"type": "reasoning", "reasoning": "hm"},
    {"type": "anything", "else": 1},
    # and what is wrong with them
    {"type": "text"},
    {"type": "image_url"},
    {"type": "image"},
    {"type": "image", "source": {"type": "base64"}},
    {"type": "media", "mime_type": "video/mp4", "data": b""},
    {"type": "tool_use", "id": "c1"},
    {"type": "tool_result"},
    {"type": "json"},
    {"type": "guard_content", "guard_content": {}},
    {"type": "audio", "url": "https://a/b"},
    {"type": "file", "url": "https://a/b"},
]


def converted(library: Any, messages: Any, **arguments: Any) -> Any:
    """What a library makes of messages; the class of its error where it refuses."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return library.convert_to_openai_messages(messages, **arguments)
        except (ValueError, KeyError):
            return ValueError


@pytest.mark.parametrize("form", ["string", "block"])
@pytest.mark.parametrize("unknown", [True, False])
@pytest.mark.parametrize("block", _BLOCKS, ids=repr)
def test_convert_each_kind_of_block(block: Any, unknown: bool, form: Any):
    arguments: Any = {"text_format": form, "pass_through_unknown_blocks": unknown}
    call = {"id": "c1", "name": "f", "args": {}}
    for content in ([block], ["before", block], [block, {"type": "text", "text": "after"}]):
        theirs = lc.AIMessage(content, tool_calls=[call])
        ours = hr.AIMessage(content, tool_calls=[call])
        assert converted(hr, ours, **arguments) == converted(lc, theirs, **arguments)
        assert ours.content == content


@given(
    conversations,
    st.fixed_dictionaries(
        {
            "text_format": st.sampled_from(["string", "block"]),
            "include_id": st.booleans(),
            "pass_through_unknown_blocks": st.booleans(),
        }
    ),
)
def test_convert_to_openai_messages(conversation: Any, arguments: dict[str, Any]):
    theirs, ours = pair(conversation)
    assert converted(hr, ours, **arguments) == converted(lc, theirs, **arguments)


@given(conversations)
def test_openai_messages_are_read_back(conversation: Any):
    theirs, ours = pair(conversation)
    ours = hr.convert_to_messages(hr.convert_to_openai_messages(ours))
    theirs = lc.convert_to_messages(lc.convert_to_openai_messages(theirs))
    assert shown(ours) == shown(theirs)


@given(conversations, st.sampled_from(["prefix", "xml"]), names)
def test_get_buffer_string(conversation: Any, form: Any, prefix: str | None):
    theirs, ours = pair(conversation)
    arguments = {"format": form, "human_prefix": prefix or "Human"}
    assert hr.get_buffer_string(ours, **arguments) == lc.get_buffer_string(theirs, **arguments)


@given(conversations)
def test_dicts_of_messages(conversation: Any):
    theirs, ours = pair(conversation)
    assert shown(hr.messages_from_dict(hr.messages_to_dict(ours))) == shown(ours)
    assert shown(hr.messages_from_dict(lc.messages_to_dict(theirs))) == shown(theirs)


_LIKES = [
    "text",
    ("human", "text"),
    ["ai", "text"],
    ("system", [{"type": "text", "text": "x"}]),
    ("developer", "x"),
    {"role": "user", "content": "x", "name": "ann"},
    {"role": "assistant", "content": None},
    {"role": "assistant", "content": "", "refusal": "no"},
    {"role": "developer", "content": "x"},
    {"role": "tool", "content": "x", "tool_call_id": "1", "artifact": {"a": 1}, "status": "error"},
    {"role": "function", "content": "x", "name": "f"},
    {"type": "human", "content": "x", "id": "1"},
    {"type": "ai", "content": "x", "response_metadata": {"a": 1}, "additional_kwargs": {"b": 2}},
    {"role": "assistant", "content": "x", "tool_calls": [
        {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}]},
    {"role": "assistant", "content": "x", "tool_calls": [
        {"id": "1", "name": "f", "args": {"a": 1}, "type": "tool_call"}]},
    {"type": "remove", "content": "", "id": "1"},
    # no messages
    1,
    None,
    (),
    ("human",),
    {"content": "x"},
    {"role": "user"},
    {"role": "nobody", "content": "x"},
    {"role": "tool", "content": "x"},
]  # fmt: skip


@pytest.mark.parametrize("like", _LIKES, ids=repr)
def test_convert_to_messages(like: Any):
    try:
        theirs = shown(lc.convert_to_messages([like]))
    except (ValueError, KeyError, NotImplementedError):
        with pytest.raises(ValueError, match=r".{20}"):
            hr.convert_to_messages([like])
    else:
        assert shown(hr.convert_to_messages([like])) == theirs


@pytest.mark.parametrize("name", ["get_buffer_string", "filter_messages", "merge_message_runs"])
def test_message_likes_are_taken_everywhere(name: str):
    likes = ["one", ("ai", "two"), {"role": "user", "content": "three"}]
    if name == "get_buffer_string":
        assert hr.get_buffer_string(hr.convert_to_messages(likes)).count("\n") == 2
    else:
        assert shown(getattr(hr, name)(likes)) == shown(getattr(lc, name)(likes))


@given(conversations)
def test_pretty_repr(conversation: Any):
    theirs, ours = pair(conversation)
    assert [message.pretty_repr() for message in ours] == [
        message.pretty_repr() for message in theirs
    ]


@given(conversations)
def test_text_and_blocks(conversation: Any):
    theirs, ours = pair(conversation)
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.text == str(other.text)
        assert without_made_up_ids(mine.content_blocks) == without_made_up_ids(other.content_blocks)
