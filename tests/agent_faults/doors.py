"""An agent's run by each of its doors, as one transcript, in the colour of `doors`.

`DOORS` maps a door's name to a function `(doors, agent, value) -> messages`: the whole conversation
as that door shows it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from headrace.merge import merge
from headrace.messages import AIMessageChunk, BaseMessage, HumanMessage, ToolMessage
from headrace.runnables import RunnableLambda, RunnableParallel, RunnablePassthrough

ASK = "Go on."
Door = Callable[[Any, Any, Any], list[BaseMessage]]


def events(doors: Any, runnable: Any, value: Any, config: Any = None, **kw: Any) -> list[Any]:
    """The event dicts of a run, by `astream_events` or its sync twin."""
    if not doors.asynchronous:
        return list(runnable.stream_events(value, config, **kw))

    async def all_of_it() -> list[Any]:
        return [event async for event in runnable.astream_events(value, config, **kw)]

    return doors.wait(all_of_it())  # type: ignore[no-any-return]


def shown(doors: Any, agent: Any, value: Any, mode: Any) -> list[Any]:
    return doors.stream(agent.bind(stream_mode=mode), value)  # type: ignore[no-any-return]


def by_call(messages: list[Any]) -> list[Any]:
    """Answers of tools, which come when they are ready, in the order of their calls."""
    out: list[Any] = []
    order: list[Any] = []
    for message in messages:
        if isinstance(message, ToolMessage):
            at = len(out)
            while (
                at
                and isinstance(out[at - 1], ToolMessage)
                and (order.index(out[at - 1].tool_call_id) > order.index(message.tool_call_id))
            ):
                at -= 1
            out.insert(at, message)
        else:
            calls = getattr(message, "tool_calls", None) or []
            bad = getattr(message, "invalid_tool_calls", None) or []
            order = [c["id"] for c in (*calls, *bad)]
            out.append(message)
    return out


def _invoke(doors: Any, agent: Any, value: Any) -> Any:
    return doors.invoke(agent, value)["messages"]


def _batch(doors: Any, agent: Any, value: Any) -> Any:
    first, second = doors.batch(agent, [value, value])
    assert len(first["messages"]) == len(second["messages"])
    return second["messages"]


def _of_updates(chunks: list[Any]) -> Any:
    assert all(len(chunk) == 1 for chunk in chunks)
    found = [m for chunk in chunks for step in chunk.values() for m in step["messages"]]
    return [HumanMessage(ASK), *by_call(found)]


def _updates(doors: Any, agent: Any, value: Any) -> Any:
    chunks = shown(doors, agent, value, "updates")
    for chunk in chunks:
        ((step, update),) = chunk.items()
        kinds = {isinstance(m, ToolMessage) for m in update["messages"]}
        assert kinds == {step == "tools"}, chunk
    return _of_updates(chunks)


def _stream(doors: Any, agent: Any, value: Any) -> Any:
    return _of_updates(doors.stream(agent, value))


def _values(doors: Any, agent: Any, value: Any) -> Any:
    states = shown(doors, agent, value, "values")
    sizes = [len(state["messages"]) for state in states]
    assert sizes == sorted(sizes) and sizes[0] == 1
    return states[-1]["messages"]


def _messages(doors: Any, agent: Any, value: Any) -> Any:
    return [HumanMessage(ASK), *_of_tokens(shown(doors, agent, value, "messages"))]


def _of_tokens(pairs: list[Any]) -> Any:
    found: list[Any] = []
    for chunk, about in pairs:
        assert isinstance(about, dict)
        if isinstance(chunk, AIMessageChunk):
            if found and isinstance(found[-1], AIMessageChunk) and found[-1].id == chunk.id:
                found[-1] = found[-1] + chunk
            else:
                found.append(chunk)
        else:
            found.append(chunk)
    return by_call(found)


def _pieces(doors: Any, agent: Any, value: Any) -> Any:
    return merge(shown(doors, agent, value, "pieces"))["messages"]


def _several(doors: Any, agent: Any, value: Any) -> Any:
    pairs = shown(doors, agent, value, ["updates", "messages", "values", "custom"])
    by = {
        mode: [chunk for of, chunk in pairs if of == mode]
        for mode in ("updates", "messages", "values", "custom")
    }
    assert len(pairs) == sum(map(len, by.values()))
    updates, states = _of_updates(by["updates"]), by["values"][-1]["messages"]
    tokens = _of_tokens(by["messages"])
    ids = [m.id for m in states[1:] if m.type == "ai"]
    assert ids == [m.id for m in updates[1:] if m.type == "ai"]
    assert ids == [m.id for m in tokens if isinstance(m, AIMessageChunk)]
    assert all(about.value for about in by["custom"])
    return updates


def _events(doors: Any, agent: Any, value: Any) -> Any:
    found = events(doors, agent, value)
    root = found[0]["run_id"]
    assert found[-1]["run_id"] == root and found[-1]["event"] == "on_chain_end"
    begun = [e["run_id"] for e in found if e["event"].endswith("_start")]
    ended = [e["run_id"] for e in found if e["event"].endswith(("_end", "_error"))]
    assert set(ended) <= set(begun)  # a try that failed has no end in this form
    assert len(set(begun)) == len(begun) and len(set(ended)) == len(ended)
    for at, event in enumerate(found):
        earlier = {e["run_id"] for e in found[:at]}
        assert set(event["parent_ids"]) <= earlier, event
    return found[-1]["data"]["output"]["messages"]


def _in_a_chain(doors: Any, agent: Any, value: Any) -> Any:
    chain = RunnablePassthrough() | agent | RunnableLambda(lambda state: state["messages"])
    return doors.invoke(chain, value)


def _streamed_in_a_chain(doors: Any, agent: Any, value: Any) -> Any:
    return merge(doors.stream(RunnablePassthrough() | agent, value))["messages"]


def _in_a_parallel(doors: Any, agent: Any, value: Any) -> Any:
    both = RunnableParallel(one=agent, two=agent)
    state = doors.invoke(both, value)
    assert len(state["one"]["messages"]) == len(state["two"]["messages"])
    return state["one"]["messages"]


def _streamed_in_a_parallel(doors: Any, agent: Any, value: Any) -> Any:
    return merge(doors.stream(RunnableParallel(one=agent, two=agent), value))["two"]["messages"]


def _with_retry(doors: Any, agent: Any, value: Any) -> Any:
    return doors.invoke(agent.with_retry(wait_exponential_jitter=False), value)["messages"]


def _with_timeout(doors: Any, agent: Any, value: Any) -> Any:
    return merge(doors.stream(agent.with_timeout(total=60), value))["messages"]


def _with_fallbacks(doors: Any, agent: Any, value: Any) -> Any:
    return merge(doors.stream(agent.with_fallbacks([agent]), value))["messages"]


DOORS: dict[str, Door] = {
    "invoke": _invoke,
    "batch": _batch,
    "stream": _stream,
    "updates": _updates,
    "values": _values,
    "messages": _messages,
    "pieces": _pieces,
    "several": _several,
    "events": _events,
    "chain": _in_a_chain,
    "streamed-chain": _streamed_in_a_chain,
    "parallel": _in_a_parallel,
    "streamed-parallel": _streamed_in_a_parallel,
    "retry": _with_retry,
    "timeout": _with_timeout,
    "fallbacks": _with_fallbacks,
}
