"""Token usage of a message, and its sum over the chunks of a stream. All counts are tokens.

Numbers add field by field, at any depth; a field that one side lacks counts as zero. Providers
add fields of their own, so the TypedDicts name the common ones and every other key is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NotRequired, TypedDict, cast

from headrace.merge import copy_tree

__all__ = [
    "InputTokenDetails",
    "OutputTokenDetails",
    "UsageMetadata",
    "add_usage",
    "subtract_usage",
    "sum_usage",
]


class InputTokenDetails(TypedDict, total=False):
    """Where input tokens came from; need not sum to the total."""

    audio: int
    cache_creation: int
    cache_read: int


class OutputTokenDetails(TypedDict, total=False):
    """What output tokens were spent on; need not sum to the total."""

    audio: int
    reasoning: int


class UsageMetadata(TypedDict):
    """Tokens that one model call read and wrote."""

    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_token_details: NotRequired[InputTokenDetails]
    output_token_details: NotRequired[OutputTokenDetails]


def add_usage(left: UsageMetadata | None, right: UsageMetadata | None) -> UsageMetadata:
    """The sum of two usages; zeros when neither is given."""
    return sum_usage([left, right]) or _zero()


def subtract_usage(left: UsageMetadata | None, right: UsageMetadata | None) -> UsageMetadata:
    """`left` minus `right`, no count below zero; the one that is given when the other is not."""
    if not (left and right):
        return cast(UsageMetadata, copy_tree(left or right)) if left or right else _zero()
    return cast(UsageMetadata, _combine(left, right, lambda a, b: max(a - b, 0)))


def sum_usage(usages: Iterable[UsageMetadata | None]) -> UsageMetadata | None:
    """The sum of the usages that are given; None when none is."""
    total: Mapping[str, Any] | None = None
    for usage in usages:
        if usage:
            total = copy_tree(usage) if total is None else _combine(total, usage, _plus)
    return cast("UsageMetadata | None", total)


def _zero() -> UsageMetadata:
    return {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}


def _plus(a: Any, b: Any) -> Any:
    return a + b


def _combine(
    left: Mapping[str, Any], right: Mapping[str, Any], op: Callable[[Any, Any], Any]
) -> dict[str, Any]:
    """Both mappings, numbers combined by `op`; of values that are no numbers the later stays."""
    out: dict[str, Any] = {}
    for key in [*left, *(key for key in right if key not in left)]:
        a, b = left.get(key), right.get(key)
        if isinstance(a, dict) or isinstance(b, dict):
            out[key] = _combine(a or {}, b or {}, op)
        elif isinstance(a or 0, (int, float)) and isinstance(b or 0, (int, float)):
            out[key] = op(a or 0, b or 0)
        else:
            out[key] = a if b is None else b
    return out
