"""Arguments that agents do not have: what people who know LangChain give, and what to write."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from agents.scripted import Scripted
from headrace.agents import create_agent, create_react_agent
from headrace.agents._advice import ADVICE
from headrace.errors import ConfigError
from headrace.language_models import FakeListLLM
from headrace.tools import tool

make: Any = create_agent  # a type checker would refuse what is given here
react: Any = create_react_agent


@tool
def search(query: str) -> str:
    """Search."""
    return query


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("middleware", "before_model=…, after_model=… and wrap_tool=…"),
        ("prompt", "write system_prompt=…"),
        ("state_schema", "AgentState"),
        ("context_schema", "config"),
        ("tools_renderer", "into the prompt yourself"),
        ("max_stepz", "write max_steps=…"),
        ("zzzz", "its arguments are after_model, "),
    ],
)
def test_what_to_write(name, said):
    with pytest.raises(ConfigError, match=f"create_agent has no argument {name}: ") as caught:
        make(Scripted(script=[]), [search], **{name: None})
    assert said in str(caught.value)


def test_a_react_agent_has_a_prompt_and_no_renderer():
    model = FakeListLLM(responses=["x"])
    assert create_react_agent(model, [search], prompt="Be short.", max_steps=3).max_steps == 3
    with pytest.raises(ConfigError, match="create_react_agent has no argument tools_renderer: put"):
        react(model, [search], tools_renderer=str)
    with pytest.raises(ConfigError, match="create_react_agent has no argument llm: write model=…"):
        react(llm=model, tools=[search])


def test_advice_is_on_what_there_is_not():
    there = set(inspect.signature(create_agent).parameters)
    assert "system_prompt" in there
    assert not there & set(ADVICE)
