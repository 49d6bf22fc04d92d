"""Standard content blocks: what a message's content consists of, whoever made it.

A block is a dict with a `type`. The TypedDicts below name the fields that all vendors share; what
only one has goes into `extras`. `index` numbers the blocks of a stream, so that pieces of one block
add up. Names and fields are those of LangChain's standard blocks. The `create_` functions make
blocks with the given fields, an id (made up where none is given), and other arguments as `extras`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypeAlias, TypedDict, cast
from uuid import uuid4

from ..errors import InputError
from ..messages.tool_calls import InvalidToolCall, ToolCall, ToolCallChunk

__all__ = [
    "Annotation",
    "AudioContentBlock",
    "Citation",
    "DataContentBlock",
    "FileContentBlock",
    "ImageContentBlock",
    "NonStandardAnnotation",
    "NonStandardContentBlock",
    "PlainTextContentBlock",
    "ReasoningContentBlock",
    "RefusalContentBlock",
    "ServerToolCall",
    "ServerToolCallChunk",
    "ServerToolResult",
    "StandardContentBlock",
    "TextContentBlock",
    "VideoContentBlock",
    "create_audio_block",
    "create_citation",
    "create_file_block",
    "create_image_block",
    "create_non_standard_block",
    "create_plaintext_block",
    "create_reasoning_block",
    "create_text_block",
    "create_tool_call",
    "create_video_block",
    "is_data_content_block",
]

Index: TypeAlias = int | str


class Citation(TypedDict):
    """Where a part of a text comes from. Indexes are characters of the text that it annotates."""

    type: Literal["citation"]
    id: NotRequired[str]
    url: NotRequired[str]
    title: NotRequired[str]
    start_index: NotRequired[int]
    end_index: NotRequired[int]
    cited_text: NotRequired[str]
    extras: NotRequired[dict[str, Any]]


class NonStandardAnnotation(TypedDict):
    """A vendor's own annotation of a text."""

    type: Literal["non_standard_annotation"]
    id: NotRequired[str]
    value: dict[str, Any]


Annotation: TypeAlias = Citation | NonStandardAnnotation


class _Block(TypedDict):
    """What every block may have."""

    id: NotRequired[str]
    index: NotRequired[Index]
    extras: NotRequired[dict[str, Any]]


class _Data(_Block):
    """A block of data: somewhere (`url`), here (`base64`), or with the vendor (`file_id`)."""

    url: NotRequired[str]
    base64: NotRequired[str]
    file_id: NotRequired[str]
    mime_type: NotRequired[str]


class TextContentBlock(_Block):
    """Text, with the citations in it."""

    type: Literal["text"]
    text: str
    annotations: NotRequired[list[Annotation]]


class ReasoningContentBlock(_Block):
    """What a model thinks before it answers."""

    type: Literal["reasoning"]
    reasoning: NotRequired[str]


class RefusalContentBlock(_Block):
    """A model's refusal to answer, and why."""

    type: Literal["refusal"]
    refusal: str


class ImageContentBlock(_Data):
    """An image."""

    type: Literal["image"]


class VideoContentBlock(_Data):
    """A video."""

    type: Literal["video"]


class AudioContentBlock(_Data):
    """Sound."""

    type: Literal["audio"]


class FileContentBlock(_Data):
    """A file of another kind, such as a PDF."""

    type: Literal["file"]


class PlainTextContentBlock(_Data):
    """A text that is a document of its own."""

    type: Literal["text-plain"]
    text: NotRequired[str]
    title: NotRequired[str]
    context: NotRequired[str]


class ServerToolCall(TypedDict):
    """A call of a tool that the vendor runs itself."""

    type: Literal["server_tool_call"]
    id: str
    name: str
    args: dict[str, Any]
    index: NotRequired[Index]
    extras: NotRequired[dict[str, Any]]


class ServerToolCallChunk(_Block):
    """A piece of such a call, as it streams in; `args` is a piece of a JSON text."""

    type: Literal["server_tool_call_chunk"]
    name: NotRequired[str]
    args: NotRequired[str]


class ServerToolResult(_Block):
    """What such a tool answered."""

    type: Literal["server_tool_result"]
    tool_call_id: str
    status: Literal["success", "error"]
    output: NotRequired[Any]


class NonStandardContentBlock(TypedDict):
    """A vendor's own block, in `value`."""

    type: Literal["non_standard"]
    value: dict[str, Any]
    id: NotRequired[str]
    index: NotRequired[Index]


DataContentBlock: TypeAlias = (
    ImageContentBlock
    | VideoContentBlock
    | AudioContentBlock
    | PlainTextContentBlock
    | FileContentBlock
)
StandardContentBlock: TypeAlias = (
    TextContentBlock
    | ReasoningContentBlock
    | RefusalContentBlock
    | DataContentBlock
    | ToolCall
    | ToolCallChunk
    | InvalidToolCall
    | ServerToolCall
    | ServerToolCallChunk
    | ServerToolResult
    | NonStandardContentBlock
)

_DATA_TYPES = frozenset({"image", "video", "audio", "text-plain", "file"})
_DATA_KEYS = frozenset({"url", "base64", "file_id", "text"})
_OLD_KEYS = {"url": "url", "base64": "data", "id": "id", "text": "url"}  # by source_type


def is_data_content_block(block: Mapping[str, Any]) -> bool:
    """Whether a block holds or names data, in the standard form or in the one before it, which has
    a `source_type`."""
    if block.get("type") not in _DATA_TYPES:
        return False
    return not _DATA_KEYS.isdisjoint(block) or _OLD_KEYS.get(block.get("source_type", "")) in block


# ------------------------------------------------------------------ making blocks


def _made(type: str, id: str | None, extras: Mapping[str, Any], **fields: Any) -> Any:
    """A block of the fields that are not None."""
    block: dict[str, Any] = {"type": type, "id": id or f"lc_{uuid4()}"}
    block.update((name, value) for name, value in fields.items() if value is not None)
    rest = {name: value for name, value in extras.items() if value is not None}
    return {**block, "extras": rest} if rest else block


def _data(
    type: str,
    url: str | None,
    base64: str | None,
    file_id: str | None,
    mime_type: str | None,
    id: str | None,
    index: Index | None,
    extras: Mapping[str, Any],
) -> Any:
    if not (url or base64 or file_id):
        raise InputError(f"Must provide one of: url, base64, or file_id for a block of {type}.")
    if base64 and not mime_type and type != "image":
        raise InputError(f"mime_type is required when using base64 data for a block of {type}.")
    return _made(type, id, extras, url=url, base64=base64, file_id=file_id, mime_type=mime_type,
                 index=index)  # fmt: skip


def create_text_block(
    text: str,
    *,
    id: str | None = None,
    annotations: list[Annotation] | None = None,
    index: Index | None = None,
    **extras: Any,
) -> TextContentBlock:
    """A block of text."""
    return cast(
        TextContentBlock,
        _made("text", id, extras, text=text, annotations=annotations, index=index),
    )


def create_reasoning_block(
    reasoning: str | None = None,
    id: str | None = None,
    index: Index | None = None,
    **extras: Any,
) -> ReasoningContentBlock:
    """A block of reasoning; without text where the vendor keeps it to itself."""
    return cast(
        ReasoningContentBlock,
        _made("reasoning", id, extras, reasoning=reasoning or "", index=index),
    )


def create_image_block(
    *,
    url: str | None = None,
    base64: str | None = None,
    file_id: str | None = None,
    mime_type: str | None = None,
    id: str | None = None,
    index: Index | None = None,
    **extras: Any,
) -> ImageContentBlock:
    """A block of an image.

    Raises:
        InputError: neither `url` nor `base64` nor `file_id` is given.
    """
    return cast(
        ImageContentBlock, _data("image", url, base64, file_id, mime_type, id, index, extras)
    )


def create_video_block(
    *,
    url: str | None = None,
    base64: str | None = None,
    file_id: str | None = None,
    mime_type: str | None = None,
    id: str | None = None,
    index: Index | None = None,
    **extras: Any,
) -> VideoContentBlock:
    """A block of a video; `base64` needs a `mime_type`. Raises as `create_image_block`."""
    return cast(
        VideoContentBlock, _data("video", url, base64, file_id, mime_type, id, index, extras)
    )


def create_audio_block(
    *,
    url: str | None = None,
    base64: str | None = None,
    file_id: str | None = None,
    mime_type: str | None = None,
    id: str | None = None,
    index: Index | None = None,
    **extras: Any,
) -> AudioContentBlock:
    """A block of sound; `base64` needs a `mime_type`. Raises as `create_image_block`."""
    return cast(
        AudioContentBlock, _data("audio", url, base64, file_id, mime_type, id, index, extras)
    )


def create_file_block(
    *,
    url: str | None = None,
    base64: str | None = None,
    file_id: str | None = None,
    mime_type: str | None = None,
    id: str | None = None,
    index: Index | None = None,
    **extras: Any,
) -> FileContentBlock:
    """A block of a file; `base64` needs a `mime_type`. Raises as `create_image_block`."""
    return cast(FileContentBlock, _data("file", url, base64, file_id, mime_type, id, index, extras))


def create_plaintext_block(
    text: str | None = None,
    url: str | None = None,
    base64: str | None = None,
    file_id: str | None = None,
    title: str | None = None,
    context: str | None = None,
    id: str | None = None,
    index: Index | None = None,
    **extras: Any,
) -> PlainTextContentBlock:
    """A block of a document that is plain text."""
    made = _made("text-plain", id, extras, mime_type="text/plain", text=text, url=url,
                 base64=base64, file_id=file_id, title=title, context=context,
                 index=index)  # fmt: skip
    return cast(PlainTextContentBlock, made)


def create_tool_call(
    name: str,
    args: dict[str, Any],
    *,
    id: str | None = None,
    index: Index | None = None,
    **extras: Any,
) -> ToolCall:
    """A block of a tool call."""
    return cast(ToolCall, _made("tool_call", id, extras, name=name, args=args, index=index))


def create_citation(
    *,
    url: str | None = None,
    title: str | None = None,
    start_index: int | None = None,
    end_index: int | None = None,
    cited_text: str | None = None,
    id: str | None = None,
    **extras: Any,
) -> Citation:
    """A citation, for the `annotations` of a text block."""
    made = _made("citation", id, extras, url=url, title=title, start_index=start_index,
                 end_index=end_index, cited_text=cited_text)  # fmt: skip
    return cast(Citation, made)


def create_non_standard_block(
    value: dict[str, Any], *, id: str | None = None, index: Index | None = None
) -> NonStandardContentBlock:
    """A block that wraps a vendor's own."""
    return cast(NonStandardContentBlock, _made("non_standard", id, {}, value=value, index=index))
