"""Content of models' messages in their vendors' forms, as standard blocks.

`message.content_blocks` asks here, by `response_metadata["model_provider"]`, when it is read.
For each vendor there is a table from its types of blocks to functions; the forms are those of the
vendors' API references.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from ...messages import AIMessage
from ._parts import MISSHAPEN, Block, Vendor, non_standard
from .anthropic import ANTHROPIC
from .bedrock import CONVERSE
from .google import GOOGLE
from .openai import OPENAI

__all__ = ["translated"]

_VENDORS: Mapping[str, Vendor] = {
    "anthropic": ANTHROPIC,
    "bedrock": ANTHROPIC,
    "bedrock_converse": CONVERSE,
    "google_genai": GOOGLE,
    "google_vertexai": GOOGLE,
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
    for item in items:
        if isinstance(item, str):
            blocks.append({"type": "text", "text": item})
        else:
            blocks += _of_item(item, message, vendor)
    vendor.calls(message, blocks)
    with suppress(*MISSHAPEN):  # then the metadata is not what the vendor documents
        vendor.finish(message, blocks)
    return blocks


def _of_item(item: Block, message: AIMessage, vendor: Vendor) -> list[Block]:
    """The standard blocks of a block; one that is not as the vendor documents is wrapped."""
    try:
        return vendor.blocks.get(item.get("type", ""), vendor.other)(item, message)
    except MISSHAPEN:
        return non_standard(item)


def _is_claude(message: AIMessage) -> bool:
    """Bedrock serves models of several vendors; a stream's first chunk need not name its own."""
    name = message.response_metadata.get("model_name")
    return name is None or "claude" in str(name).lower()
