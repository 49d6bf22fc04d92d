"""What users of LangChain hand to an agent that it does not take, said when the agent is made."""

from __future__ import annotations

import pytest

from agents.scripted import Scripted, says
from headrace.agents import Approve, InMemorySaver, Resume, create_agent
from headrace.errors import ConfigError, InputError
from headrace.tools import tool
from laws.colours import every_colour


@tool
def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


def helper(text: str) -> str:
    """Help."""
    return text


@pytest.mark.parametrize("one", [multiply, helper, "multiply"], ids=["tool", "function", "name"])
def test_one_tool_is_no_list(one):
    with pytest.raises(ConfigError, match=r"by itself: give a list, tools=\[…\]"):
        create_agent(Scripted(script=[says("x")]), one)


@pytest.mark.parametrize(
    "hooks",
    [
        {"before_model": lambda state, runtime: None},
        {"after_model": [lambda: None]},
        {"wrap_tool": lambda request: None},
    ],
    ids=["middleware", "nothing", "one for two"],
)
def test_hooks_take_what_they_are_called_with(hooks):
    with pytest.raises(ConfigError, match=r"is called with .* let it take these"):
        create_agent(Scripted(script=[says("x")]), [multiply], **hooks)


def test_a_hook_may_have_more_with_a_default():
    def before(state, runtime=None, **kwargs):
        return None

    agent = create_agent(Scripted(script=[says("x")]), before_model=before)
    assert agent.invoke("Hi.")["messages"][-1].text == "x"


@every_colour
def test_a_decision_by_itself_is_no_input(colour):
    agent = create_agent(Scripted(script=[says("x")]), [multiply], saver=InMemorySaver())
    config = {"configurable": {"thread_id": "1"}}

    def body(doors):
        with pytest.raises(InputError, match=r"give Resume\(Approve\(\)\)"):
            doors.invoke(agent, Approve(), config)

    colour.run(body)
    assert Resume.is_meant(Resume(Approve()))
