"""The functions of conversations as runnables, in every colour; and what they are given."""

from __future__ import annotations

from typing import Any

import pytest

import headrace.messages as hr
from conversation.twins import shown
from headrace.errors import InputError
from headrace.prompt_values import ChatPromptValue
from headrace.runnables import RunnableLambda
from laws.colours import every_colour

MESSAGES = [
    hr.SystemMessage("be brief", id="s"),
    hr.HumanMessage("one two three", id="1", name="ann"),
    hr.HumanMessage("four five six", id="2", name="bob"),
    hr.AIMessage("seven\neight\nnine", id="3"),
    hr.HumanMessage("ten", id="4", name="ann"),
]
DOORS = [
    (hr.trim_messages, {"max_tokens": 3, "token_counter": len}),
    (hr.filter_messages, {"include_names": ["ann"]}),
    (hr.merge_message_runs, {"chunk_separator": " "}),
]


@every_colour
@pytest.mark.parametrize(("function", "arguments"), DOORS)
def test_without_messages_they_give_a_runnable(colour: Any, function: Any, arguments: Any):
    wanted = function(MESSAGES, **arguments)
    runnable = function(**arguments)

    def body(doors: Any) -> None:
        assert doors.invoke(runnable, MESSAGES) == wanted
        assert doors.stream(runnable, MESSAGES) == [wanted]
        assert doors.batch(runnable, [MESSAGES, []]) == [wanted, []]
        assert doors.invoke(runnable, ChatPromptValue(MESSAGES)) == wanted
        piped = runnable | RunnableLambda(len)
        assert doors.invoke(piped, MESSAGES) == len(wanted)

    colour.run(body)
    assert runnable.get_name() == function.__name__
    assert function(ChatPromptValue(MESSAGES), **arguments) == wanted
    assert function([], **arguments) == []


@every_colour
def test_errors_come_when_it_runs(colour: Any):
    runnable = hr.filter_messages(include_types=[int])  # type: ignore[list-item]

    def body(doors: Any) -> None:
        with pytest.raises(InputError, match="no kind of message"):
            doors.invoke(runnable, MESSAGES)

    colour.run(body)


def test_kinds_by_name_and_by_class():
    by_name = hr.filter_messages(MESSAGES, include_types="ai")
    assert by_name == hr.filter_messages(MESSAGES, include_types=[hr.AIMessage]) == [MESSAGES[3]]
    assert hr.filter_messages(MESSAGES, exclude_types=hr.BaseMessage) == []
    assert hr.filter_messages(MESSAGES, include_ids=["4"], exclude_names=["ann"]) == []


def test_calls_that_are_left_out_of_a_chunk():
    pieces = [
        {"name": "f", "args": '{"a": ', "id": "c1", "index": 0},
        {"name": "g", "args": "{}", "id": "c2", "index": 1},
    ]
    blocks = [
        {"type": "tool_use", "id": "c1", "name": "f"},
        {"type": "tool_use", "id": "c2", "name": "g"},
    ]
    chunk = hr.AIMessageChunk(blocks, tool_call_chunks=pieces)
    [left] = hr.filter_messages([chunk], exclude_tool_calls=["c1"])
    assert isinstance(left, hr.AIMessageChunk)
    assert [call["id"] for call in left.tool_calls] == ["c2"]
    assert [piece["id"] for piece in left.tool_call_chunks] == ["c2"]
    assert left.content == blocks[1:]
    assert len(chunk.tool_calls) == 2
    [same] = hr.filter_messages([chunk], exclude_tool_calls=["other"])
    assert same is chunk
    assert hr.filter_messages([chunk], exclude_tool_calls="c1") == [left]


def test_runs_of_messages_that_cannot_be_one_stay_apart():
    apart = [
        hr.ChatMessage("a", role="x"),
        hr.ChatMessage("b", role="y"),
        hr.FunctionMessage("a", name="f"),
        hr.FunctionMessage("b", name="g"),
        hr.RemoveMessage("1"),
        hr.RemoveMessage("2"),
    ]
    assert hr.merge_message_runs(apart) == apart
    one = [hr.ChatMessage("a", role="x"), hr.ChatMessage("b", role="x")]
    assert hr.merge_message_runs(one) == [hr.ChatMessage("a\nb", role="x")]


def test_a_run_takes_the_first_id_and_name_and_any_chunk():
    run = [hr.AIMessageChunk("a"), hr.AIMessage("b", id="2", name="n"), hr.AIMessage("", id="3")]
    [merged] = hr.merge_message_runs(run)
    assert (type(merged), merged.content, merged.id, merged.name) == (
        hr.AIMessage,
        "a\nb",
        "2",
        "n",
    )


def test_a_long_run_is_merged_at_once():
    run = [hr.HumanMessage("x" * 10, additional_kwargs={"log": "y"}) for _ in range(3_000)]
    [merged] = hr.merge_message_runs(run, chunk_separator="")
    assert len(merged.content) == 30_000
    assert len(merged.additional_kwargs["log"]) == 3_000


def test_results_of_tools_become_messages():
    blocks = [
        {"type": "tool_result", "tool_use_id": "1", "content": "4"},
        {"type": "tool_result", "tool_use_id": "2", "content": "5"},
    ]
    answers = [
        {"role": "tool", "tool_call_id": "1", "content": "4"},
        {"role": "tool", "tool_call_id": "2", "content": "5"},
    ]
    made = hr.convert_to_openai_messages([hr.HumanMessage(blocks)])
    assert made == answers
    said = {"role": "user", "content": "so"}
    assert hr.convert_to_openai_messages([hr.HumanMessage([*blocks, "so"])]) == [said, *answers]


def test_errors_of_blocks_say_where_they_are():
    messages = ["fine", hr.HumanMessage(["a", {"type": "image"}])]
    with pytest.raises(InputError, match=r"messages\[1\]\.content\[1\].*'image'"):
        hr.convert_to_openai_messages(messages)
    with pytest.raises(InputError, match="'string' or 'block'"):
        hr.convert_to_openai_messages([], text_format="xml")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no role"):
        hr.convert_to_openai_messages([hr.RemoveMessage("1")])


def test_a_file_that_is_known_by_its_id_needs_no_name():
    file = {"type": "file", "file_id": "file-1"}
    old = {"type": "file", "source_type": "id", "id": "file-1"}
    for block in (file, old):
        [made] = hr.convert_to_openai_messages([hr.HumanMessage([block])])
        assert made["content"] == [{"type": "file", "file": {"file_id": "file-1"}}]
    nameless = {"type": "file", "base64": "AA", "mime_type": "application/pdf"}
    with pytest.warns(UserWarning, match="filename"):
        hr.convert_to_openai_messages([hr.HumanMessage([nameless])])


def test_notes_on_messages():
    message = hr.HumanMessage("x", additional_kwargs={"other": 1})
    noted = hr.add_notification_metadata(message, source="task", data={"id": 1})
    assert hr.get_notification_metadata(noted) == {"source": "task", "data": {"id": 1}}
    assert hr.get_notification_metadata(message) is None
    again = hr.add_notification_metadata(noted, source="other")
    assert hr.get_notification_metadata(again) == {"source": "other"}
    assert again.additional_kwargs["other"] == 1
    [merged] = hr.merge_message_runs([noted, hr.HumanMessage("y")])
    assert hr.get_notification_metadata(merged) == {"source": "task", "data": {"id": 1}}


def test_every_name_is_where_users_look_for_it():
    from headrace import conversation

    for name in conversation.__all__:
        assert getattr(hr, name) is getattr(conversation, name)
    assert set(conversation.__all__) <= set(dir(hr))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        hr.nothing


def test_shown_by_the_helper_of_these_tests():
    assert shown([hr.HumanMessage("a")]) != shown([hr.HumanMessage("b")])
