"""Headrace's runnables inside LangChain: streams, events, tracers, tools, models, closing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import pytest
from langchain_core.callbacks import AsyncCallbackHandler
from langchain_core.language_models import BaseChatModel as TheirModel
from langchain_core.messages import AIMessage as TheirAnswer
from langchain_core.messages import AIMessageChunk as TheirChunk
from langchain_core.messages import HumanMessage as TheirQuestion
from langchain_core.messages import ToolMessage as TheirResult
from langchain_core.output_parsers import StrOutputParser as TheirParser
from langchain_core.prompts import ChatPromptTemplate as TheirPrompt
from langchain_core.retrievers import BaseRetriever as TheirRetriever
from langchain_core.runnables import RunnableLambda as TheirLambda
from langchain_core.runnables import RunnablePassthrough as TheirPassthrough
from langchain_core.tools import BaseTool as TheirTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import BaseModel

from headrace.callbacks import dispatch_custom_event
from headrace.documents import Document
from headrace.embeddings import DeterministicFakeEmbedding
from headrace.errors import InputError
from headrace.langchain import as_langchain, from_langchain
from headrace.language_models import FakeListChatModel
from headrace.output_parsers import StrOutputParser
from headrace.prompts import ChatPromptTemplate
from headrace.retrievers import BaseRetriever
from headrace.runnables import RunnableGenerator, RunnableLambda
from headrace.tools import tool
from langchain_bridge.parts import Heard, Streaming
from laws.colours import both_drivers, every_colour


def chain() -> Any:
    """A chain of ours that streams."""
    model = FakeListChatModel(responses=["abc"])
    return ChatPromptTemplate.from_template("say {x}") | model | StrOutputParser()


@every_colour
def test_a_chain(colour: Any) -> None:
    def body(doors: Any) -> None:
        there = as_langchain(chain())
        assert doors.invoke(there, {"x": 1}) == "abc"
        assert doors.stream(there, {"x": 1}) == ["a", "b", "c"]
        assert doors.batch(there, [{"x": 1}, {"x": 2}]) == ["abc", "abc"]
        inside = TheirPassthrough() | there | (lambda text: text.upper())
        assert doors.invoke(inside, {"x": 1}) == "ABC"
        front = {"x": TheirPassthrough()} | there
        assert doors.stream(front, 1) == ["a", "b", "c"]

    colour.run(body)


@every_colour
def test_chunks_go_through_one_by_one(colour: Any) -> None:
    seen: list[str] = []

    def shout(chunks: Iterator[Any]) -> Iterator[Any]:
        for chunk in chunks:
            seen.append(chunk.content)
            yield chunk.content.upper()

    async def ashout(chunks: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for chunk in chunks:
            seen.append(chunk.content)
            yield chunk.content.upper()

    def body(doors: Any) -> None:
        seen.clear()
        step = as_langchain(RunnableGenerator(shout, ashout))
        stream = doors.open(Streaming() | step, "x")
        assert stream.next() == "ONE "
        assert seen == ["one "]
        assert stream.rest()[:2] == ["TWO ", "THREE"]

    colour.run(body)


@every_colour
@pytest.mark.parametrize("door", ["invoke", "stream"])
def test_inner_runs_are_children(colour: Any, door: str) -> None:
    def body(doors: Any) -> None:
        heard = Heard()
        inside = TheirLambda(lambda x: x) | as_langchain(chain().with_config(run_name="ours"))
        run_id = uuid4()
        config = {"callbacks": [heard], "tags": ["t"], "metadata": {"m": 1}, "run_id": run_id}
        getattr(doors, door)(inside, {"x": 1}, config)
        assert heard.above == {
            "RunnableSequence": None,
            "RunnableLambda": "RunnableSequence",
            "ours": "RunnableSequence",
            "ChatPromptTemplate": "ours",
            "FakeListChatModel": "ours",
            "StrOutputParser": "ours",
        }
        assert ("prompt", "ChatPromptTemplate") in heard.starts
        assert ("chat_model", "FakeListChatModel") in heard.starts
        assert sorted(heard.ends) == sorted(heard.above) and heard.errors == []
        assert "t" in heard.told["FakeListChatModel"]["tags"]
        assert heard.told["FakeListChatModel"]["metadata"]["m"] == 1
        assert {"t", "seq:step:2"} <= set(heard.told["ours"]["tags"])
        assert heard.tokens == ([] if door == "invoke" else ["a", "b", "c"])

    colour.run(body)


async def test_events() -> None:
    inside = TheirPassthrough() | as_langchain(chain())
    events = [e async for e in inside.astream_events({"x": 1}, version="v2")]
    told = [(e["event"], e["name"], len(e["parent_ids"])) for e in events]
    assert told.count(("on_chat_model_start", "FakeListChatModel", 2)) == 1
    assert told.count(("on_chat_model_stream", "FakeListChatModel", 2)) == 3
    assert told.count(("on_chat_model_end", "FakeListChatModel", 2)) == 1
    assert told.count(("on_parser_stream", "StrOutputParser", 2)) == 3
    assert told.count(("on_chain_start", "RunnableSequence", 1)) == 1
    assert told.count(("on_chain_stream", "RunnableSequence", 1)) == 3
    model = [e for e in events if e["name"] == "FakeListChatModel"]
    assert model[0]["data"]["input"]["messages"] == [[TheirQuestion("say 1")]]
    assert type(model[1]["data"]["chunk"]) is TheirChunk
    assert model[-1]["data"]["output"].content == "abc"
    ids = {e["run_id"] for e in events}
    assert all(set(e["parent_ids"]) <= ids for e in events)


async def test_events_are_those_of_a_chain_of_theirs() -> None:
    theirs = TheirPrompt.from_template("say {x}") | Streaming() | TheirParser()
    ours = ChatPromptTemplate.from_template("say {x}") | from_langchain(Streaming())
    ours = ours | StrOutputParser()

    async def told(runnable: Any) -> list[Any]:
        events = [e async for e in runnable.astream_events({"x": 1}, version="v2")]
        return sorted(
            (e["event"], e["name"], len(e["parent_ids"]), sorted(e["tags"]), _text(e["data"]))
            for e in events
        )

    def _text(data: Any) -> str:
        chunk = data.get("chunk", "")
        return str(getattr(chunk, "content", chunk if isinstance(chunk, str) else ""))

    found = await told(TheirPassthrough() | as_langchain(ours))
    expected = await told(TheirPassthrough() | theirs.with_config(run_name="RunnableSequence"))
    flat = await told(as_langchain(ours))
    assert flat == await told(theirs)
    # LangChain lays a sequence that is piped into another one flat; an adapter stays one step
    assert {e[:2] for e in found} == {e[:2] for e in expected}


async def test_a_model_that_is_invoked_shows_its_tokens_there() -> None:
    model = FakeListChatModel(responses=["abc"])

    async def ask(x: Any) -> str:
        return (await model.ainvoke("x")).text

    inside = as_langchain(RunnableLambda(ask))
    events = [e["event"] async for e in inside.astream_events(1, version="v2")]
    assert events.count("on_chat_model_stream") == 3
    assert events.count("on_chat_model_start") == 1


async def test_coroutine_hooks_are_awaited() -> None:
    class Awaited(AsyncCallbackHandler):
        def __init__(self) -> None:
            self.told: list[str] = []

        async def on_chat_model_start(self, serialized: Any, messages: Any, **_: Any) -> None:
            await asyncio.sleep(0)
            self.told.append("start")

        async def on_llm_new_token(self, token: Any, **_: Any) -> None:
            await asyncio.sleep(0)
            self.told.append(token)

        async def on_llm_end(self, response: Any, **_: Any) -> None:
            await asyncio.sleep(0)
            self.told.append("end")

    heard = Awaited()
    stream = as_langchain(chain()).astream({"x": 1}, {"callbacks": [heard]})
    got = [(chunk, heard.told[-1]) async for chunk in stream]
    assert heard.told == ["start", "a", "b", "c", "end"]
    assert got == [("a", "a"), ("b", "b"), ("c", "c")]


@every_colour
def test_the_bridge_twice_tells_each_run_once(colour: Any) -> None:
    def body(doors: Any) -> None:
        heard = Heard()
        core = (TheirPassthrough() | as_langchain(chain())).with_config(run_name="core")
        outer = RunnableLambda(lambda x: x) | from_langchain(core)
        there = as_langchain(outer.with_config(run_name="outer"))
        assert doors.stream(there, {"x": 1}, {"callbacks": [heard]}) == ["a", "b", "c"]
        assert heard.above["core"] == "outer"
        assert heard.above["FakeListChatModel"] == "RunnableSequence"
        assert heard.above["RunnableSequence"] == "core"
        assert sorted(heard.ends) == sorted(name for _, name in heard.starts)

    colour.run(body)


@every_colour
def test_what_our_code_calls_in_langchain_is_found_below_it(colour: Any) -> None:
    def body(doors: Any) -> None:
        heard = Heard()
        model = Streaming()
        ask = RunnableLambda(lambda x: model.invoke(x).content).with_config(run_name="ask")
        doors.invoke(as_langchain(ask), "x", {"callbacks": [heard]})
        assert heard.above == {"ask": None, "Streaming": "ask"}

    colour.run(body)


@every_colour
def test_config_goes_in(colour: Any) -> None:
    got: list[Any] = []

    def look(x: Any, config: Any) -> Any:
        got.append(config)
        return x

    def body(doors: Any) -> None:
        got.clear()
        doors.invoke(
            TheirPassthrough() | as_langchain(RunnableLambda(look)),
            1,
            {"configurable": {"a": 1}, "tags": ["t"], "max_concurrency": 2, "recursion_limit": 7},
        )
        (seen,) = got
        assert seen["configurable"]["a"] == 1 and seen["tags"] == ["t"]
        assert (seen["max_concurrency"], seen["recursion_limit"]) == (2, 7)

    colour.run(body)


@every_colour
def test_custom_events_and_retries(colour: Any) -> None:
    def body(doors: Any) -> None:
        tries: list[int] = []

        def work(x: Any) -> Any:
            dispatch_custom_event("progress", {"done": 1})
            tries.append(1)
            if len(tries) == 1:
                raise ValueError("not yet")
            return x

        heard = Heard()
        again = RunnableLambda(work).with_retry(wait_exponential_jitter=False)
        assert doors.invoke(as_langchain(again), 1, {"callbacks": [heard]}) == 1
        assert heard.custom == [("progress", {"done": 1})] * 2

    colour.run(body)


# ------------------------------------------------------------------ errors and ends


@every_colour
def test_errors_are_the_same_object(colour: Any) -> None:
    error = ValueError("no")

    def fail(x: Any) -> Any:
        raise error

    def body(doors: Any) -> None:
        heard = Heard()
        inside = TheirPassthrough() | as_langchain(RunnableLambda(fail))
        for call in (doors.invoke, doors.stream):
            with pytest.raises(ValueError) as caught:
                call(inside, 1, {"callbacks": [heard]})
            assert caught.value is error
        assert [e for name, e in heard.errors if name == "fail"] == [error, error]

    colour.run(body)


@every_colour
@pytest.mark.parametrize("observed", [False, True])
def test_closing(colour: Any, observed: bool) -> None:
    closed: list[str] = []

    def count(x: Any) -> Iterator[int]:
        try:
            yield from range(5)
        finally:
            closed.append("sync")

    async def acount(x: Any) -> AsyncIterator[int]:
        try:
            for n in range(5):
                yield n
        finally:
            closed.append("async")

    def body(doors: Any) -> None:
        closed.clear()
        heard = Heard()
        there = as_langchain(RunnableLambda(count, acount))
        stream = doors.open(there, 1, {"callbacks": [heard]} if observed else None)
        assert stream.next() == 0
        stream.close()
        assert len(closed) == 1
        if observed:
            assert [type(e) for _, e in heard.errors] == [GeneratorExit]

    colour.run(body)


async def test_cancelling() -> None:
    begun, ended = asyncio.Event(), []

    async def wait(x: Any) -> Any:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    task = asyncio.create_task(as_langchain(RunnableLambda(wait)).ainvoke(1))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == [True]


# ------------------------------------------------------------------ models


def model(**kw: Any) -> FakeListChatModel:
    return FakeListChatModel(responses=["abc"], **kw)


@every_colour
def test_a_chat_model(colour: Any) -> None:
    def body(doors: Any) -> None:
        heard = Heard()
        there = as_langchain(model())
        assert isinstance(there, TheirModel)
        answer = doors.invoke(there, "x", {"callbacks": [heard]})
        assert type(answer) is TheirAnswer and answer.content == "abc"
        chunks = doors.stream(there | TheirParser(), "x")
        assert [c for c in chunks if c] == ["a", "b", "c"]
        assert heard.starts == [("chat_model", "FakeListChatModel")]
        assert heard.ends == ["FakeListChatModel"]
        pieces = doors.stream(there, [TheirQuestion("x")])
        assert {type(p) for p in pieces} == {TheirChunk}
        assert len({p.id for p in pieces}) == 1
        assert from_langchain(there) is there.headrace

    colour.run(body)


@every_colour
def test_a_chat_model_inside_a_chain_of_ours_is_one_run(colour: Any) -> None:
    class Seen:
        def __init__(self) -> None:
            self.names: list[str] = []

        def on_event(self, event: Any) -> None:
            if event.kind == "start":
                self.names.append(event.run.name)

    def body(doors: Any) -> None:
        seen = Seen()
        inner = TheirPassthrough() | as_langchain(model())
        both = RunnableLambda(lambda x: x) | from_langchain(inner.with_config(run_name="inner"))
        doors.stream(both, "x", {"callbacks": [seen]})
        assert seen.names.count("FakeListChatModel") == 1

    colour.run(body)


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


class Note(BaseModel):
    """A note."""

    text: str


@both_drivers
def test_tools_are_bound_as_our_model_does_it(colour: Any) -> None:
    def body(doors: Any) -> None:
        there = as_langchain(model())
        for given in (add, as_langchain(add), Note):
            bound = there.bind_tools([given], tool_choice="any")
            name = "Note" if given is Note else "add"
            assert bound.kwargs["tools"][0]["function"]["name"] == name
            assert bound.kwargs["tool_choice"] == "any"
            assert doors.invoke(bound, "x").content == "abc"

    colour.run(body)


@both_drivers
def test_structured_output(colour: Any) -> None:
    def body(doors: Any) -> None:
        class Json(FakeListChatModel):
            structured_modes = ("json_schema",)

        there = as_langchain(Json(responses=['{"text": "hi"}']))
        assert doors.invoke(there.with_structured_output(Note), "x") == Note(text="hi")

    colour.run(body)


def test_tokens_and_names() -> None:
    ours = model(custom_get_token_ids=lambda text: [ord(c) for c in text])
    there = as_langchain(ours)
    assert there.get_token_ids("ab") == [97, 98]
    assert there.get_num_tokens("abc") == 3
    assert there.get_num_tokens_from_messages([TheirQuestion("x")]) == len("Human: x")
    assert there._llm_type == ours._llm_type
    assert there.get_name() == "FakeListChatModel"


# ------------------------------------------------------------------ tools and the rest


@every_colour
def test_a_tool_inside_a_chain_is_told_with_the_id_of_its_call(colour: Any) -> None:
    def body(doors: Any) -> None:
        heard = Heard()
        there = as_langchain(RunnableLambda(lambda call: call) | add)
        call = {"type": "tool_call", "id": "c1", "name": "add", "args": {"a": 1, "b": 2}}
        doors.invoke(there, call, {"callbacks": [heard]})
        told = heard.told["add"]
        assert (told["tool_call_id"], told["inputs"]) == ("c1", call["args"])

    colour.run(body)


@every_colour
def test_a_tool(colour: Any) -> None:
    def body(doors: Any) -> None:
        heard = Heard()
        there = as_langchain(add)
        assert isinstance(there, TheirTool)
        assert doors.invoke(there, {"a": 1, "b": 2}, {"callbacks": [heard]}) == 3
        assert heard.starts == [("tool", "add")]
        call = {"type": "tool_call", "id": "c1", "name": "add", "args": {"a": 1, "b": 2}}
        assert doors.invoke(there, call) == TheirResult("3", tool_call_id="c1", name="add")
        described = convert_to_openai_tool(there)["function"]
        assert described["name"] == "add" and described["description"] == "Add two numbers."
        assert set(described["parameters"]["properties"]) == {"a", "b"}
        if not doors.asynchronous:
            assert there.run({"a": 1, "b": 2}, callbacks=[heard]) == 3
            assert heard.starts == [("tool", "add")] * 2
        else:
            assert doors.wait(there.arun({"a": 1, "b": 2})) == 3
        assert from_langchain(there) is add

    colour.run(body)


class Found(BaseRetriever):
    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
        return [Document(query, id="d")]


@every_colour
def test_a_retriever(colour: Any) -> None:
    def body(doors: Any) -> None:
        heard = Heard()
        there = as_langchain(Found())
        assert isinstance(there, TheirRetriever)
        (document,) = doors.invoke(there, "q", {"callbacks": [heard]})
        assert (document.page_content, document.id) == ("q", "d")
        assert type(document).__module__.startswith("langchain_core.")
        assert heard.starts == [("retriever", "Found")]

    colour.run(body)


def test_embeddings() -> None:
    ours = DeterministicFakeEmbedding(size=3)
    there = as_langchain(ours)
    assert there.embed_query("x") == ours.embed_query("x")
    assert there.embed_documents(["x"]) == [ours.embed_query("x")]
    assert asyncio.run(there.aembed_query("x")) == ours.embed_query("x")
    assert asyncio.run(there.aembed_documents(["x"])) == [ours.embed_query("x")]
    assert from_langchain(there) is ours


def test_functions_dicts_and_what_is_refused() -> None:
    assert as_langchain(len).invoke("abc") == 3
    assert as_langchain({"a": len}).invoke("abc") == {"a": 3}
    with pytest.raises(InputError):
        as_langchain(3)


def test_schemas_and_what_is_configurable() -> None:
    there = as_langchain(chain())
    assert set(there.get_input_jsonschema()["properties"]) == {"x"}
    assert there.get_output_jsonschema()["type"] == "string"
    assert there.get_name() == "RunnableSequence"
    assert [node.name for node in there.get_graph().nodes.values()][1].endswith("Sequence")
