"""Sums of chunks, token counts and content blocks, compared with LangChain on generated input.

Tool-call deltas that LangChain itself would merge differently when cut elsewhere are left out: the
law (any split gives the same calls) stands in `test_text_models.py`.
"""

from __future__ import annotations

import functools
import operator
from typing import Any

import langchain_core.messages as theirs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import headrace.messages as ours
from headrace.messages import AIMessage, AIMessageChunk, HumanMessage, convert_to_openai_messages
from text_side.kit import told
from text_side.twin import OURS, THEIRS, build, conversations, plains

TEXT = st.text("ab ", max_size=4)


def place(block):
    """In one chunk, one block for each index."""
    return block.get("index", id(block)) if isinstance(block, dict) else id(block)


BLOCK = st.one_of(
    st.builds(lambda t, i: {"type": "text", "text": t, "index": i}, TEXT, st.integers(0, 2)),
    st.builds(
        lambda t, i: {"type": "reasoning", "reasoning": t, "index": i}, TEXT, st.integers(3, 4)
    ),
    st.builds(lambda t: {"type": "text", "text": t}, TEXT),
)
USAGE = st.none() | st.builds(told, st.integers(0, 9), st.integers(0, 9))
DELTA = st.builds(  # pieces after the first one: no name, no id
    lambda args, index: {"name": None, "args": args, "id": None, "index": index},
    # Where a text goes wrong behind a second brace, the value up to there counts here only.
    st.none() | st.text('{}":a1', max_size=4).filter(lambda t: max(map(t.count, "{}")) < 2),
    st.none() | st.integers(0, 1),
)
EXTRA = st.dictionaries(
    st.sampled_from(["k", "l"]), TEXT | st.lists(TEXT, max_size=2) | st.none(), max_size=2
)
CHUNK = st.fixed_dictionaries(
    # Where a list is empty LangChain loses the text that follows it.
    {"content": TEXT | st.lists(BLOCK | TEXT, min_size=1, max_size=2, unique_by=place)},
    optional={
        "usage_metadata": USAGE,
        "additional_kwargs": EXTRA,
        "response_metadata": EXTRA,
        "tool_call_chunks": st.lists(DELTA, max_size=1),
        "id": st.sampled_from(["i1", "run-1", "lc_1"]),
    },
)


def total(package_messages, chunks):
    return functools.reduce(
        operator.add, [package_messages.AIMessageChunk(**chunk) for chunk in chunks]
    )


def joined(content):
    """Neighbouring strings as one, none of them empty: theirs depend on the order of adding."""
    made: list[Any] = []
    for block in content:
        if isinstance(block, str) and made and isinstance(made[-1], str):
            made[-1] += block
        elif block != "":
            made.append(block)
    return made


def seen(message):
    (_, kind, fields) = plains([message])[0]
    fields.pop("id")
    if isinstance(fields["content"], list):
        fields["content"] = joined(fields["content"])
    for call in fields["invalid_tool_calls"]:
        del call["error"]  # a sentence of ours
    chunks = [dict(chunk) for chunk in message.tool_call_chunks]
    return kind, fields, chunks, message.text


@given(st.lists(CHUNK, min_size=1, max_size=4))
def test_sums_of_chunks_are_langchains(chunks):
    try:
        wanted = total(theirs, chunks)
    except (TypeError, ValueError):
        return  # LangChain cannot add them
    assert seen(total(ours, chunks)) == seen(wanted)


@pytest.mark.parametrize("args", ["{", '{"a": 1', '{"a": "x', '{"a": tru', "oops"])
def test_a_call_that_the_stream_cut_short_is_no_call(args):
    """While it streams the arguments are a guess; when the stream has ended they are wrong."""
    piece = {"name": "f", "args": args, "id": "c", "index": 0}
    growing = AIMessageChunk("", tool_call_chunks=[piece])
    ended = growing + AIMessageChunk("", chunk_position="last")
    assert ended.tool_calls == []
    assert [(c["name"], c["args"]) for c in ended.invalid_tool_calls] == [("f", args)]
    whole = ours.message_chunk_to_message(ended)
    assert (whole.tool_calls, len(whole.invalid_tool_calls)) == ([], 1)


@given(st.lists(CHUNK, min_size=1, max_size=4))
def test_a_sum_at_once_is_the_sum_one_by_one(chunks):
    made = [AIMessageChunk(**chunk) for chunk in chunks]
    at_once = made[0] + made[1:] if len(made) > 1 else made[0]
    assert at_once == functools.reduce(operator.add, made)
    # Adding does not change what is added.
    assert made == [AIMessageChunk(**chunk) for chunk in chunks]


@given(
    conversations(),
    st.sampled_from([4.0, 3.0, 1.5]),
    st.sampled_from([3.0, 0.0]),
    st.booleans(),
)
def test_approximate_counts_are_langchains(specs, chars, extra, names):
    settings = {
        "chars_per_token": chars,
        "extra_tokens_per_message": extra,
        "count_name": names,
    }
    mine = ours.count_tokens_approximately(build(OURS, specs), **settings)
    assert mine == theirs.utils.count_tokens_approximately(build(THEIRS, specs), **settings)


def anonymous(blocks):
    """Without ids, which LangChain makes up."""
    return [{k: v for k, v in block.items() if k != "id"} for block in blocks]


@given(conversations())
def test_content_blocks_are_langchains(specs):
    for mine, other in zip(build(OURS, specs), build(THEIRS, specs), strict=True):
        assert anonymous(mine.content_blocks) == anonymous(other.content_blocks)
        assert mine.text == str(other.text)


VENDOR = [
    ("HumanMessage", [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]),
    ("HumanMessage", [{"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}]),
    ("HumanMessage", [{"type": "file", "file": {"file_id": "f"}}]),
    ("HumanMessage", [{"type": "file", "file": {"file_data": "data:application/pdf;base64,AA==",
                                                "filename": "a.pdf"}}]),
    ("HumanMessage", [{"type": "image", "source_type": "base64", "data": "AA",
                       "mime_type": "image/png"}]),
    ("HumanMessage", [{"type": "image", "source_type": "url", "url": "https://a"}]),
    ("HumanMessage", [{"type": "image", "source": {"type": "url", "url": "https://a"}}]),
    ("HumanMessage", [{"type": "document", "source": {"type": "text", "data": "x",
                                                     "media_type": "text/plain"}}]),
    ("HumanMessage", ["a", {"type": "text", "text": "b"}]),
    ("AIMessage", [{"type": "reasoning", "reasoning": "r"}, {"type": "text", "text": "t"}]),
    ("AIMessage", [{"type": "hologram", "x": 1}]),
    ("ToolMessage", [{"type": "text", "text": "x"}]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content"), VENDOR, ids=lambda value: str(value)[:50])
def test_blocks_of_vendors_are_read_as_langchain_reads_them(name, content):
    keywords = {"content": content}
    if name == "ToolMessage":
        keywords["tool_call_id"] = "c"
    mine, other = build(OURS, [(name, keywords)])[0], build(THEIRS, [(name, keywords)])[0]

    assert anonymous(mine.content_blocks) == anonymous(other.content_blocks)


PROVIDERS = [
    ("anthropic", [{"type": "thinking", "thinking": "hm", "signature": "s"},
                   {"type": "text", "text": "x"}]),
    ("anthropic", [{"type": "tool_use", "id": "c", "name": "f", "input": {"a": 1}}]),
    ("anthropic", [{"type": "text", "text": "x", "citations": [
        {"type": "web_search_result_location", "url": "https://a", "title": "t",
         "cited_text": "x"}]}]),
    ("openai", [{"type": "text", "text": "x", "annotations": [
        {"type": "url_citation", "url": "https://a", "title": "t", "start_index": 0,
         "end_index": 1}]}]),
    ("openai", [{"type": "reasoning", "summary": [{"type": "summary_text", "text": "r"}]}]),
]  # fmt: skip


@pytest.mark.parametrize(("provider", "content"), PROVIDERS, ids=lambda v: str(v)[:40])
def test_answers_of_providers_are_read_as_langchain_reads_them(provider, content):
    keywords = {"content": content, "response_metadata": {"model_provider": provider}}
    if content[0]["type"] == "tool_use":
        keywords["tool_calls"] = [{"name": "f", "args": {"a": 1}, "id": "c"}]
    mine, other = (build(p, [("AIMessage", keywords)])[0] for p in (OURS, THEIRS))
    assert mine.content_blocks == [dict(block) for block in other.content_blocks]
    assert mine.text == str(other.text)


def test_unknown_blocks_are_refused_on_request():
    odd = HumanMessage([{"type": "hologram", "x": 1}])
    assert convert_to_openai_messages([odd])[0]["content"] == [{"type": "hologram", "x": 1}]
    with pytest.raises(ValueError, match="hologram"):
        convert_to_openai_messages([odd], pass_through_unknown_blocks=False)


@given(USAGE, USAGE, USAGE)
def test_usage_adds_up_like_numbers(a, b, c):
    add = ours.add_usage
    assert add(add(a, b), c) == add(a, add(b, c))
    assert add(a, b) == add(b, a)
    wanted = sum((usage or {}).get("total_tokens", 0) for usage in (a, b, c))
    assert add(add(a, b), c)["total_tokens"] == wanted
    assert dict(add(a, b)) == dict(theirs.ai.add_usage(a, b))


def test_a_message_has_one_text_whatever_its_form():
    for content, text in (
        ("x", "x"),
        ([], ""),
        (["a", "b"], "ab"),
        ([{"type": "text", "text": "a"}, "b", {"type": "reasoning", "reasoning": "no"}], "ab"),
    ):
        assert AIMessage(content).text == text
        assert AIMessageChunk(content).text == text
