"""What can be done with an agent's threads from outside of a run: look at one, and change it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..config import RunnableConfig
from ..errors import ConfigError, InputError
from ..messages import RemoveMessage
from ..runnables.configs import ensure_config
from ._going_on import OWN_KEYS, StateSnapshot, snapshot_of, thread_id_of
from ._saving import Piece, Thread, state_of
from .state import REMOVE_ALL_MESSAGES, AgentState, given, summed

if TYPE_CHECKING:
    from ._saving import BaseSaver
    from ._setup import Setup

__all__ = ["Threads"]


class Threads:
    """The part of an agent that is about its threads."""

    _setup: Setup

    def get_state(self, config: RunnableConfig | None = None) -> StateSnapshot:
        """Where the thread that `config` names stands. Runs nothing, and waits for no run in it.

        Raises:
            ConfigError: the agent has no saver, or the config names no thread.
        """
        saver, thread_id = self._thread_of(config)
        return self._snapshot(thread_id, state_of(saver.rows(thread_id)))

    async def aget_state(self, config: RunnableConfig | None = None) -> StateSnapshot:
        """`get_state`, async."""
        saver, thread_id = self._thread_of(config)
        return self._snapshot(thread_id, state_of(await saver.arows(thread_id)))

    def update_state(self, config: RunnableConfig | None, values: Any) -> StateSnapshot:
        """Add to the state of a thread: messages (one with the id of another takes its place, a
        `RemoveMessage` takes one out) and other keys. Runs nothing.

        Args:
            values: as an agent is given them.

        Raises:
            ConfigError: as of `get_state`.
            InputError: the update is none, or cannot be kept.
            ThreadConflictError: a run goes on in the thread.
        """
        saver, thread_id = self._thread_of(config)
        thread = Thread(saver, thread_id)
        try:
            pieces, kept = _update(thread.load(), values)
            thread.append(pieces)
        finally:
            thread.release()
        return self._snapshot(thread_id, kept)

    async def aupdate_state(self, config: RunnableConfig | None, values: Any) -> StateSnapshot:
        """`update_state`, async."""
        saver, thread_id = self._thread_of(config)
        thread = Thread(saver, thread_id)
        try:
            pieces, kept = _update(await thread.aload(), values)
            await thread.aappend(pieces)
        finally:
            thread.release()
        return self._snapshot(thread_id, kept)

    def _thread_of(self, config: RunnableConfig | None) -> tuple[BaseSaver, str]:
        agent: Any = self
        saver = self._setup.saver
        if saver is None:
            raise ConfigError(
                f"{agent.get_name()} keeps no conversations: give create_agent a saver, e.g. "
                "saver=InMemorySaver()."
            )
        return saver, thread_id_of(agent.get_name(), ensure_config(config).get("configurable", {}))

    def _snapshot(self, thread_id: str, kept: AgentState) -> StateSnapshot:
        agent: Any = self
        return snapshot_of(agent.get_name(), self._setup, thread_id, kept)


def _update(kept: AgentState, values: Any) -> tuple[list[Piece], AgentState]:
    """What is to be kept of an update, and the state with it."""
    messages, more = given(values)
    total = summed([*kept.messages, *messages])
    gone = [m.id for m in total if isinstance(m, RemoveMessage)]
    if gone and gone != [REMOVE_ALL_MESSAGES]:
        raise InputError(
            f"RemoveMessage(id={gone[0]!r}) names no message of the conversation, whose ids are "
            f"{[m.id for m in kept.messages]}."
        )
    extras = {key: value for key, value in more.items() if key not in OWN_KEYS}
    state = AgentState({**kept, **extras})
    state["messages"] = [m for m in total if not isinstance(m, RemoveMessage)]
    return [*messages, *([extras] if extras else [])], state
