"""The loop, which decides from messages alone."""

from __future__ import annotations

from typing import Any

import pytest

from agents.scripted import call, says
from headrace.agents._loop import Ask, Call, End, Fail, Remind, Rules, Wait, next_step, with_ids
from headrace.agents.errors import MaxErrorsError, MaxStepsError
from headrace.agents.state import summed
from headrace.messages import AIMessage, HumanMessage, RemoveMessage, SystemMessage, ToolMessage

RULES = Rules(max_steps=3, max_errors=1)
GO = HumanMessage("Go")
CALLS = says("", call("a", "1"), call("b", "2"))


def answer(id: str, name: str = "a", **more: Any) -> ToolMessage:
    return ToolMessage("ok", tool_call_id=id, name=name, **more)


def wrong(id: str) -> ToolMessage:
    return answer(id, status="error", response_metadata={"error": "tool_failed"})


def ids(step: Any) -> list[str]:
    return [each["id"] for each in step.calls]


@pytest.mark.parametrize(
    ("messages", "kind"),
    [
        ([], Ask),
        ([GO], Ask),
        ([SystemMessage("Short."), GO], Ask),
        ([GO, says("Hi.")], End),
        ([says("Hi.")], End),
        ([GO, says("Hi."), GO], Ask),
        ([GO, CALLS], Call),
        ([GO, CALLS, answer("1")], Call),
        ([GO, CALLS, answer("2"), answer("1")], Ask),
        ([GO, CALLS, answer("1"), GO], Ask),
        ([GO, AIMessage("", invalid_tool_calls=[{**call("a", "1"), "args": "{", "error": None}])],
         Call),
    ],
    ids=range(11),
)  # fmt: skip
def test_what_comes_next(messages, kind):
    assert type(next_step(messages, RULES, 0, False)) is kind


def test_calls_that_have_an_answer_are_not_made_again():
    assert ids(next_step([GO, CALLS], RULES, 0, False)) == ["1", "2"]
    assert ids(next_step([GO, CALLS, answer("1")], RULES, 0, False)) == ["2"]


def test_waiting():
    some = RULES._replace(waits=frozenset({"b"}))
    assert ids(next_step([GO, CALLS], some, 0, False)) == ["2"]
    assert type(next_step([GO, CALLS], some, 0, False)) is Wait
    assert ids(next_step([GO, CALLS], some, 0, True)) == ["1", "2"]
    assert type(next_step([GO, CALLS, answer("2")], some, 0, False)) is Call
    every = RULES._replace(waits=None)
    assert ids(next_step([GO, CALLS], every, 0, False)) == ["1", "2"]


def test_direct_answers():
    direct = RULES._replace(direct=frozenset({"a"}))
    one = [GO, says("", call("a", "1"))]
    assert type(next_step([*one, answer("1")], direct, 0, False)) is End
    assert type(next_step([*one, wrong("1")], direct, 0, False)) is Ask
    both = [GO, CALLS, answer("1"), answer("2", "b")]
    assert type(next_step(both, direct, 0, False)) is Ask


def test_a_form():
    form = RULES._replace(form="a")
    assert type(next_step([GO, says("Hi.")], form, 0, False)) is Remind
    one = [GO, says("", call("a", "1"))]
    assert type(next_step([*one, answer("1")], form, 0, False)) is End
    assert type(next_step([*one, wrong("1")], form, 0, False)) is Ask


def test_bounds():
    assert type(next_step([GO], RULES, 2, False)) is Ask
    step: Any = next_step([GO], RULES, 3, False)
    assert type(step) is Fail and type(step.error) is MaxStepsError
    assert type(next_step([GO, says("Hi.")], RULES, 3, False)) is End
    once = [GO, says("Hm."), says("", call("a", "1")), wrong("1")]
    assert type(next_step(once, RULES, 0, False)) is Ask
    step = next_step([*once, says("", call("a", "2")), wrong("2")], RULES, 0, False)
    assert type(step.error) is MaxErrorsError and len(step.error.messages) == 6


def test_ids_of_calls():
    fine = says("", call("a", "1"), call("a", "2"))
    assert with_ids(fine) is fine
    odd = says("", call("a", "1"), call("a", "1"), {**call("a"), "id": None})
    mended = with_ids(odd)
    assert mended.tool_calls[0]["id"] == "1"
    assert len({c["id"] for c in mended.tool_calls} - {None}) == 3
    assert [c["id"] for c in odd.tool_calls] == ["1", "1", None]


def test_sums_of_messages():
    one, two = HumanMessage("1", id="1"), HumanMessage("2", id="2")
    new = HumanMessage("new", id="1")
    assert summed([one, two, new]) == [new, two]
    assert summed([one, two, RemoveMessage("1")]) == [two]
    assert summed([one, RemoveMessage("1"), one]) == [one]
    assert summed([RemoveMessage("1"), two]) == [RemoveMessage("1"), two]
    late = [answer("2"), answer("x"), answer("1")]
    assert summed([CALLS, *late]) == [CALLS, late[2], late[0], late[1]]
