"""Message content: a string, or a list of strings and content blocks (dicts with a `type`).

Adding contents: strings concatenate; a list absorbs strings and lists item by item, where a string
continues a string that stands right before it and a block with an `index` continues the block it
belongs to (`headrace.merge.merge_lists`). An empty string adds nothing. So the grouping of a sum
does not matter.

The standard blocks are those named in `BLOCK_TYPES`; `standard_blocks` gives any content as a list
of them, a provider's own block wrapped as `{"type": "non_standard", "value": block}`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from headrace.errors import InputError
from headrace.merge import merge_lists

__all__ = [
    "BLOCK_TYPES",
    "Content",
    "ContentBlock",
    "as_content",
    "merge_content",
    "merge_contents",
    "standard_blocks",
    "text_of",
]

ContentBlock: TypeAlias = dict[str, Any]
Content: TypeAlias = str | list[str | ContentBlock]

BLOCK_TYPES = frozenset(
    {
        "audio",
        "file",
        "image",
        "invalid_tool_call",
        "non_standard",
        "reasoning",
        "refusal",
        "server_tool_call",
        "server_tool_call_chunk",
        "server_tool_result",
        "text",
        "text-plain",
        "tool_call",
        "tool_call_chunk",
        "video",
    }
)

# Keys of blocks that have the type of a standard block, but another form.
_OTHER_FORMS = frozenset({"file", "source", "source_type"})


def as_content(content: Any, owner: str) -> Content:
    """Content given by a user: a string, or a fresh list of the items of a list or tuple."""
    if isinstance(content, str):
        return content
    if isinstance(content, (list, tuple)):
        for item in content:
            if not isinstance(item, (str, dict)):
                raise InputError(
                    f"{owner} content is a string or a list of strings and dicts; the list holds "
                    f"{item!r}, a {type(item).__name__}."
                )
        return list(content)
    if content is None:
        raise InputError(f"{owner} needs content: pass content='' for an empty message.")
    raise InputError(
        f"{owner} content is a string or a list of strings and dicts; received {content!r}, "
        f"a {type(content).__name__}."
    )


def text_of(content: Content) -> str:
    """The text in content: its strings and `text` blocks, joined."""
    if isinstance(content, str):
        return content
    parts = []
    for item in content:
        if isinstance(item, str):
            parts.append(item)
        elif item.get("type") == "text" and isinstance(item.get("text"), str):
            parts.append(item["text"])
    return "".join(parts)


def merge_content(first: Content, *others: Content) -> Content:
    """The sum of contents, in order; the arguments stay as they are."""
    return merge_contents([first, *others])


def merge_contents(contents: Sequence[Content]) -> Content:
    """The sum of contents, in order and linear in their size."""
    try:
        return "".join(contents)  # type: ignore[arg-type]
    except TypeError:
        return merge_lists(map(_items, contents), join_text=True)


def _items(content: Content) -> list[str | ContentBlock]:
    if isinstance(content, str):
        return [content] if content else []
    return content


def standard_blocks(content: Content) -> list[ContentBlock]:
    """Content as a list of standard blocks; those that are standard are the content's, no copies.

    Other vendors' blocks are translated where their form is known, else wrapped.
    """
    blocks: list[ContentBlock] = []
    for item in _items(content):
        if isinstance(item, str):
            blocks.append({"type": "text", "text": item})
            continue
        kind = item.get("type")
        known = isinstance(kind, str) and kind in BLOCK_TYPES
        if not known or not _OTHER_FORMS.isdisjoint(item):
            from headrace.conversation.vendors.inputs import standard_input  # seldom needed

            made = standard_input(item)
            item = made or (item if known else {"type": "non_standard", "value": item})
        blocks.append(item)
    return blocks
