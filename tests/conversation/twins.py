"""Conversations as plain facts, of which messages of langchain-core and of Headrace are made.

What the two are meant to treat differently stays out, unless a test asks for it.
"""

from __future__ import annotations

from typing import Any

import langchain_core.messages as lc
from hypothesis import strategies as st

import headrace.messages as hr

texts = st.sampled_from(["", "a", "one two", "three\nfour five\nsix", "x" * 40])
names = st.one_of(st.none(), st.sampled_from(["ann", "bob"]))
ids = st.one_of(st.none(), st.sampled_from(["1", "2", "3"]))
blocks = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, texts),
    st.just({"type": "image_url", "image_url": {"url": "https://a/b.png"}}),
    st.just({"type": "image", "base64": "AAAA", "mime_type": "image/png"}),
)
contents = st.one_of(texts, st.lists(blocks, max_size=3))
calls = st.lists(
    st.builds(
        lambda id, name, args: {"id": id, "name": name, "args": args},
        st.sampled_from(["c1", "c2", "c3"]),
        st.sampled_from(["f", "g"]),
        st.dictionaries(st.sampled_from("kl"), st.integers(0, 3), max_size=2),
    ),
    max_size=2,
    unique_by=lambda call: call["id"],
)
usages = st.one_of(
    st.none(),
    st.builds(
        lambda a, b: {"input_tokens": a, "output_tokens": b, "total_tokens": a + b},
        st.integers(0, 90),
        st.integers(0, 90),
    ),
)


def _fact(kind: str, **fields: Any) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    common = {"content": contents, "name": names, "id": ids}
    return st.tuples(st.just(kind), st.fixed_dictionaries({**common, **fields}))


facts = st.one_of(
    _fact("SystemMessage"),
    _fact("HumanMessage", additional_kwargs=st.just({})),
    _fact(
        "AIMessage",
        tool_calls=calls,
        usage_metadata=usages,
        response_metadata=st.sampled_from([{}, {"model_provider": "p"}, {"model_provider": "q"}]),
    ),
    _fact(
        "ToolMessage",
        tool_call_id=st.sampled_from(["c1", "c2", "c3"]),
        status=st.sampled_from(["success", "error"]),
    ),
)
conversations = st.lists(facts, max_size=7)


def built(module: Any, conversation: list[tuple[str, dict[str, Any]]]) -> list[Any]:
    """The messages of a library, from the facts."""
    return [getattr(module, kind)(**fields) for kind, fields in conversation]


def pair(conversation: Any) -> tuple[list[Any], list[Any]]:
    return built(lc, conversation), built(hr, conversation)


_FIELDS = (
    *("content", "name", "id", "additional_kwargs", "response_metadata", "tool_calls"),
    *("invalid_tool_calls", "usage_metadata", "tool_call_id", "status", "artifact", "role"),
)


def shown(messages: Any) -> Any:
    """Messages of either library as facts that can be compared."""
    return [
        {"type": message.type}
        | {name: getattr(message, name) for name in _FIELDS if hasattr(message, name)}
        for message in messages
    ]


def without_made_up_ids(blocks: Any) -> Any:
    """Blocks without the ids that langchain-core makes up each time they are read."""
    if isinstance(blocks, list):
        return [without_made_up_ids(block) for block in blocks]
    if not isinstance(blocks, dict):
        return blocks
    return {
        key: without_made_up_ids(value)
        for key, value in blocks.items()
        if not (key == "id" and str(value).startswith("lc_"))
    }
