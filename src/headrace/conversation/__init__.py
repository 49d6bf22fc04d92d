"""Whole conversations, and what messages consist of: trimming, filtering, merging, counting, other
vendors' forms, and standard content blocks.

None of it is on a chunk's way, so it is loaded when it is asked for. `headrace.messages` has the
same names: there is where users look for them.
"""

from typing import TYPE_CHECKING, Any

from .._lazy import later, listed

if TYPE_CHECKING:
    from .blocks import (
        Annotation,
        AudioContentBlock,
        Citation,
        DataContentBlock,
        FileContentBlock,
        ImageContentBlock,
        NonStandardAnnotation,
        NonStandardContentBlock,
        PlainTextContentBlock,
        ReasoningContentBlock,
        RefusalContentBlock,
        ServerToolCall,
        ServerToolCallChunk,
        ServerToolResult,
        StandardContentBlock,
        TextContentBlock,
        VideoContentBlock,
        create_audio_block,
        create_citation,
        create_file_block,
        create_image_block,
        create_non_standard_block,
        create_plaintext_block,
        create_reasoning_block,
        create_text_block,
        create_tool_call,
        create_video_block,
        is_data_content_block,
    )
    from .filtering import filter_messages
    from .notification import (
        NotificationMetadata,
        add_notification_metadata,
        get_notification_metadata,
    )
    from .openai_data import convert_to_openai_data_block, convert_to_openai_image_block
    from .openai_form import convert_to_openai_messages
    from .runs import merge_message_runs
    from .tokens import count_tokens_approximately
    from .trimming import trim_messages

__all__ = [
    "Annotation",
    "AudioContentBlock",
    "Citation",
    "DataContentBlock",
    "FileContentBlock",
    "ImageContentBlock",
    "NonStandardAnnotation",
    "NonStandardContentBlock",
    "NotificationMetadata",
    "PlainTextContentBlock",
    "ReasoningContentBlock",
    "RefusalContentBlock",
    "ServerToolCall",
    "ServerToolCallChunk",
    "ServerToolResult",
    "StandardContentBlock",
    "TextContentBlock",
    "VideoContentBlock",
    "add_notification_metadata",
    "convert_to_openai_data_block",
    "convert_to_openai_image_block",
    "convert_to_openai_messages",
    "count_tokens_approximately",
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
    "filter_messages",
    "get_notification_metadata",
    "is_data_content_block",
    "merge_message_runs",
    "trim_messages",
]

_LATER = {
    "Annotation": "blocks",
    "AudioContentBlock": "blocks",
    "Citation": "blocks",
    "DataContentBlock": "blocks",
    "FileContentBlock": "blocks",
    "ImageContentBlock": "blocks",
    "NonStandardAnnotation": "blocks",
    "NonStandardContentBlock": "blocks",
    "NotificationMetadata": "notification",
    "PlainTextContentBlock": "blocks",
    "ReasoningContentBlock": "blocks",
    "RefusalContentBlock": "blocks",
    "ServerToolCall": "blocks",
    "ServerToolCallChunk": "blocks",
    "ServerToolResult": "blocks",
    "StandardContentBlock": "blocks",
    "TextContentBlock": "blocks",
    "VideoContentBlock": "blocks",
    "add_notification_metadata": "notification",
    "convert_to_openai_data_block": "openai_data",
    "convert_to_openai_image_block": "openai_data",
    "convert_to_openai_messages": "openai_form",
    "count_tokens_approximately": "tokens",
    "create_audio_block": "blocks",
    "create_citation": "blocks",
    "create_file_block": "blocks",
    "create_image_block": "blocks",
    "create_non_standard_block": "blocks",
    "create_plaintext_block": "blocks",
    "create_reasoning_block": "blocks",
    "create_text_block": "blocks",
    "create_tool_call": "blocks",
    "create_video_block": "blocks",
    "filter_messages": "filtering",
    "get_notification_metadata": "notification",
    "is_data_content_block": "blocks",
    "merge_message_runs": "runs",
    "trim_messages": "trimming",
}


def __getattr__(name: str) -> Any:
    return later(__name__, _LATER, name)


def __dir__() -> list[str]:
    return listed(globals(), __all__)
