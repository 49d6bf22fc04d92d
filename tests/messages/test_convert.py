"""What users write as messages, messages as dicts, and messages as one text."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core import messages as lc_messages
from langchain_core import prompt_values as lc_prompt_values

from headrace.errors import InputError
from headrace.langchain import to_headrace
from headrace.language_models import FakeListChatModel
from headrace.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
    convert_to_messages,
    get_buffer_string,
    message_to_dict,
    messages_from_dict,
)
from headrace.prompt_values import StringPromptValue

OPENAI_CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
CALL = {"name": "f", "args": {"a": 1}, "id": "1", "type": "tool_call"}


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("a", HumanMessage("a")),
        (("user", "a"), HumanMessage("a")),
        (["system", "a"], SystemMessage("a")),
        (("ai", [{"type": "text", "text": "a"}]), AIMessage([{"type": "text", "text": "a"}])),
        ({"role": "user", "content": "a", "name": "bob"}, HumanMessage("a", name="bob")),
        (
            {"role": "assistant", "content": None, "tool_calls": [OPENAI_CALL]},
            AIMessage("", tool_calls=[CALL]),
        ),
        (
            {"role": "assistant", "content": "", "tool_calls": [CALL]},
            AIMessage("", tool_calls=[CALL]),
        ),
        ({"role": "tool", "content": "4", "tool_call_id": "1"}, ToolMessage("4", tool_call_id="1")),
        ({"role": "function", "content": "4", "name": "f"}, FunctionMessage("4", name="f")),
        (
            {"role": "developer", "content": "a"},
            SystemMessage("a", additional_kwargs={"__openai_role__": "developer"}),
        ),
        ({"type": "human", "content": "a", "id": "7"}, HumanMessage("a", id="7")),
        (
            {"role": "user", "content": "a", "cache": 1, "additional_kwargs": {"k": 2}},
            HumanMessage("a", additional_kwargs={"cache": 1, "k": 2}),
        ),
        ({"type": "chat", "role": "critic", "content": "a"}, ChatMessage("a", role="critic")),
        ({"type": "remove", "content": "", "id": "7"}, RemoveMessage("7")),
        (AIMessageChunk("a").model_dump(), AIMessageChunk("a")),
    ],
)
def test_what_describes_a_message(written: Any, message: BaseMessage) -> None:
    assert convert_to_messages([written]) == [message]


def test_messages_and_prompt_values_come_as_they_are() -> None:
    message = HumanMessage("a")
    assert convert_to_messages([message])[0] is message
    assert convert_to_messages(StringPromptValue("a")) == [message]


@pytest.mark.parametrize(
    ("written", "says"),
    [
        (3, "3, a int, describes no message"),
        (("user", "a", "b"), r"\(role, text\) pair"),
        ((1, "a"), r"\(role, text\) pair"),
        (("nobody", "a"), "Unknown message role 'nobody'"),
        ({"content": "a"}, "'role'"),
        ({"role": "user"}, "'content'"),
        ({"role": 3, "content": "a"}, "'role'"),
    ],
)
def test_what_does_not(written: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        convert_to_messages([written])


def test_a_message_of_langchains_names_the_bridge() -> None:
    for given in ([lc_messages.HumanMessage("a")], lc_prompt_values.StringPromptValue(text="a")):
        with pytest.raises(InputError, match=r"LangChain's, so give to_headrace\(…\).*headrace\."):
            convert_to_messages(given)
        assert convert_to_messages(to_headrace(given)) == [HumanMessage("a")]
    with pytest.raises(InputError, match="to_headrace"):
        convert_to_messages(lc_messages.HumanMessage("a"))
    with pytest.raises(InputError, match=r"cannot be asked HumanMessage.*to_headrace"):
        FakeListChatModel(responses=["b"]).invoke(lc_messages.HumanMessage("a"))  # type: ignore[arg-type]


def test_dicts_of_messages() -> None:
    message = AIMessage("a", id="1")
    assert message_to_dict(message) == {
        "type": "ai",
        "data": {
            **{"content": "a", "additional_kwargs": {}, "response_metadata": {}, "type": "ai"},
            **{"name": None, "id": "1", "tool_calls": [], "invalid_tool_calls": []},
            "usage_metadata": None,
        },
    }
    with pytest.raises(InputError, match="'letter'"):
        messages_from_dict([{"type": "letter", "data": {}}])


TALK = [
    SystemMessage("be brief"),
    HumanMessage("a < b & c", name="bob"),
    AIMessage("let me see", tool_calls=[CALL]),
    ToolMessage([{"type": "text", "text": "4"}], tool_call_id="1"),
    FunctionMessage("5", name="g"),
    ChatMessage("hm", role="Critic"),
    AIMessage("", additional_kwargs={"function_call": {"name": "g", "arguments": "{}"}}),
]


def test_as_lines() -> None:
    assert get_buffer_string(TALK, ai_prefix="Bot").splitlines() == [
        "System: be brief",
        "Human: a < b & c",
        f"Bot: let me see{[CALL]}",
        "Tool: 4",
        "Function: 5",
        "Critic: hm",
        "Bot: {'name': 'g', 'arguments': '{}'}",
    ]


def test_as_xml() -> None:
    assert get_buffer_string(TALK, ai_prefix="Bot", format="xml").splitlines() == [
        '<message type="system">be brief</message>',
        '<message type="human">a &lt; b &amp; c</message>',
        '<message type="bot">',
        "  <content>let me see</content>",
        '  <tool_call id="1" name="f">{"a": 1}</tool_call>',
        "</message>",
        '<message type="tool">4</message>',
        '<message type="function">5</message>',
        '<message type="Critic">hm</message>',
        '<message type="bot">',
        '  <function_call name="g">{}</function_call>',
        "</message>",
    ]


@pytest.mark.parametrize(
    ("block", "shown"),
    [
        ("a", "a"),
        ({"type": "text", "text": "<a>"}, "&lt;a&gt;"),
        ({"type": "text-plain", "text": "x" * 600}, "x" * 500 + "..."),
        ({"type": "reasoning", "reasoning": "hm"}, "<reasoning>hm</reasoning>"),
        ({"type": "reasoning", "reasoning": ""}, ""),
        ({"type": "image", "url": 'u"'}, "<image url='u\"' />"),
        ({"type": "image", "url": "'\"\n"}, '<image url="\'&quot;&#10;" />'),
        ({"type": "audio", "file_id": "1"}, '<audio file_id="1" />'),
        ({"type": "video", "base64": "AAAA", "url": "u"}, ""),
        ({"type": "image"}, ""),
        ({"type": "image_url", "image_url": {"url": "u"}}, '<image url="u" />'),
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,A"}}, ""),
        ({"type": "image_url", "image_url": "u"}, ""),
        ({"type": "custom", "text": "a"}, ""),
        (
            {"type": "server_tool_call", "id": "1", "name": "s", "args": {"q": "é"}},
            '<server_tool_call id="1" name="s">{"q": "é"}</server_tool_call>',
        ),
        (
            {"type": "server_tool_result", "tool_call_id": "1", "status": "ok", "output": [1]},
            '<server_tool_result tool_call_id="1" status="ok">[1]</server_tool_result>',
        ),
    ],
)
def test_blocks_as_xml(block: Any, shown: str) -> None:
    text = get_buffer_string([HumanMessage([block])], format="xml")
    assert text == f'<message type="human">{shown}</message>'


def test_what_has_no_text_form() -> None:
    with pytest.raises(InputError, match="Unrecognized format 'html'"):
        get_buffer_string(TALK, format="html")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="RemoveMessage"):
        get_buffer_string([RemoveMessage("1")])
