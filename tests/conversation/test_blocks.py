"""The functions that make standard blocks, beside langchain-core's."""

from __future__ import annotations

from typing import Any

import langchain_core.messages.content as lc
import pytest

import headrace.messages as hr
from headrace.errors import InputError

EVERYWHERE: dict[str, Any] = {"id": "1", "index": 2, "more": 3, "left_out": None}
MADE: list[tuple[str, list[Any], dict[str, Any]]] = [
    ("create_text_block", ["a"], {}),
    ("create_text_block", ["a"], {"annotations": [{"type": "citation"}]}),
    ("create_reasoning_block", ["a"], {}),
    ("create_reasoning_block", [], {}),
    *(
        (f"create_{kind}_block", [], given)
        for kind in ("image", "video", "audio", "file")
        for given in (
            {"url": "u"},
            {"base64": "AA", "mime_type": "a/b"},
            {"file_id": "f", "mime_type": "a/b"},
            {},
            {"base64": "AA"},
        )
    ),
    ("create_plaintext_block", ["a"], {"title": "t", "context": "c"}),
    ("create_plaintext_block", [], {"url": "u"}),
    ("create_tool_call", ["f", {"a": 1}], {}),
]


@pytest.mark.parametrize(("name", "given", "named"), MADE, ids=repr)
def test_blocks_are_made_alike(name: str, given: list[Any], named: dict[str, Any]):
    named = {**named, **EVERYWHERE}
    try:
        theirs = getattr(lc, name)(*given, **named)
    except ValueError:
        with pytest.raises(InputError):
            getattr(hr, name)(*given, **named)
    else:
        assert getattr(hr, name)(*given, **named) == theirs


def test_citations_and_wrapped_blocks():
    place = {"url": "u", "title": "t", "start_index": 0, "end_index": 0, "cited_text": "c"}
    assert hr.create_citation(**place, id="1", more=2) == lc.create_citation(
        **place, id="1", more=2
    )
    value = {"type": "odd"}
    assert hr.create_non_standard_block(value, id="1", index=0) == lc.create_non_standard_block(
        value, id="1", index=0
    )


def test_ids_are_made_up():
    one, two = hr.create_text_block("a"), hr.create_text_block("a")
    assert one["id"].startswith("lc_")
    assert one["id"] != two["id"]


KEYS = ["url", "base64", "file_id", "text", "data", "id"]


@pytest.mark.parametrize("source", [None, "url", "base64", "id", "text", "odd"])
@pytest.mark.parametrize("kind", ["image", "audio", "video", "file", "text-plain", "text", "odd"])
def test_is_data_content_block(kind: str, source: str | None):
    start = {"type": kind} if source is None else {"type": kind, "source_type": source}
    assert hr.is_data_content_block(start) is lc.is_data_content_block(start)
    for key in KEYS:
        block = {**start, key: "x"}
        assert hr.is_data_content_block(block) is lc.is_data_content_block(block), block
