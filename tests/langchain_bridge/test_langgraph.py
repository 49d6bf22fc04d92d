"""Chains of ours in LangGraph's graphs, and graphs in chains of ours; with the real LangGraph."""

from __future__ import annotations

import warnings
from typing import Annotated, Any, TypedDict

from langchain_core.messages import AIMessage as TheirAnswer
from langchain_core.messages import AIMessageChunk as TheirChunk
from langchain_core.messages import HumanMessage as TheirQuestion
from langchain_core.messages import RemoveMessage as TheirRemoval
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.prebuilt import ToolNode
from langgraph.types import Command, interrupt

from headrace.langchain import as_langchain, from_langchain
from headrace.language_models import FakeListChatModel, GenericFakeChatModel
from headrace.messages import AIMessage, HumanMessage, RemoveMessage, ToolMessage
from headrace.prompts import ChatPromptTemplate, MessagesPlaceholder
from headrace.runnables import RunnableGenerator, RunnableLambda
from headrace.tools import tool
from laws.colours import both_drivers, every_colour


class State(TypedDict):
    messages: Annotated[list[Any], add_messages]


QUESTION = {"messages": [("user", "hello")]}


def chain() -> Any:
    prompt = ChatPromptTemplate.from_messages([("system", "s"), MessagesPlaceholder("messages")])
    model = FakeListChatModel(responses=["abc"])
    return prompt | model | RunnableLambda(lambda answer: {"messages": [answer]}, name="wrap")


def graph(node: Any, **kw: Any) -> Any:
    """A graph of one node, a chain of ours."""
    made = StateGraph(State)
    made.add_node("answer", as_langchain(node))
    made.add_edge(START, "answer")
    made.add_edge("answer", END)
    return made.compile(**kw)


def stream(doors: Any, runnable: Any, value: Any, **kw: Any) -> list[Any]:
    """`doors.stream` with keyword arguments."""
    if not doors.asynchronous:
        return list(runnable.stream(value, **kw))

    async def read() -> list[Any]:
        return [chunk async for chunk in runnable.astream(value, **kw)]

    return doors.wait(read())  # type: ignore[no-any-return]


@every_colour
def test_a_node(colour: Any) -> None:
    def body(doors: Any) -> None:
        state = doors.invoke(graph(chain()), QUESTION)
        question, answer = state["messages"]
        assert (type(question), question.content) == (TheirQuestion, "hello")
        assert (type(answer), answer.content) == (TheirAnswer, "abc")

    colour.run(body)


@every_colour
def test_stream_modes(colour: Any) -> None:
    def body(doors: Any) -> None:
        (update,) = stream(doors, graph(chain()), QUESTION, stream_mode="updates")
        assert [m.content for m in update["answer"]["messages"]] == ["abc"]
        pairs = stream(doors, graph(chain()), QUESTION, stream_mode="messages")
        assert [piece.content for piece, _ in pairs if piece.content] == ["a", "b", "c"]
        assert {type(piece) for piece, _ in pairs} == {TheirChunk}
        assert {about["langgraph_node"] for _, about in pairs} == {"answer"}
        both = stream(doors, graph(chain()), QUESTION, stream_mode=["messages", "updates"])
        assert [mode for mode, _ in both] == ["messages"] * 3 + ["updates"]

    colour.run(body)


async def test_events_of_a_graph() -> None:
    events = [e async for e in graph(chain()).astream_events(QUESTION, version="v2")]
    told = [(e["event"], e["name"], len(e["parent_ids"])) for e in events]
    assert told.count(("on_chain_start", "RunnableSequence", 2)) == 1
    assert told.count(("on_chat_model_start", "FakeListChatModel", 3)) == 1
    assert told.count(("on_chat_model_stream", "FakeListChatModel", 3)) == 3
    assert told.count(("on_chat_model_end", "FakeListChatModel", 3)) == 1
    model = next(e for e in events if e["event"] == "on_chat_model_start")
    assert model["metadata"]["langgraph_node"] == "answer"


@every_colour
def test_a_graph_in_a_chain_of_ours(colour: Any) -> None:
    def body(doors: Any) -> None:
        inner = from_langchain(graph(chain()))
        outer = inner | RunnableLambda(lambda state: state["messages"][-1])
        assert doors.invoke(outer, QUESTION).content == "abc"
        (answer,) = doors.stream(outer, QUESTION)
        assert type(answer) is AIMessage and answer.content == "abc"
        states = doors.stream(inner, {"messages": [HumanMessage("hi", id="1")]})
        assert [len(state["messages"]) for state in states] == [1, 2]
        (update,) = stream(doors, inner, QUESTION, stream_mode="updates")
        assert update["answer"]["messages"][0].content == "abc"
        pairs = stream(doors, inner, QUESTION, stream_mode="messages")
        assert "".join(piece.content for piece, _ in pairs) == "abc"
        assert type(pairs[0][0]).__module__.startswith("headrace.")

    colour.run(body)


async def test_events_of_a_graph_in_a_chain_of_ours() -> None:
    outer = from_langchain(graph(chain())) | RunnableLambda(lambda state: len(state["messages"]))
    events = [e async for e in outer.astream_events(QUESTION, version="v2")]
    told = [(e["event"], e["name"], len(e["parent_ids"])) for e in events]
    assert told.count(("on_chain_start", "LangGraph", 1)) == 1
    assert told.count(("on_chain_start", "answer", 2)) == 1
    assert told.count(("on_chat_model_start", "FakeListChatModel", 4)) == 1
    assert told.count(("on_chat_model_stream", "FakeListChatModel", 4)) == 3
    assert told.count(("on_chat_model_end", "FakeListChatModel", 4)) == 1
    assert told[-1] == ("on_chain_end", "RunnableSequence", 0)


@both_drivers
def test_messages_are_removed_and_commands_go_through(colour: Any) -> None:
    def step(state: Any) -> Any:
        first = state["messages"][0]
        assert type(first) is HumanMessage
        removed = [RemoveMessage(id=first.id), AIMessage("new")]
        return Command(update={"messages": removed}, goto=END)

    def body(doors: Any) -> None:
        state = doors.invoke(graph(RunnableLambda(step)), QUESTION)
        assert [m.content for m in state["messages"]] == ["new"]

    colour.run(body)
    assert TheirRemoval(id="1").id == "1"


@every_colour
def test_checkpoints_and_threads(colour: Any) -> None:
    def body(doors: Any) -> None:
        kept = from_langchain(graph(chain(), checkpointer=InMemorySaver()))
        config = {"configurable": {"thread_id": "7"}}
        outer = kept | RunnableLambda(lambda state: len(state["messages"]))
        assert doors.invoke(outer, QUESTION, config) == 2
        assert doors.invoke(outer, QUESTION, config) == 4

    colour.run(body)


@both_drivers
def test_interrupts_and_what_resumes_them(colour: Any) -> None:
    def ask(state: Any) -> Any:
        return {"messages": [AIMessage(f"you said {interrupt('what?')}")]}

    def body(doors: Any) -> None:
        kept = graph(RunnableLambda(ask), checkpointer=InMemorySaver())
        config = {"configurable": {"thread_id": "7"}}
        stopped = doors.invoke(kept, QUESTION, config)
        assert stopped["__interrupt__"][0].value == "what?"
        state = doors.invoke(from_langchain(kept), Command(resume="yes"), config)
        assert state["messages"][-1].content == "you said yes"

    colour.run(body)


@both_drivers
def test_our_code_finds_the_graph_around_it(colour: Any) -> None:
    def write(state: Any) -> Any:
        get_stream_writer()({"progress": 1})
        return {"messages": [AIMessage("x")]}

    def body(doors: Any) -> None:
        made = graph(RunnableLambda(write))
        assert stream(doors, made, QUESTION, stream_mode="custom") == [{"progress": 1}]

    colour.run(body)


@every_colour
def test_leaving_a_graph(colour: Any) -> None:
    closed: list[str] = []

    def pieces(chunks: Any) -> Any:
        for _ in chunks:
            try:
                yield {"messages": [AIMessage("x")]}
            finally:
                closed.append("x")

    def body(doors: Any) -> None:
        closed.clear()
        inner = from_langchain(graph(RunnableGenerator(pieces)))
        reader = doors.open(inner, QUESTION)
        assert len(reader.next()["messages"]) == 1
        reader.close()
        assert len(closed) in (0, 1)  # LangGraph may not have begun the node

    colour.run(body)


# ------------------------------------------------------------------ agents


@tool
def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


class Calculator(GenericFakeChatModel):
    """Asks for one product, then says what it was."""

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any) -> Any:
        assert kw["tools"][0]["function"]["name"] == "multiply"
        last = messages[-1]
        if isinstance(last, ToolMessage):
            answer = AIMessage(f"it is {last.content}")
        else:
            call = {"name": "multiply", "args": {"a": 6, "b": 7}, "id": "c1"}
            answer = AIMessage("", tool_calls=[call])
        self.messages = iter([answer])
        return super()._generate(messages, stop, run_manager, **kw)

    def _stream(self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any) -> Any:
        from headrace.messages import AIMessageChunk
        from headrace.outputs import ChatGenerationChunk

        message: Any = self._generate(messages, stop, None, **kw).generations[0].message
        chunk = AIMessageChunk(message.content, tool_calls=message.tool_calls)
        yield ChatGenerationChunk(chunk)


def agent() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it moves to another package; both use models as this one
        from langgraph.prebuilt import create_react_agent

        model = as_langchain(Calculator(messages=iter(())))
        return create_react_agent(model, [as_langchain(multiply)])


@every_colour
def test_an_agent_of_our_model_and_our_tool(colour: Any) -> None:
    def body(doors: Any) -> None:
        made = agent()
        state = doors.invoke(made, {"messages": [("user", "6 * 7?")]})
        kinds = [type(m).__name__ for m in state["messages"]]
        assert kinds == ["HumanMessage", "AIMessage", "ToolMessage", "AIMessage"]
        assert state["messages"][2].content == "42"
        assert state["messages"][-1].content == "it is 42"
        inner = from_langchain(made) | RunnableLambda(lambda state: state["messages"][-1].text)
        assert doors.stream(inner, {"messages": [("user", "6 * 7?")]}) == ["it is 42"]

    colour.run(body)


async def test_events_of_an_agent_in_a_chain_of_ours() -> None:
    outer = from_langchain(agent()) | RunnableLambda(lambda state: state["messages"][-1].text)
    question = {"messages": [("user", "6 * 7?")]}
    events = [e async for e in outer.astream_events(question, version="v2")]
    told = [(e["event"], e["name"]) for e in events]
    assert told.count(("on_chat_model_start", "Calculator")) == 2
    assert told.count(("on_chat_model_end", "Calculator")) == 2
    assert told.count(("on_tool_start", "multiply")) == 1
    ended = next(e for e in events if e["event"] == "on_tool_end")
    assert type(ended["data"]["output"]) is ToolMessage
    assert ended["data"]["output"].content == "42"


def test_a_tool_node() -> None:
    made = StateGraph(State)
    made.add_node("tools", ToolNode([as_langchain(multiply)]))
    made.add_edge(START, "tools")
    node = made.compile()

    def answer(b: Any) -> Any:
        call = {"name": "multiply", "args": {"a": 2, "b": b}, "id": "c1", "type": "tool_call"}
        return node.invoke({"messages": [TheirAnswer("", tool_calls=[call])]})["messages"][-1]

    assert (answer(3).content, answer(3).status) == ("6", "success")
    wrong = answer("three")
    assert wrong.status == "error" and "valid integer" in wrong.content
