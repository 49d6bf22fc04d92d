"""The same conversation in either library, for comparisons: built from one plain description.

A description is `(class name, keywords)`. `plain` says what a message is, in words both share.
"""

from __future__ import annotations

import importlib
from typing import Any

from hypothesis import strategies as st

OURS, THEIRS = "headrace", "langchain_core"
Spec = tuple[str, dict[str, Any]]


def build(package: str, specs: list[Spec]) -> list[Any]:
    messages = importlib.import_module(f"{package}.messages")
    return [getattr(messages, name)(**keywords) for name, keywords in specs]


def plain(message: Any) -> Any:
    """What both libraries must agree on; made-up ids apart."""
    fields = {
        key: getattr(message, key, None)
        for key in ("content", "id", "name", "role", "tool_call_id", "status", "artifact")
    }
    for key in ("tool_calls", "invalid_tool_calls"):
        fields[key] = [dict(call) for call in getattr(message, key, None) or []]
    usage = getattr(message, "usage_metadata", None)
    fields["usage"] = usage and dict(usage)
    for key in ("additional_kwargs", "response_metadata"):
        fields[key] = dict(getattr(message, key, None) or {})
    return type(message).__name__, message.type, fields


def plains(messages: Any) -> list[Any]:
    return [plain(message) for message in messages]


TEXT = st.text("ab\n {}", max_size=8)
NAME = st.sampled_from(["anna", "bert"])
BLOCKS = st.lists(
    st.one_of(
        TEXT.map(lambda text: {"type": "text", "text": text}),
        st.just({"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}),
    ),
    min_size=1,
    max_size=3,
)
CONTENT = TEXT | BLOCKS
CALL = st.builds(
    lambda n, a: {"name": f"f{n}", "args": {"a": a}, "id": f"c{n}", "type": "tool_call"},
    st.integers(0, 3),
    st.integers(0, 3),
)


@st.composite
def specs(draw: Any, content: Any = CONTENT) -> Spec:
    kind = draw(
        st.sampled_from(["HumanMessage", "AIMessage", "SystemMessage", "ToolMessage", "Calling"])
    )
    keywords: dict[str, Any] = {"content": draw(content)}
    if draw(st.booleans()):
        keywords["id"] = f"m{draw(st.integers(0, 5))}"
    if kind in ("HumanMessage", "AIMessage") and draw(st.booleans()):
        keywords["name"] = draw(NAME)
    if kind == "ToolMessage":
        keywords["tool_call_id"] = f"c{draw(st.integers(0, 3))}"
    if kind == "Calling":
        kind, keywords["tool_calls"] = "AIMessage", draw(st.lists(CALL, min_size=1, max_size=2))
    return kind, keywords


def conversations(content: Any = CONTENT, **sizes: Any) -> Any:
    return st.lists(specs(content), **{"max_size": 7, **sizes})
