"""Content of models' messages in their vendors' forms, as standard blocks.

`message.content_blocks` asks here, by `response_metadata["model_provider"]`, when it is read.
For each vendor there is a table from its types of blocks to functions; the forms are those of the
vendors' API references. Blocks that are standard already, as Headrace's own models write them, pass
as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from ...messages import AIMessage
from ._parts import MISSHAPEN, Block, Vendor, is_standard, non_standard
from .anthropic import ANTHROPIC
from .bedrock import CONVERSE
from .google import GOOGLE
from .mistral import MISTRAL
from .openai import OPENAI

__all__ = ["translated"]

_VENDORS: Mapping[str, Vendor] = {
    "anthropic": ANTHROPIC,
    "azure": OPENAI,
    "bedrock": ANTHROPIC,
    "bedrock_converse": CONVERSE,
    "google_genai": GOOGLE,
    "google_vertexai": GOOGLE,
    "mistral": MISTRAL,
    "mistralai": MISTRAL,
    "openai": OPENAI,
}


def translated(message: AIMessage, provider: str) -> list[Block] | None:
    """What a message says as new standard blocks; None of a vendor that is not known."""
    vendor = _VENDORS.get(provider)
    content = message.content
    if vendor is None or (provider == "bedrock" and not _is_claude(message)):
        return None
    items = [content] if isinstance(content, str) and content else content or []
    blocks: list[Block] = []
    standard = _all_standard([item for item in items if isinstance(item, dict)])
    for item in items:
        if isinstance(item, str):
            blocks.append({"type": "text", "text": item})
        else:
            blocks += [dict(item)] if standard else _of_item(item, message, vendor)
    vendor.calls(message, blocks)
    with suppress(*MISSHAPEN):  # then the metadata is not what the vendor documents
        vendor.finish(message, blocks)
    return blocks


def _all_standard(items: list[Block]) -> bool:
    """Whether blocks were standard from the first: all of them could be, and one has a form that no
    vendor's has. Plain text and refusals look the same everywhere, and say nothing."""
    return all(map(is_standard, items)) and any(
        block["type"] not in ("text", "refusal") or block.get("annotations") for block in items
    )


def _of_item(item: Block, message: AIMessage, vendor: Vendor) -> list[Block]:
    """The standard blocks of a block; one that is not as the vendor documents is wrapped."""
    try:
        read = vendor.blocks.get(item.get("type", ""))
        if is_standard(item) and (read is None or item.get("annotations")):
            return [dict(item)]
        return (read or vendor.other)(item, message)
    except MISSHAPEN:
        return non_standard(item)


def _is_claude(message: AIMessage) -> bool:
    """Bedrock serves models of several vendors; a stream's first chunk need not name its own."""
    name = message.response_metadata.get("model_name")
    return name is None or "claude" in str(name).lower()
