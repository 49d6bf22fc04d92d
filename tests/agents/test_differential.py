"""The same script in LangGraph's prebuilt agent: the same tools, messages and chunks.

What differs on purpose is not compared: the sentences of mistakes, and names of nodes.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel as TheirChatModel
from langchain_core.messages import AIMessage as TheirAIMessage
from langchain_core.messages import AIMessageChunk as TheirChunk
from langchain_core.outputs import ChatGeneration as TheirGeneration
from langchain_core.outputs import ChatGenerationChunk as TheirGenerationChunk
from langchain_core.outputs import ChatResult as TheirResult
from langchain_core.tools import tool as their_tool
from langgraph.prebuilt import create_react_agent

from agents.scripted import Scripted, call, pieces, says
from headrace.agents import create_agent
from headrace.messages import AIMessage
from headrace.tools import tool


class TheirScripted(TheirChatModel):
    """`Scripted`, of theirs."""

    script: list[Any]

    def _line(self, messages: Any) -> Any:
        return self.script[sum(message.type == "ai" for message in messages)]

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any) -> Any:
        line = self._line(messages)
        said = TheirAIMessage(
            line.content,
            tool_calls=line.tool_calls,
            invalid_tool_calls=line.invalid_tool_calls,
        )
        return TheirResult(generations=[TheirGeneration(message=said)])

    def _stream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any
    ) -> Iterator[Any]:
        for piece in pieces(self._line(messages)):
            chunk = piece.message
            theirs = TheirChunk(
                content=chunk.content,
                tool_call_chunks=chunk.tool_call_chunks,
                chunk_position=chunk.chunk_position,
            )
            yield TheirGenerationChunk(message=theirs)

    @property
    def _llm_type(self) -> str:
        return "scripted"


def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


def blocks(n: int) -> Any:
    """Give content blocks."""
    return [{"type": "text", "text": str(n)}]


def data(n: int) -> Any:
    """Give a dict."""
    return {"n": n}


def final(n: int) -> str:
    """Give the last word."""
    return f"final {n}"


DONE = says("Done.")
SCRIPTS: dict[str, list[AIMessage]] = {
    "answer": [DONE],
    "one-call": [says("", call("multiply", a=6, b=7)), DONE],
    "text-first": [says("Hm.", call("multiply", a=6, b=7)), DONE],
    "parallel": [says("", *(call("multiply", f"m{n}", a=n, b=n) for n in range(5))), DONE],
    "steps": [*(says("", call("multiply", f"m{n}", a=n, b=n)) for n in range(4)), DONE],
    "unknown": [says("", call("divide", a=6, b=7)), DONE],
    "wrong": [says("", call("multiply", "w", a="x", b=7), call("multiply", "m", a=1, b=1)), DONE],
    "missing": [says("", call("multiply", a=1)), DONE],
    "blocks": [says("", call("blocks", n=1), call("data", n=1)), DONE],
    "direct": [says("", call("final", n=1)), DONE],
}


def theirs(script: list[AIMessage]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they have renamed it since
        direct = their_tool(return_direct=True)(final)
        tools = [multiply, blocks, data, direct]
        return create_react_agent(TheirScripted(script=script), tools)


def ours(script: list[AIMessage]) -> Any:
    return create_agent(
        Scripted(script=script), [multiply, blocks, data, tool(final, return_direct=True)]
    )


def told(message: Any) -> Any:
    """What is compared of a message of either library."""
    wrong = getattr(message, "status", None) == "error"
    calls = [(c["name"], c["args"], c["id"]) for c in getattr(message, "tool_calls", None) or ()]
    answers = getattr(message, "tool_call_id", None)
    kind = message.type.removesuffix("MessageChunk").lower()
    return (kind, "" if wrong else message.content, calls, answers, wrong)


def both(name: str) -> list[Any]:
    return [ours(SCRIPTS[name]), theirs(SCRIPTS[name])]


GO = {"messages": [("user", "Go")]}
each_script = pytest.mark.parametrize("name", SCRIPTS)


@each_script
def test_messages(name):
    mine, other = ([told(m) for m in a.invoke(GO)["messages"]] for a in both(name))
    assert mine == other


def test_a_direct_answer_among_others():
    """Theirs ends there, the other answer unread; LangChain's `create_agent` goes on, as ours."""
    script = [says("", call("final", n=1), call("multiply", a=1, b=1)), DONE]
    mine, other = ([told(m) for m in a(script).invoke(GO)["messages"]] for a in (ours, theirs))
    assert mine[:-1] == other and mine[-1][1] == "Done."


@each_script
def test_updates(name):
    def shown(agent: Any) -> list[Any]:
        found = []
        for chunk in agent.stream(GO, stream_mode="updates"):
            for node, added in chunk.items():
                node = "model" if node == "agent" else node
                found += [(node, told(message)) for message in added["messages"]]
        return sorted(found, key=str)  # of calls made at once any may be the first

    mine, other = map(shown, both(name))
    assert mine == other


@each_script
def test_tokens(name):
    def shown(agent: Any) -> list[Any]:
        pairs = agent.stream(GO, stream_mode="messages")
        tokens = [(m, about) for m, about in pairs if m.type == "AIMessageChunk"]
        return [
            (m.content, [c["args"] for c in m.tool_call_chunks],
             about["langgraph_node"].replace("agent", "model"))
            for m, about in tokens
        ]  # fmt: skip

    mine, other = map(shown, both(name))
    assert mine == other and len(other) > 0


@each_script
def test_values(name):
    def shown(agent: Any) -> list[int]:
        return [len(state["messages"]) for state in agent.stream(GO, stream_mode="values")]

    mine, other = map(shown, both(name))
    assert mine == other


@each_script
async def test_async(name):
    mine, other = both(name)
    said = [told(m) for m in (await mine.ainvoke(GO))["messages"]]
    expected = [told(m) for m in (await other.ainvoke(GO))["messages"]]
    assert said == expected
