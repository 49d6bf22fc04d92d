"""Sums of the same chunks, grouped in different ways."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from headrace.messages import AIMessageChunk


def look(chunk: AIMessageChunk, field: str | None) -> AIMessageChunk:
    """Read a field of a chunk, or none."""
    if field:
        getattr(chunk, field)
    return chunk


def fold_tree(items: list[Any], draw: Callable[[Any], Any]) -> Any:
    """The sum of chunks along a tree that `draw` chooses, fields read on the way."""
    if len(items) == 1:
        return items[0]
    at = draw(st.integers(1, len(items) - 1))
    left, right = fold_tree(items[:at], draw), fold_tree(items[at:], draw)
    seen = st.sampled_from([None, "content", "additional_kwargs", "tool_calls", "id"])
    return look(look(left, draw(seen)) + look(right, draw(seen)), draw(seen))


def left_fold(items: list[Any]) -> Any:
    total = items[0]
    for item in items[1:]:
        total = total + item
    return total
