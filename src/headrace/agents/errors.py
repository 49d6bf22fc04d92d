"""What ends an agent's run before its answer; each knows the conversation up to there.

| error | when |
|---|---|
| `MaxStepsError` | the model was asked `max_steps` times and still calls tools |
| `MaxErrorsError` | it was told of its mistakes `max_errors` times in a row, and made another |
| `ThreadConflictError` | somebody else has written to the same thread meanwhile |

What a model raises, and what a tool raises under `on_error="raise"`, goes on as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import HeadraceError, RecursionLimitError

if TYPE_CHECKING:
    from ..messages import BaseMessage

__all__ = ["AgentError", "MaxErrorsError", "MaxStepsError", "ThreadConflictError"]


class AgentError(HeadraceError):
    """An agent could not come to its answer.

    Args:
        message: the sentence.
        messages: the conversation so far, the messages that were given included.
    """

    def __init__(self, message: str, *, messages: Sequence[BaseMessage] = ()) -> None:
        super().__init__(message)
        self.messages = list(messages)


class MaxStepsError(AgentError, RecursionLimitError):
    """The model was asked as often as the agent may, and has not answered yet."""


class MaxErrorsError(AgentError):
    """The model's calls failed more often in a row than it is to be told of. Where a tool raised
    last, its exception is the `__cause__`."""


class ThreadConflictError(AgentError):
    """A row of a thread is there already: two runs go on in one thread at a time."""
