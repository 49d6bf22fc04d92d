"""A body that is cancelled by itself, beside others: the stream ends with that, in no success."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agent_faults.doors import ASK, DOORS
from agent_faults.scripted_model import Say, Script, ScriptedModel, call
from agent_faults.toolbox import KINDS, made
from headrace.agents import create_agent
from laws.colours import every_colour


@every_colour
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("names", [["bad"], ["bad", "good"], ["bad", "bad"]], ids="-".join)
def test_a_tool_that_is_cancelled_ends_the_run(colour, kind, door, names):
    began: list[int] = []

    def act(x: int) -> Any:
        began.append(x)
        raise asyncio.CancelledError("its own")

    calls = [call(name, {"x": i}, f"c{i}") for i, name in enumerate(names)]
    script = Script(Say("", calls=calls), Say("Never said."))
    tools = [made(kind, "bad", act), made(kind, "good", str)]
    agent = create_agent(ScriptedModel(script=script), tools)

    def body(doors):
        with pytest.raises(asyncio.CancelledError, match="its own"):
            DOORS[door](doors, agent, ASK)

    colour.run(body)
    assert {len(asked) for asked in script.asked} == {1}
    assert len(began) <= names.count("bad") * len(script.asked), "a call was made again"
