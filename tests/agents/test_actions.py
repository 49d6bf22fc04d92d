"""Actions, steps and answers say what langchain-core's say."""

from __future__ import annotations

from typing import Any

import langchain_core.agents as theirs
import langchain_core.messages as their_messages
import pytest

import headrace.agents as ours
import headrace.messages as our_messages


def made(agents: Any, messages: Any) -> list[Any]:
    """The same values of either library."""
    action = agents.AgentAction("search", "b", "I look.")
    said = [messages.AIMessage("I look."), messages.HumanMessage("Well?")]
    logged = agents.AgentActionMessageLog("search", {"q": "é"}, "log", message_log=said)
    return [
        action,
        agents.AgentAction(tool="search", tool_input={"q": 1}, log=""),
        logged,
        *(
            agents.AgentStep(action=each, observation=seen)
            for each in (action, logged)
            for seen in ("text", {"é": [1, None]}, ["a"], 4.5, None)
        ),
        agents.AgentFinish({"output": "42"}, "Final Answer: 42"),
    ]


PAIRS = list(zip(made(theirs, their_messages), made(ours, our_messages), strict=True))


@pytest.mark.parametrize("number", range(len(PAIRS)))
def test_each_says_the_same(number: int):
    there, here = PAIRS[number]
    assert type(here).__name__ == type(there).__name__
    assert [(m.type, m.content) for m in here.messages] == [
        (m.type, m.content) for m in there.messages
    ]
    assert getattr(here, "type", None) == getattr(there, "type", None)
    fields = type(there).model_fields.keys() - {"type", "action", "message_log"}
    assert {name: getattr(here, name) for name in fields} == {
        name: getattr(there, name) for name in fields
    }


def test_a_step_is_a_pair_for_those_who_know_it_as_one():
    action = ours.AgentAction("search", "x", "")
    step = ours.AgentStep(action=action, observation=[1])
    one, other = step
    assert one is action
    assert other == [1]
