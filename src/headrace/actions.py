"""What an agent did, as values: `AgentAction`, `AgentStep`, `AgentFinish`. Users find them in
`headrace.agents`; they live here because `headrace.load` reads and writes them.

An agent's own words for this are messages; these are for programs that were written for actions,
and for callback handlers (`on_agent_action`, `on_agent_finish`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

from .messages import AIMessage, BaseMessage, FunctionMessage, HumanMessage
from .values import Value

__all__ = [
    "AgentAction",
    "AgentActionMessageLog",
    "AgentFinish",
    "AgentStep",
    "as_text",
]


class AgentAction(Value):
    """A tool is to be called.

    Args:
        tool: its name.
        tool_input: its arguments, or the text that is its only one.
        log: what the model wrote, the thought before it included.
    """

    __slots__ = ("log", "tool", "tool_input")

    type: ClassVar[Literal["AgentAction"]] = "AgentAction"
    _shown: ClassVar[tuple[str, ...]] = ("tool", "tool_input", "log")
    _json: ClassVar[Mapping[str, Any]] = {
        "tool": {"type": "string"},
        "tool_input": {"anyOf": [{"type": "string"}, {"type": "object"}]},
        "log": {"type": "string"},
    }

    def __init__(self, tool: str, tool_input: str | dict[Any, Any], log: str) -> None:
        self.tool, self.tool_input, self.log = tool, tool_input, log

    @property
    def messages(self) -> Sequence[BaseMessage]:
        """What the model said."""
        return [AIMessage(self.log)]


class AgentActionMessageLog(AgentAction):
    """The same, of a chat model. `message_log`: the messages in which it asked for the call."""

    __slots__ = ("message_log",)

    type: ClassVar[Literal["AgentActionMessageLog"]] = "AgentActionMessageLog"  # type: ignore[assignment]
    _shown = ("tool", "tool_input", "log", "message_log")
    _json: ClassVar[Mapping[str, Any]] = {
        **AgentAction._json,
        "message_log": {"type": "array", "items": {"type": "object"}},
    }

    def __init__(
        self,
        tool: str,
        tool_input: str | dict[Any, Any],
        log: str,
        message_log: Sequence[BaseMessage],
    ) -> None:
        super().__init__(tool, tool_input, log)
        self.message_log = message_log

    @property
    def messages(self) -> Sequence[BaseMessage]:
        return self.message_log


class AgentStep(Value):
    """A tool was called. `observation`: what came of it."""

    __slots__ = ("action", "observation")

    _shown = ("action", "observation")
    _json: ClassVar[Mapping[str, Any]] = {"action": {"type": "object"}, "observation": {}}

    def __init__(self, action: AgentAction, observation: Any) -> None:
        self.action, self.observation = action, observation

    def __iter__(self) -> Iterator[Any]:
        """The two, for programs that know steps as pairs: `for action, observation in steps`."""
        return iter((self.action, self.observation))

    @property
    def messages(self) -> Sequence[BaseMessage]:
        """What the model is told of it."""
        told = as_text(self.observation)
        if isinstance(self.action, AgentActionMessageLog):
            return [FunctionMessage(told, name=self.action.tool)]
        return [HumanMessage(told)]


class AgentFinish(Value):
    """There is an answer.

    Args:
        return_values: the answer, as a rule under `"output"`.
        log: what the model wrote, the thought before it included.
    """

    __slots__ = ("log", "return_values")

    type: ClassVar[Literal["AgentFinish"]] = "AgentFinish"
    _shown = ("return_values", "log")
    _json: ClassVar[Mapping[str, Any]] = {
        "return_values": {"type": "object"},
        "log": {"type": "string"},
    }

    def __init__(self, return_values: dict[Any, Any], log: str) -> None:
        self.return_values, self.log = return_values, log

    @property
    def messages(self) -> Sequence[BaseMessage]:
        """What the model said."""
        return [AIMessage(self.log)]


def as_text(value: Any) -> str:
    """A text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
