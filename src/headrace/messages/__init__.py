"""Messages: what goes into a chat model and what comes out, whole and in chunks.

What works on whole conversations, and the types of standard content blocks, lives in
`headrace.conversation` and is loaded from there when it is asked for.
"""

from typing import TYPE_CHECKING, Any

from headrace._lazy import listed
from headrace.messages.ai import AIMessage, AIMessageChunk
from headrace.messages.as_text import get_buffer_string
from headrace.messages.base import BaseMessage
from headrace.messages.chunks import BaseMessageChunk, message_chunk_to_message
from headrace.messages.content import ContentBlock, merge_content
from headrace.messages.convert import (
    AnyMessage,
    MessageLikeRepresentation,
    convert_to_messages,
    message_to_dict,
    messages_from_dict,
    messages_to_dict,
)
from headrace.messages.plain import (
    ChatMessage,
    ChatMessageChunk,
    FunctionMessage,
    FunctionMessageChunk,
    HumanMessage,
    HumanMessageChunk,
    RemoveMessage,
    SystemMessage,
    SystemMessageChunk,
)
from headrace.messages.tool import ToolMessage, ToolMessageChunk, ToolOutputMixin
from headrace.messages.tool_calls import (
    InvalidToolCall,
    ToolCall,
    ToolCallChunk,
    invalid_tool_call,
    tool_call,
    tool_call_chunk,
)
from headrace.messages.usage import (
    InputTokenDetails,
    OutputTokenDetails,
    UsageMetadata,
    add_usage,
    subtract_usage,
)

if TYPE_CHECKING:
    from headrace.conversation import *  # noqa: F403

__all__ = [
    "AIMessage",
    "AIMessageChunk",
    "AnyMessage",
    "BaseMessage",
    "BaseMessageChunk",
    "ChatMessage",
    "ChatMessageChunk",
    "ContentBlock",
    "FunctionMessage",
    "FunctionMessageChunk",
    "HumanMessage",
    "HumanMessageChunk",
    "InputTokenDetails",
    "InvalidToolCall",
    "MessageLikeRepresentation",
    "OutputTokenDetails",
    "RemoveMessage",
    "SystemMessage",
    "SystemMessageChunk",
    "ToolCall",
    "ToolCallChunk",
    "ToolMessage",
    "ToolMessageChunk",
    "ToolOutputMixin",
    "UsageMetadata",
    "add_usage",
    "convert_to_messages",
    "get_buffer_string",
    "invalid_tool_call",
    "merge_content",
    "message_chunk_to_message",
    "message_to_dict",
    "messages_from_dict",
    "messages_to_dict",
    "subtract_usage",
    "tool_call",
    "tool_call_chunk",
]


def __getattr__(name: str) -> Any:
    from headrace import conversation

    if name in conversation.__all__:
        return getattr(conversation, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    from headrace import conversation

    return listed(globals(), (*__all__, *conversation.__all__))
