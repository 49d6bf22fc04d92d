"""The registry's agents, with a model that says the same in each run."""

from __future__ import annotations

from typing import Any

from agents.scripted import Scripted, call, says
from headrace.agents import Agent, create_agent
from headrace.merge import merge
from headrace.tools import tool
from laws.entry import Entry
from laws.kinds import texts, whole
from laws.registry_components import seen


@tool
def shout(text: str) -> str:
    """Say it loudly."""
    return text.upper()


@tool
def spell(text: str) -> Any:
    """Say it letter by letter, and then at once."""
    yield from text
    return text


EXPERT = [says("Hm.", call("spell", "s1", text="bX")), says("bX, I think.")]
BOSS = [
    says("Let me see.", call("shout", "c1", text="ab"), call("expert", "c2", request="b?")),
    says("", call("nobody", "c3"), call("spell", "c4", text="é")),
    says("AB."),
]


def _expert() -> Agent:
    return create_agent(Scripted(script=EXPERT), [spell], name="expert")


def _boss() -> Any:
    """In pieces of the state, which is what a step of a chain gives: they add up."""
    agent = create_agent(Scripted(script=BOSS), [shout, spell, _expert()])
    return agent.bind(stream_mode="pieces")


GIVEN = whole(
    "agent-input",
    texts.map(lambda text: {"messages": text}),
    lambda n: [{"messages": "ab" * n}],
)


def _state(given: Any) -> Any:
    """What `seen` shows of the messages that come of it."""
    told = "There is no tool 'nobody'. The tools are: 'shout', 'spell', 'expert'."
    asked = [[(c["name"], c["args"], c["id"]) for c in line.tool_calls] for line in BOSS]

    def said(kind: str, content: str, calls: Any = ()) -> Any:
        return (kind, content, [*calls], None, {})

    return {
        "messages": [
            said("HumanMessage", given["messages"]),
            said("AIMessage", "Let me see.", asked[0]),
            *(said("ToolMessage", content) for content in ("AB", "bX, I think.")),
            said("AIMessage", "", asked[1]),
            *(said("ToolMessage", content) for content in (told, "é")),
            said("AIMessage", "AB."),
        ]
    }


AGENTS = [
    Entry("agent", _boss, GIVEN, _state, fold=merge, view=seen, fans=2),
    Entry("agent-in-a-chain", lambda: _boss().bound | seen, GIVEN, _state, view=seen),
]
