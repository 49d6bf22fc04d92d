"""What a thread tells an agent that goes on in it, decided without I/O; and what `get_state` shows.

What was asked before the process died counts, what nobody was asked does not: `None` approves the
calls that the agent has asked about, by an `ASKED` row, and no others. Hooks that were to see the
model's last message and have not (there is no `HOOKED` row) see it first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import ConfigError, InputError
from ..messages import AIMessage, BaseMessage, ToolMessage
from . import _loop
from ._saving import ASKED, HOOKED
from .resuming import Resume, decided
from .state import AgentState

if TYPE_CHECKING:
    from ._setup import Setup

__all__ = ["OWN_KEYS", "Going", "StateSnapshot", "going_on", "snapshot_of", "thread_id_of"]

OWN_KEYS = ("__interrupt__", "structured_response", ASKED, HOOKED)
"""Keys of the state that are no one's to give."""

_NODES: Mapping[type, str] = {
    _loop.Ask: "model",
    _loop.Remind: "model",
    _loop.Call: "tools",
    _loop.Wait: "tools",
}


class Going(NamedTuple):
    """A thread that is gone on with.

    step: what comes next. asked: the id of the message whose calls a person was asked about.
    unhooked: the model's message that the `after_model` hooks are still to see.
    """

    agent: str
    thread_id: str | None
    messages: list[BaseMessage]
    step: _loop.Step
    asked: str | None
    unhooked: BaseMessage | None

    @property
    def waiting(self) -> list[Any]:
        """The calls that a person has been asked about and has not decided on."""
        if self.unhooked is not None or not isinstance(self.step, _loop.Wait):
            return []
        said, _ = _loop.last_said(self.messages)
        return self.step.calls if said is not None and said.id == self.asked else []

    def decided(self, value: Resume | None, setup: Setup) -> tuple[bool, list[BaseMessage]]:
        """Whether the calls that wait may be made, and what decisions add to the conversation.

        Raises:
            InputError: there is nothing to go on with, or to decide on.
        """
        if not self.messages:
            raise InputError(self._nothing())
        waiting = self.waiting
        if value is None:
            return bool(waiting), []
        if not waiting:
            raise InputError(
                f"{self.agent} got {value!r:.200}, and no call in thread {self.thread_id!r} waits "
                "for a decision: give None to go on with it, or messages."
            )
        return True, decided(value, waiting, self.messages, [*setup.tools])

    def _nothing(self) -> str:
        if self.thread_id is None:
            return (
                f"{self.agent} was told to go on in its thread, and it keeps none: give "
                "create_agent a saver, or give messages."
            )
        return (
            f"{self.agent} was told to go on in thread {self.thread_id!r}, which has nothing to go "
            "on with: give messages, or the thread_id that the conversation was begun with."
        )


def going_on(agent: str, setup: Setup, thread_id: str | None, kept: AgentState) -> Going:
    """What there is to go on with; takes the agent's own keys out of `kept`."""
    asked, hooked = kept.pop(ASKED, None), kept.pop(HOOKED, None)
    for key in OWN_KEYS:
        kept.pop(key, None)
    messages = kept.messages
    unhooked = _unhooked(messages, setup, hooked) if setup.after else None
    step = _loop.next_step(messages, setup.rules, 0, approved=False)
    return Going(agent, thread_id, messages, step, asked, unhooked)


def _unhooked(messages: list[BaseMessage], setup: Setup, hooked: Any) -> BaseMessage | None:
    """The last message, if it is the model's, with answers that were kept together with it."""
    form = None if setup.form is None else setup.form.name
    for message in reversed(messages):
        if isinstance(message, AIMessage):
            return None if message.id == hooked else message
        if not isinstance(message, ToolMessage) or form is None or message.name != form:
            return None
    return None


def thread_id_of(agent: str, configurable: Mapping[str, Any]) -> str:
    """The thread that a call is part of.

    Raises:
        ConfigError: the call does not say.
    """
    found = configurable.get("thread_id")
    if found is None or found == "":
        raise ConfigError(
            f"{agent} keeps its conversations, and this call does not say which it is "
            'part of: call it with config={"configurable": {"thread_id": "…"}}.'
        )
    return str(found)


class StateSnapshot(NamedTuple):
    """Where a thread stands.

    Attributes:
        values: its state, with all messages.
        next: what is done when it goes on, `("model",)` or `("tools",)`; empty where it has come to
            its end, or has not begun.
        interrupts: the calls that wait for a person's decision.
        config: the config that names the thread.
    """

    values: AgentState
    next: tuple[str, ...]
    interrupts: tuple[Any, ...]
    config: Mapping[str, Any]

    @property
    def messages(self) -> list[BaseMessage]:
        """The conversation."""
        return self.values.messages


def snapshot_of(agent: str, setup: Setup, thread_id: str, kept: AgentState) -> StateSnapshot:
    """The snapshot of a thread."""
    going = going_on(agent, setup, thread_id, kept)
    next_node = _NODES.get(type(going.step)) if going.messages else None
    if setup.form is not None and isinstance(going.step, _loop.End):
        kept["structured_response"] = setup.form.found_in(going.messages)
    return StateSnapshot(
        kept,
        () if next_node is None else (next_node,),
        tuple(dict(call) for call in going.waiting),
        {"configurable": {"thread_id": thread_id}},
    )
