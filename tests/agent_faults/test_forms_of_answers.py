"""Answers in a form, given wrongly first, twice, or beside other calls."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from agent_faults.doors import ASK
from agent_faults.scripted_model import Say, Script, ScriptedModel, call
from agent_faults.toolbox import made
from headrace.agents import MaxErrorsError, create_agent
from laws.colours import every_colour


class Out(BaseModel):
    """The answer."""

    n: int


def out(args: Any, id: str) -> Any:
    return call("Out", args, id)


RIGHT: dict[str, list[Say]] = {
    "at-once": [Say("", calls=[out({"n": 7}, "c1")])],
    "after-text": [Say("Seven."), Say("", calls=[out({"n": 7}, "c1")])],
    "wrong-first": [Say("", calls=[out({"n": "x"}, "c1")]), Say("", calls=[out({"n": 7}, "c2")])],
    "garbage-first": [Say("", calls=[out('{"n": ', "c1")]), Say("", calls=[out({"n": 7}, "c2")])],
    "first-of-two": [Say("", calls=[out({"n": 7}, "c1"), out({"n": 8}, "c2")])],
    "beside-a-tool": [Say("", calls=[call("good", {"x": 1}, "c1"), out({"n": 7}, "c2")])],
}


@every_colour
@pytest.mark.parametrize("case", RIGHT)
def test_the_first_valid_answer_counts(colour, case):
    tools = [made("async", "good", str)]

    def body(doors):
        model = ScriptedModel(script=Script(*RIGHT[case]))
        agent = create_agent(model, tools, response_format=Out)
        state = doors.invoke(agent, ASK)
        asked = [c["id"] for m in state["messages"] if m.type == "ai" for c in m.tool_calls]
        answered = {m.tool_call_id for m in state["messages"] if m.type == "tool"}
        assert set(asked) <= answered, "a call was left without an answer"
        return state["structured_response"]

    assert colour.run(body) == Out(n=7)


@every_colour
@pytest.mark.parametrize("wrong", [out({"n": "x"}, "c"), out('{"n": ', "c")], ids=["bad", "cut"])
def test_wrong_answers_are_bounded(colour, wrong):
    script = Script(*[Say("", calls=[{**wrong, "id": f"c{i}"}]) for i in range(9)])
    agent = create_agent(ScriptedModel(script=script), [], response_format=Out, max_errors=2)

    def body(doors):
        with pytest.raises(MaxErrorsError):
            doors.invoke(agent, ASK)
        return len(script.asked)

    assert colour.run(body) == 3
