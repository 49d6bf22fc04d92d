"""Threads and approval in LangGraph's prebuilt agent: the same conversations, stops and states."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver as TheirSaver
from langgraph.prebuilt import create_react_agent

from agents.scripted import Scripted, call, says
from agents.test_differential import DONE, GO, TheirScripted, multiply, told
from headrace.agents import InMemorySaver, create_agent

CONFIG: Any = {"configurable": {"thread_id": "t1"}}
SCRIPT = [
    says("Hm.", call("multiply", "m1", a=2, b=3), call("multiply", "m2", a=4, b=5)),
    says("", call("multiply", "m3", a=6, b=7)),
    DONE,
    says("You are welcome."),
]
NODES = {"agent": "model"}  # theirs, by our name


@pytest.fixture
def agents():
    """Ours and theirs, with a saver, and nothing else of either."""

    def made(**settings: Any) -> list[Any]:
        mine = create_agent(Scripted(script=SCRIPT), [multiply], saver=InMemorySaver(), **settings)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they have renamed it since
            model: Any = TheirScripted(script=SCRIPT)
            other = create_react_agent(model, [multiply], checkpointer=TheirSaver(), **settings)
        return [mine, other]

    return made


def seen(agent: Any, state: Any) -> Any:
    snapshot = agent.get_state(CONFIG)
    return (
        [told(message) for message in state["messages"]],
        [told(message) for message in snapshot.values.get("messages", [])],
        {NODES.get(node, node) for node in snapshot.next},  # theirs names one for each call
    )


def same(results: Any) -> Any:
    mine, other = results
    assert mine == other
    return mine


def test_a_conversation_goes_on(agents):
    both = agents()
    same([seen(agent, agent.invoke(GO, CONFIG)) for agent in both])
    thanks = {"messages": [("user", "Thanks!")]}
    _, kept, after = same([seen(agent, agent.invoke(thanks, CONFIG)) for agent in both])
    assert len(kept) == 9 and after == set()


def test_calls_wait_and_are_approved(agents):
    both = agents(interrupt_before=["tools"])
    stops = []
    for value in (GO, None, None):
        _, kept, after = same([seen(agent, agent.invoke(value, CONFIG)) for agent in both])
        stops.append((len(kept), after))
    assert stops == [(2, {"tools"}), (5, {"tools"}), (7, set())]


def test_a_call_is_edited_while_it_waits(agents):
    both = agents(interrupt_before=["tools"])
    for agent in both:
        asked = agent.invoke(GO, CONFIG)["messages"][-1]
        calls = [{**call, "args": {"a": 10, "b": 10}} for call in asked.tool_calls]
        agent.update_state(CONFIG, {"messages": [asked.model_copy(update={"tool_calls": calls})]})
    _, kept, _ = same([seen(agent, agent.invoke(None, CONFIG)) for agent in both])
    assert [message[1] for message in kept[2:4]] == ["100", "100"]


def test_a_thread_that_has_not_begun(agents):
    results = []
    for agent in agents():
        snapshot = agent.get_state(CONFIG)
        results.append((snapshot.values.get("messages", []), snapshot.next, snapshot.interrupts))
    assert same(results) == ([], (), ())
