"""An agent as a tool of another: a request in, the text of its last message out; of an answer that
has a form, its JSON."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import PrivateAttr
from pydantic_core import to_json

from ..errors import ConfigError
from ..messages import BaseMessage, ToolMessage
from ..tools import BaseTool, InjectedToolCallId
from ._loop import last_said
from .state import calls_of

if TYPE_CHECKING:
    from ._saving import BaseSaver

__all__ = ["AgentTool", "KeptAgentTool", "agent_tool", "check_goes_through",
           "kept_below", "over_below", "place_below"]  # fmt: skip


class AgentTool(BaseTool):
    """See the head of the file. The agent's run is a child of the tool's.

    It keeps no thread of its own: where the agent that calls it keeps one, see `KeptAgentTool`.
    """

    agent: Any

    def _run(self, request: str) -> str:
        state = self.agent.invoke({"messages": request})
        return _said(state)

    async def _arun(self, request: str) -> str:
        state = await self.agent.ainvoke({"messages": request})
        return _said(state)

    @property
    def _async_only(self) -> Any:
        return self.agent._async_only


class KeptAgentTool(AgentTool):
    """The tool in one step of an agent that keeps its conversation. This one's is kept there too
    until the step is over, so that a call whose process died goes on from what was finished.

    saver: the caller's. place: what the ids of these threads begin with; the call's id follows.
    """

    saver: Any
    place: str
    _begun: set[str] = PrivateAttr(default_factory=set)  # calls that were made in this process

    def _run(  # type: ignore[override]
        self, request: str, tool_call_id: Annotated[str, InjectedToolCallId]
    ) -> str:
        thread_id = f"{self.place}/{tool_call_id}"
        if self._is_again(thread_id):
            self.saver.delete_thread(thread_id)
        value = None if self.saver.rows(thread_id) else {"messages": request}
        return _said(self.agent.invoke(value, {"configurable": {"thread_id": thread_id}}))

    async def _arun(  # type: ignore[override]
        self, request: str, tool_call_id: Annotated[str, InjectedToolCallId]
    ) -> str:
        thread_id = f"{self.place}/{tool_call_id}"
        if self._is_again(thread_id):
            await self.saver.adelete_thread(thread_id)
        value = None if await self.saver.arows(thread_id) else {"messages": request}
        return _said(await self.agent.ainvoke(value, {"configurable": {"thread_id": thread_id}}))

    def _is_again(self, thread_id: str) -> bool:
        """Whether the call was made before in this process: by a `wrap_tool` that tries anew."""
        again = thread_id in self._begun
        self._begun.add(thread_id)
        return again


def place_below(thread_id: str, messages: Sequence[BaseMessage]) -> str:
    """What the ids of threads below begin with: the thread's and the model's last message's, since
    models use the ids of calls again."""
    said, _ = last_said(messages)
    return f"{thread_id}/{None if said is None else said.id}"


def over_below(
    tools: Mapping[str, BaseTool], thread_id: str, messages: Sequence[BaseMessage]
) -> list[str]:
    """The threads of those calls of the last message that agents have answered."""
    said, after = last_said(messages)
    if said is None or not after:
        return []
    answered = {m.tool_call_id for m in after if isinstance(m, ToolMessage)}
    calls = [c for c in calls_of(said) if isinstance(tools.get(c["name"]), AgentTool)]
    place = place_below(thread_id, messages)
    return [f"{place}/{call['id']}" for call in calls if call["id"] in answered]


def kept_below(
    tools: Mapping[str, BaseTool], calls: Sequence[Any], saver: BaseSaver, place: str
) -> dict[str, BaseTool]:
    """Those of the tools that are called and are agents, keeping their conversations."""
    called = {call["name"]: tools.get(call["name"]) for call in calls}
    return {
        name: _kept(tool, saver, place)
        for name, tool in called.items()
        if isinstance(tool, AgentTool)
    }


def _kept(tool: AgentTool, saver: BaseSaver, place: str) -> KeptAgentTool:
    agent = object.__new__(type(tool.agent))  # its setup is not to be worked out again
    setup = tool.agent._setup._replace(saver=saver)
    vars(agent).update(vars(tool.agent), saver=saver, _setup=setup)
    given = {name: getattr(tool, name) for name in type(tool).model_fields}
    return KeptAgentTool(**given | {"agent": agent, "saver": saver, "place": place})


def _said(state: Any) -> str:
    if "structured_response" in state:
        return to_json(state["structured_response"]).decode()
    return str(state["messages"][-1].text)


def check_goes_through(agent: Any, name: str | None) -> None:
    """Refuse an agent that may stop in the middle, which what is a tool cannot.

    Raises:
        ConfigError: it waits for approval.
    """
    if agent.interrupt_before:
        raise ConfigError(
            f"Agent {name or agent.get_name()!r} waits for approval of {agent.interrupt_before}, "
            "and a tool cannot wait: let the agent that calls it ask for approval, "
            "interrupt_before of its own."
        )


def agent_tool(agent: Any, name: str | None, description: str | None) -> AgentTool:
    """See `Agent.as_tool`."""
    name = name or agent._setup.name
    if not name:
        raise ConfigError(
            "An agent that is to be a tool needs a name, by which the model calls it: give "
            "create_agent or as_tool a name."
        )
    if agent.saver is not None:
        agent = copy.copy(agent)
        agent.saver = None
        agent._derive()
    about = description or f"Ask {name}, who can use {_known(agent)}. Takes the request as a text."
    return AgentTool(name=name, description=about, agent=agent)


def _known(agent: Any) -> str:
    return ", ".join(agent._setup.tools) or "no tools"
