"""`count_tokens_approximately`: how many tokens messages have, without a tokenizer.

Four characters are taken for a token, which is about right for English text and OpenAI's
tokenizers; what a model counts can differ by half. Where answers of the model are among the
messages, their usage can correct the estimate.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from typing import Any

from ..messages import AIMessage, BaseMessage, ToolMessage, convert_to_messages
from .openai_form import role_of

__all__ = ["count_tokens_approximately"]

_MOST = 1.25  # how far usage may raise the estimate

_IMAGES = frozenset({"image", "image_url"})


def count_tokens_approximately(
    messages: Any,
    *,
    chars_per_token: float = 4.0,
    extra_tokens_per_message: float = 3.0,
    count_name: bool = True,
    tokens_per_image: int = 85,
    use_usage_metadata_scaling: bool = False,
    tools: Sequence[Any] | None = None,
) -> int:
    """An estimate of the tokens of messages, and of the tools that are offered with them.

    Args:
        messages: what `convert_to_messages` takes. Counted are contents, roles, names, tool
            calls, and the ids of calls that tool messages answer.
        chars_per_token: characters of a token.
        extra_tokens_per_message: tokens that stand around each message.
        count_name: whether names are sent, and so count.
        tokens_per_image: tokens of an image, whatever its size; 85 is OpenAI's figure for one of
            low detail.
        use_usage_metadata_scaling: whether the estimate is multiplied by what the latest answer
            with usage was charged, over the estimate up to there; between 1 and 1.25, and only
            where all answers come from one `model_provider`.
        tools: tools, or their schemas as dicts.
    """
    conversation = convert_to_messages(messages)
    chars = sum(len(json.dumps(_tool_schema(tool))) for tool in tools or ())
    total: float = ceil(chars / chars_per_token)
    charged: tuple[int, float] | None = None
    for message in conversation:
        chars, images = _measure(message)
        if message.name and count_name:
            chars += len(message.name)
        # rounded for each message, so that the counts of parts add up to the count of the whole
        total += images * tokens_per_image + ceil(chars / chars_per_token)
        total += extra_tokens_per_message
        usage = message.usage_metadata if isinstance(message, AIMessage) else None
        if usage and isinstance(usage.get("total_tokens"), int):
            charged = usage["total_tokens"], total
    if use_usage_metadata_scaling and len(conversation) > 1 and _of_one_provider(conversation):
        total *= _scale(charged)
    return ceil(total)


def _scale(charged: tuple[int, float] | None) -> float:
    if charged is None or charged[1] <= 0:
        return 1.0
    return min(_MOST, max(1.0, charged[0] / charged[1]))


def _of_one_provider(messages: Iterable[BaseMessage]) -> bool:
    """Whether all answers name one provider; the unnamed before the first named do not count."""
    found = [
        message.response_metadata.get("model_provider")
        for message in messages
        if isinstance(message, AIMessage)
    ]
    while found and found[0] is None:
        del found[0]
    return len(set(found)) == 1


def _measure(message: BaseMessage) -> tuple[int, int]:
    """The characters of a message, without its name, and its images."""
    chars, images = len(role_of(message)), 0
    content = message.content
    if isinstance(content, str):
        chars += len(content)
        if isinstance(message, AIMessage) and message.tool_calls:
            chars += len(repr(message.tool_calls))  # beside blocks, calls are among the blocks
    else:
        for block in content:
            if isinstance(block, dict) and block.get("type") in _IMAGES:
                images += 1
            else:
                chars += _length(block)
    if isinstance(message, ToolMessage):
        chars += len(message.tool_call_id)
    return chars, images


def _length(block: str | Mapping[str, Any]) -> int:
    if isinstance(block, str):
        return len(block)
    if block.get("type") == "text":
        return len(block.get("text") or "")
    return len(repr(block))


def _tool_schema(tool: Any) -> Mapping[str, Any]:
    """What a model is told of a tool."""
    if isinstance(tool, Mapping):
        return tool
    schema = getattr(tool, "tool_call_schema", None)
    if schema is None:
        from ..tools import tool as made_tool  # a plain function

        tool = made_tool(tool)
        schema = tool.tool_call_schema
    parameters = dict(schema if isinstance(schema, dict) else schema.model_json_schema())
    for said_above in ("title", "description"):
        parameters.pop(said_above, None)
    return {"name": tool.name, "description": tool.description, "parameters": parameters}
