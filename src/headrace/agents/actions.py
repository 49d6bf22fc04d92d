"""What an agent did, for programs that were written for actions.

steps = intermediate_steps(agent.invoke("…"))       # [AgentStep(action, observation), …]
ReActSingleInputOutputParser().parse(text)          # AgentAction or AgentFinish
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..actions import AgentAction, AgentActionMessageLog, AgentFinish, AgentStep, as_text
from ..messages import AIMessage, ToolMessage
from .state import calls_of

__all__ = [
    "AgentAction",
    "AgentActionMessageLog",
    "AgentFinish",
    "AgentStep",
    "intermediate_steps",
]


def intermediate_steps(state: Mapping[str, Any]) -> list[AgentStep]:
    """The calls of an agent's state that were answered, in the order in which they were asked for,
    each with the text, or the content blocks, of its answer."""
    messages = state["messages"]
    answers = {m.tool_call_id: m.content for m in messages if isinstance(m, ToolMessage)}
    return [
        AgentStep(
            AgentActionMessageLog(call["name"], call["args"], _log(said, call), [said]),
            answers[call["id"]],
        )
        for said in messages
        if isinstance(said, AIMessage)
        for call in calls_of(said)
        if call["id"] in answers
    ]


def _log(said: AIMessage, call: Mapping[str, Any]) -> str:
    thought = said.additional_kwargs.get("reasoning_content") or said.text
    called = f"Action: {call['name']}\nAction Input: {as_text(call['args'])}"
    return f"{thought}\n{called}" if thought else called
