# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
"""What functions of conversations give: messages of messages, without them a runnable."""

from typing import Any, assert_type

from headrace.messages import (
    AIMessage,
    AnyMessage,
    BaseMessage,
    HumanMessage,
    TextContentBlock,
    convert_to_openai_messages,
    count_tokens_approximately,
    create_text_block,
    filter_messages,
    merge_message_runs,
    trim_messages,
)
from headrace.prompt_values import StringPromptValue
from headrace.runnables import Runnable, RunnableLambda

messages = [HumanMessage("a"), AIMessage("b")]

assert_type(trim_messages(messages, max_tokens=3, token_counter=len), list[BaseMessage])
assert_type(filter_messages(["a", ("ai", "b")], include_types="ai"), list[BaseMessage])
assert_type(merge_message_runs(StringPromptValue("a")), list[BaseMessage])
assert_type(filter_messages(include_names=["a"]), Runnable[Any, list[BaseMessage]])


def length(kept: list[BaseMessage]) -> int:
    return len(kept)


trimmed = trim_messages(max_tokens=3, token_counter=len) | RunnableLambda(length)
assert_type(trimmed.invoke(messages), int)

assert_type(convert_to_openai_messages(messages[0]), dict[str, Any])
assert_type(convert_to_openai_messages([messages[0], "b"]), list[dict[str, Any]])
assert_type(count_tokens_approximately(messages), int)
assert_type(create_text_block("a"), TextContentBlock)


def text_of(message: AnyMessage) -> str:
    return message.text
