"""Standard content blocks of messages in vendors' forms, beside those that langchain-core gives."""

from __future__ import annotations

from copy import deepcopy
from itertools import pairwise
from typing import Any

import langchain_core.messages as lc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import headrace.messages as hr
from conversation.twins import without_made_up_ids
from headrace.errors import ModelRefusalError
from headrace.merge import merge, merge_lists


def same_blocks(kind: str, content: Any, **fields: Any) -> Any:
    """The blocks that both libraries give for a message, asserted to be the same."""
    before = deepcopy(content)
    ours = getattr(hr, kind)(content, **fields)
    theirs = getattr(lc, kind)(deepcopy(content), **deepcopy(fields))
    blocks = ours.content_blocks
    assert without_made_up_ids(blocks) == without_made_up_ids(theirs.content_blocks)
    assert ours.content == before  # reading changes nothing
    assert ours.content_blocks == blocks
    return blocks


# ------------------------------------------------------------------ what users give

INPUTS = [
    {"type": "image_url", "image_url": {"url": "https://a/b.png"}},
    {"type": "image_url", "image_url": {"url": "https://a/b.png", "detail": "low", "x": 1}},
    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
    {"type": "file", "file": {"file_id": "file-1"}},
    {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA", "filename": "a.pdf"}},
    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
    {"type": "image", "source": {"type": "url", "url": "https://a/b"}, "cache_control": {"a": 1}},
    {"type": "document", "source": {"type": "base64", "media_type": "a/pdf", "data": "AAAA"}},
    {"type": "document", "source": {"type": "url", "url": "https://a/b"}, "title": "t"},
    {"type": "document", "source": {"type": "text", "data": "words"}},
    {"type": "document", "source": {"type": "content", "content": []}},
    {"type": "document", "source": {"type": "url"}},
    {"type": "image", "source_type": "url", "url": "https://a/b", "extra": 1},
    {"type": "image", "source_type": "base64", "data": "AA", "mime_type": "image/png"},
    {"type": "audio", "source_type": "id", "id": "file-1"},
    {"type": "file", "source_type": "base64", "data": "AA", "mime_type": "application/pdf"},
    {"type": "file", "source_type": "text", "url": "words"},
    {"text": "from converse"},
    {"image": {"format": "png", "source": {"bytes": b"\x00\x01"}}},
    {"document": {"format": "pdf", "source": {"bytes": b"\x00\x01"}, "name": "n"}},
    {"document": {"format": "txt", "source": {"text": "words"}}},
    {"document": {"format": "csv", "source": {"bytes": b""}}},
    {"type": "file_data", "file_uri": "gs://a/b", "mime_type": "video/mp4"},
    {"type": "function_call", "name": "f", "args": {"a": 1}, "id": "c1"},
    {"type": "executable_code", "executable_code": "1", "language": "python", "id": "e1"},
    {"type": "image", "url": "https://a/b"},
    {"type": "text-plain", "text": "words", "mime_type": "text/plain"},
    {"type": "reasoning", "reasoning": "hm"},
    {"type": "non_standard", "value": {"type": "odd"}},
    {"type": "odd", "a": 1},
    {"no": "type"},
]


@pytest.mark.parametrize("block", INPUTS, ids=repr)
def test_blocks_of_users(block: dict[str, Any]):
    same_blocks("HumanMessage", ["first", block])


def test_what_a_vendor_adds_goes_into_the_extras():
    image = {"type": "image_url", "image_url": {"url": "u"}, "cache_control": {"type": "x"}}
    old = {"type": "image", "source_type": "url", "url": "u", "id": "7", "more": 1}
    assert hr.HumanMessage([image, old]).content_blocks == [
        {"type": "image", "url": "u", "extras": {"cache_control": {"type": "x"}}},
        {"type": "image", "url": "u", "id": "7", "extras": {"more": 1}},
    ]
    file = {"type": "image", "source": {"type": "file", "file_id": "f"}}
    assert hr.HumanMessage([file]).content_blocks == [{"type": "image", "file_id": "f"}]
    call = {"type": "mcp_call", "id": "m", "arguments": "oops"}
    facts = {"model_provider": "openai"}
    assert hr.AIMessage([call], response_metadata=facts).content_blocks[0] == {
        "type": "server_tool_call",
        "id": "m",
        "name": "remote_mcp",
        "args": {},
        "extras": {"arguments": "oops"},
    }


def test_a_block_of_a_user_need_not_be_whole():
    for block in (
        {"type": "image_url"},
        {"type": "image_url", "image_url": {"url": 5}},
        {"type": "input_audio", "input_audio": {}},
        {"type": "file", "file": {}},
        {"type": "document"},
        {"type": "audio", "source_type": "elsewhere"},
        {"type": "image", "source": 5},
        {"image": "x"},
        {"document": ["x"]},
    ):
        [made] = hr.HumanMessage([block]).content_blocks
        assert made in (block, {"type": "non_standard", "value": block})


# ------------------------------------------------------------------ what models say

CALLS = [
    {"id": "c1", "name": "f", "args": {"a": 1}, "type": "tool_call"},
    {"id": "c2", "name": "g", "args": {}, "type": "tool_call"},
]
ANTHROPIC = [
    {"type": "thinking", "thinking": "hm", "signature": "s", "index": 0},
    {"type": "redacted_thinking", "data": "x", "index": 1},
    {"type": "text", "text": "Hi", "index": 2},
    {"type": "text", "text": "so it is", "citations": [
        {"type": "web_search_result_location", "cited_text": "c", "url": "u", "title": "t",
         "encrypted_index": "e"},
        {"type": "char_location", "cited_text": "c", "document_title": "d", "start_char_index": 3},
        {"type": "page_location"},
        {"type": "odd"},
    ]},
    {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}, "caller": {"type": "direct"}},
    {"type": "tool_use", "id": "c2", "name": "g", "input": {}, "index": 5},
    {"type": "server_tool_use", "id": "s1", "name": "code_execution", "input": {"code": "1"}},
    {"type": "server_tool_use", "id": "s2", "name": "web_search", "input": {},
     "partial_json": '{"query": "q"}'},
    {"type": "web_search_tool_result", "tool_use_id": "s2", "content": [{"url": "u"}]},
    {"type": "web_search_tool_result", "tool_use_id": "s2", "content": {"error_code": "x"}},
    {"type": "mcp_tool_use", "id": "m1", "name": "echo", "input": {}, "server_name": "s"},
    {"type": "mcp_tool_result", "tool_use_id": "m1", "content": [], "is_error": True},
    {"type": "container_upload", "file_id": "f"},
]  # fmt: skip
CONVERSE = [
    {"type": "reasoning_content", "reasoning_content": {"text": "hm", "signature": "s"}},
    {"type": "reasoning_content", "reasoning_content": {"redacted_content": "x"}, "index": 1},
    {"type": "text", "text": "Hi"},
    {"type": "text", "text": "so", "citations": [
        {"title": "t", "source_content": [{"text": "a"}, {"text": "b"}], "location": {"x": 1}}]},
    {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}},
    {"type": "tool_use", "id": "c2", "name": "g", "input": {}},
    {"type": "odd", "index": 4},
]  # fmt: skip
GOOGLE = [
    "Hi",
    {"type": "thinking", "thinking": "hm", "signature": "s"},
    {"type": "text", "text": "there", "index": 3},
    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    {"type": "executable_code", "executable_code": "1+1", "language": "python", "id": "e"},
    {"type": "code_execution_result", "code_execution_result": "2", "outcome": 1},
    {"type": "code_execution_result", "code_execution_result": "!", "outcome": 2},
    {"type": "file_data", "file_uri": "gs://a", "mime_type": "a/b"},
    {"type": "odd", "a": 1},
]
RESPONSES = [
    {"type": "reasoning", "id": "r1", "summary": []},
    {"type": "reasoning", "id": "r2", "summary": [{"type": "summary_text", "text": "a"},
                                                 {"type": "summary_text", "text": "b"}]},
    {"type": "text", "text": "Hi", "annotations": [
        {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 2},
        {"type": "file_citation", "filename": "f", "file_id": "x", "index": 2},
        {"type": "odd"},
    ]},
    {"type": "text", "text": "there", "id": "msg"},
    {"type": "refusal", "refusal": "no", "id": "msg"},
    {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a": 1}', "id": "fc"},
    {"type": "function_call", "call_id": "c2", "name": "g", "arguments": "{}", "status": "x"},
    {"type": "image_generation_call", "id": "i", "result": "AAAA", "output_format": "png"},
    {"type": "web_search_call", "id": "w", "status": "completed",
     "action": {"type": "search", "query": "q", "sources": [{"url": "u"}]}},
    {"type": "file_search_call", "id": "fs", "queries": ["q"], "results": None, "status": "failed"},
    {"type": "code_interpreter_call", "id": "ci", "code": "1", "outputs": [{"logs": "1"}],
     "status": "in_progress", "container_id": "x"},
    {"type": "mcp_call", "id": "m", "name": "echo", "server_label": "l", "arguments": '{"a": 1}',
     "output": "o"},
    {"type": "mcp_call", "id": "m", "name": "echo", "arguments": "{}", "error": "e"},
    {"type": "mcp_list_tools", "id": "ml", "server_label": "l", "tools": [{"name": "t"}]},
    {"type": "odd", "a": 1},
]  # fmt: skip
SAID = [
    *(("anthropic", block) for block in ANTHROPIC),
    *(("bedrock_converse", block) for block in CONVERSE),
    *(("google_genai", block) for block in GOOGLE),
    *(("openai", block) for block in RESPONSES),
]


# What says something without the calls of its message.
ALONE = [
    (provider, block)
    for provider, block in SAID
    if isinstance(block, str) or block["type"] not in ("tool_use", "function_call")
]


@pytest.mark.parametrize("kind", ["AIMessage", "AIMessageChunk"])
@pytest.mark.parametrize(("provider", "block"), ALONE, ids=repr)
def test_each_block_of_a_model(provider: str, block: Any, kind: str):
    same_blocks(kind, [block], response_metadata={"model_provider": provider})


@pytest.mark.parametrize("provider", ["anthropic", "bedrock_converse", "google_genai", "openai"])
def test_a_whole_answer(provider: str):
    content = [block for vendor, block in SAID if vendor == provider]
    blocks = same_blocks(
        "AIMessage", content, tool_calls=CALLS, response_metadata={"model_provider": provider}
    )
    assert [block["id"] for block in blocks if block["type"] == "tool_call"] == ["c1", "c2"]


@pytest.mark.parametrize("provider", ["openai", "google_genai", "bedrock"])
def test_text_and_calls_of_known_providers(provider: str):
    facts = {"model_provider": provider, "model_name": "claude"}
    same_blocks("AIMessage", "Hi", tool_calls=CALLS, response_metadata=facts)
    if provider != "bedrock":  # there an empty text is a block of the other's
        same_blocks("AIMessage", "", tool_calls=CALLS, response_metadata=facts)
    assert hr.AIMessage("", response_metadata=facts).content_blocks == []


@pytest.mark.parametrize("position", [None, "last"])
def test_calls_in_chunks_of_openai(position: Any):
    pieces = [
        {"name": "f", "args": '{"a": 1}', "id": "c1", "index": 0, "type": "tool_call_chunk"},
        {"name": "g", "args": "{}", "id": "c2", "index": 1, "type": "tool_call_chunk"},
    ]
    if position is None:
        pieces[0]["args"] = '{"a"'
    blocks = same_blocks(
        "AIMessageChunk",
        "",
        tool_call_chunks=pieces,
        chunk_position=position,
        response_metadata={"model_provider": "openai"},
    )
    assert {block["type"] for block in blocks} == {"tool_call" if position else "tool_call_chunk"}


@pytest.mark.parametrize("provider", ["openai", "google_genai", "anthropic", None])
def test_a_call_that_was_cut_short_is_a_block_too(provider: str | None):
    piece = {"name": "f", "args": '{"a"', "id": "c1", "index": 0}
    facts = {"model_provider": provider} if provider else {}
    cut = hr.AIMessageChunk(
        "Hi", tool_call_chunks=[piece], chunk_position="last", response_metadata=facts
    )
    kinds = [block["type"] for block in cut.content_blocks]
    assert kinds == ["text", "invalid_tool_call"]
    whole: Any = hr.message_chunk_to_message(cut)
    *_, block = cut.content_blocks
    block.pop("index", None)  # Google's calls have one while they are chunks
    assert whole.content_blocks[-1] == block


def test_a_call_without_an_id_is_a_block_too():
    call = {"id": None, "name": "f", "args": {}}
    [block] = hr.AIMessage("", tool_calls=[call]).content_blocks
    assert block == {**call, "type": "tool_call"}


def test_grounding_and_refusals_of_google():
    grounding = {
        "web_search_queries": ["q"],
        "grounding_chunks": [{"web": {"uri": "u", "title": "t"}}, {"maps": {"uri": "m"}}],
        "grounding_supports": [
            {"segment": {"start_index": 0, "end_index": 2, "text": "Hi"},
             "grounding_chunk_indices": [0, 1, 7]},
        ],
    }  # fmt: skip
    facts = {"model_provider": "google_genai", "grounding_metadata": grounding}
    [block] = same_blocks("AIMessage", "Hi", response_metadata=facts)
    assert [a["url"] for a in block["annotations"]] == ["u", "m"]
    facts = {"model_provider": "google_genai", "finish_reason": "SAFETY", "finish_message": "no"}
    assert same_blocks("AIMessage", "", response_metadata=facts)[0]["refusal"] == "no"


@pytest.mark.parametrize("details", [None, "x", {"explanation": "no", "category": "c"}])
def test_refusals_of_anthropic(details: Any):
    facts = {
        "model_provider": "anthropic",
        "stop_reason": "refusal",
        "stop_details": details,
    }
    same_blocks("AIMessage", [{"type": "text", "text": "Well"}], response_metadata=facts)


def test_the_error_for_a_refusal():
    message = hr.AIMessage("", additional_kwargs={"refusal": "no"})
    block = {"type": "refusal", "refusal": "no", "extras": {"category": "cyber"}}
    error = ModelRefusalError.from_refusal(block, raw_message=message)
    assert str(error).endswith("(category='cyber'): no")
    assert error.raw_message is message
    bare = ModelRefusalError.from_refusal({"type": "refusal", "refusal": ""}, raw_message=message)
    assert str(bare).endswith("output")


# ------------------------------------------------------------------ streams

STREAMS: dict[str, list[dict[str, Any]]] = {
    "anthropic": [
        {"content": [{"type": "thinking", "thinking": "h", "index": 0}]},
        {"content": [{"type": "thinking", "thinking": "m", "index": 0}]},
        {"content": [{"type": "thinking", "signature": "s", "index": 0}]},
        {"content": [{"type": "text", "text": "Hi", "index": 1}]},
        {"content": [{"type": "text", "text": " there", "index": 1}]},
        {"content": [{"type": "text", "text": "", "index": 1, "citations": [
            {"type": "char_location", "cited_text": "c", "document_title": "d"}]}]},
    ],
    "openai": [
        {"content": [{"type": "reasoning", "id": "r", "index": 0, "summary": [
            {"index": 0, "type": "summary_text", "text": "a"}]}]},
        {"content": [{"type": "reasoning", "id": "r", "index": 0, "summary": [
            {"index": 0, "type": "summary_text", "text": "b"}]}]},
        {"content": [{"type": "reasoning", "id": "r", "index": 0, "summary": [
            {"index": 1, "type": "summary_text", "text": "c"}]}]},
        {"content": [{"type": "text", "text": "Hi", "index": 1}]},
        {"content": [{"type": "text", "text": " there", "index": 1}]},
    ],
    "bedrock_converse": [
        {"content": [{"type": "reasoning_content", "reasoning_content": {"text": "h"},
                      "index": 0}]},
        {"content": [{"type": "reasoning_content", "reasoning_content": {"text": "m"},
                      "index": 0}]},
        {"content": [{"type": "reasoning_content", "reasoning_content": {"signature": "s"},
                      "index": 0}]},
        {"content": [{"type": "text", "text": "Hi", "index": 1}]},
    ],
}  # fmt: skip


def chunks_of(provider: str) -> list[hr.AIMessageChunk]:
    facts = {"model_provider": provider}
    return [hr.AIMessageChunk(**c, response_metadata=facts) for c in STREAMS[provider]]


@pytest.mark.parametrize("provider", sorted(STREAMS))
def test_blocks_of_a_sum_are_the_sum_of_the_blocks(provider: str):
    chunks = chunks_of(provider)
    total = merge(chunks)
    assert total.content_blocks == merge_lists([chunk.content_blocks for chunk in chunks])
    assert total.content_blocks == hr.message_chunk_to_message(total).content_blocks


@pytest.mark.parametrize("provider", sorted(STREAMS))
def test_any_grouping_of_a_stream_gives_the_same_blocks(provider: str):
    chunks = chunks_of(provider)
    whole = merge(chunks).content_blocks
    for cut in range(1, len(chunks)):
        left, right = merge(chunks[:cut]), merge(chunks[cut:])
        assert (left + right).content_blocks == whole
    grown = [merge(chunks[:n]).content_blocks for n in range(1, len(chunks) + 1)]
    for shorter, longer in pairwise(grown):
        assert len(shorter) <= len(longer)


def test_standard_content_is_given_as_it_is():
    content = [{"type": "text", "text": "Hi"}, {"type": "odd"}]
    message = hr.AIMessage(content, response_metadata={"output_version": "v1"})
    assert message.content_blocks == content
    for unknown in ("someone", 5):
        facts = {"model_provider": unknown}
        assert hr.AIMessage("Hi", response_metadata=facts).content_blocks == [
            {"type": "text", "text": "Hi"}
        ]


# ------------------------------------------------------------------ what no vendor documents

TYPES = sorted(
    {str(block.get("type")) for _, block in SAID if isinstance(block, dict)}
    | {block.get("type", "") for block in INPUTS}
)
leaves = st.one_of(st.none(), st.integers(0, 2), st.sampled_from(["a", "base64", "url", "", "pdf"]))
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(
            st.sampled_from(
                ["type", "url", "data", "bytes", "text", "source", "format", "file_id"]
            ),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=4,
)
odd_blocks = st.dictionaries(
    st.sampled_from(
        ["id", "index", "source", "source_type", "image_url", "file", "input_audio", "citations",
         "annotations", "summary", "input", "content", "name", "arguments", "call_id", "action",
         "image", "document", "text", "url", "extras", "reasoning_content", "value", "outputs"]
    ),
    values,
    max_size=4,
).flatmap(
    lambda block: st.one_of(st.sampled_from(TYPES), values).map(
        lambda kind: {"type": kind, **block}
    )
)  # fmt: skip


@settings(max_examples=60)
@given(
    st.lists(odd_blocks, max_size=2),
    st.sampled_from([None, "anthropic", "bedrock_converse", "google_genai", "openai"]),
    st.dictionaries(
        st.sampled_from(["stop_reason", "stop_details", "grounding_metadata", "prompt_feedback"]),
        values,
        max_size=2,
    ),
    st.sampled_from([hr.AIMessage, hr.AIMessageChunk, hr.HumanMessage]),
)
def test_blocks_that_are_not_as_documented_are_kept(
    content: Any, provider: str | None, facts: Any, kind: Any
):
    before = deepcopy(content)
    message = kind(content, response_metadata={**facts, "model_provider": provider})
    blocks = message.content_blocks
    assert all(isinstance(block, dict) for block in blocks)
    assert len(blocks) >= len(content)
    assert message.content == before


VENDORS = (
    "anthropic", "azure", "bedrock", "bedrock_converse", "cohere", "google_genai",
    "google_vertexai", "groq", "mistral", "openai",
)  # fmt: skip


@pytest.mark.parametrize("provider", VENDORS)
def test_blocks_that_are_standard_already_pass_as_they_are(provider: str) -> None:
    citation = {"type": "citation", "url": "https://a.example", "extras": {"index": 1}}
    other = {"type": "non_standard_annotation", "value": {"type": "file_path"}}
    content: list[Any] = [
        {"type": "reasoning", "reasoning": "Hm.", "extras": {"signature": "s"}, "index": 0},
        {"type": "text", "text": "Hello", "annotations": [citation, other], "index": 1},
        {"type": "text", "text": "you", "extras": {"signature": "t"}, "index": 2},
        {"type": "image", "base64": "aGk=", "mime_type": "image/png", "index": 3},
        {"type": "audio", "base64": "aGk=", "mime_type": "audio/wav", "index": 4},
        {"type": "video", "url": "https://a.example/v", "index": 5},
        {"type": "file", "file_id": "f", "index": 6},
        {"type": "server_tool_call", "id": "1", "name": "web_search", "args": {}, "index": 7},
        {"type": "server_tool_result", "tool_call_id": "1", "status": "success", "index": 8},
        {"type": "non_standard", "value": {"type": "compaction"}, "index": 9},
        {"type": "refusal", "refusal": "No.", "index": 10},
    ]
    facts = {"model_provider": provider}
    call = {"name": "add", "args": {"a": 1}, "id": "c"}
    message = hr.AIMessage(content, tool_calls=[call], response_metadata=facts)
    assert message.content_blocks == [*content, {"type": "tool_call", **call}]
    for block in content:
        if block["type"] not in ("text", "refusal"):
            assert hr.AIMessage([block], response_metadata=facts).content_blocks == [block]
    cited = hr.AIMessage([content[1]], response_metadata=facts)
    assert cited.content_blocks == [content[1]]


@pytest.mark.parametrize("provider", ("anthropic", "openai", "google_genai"))
def test_a_standard_block_passes_among_a_vendors_own(provider: str) -> None:
    own = {"type": "something_new", "value": 1}
    image = {"type": "image", "url": "https://a.example/i"}
    cited = {"type": "text", "text": "Hi", "annotations": [{"type": "citation", "title": "T"}]}
    facts = {"model_provider": provider}
    blocks = hr.AIMessage([own, image, cited], response_metadata=facts).content_blocks
    assert blocks == [{"type": "non_standard", "value": own}, image, cited]
