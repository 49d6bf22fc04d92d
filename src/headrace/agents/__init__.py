"""Agents: models that call tools until they have an answer; see `create_agent`."""

from typing import TYPE_CHECKING, Any

from .._lazy import later, listed
from .errors import AgentError, MaxErrorsError, MaxStepsError, ThreadConflictError

if TYPE_CHECKING:
    from ._going_on import StateSnapshot
    from ._saving import BaseSaver
    from .actions import (
        AgentAction,
        AgentActionMessageLog,
        AgentFinish,
        AgentStep,
        intermediate_steps,
    )
    from .agent import Agent, create_agent
    from .checkpoints import InMemorySaver, MemorySaver, SaverFileError, SqliteSaver
    from .react import ReActSingleInputOutputParser, create_react_agent
    from .resuming import Approve, Edit, Reject, Respond, Resume
    from .state import REMOVE_ALL_MESSAGES, AgentState

__all__ = [
    "REMOVE_ALL_MESSAGES",
    "Agent",
    "AgentAction",
    "AgentActionMessageLog",
    "AgentError",
    "AgentFinish",
    "AgentState",
    "AgentStep",
    "Approve",
    "BaseSaver",
    "Edit",
    "InMemorySaver",
    "MaxErrorsError",
    "MaxStepsError",
    "MemorySaver",
    "ReActSingleInputOutputParser",
    "Reject",
    "Respond",
    "Resume",
    "SaverFileError",
    "SqliteSaver",
    "StateSnapshot",
    "ThreadConflictError",
    "create_agent",
    "create_react_agent",
    "intermediate_steps",
]

_LATER = {
    "Agent": "agent",
    "AgentAction": "actions",
    "AgentActionMessageLog": "actions",
    "AgentFinish": "actions",
    "AgentState": "state",
    "AgentStep": "actions",
    "Approve": "resuming",
    "BaseSaver": "_saving",
    "Edit": "resuming",
    "InMemorySaver": "checkpoints",
    "MemorySaver": "checkpoints",
    "REMOVE_ALL_MESSAGES": "state",
    "ReActSingleInputOutputParser": "react",
    "Reject": "resuming",
    "Respond": "resuming",
    "Resume": "resuming",
    "SaverFileError": "checkpoints",
    "SqliteSaver": "checkpoints",
    "StateSnapshot": "_going_on",
    "create_agent": "agent",
    "create_react_agent": "react",
    "intermediate_steps": "actions",
}


def __getattr__(name: str) -> Any:
    return later(__name__, _LATER, name)


def __dir__() -> list[str]:
    return listed(globals(), __all__)
