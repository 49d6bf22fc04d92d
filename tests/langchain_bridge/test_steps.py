"""LangChain's runnables as steps of ours: streams, events, configs, errors, closing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import pytest
from langchain_core.callbacks import adispatch_custom_event, dispatch_custom_event
from langchain_core.documents import Document as TheirDocument
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.messages import HumanMessage as TheirQuestion
from langchain_core.output_parsers import JsonOutputParser, StrOutputParser
from langchain_core.prompts import ChatPromptTemplate, PromptTemplate
from langchain_core.retrievers import BaseRetriever as TheirRetriever
from langchain_core.runnables import ConfigurableField
from langchain_core.runnables import Runnable as TheirRunnable
from langchain_core.runnables import RunnableConfig as TheirConfig
from langchain_core.runnables import RunnableGenerator as TheirGenerator
from langchain_core.runnables import RunnableLambda as TheirLambda
from langchain_core.runnables import RunnableParallel as TheirParallel
from langchain_core.runnables import RunnablePassthrough as TheirPassthrough
from langchain_core.tools import InjectedToolArg, StructuredTool
from langchain_core.tools import tool as their_tool
from langchain_core.vectorstores import InMemoryVectorStore

from headrace import output_parsers as ours
from headrace.documents import Document
from headrace.embeddings import Embeddings
from headrace.errors import AsyncOnlyError, InputError, MissingExtraError
from headrace.langchain import as_langchain, from_langchain
from headrace.messages import HumanMessage, ToolMessage
from headrace.prompts import ChatPromptTemplate as OurPrompt
from headrace.retrievers import BaseRetriever
from headrace.runnables import RunnableGenerator, RunnableLambda
from headrace.runnables.coerce import NotRunnableError
from headrace.tools import BaseTool, convert_to_openai_tool
from langchain_bridge.parts import Heard, Scripted, Streaming, SyncStream
from laws.colours import both_drivers, every_colour


def sequence(**kw: Any) -> Any:
    """A chain of LangChain's that streams."""
    return ChatPromptTemplate.from_template("{x}") | Streaming(**kw) | StrOutputParser()


@every_colour
def test_a_chain(colour: Any) -> None:
    def body(doors: Any) -> None:
        chain = from_langchain(sequence())
        assert doors.invoke(chain, {"x": 1}) == "one two three"
        assert doors.stream(chain, {"x": 1})[:3] == ["one ", "two ", "three"]
        assert doors.batch(chain, [{"x": 1}] * 2) == ["one two three"] * 2

    colour.run(body)


@every_colour
def test_each_part_in_a_chain_of_ours(colour: Any) -> None:
    def body(doors: Any) -> None:
        prompt = from_langchain(ChatPromptTemplate.from_messages([("human", "say {x}")]))
        model = from_langchain(Streaming())
        parser = from_langchain(StrOutputParser())
        chain = prompt | model | parser
        assert doors.stream(chain, {"x": 1})[:3] == ["one ", "two ", "three"]
        assert doors.invoke(chain, {"x": 1}) == "one two three"
        assert model.langchain.asked[0] == [TheirQuestion("say 1")]
        assert doors.invoke(prompt, {"x": 1}).to_messages() == [HumanMessage("say 1")]
        mixed = OurPrompt.from_template("{x}") | model | ours.StrOutputParser()
        assert doors.invoke(mixed, {"x": 1}) == "one two three"
        parse = from_langchain(JsonOutputParser())
        assert doors.transform(parse, ['{"a": ', "1}"])[-1] == {"a": 1}
        assert (
            doors.invoke(from_langchain(PromptTemplate.from_template("{a}")), {"a": 1}).text == "1"
        )

    colour.run(body)


@every_colour
def test_chunks_go_in_and_come_out_one_by_one(colour: Any) -> None:
    def shout(chunks: Iterator[Any]) -> Iterator[Any]:
        for chunk in chunks:
            seen.append(("in", chunk))
            yield chunk.upper()

    async def ashout(chunks: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for chunk in chunks:
            seen.append(("in", chunk))
            yield chunk.upper()

    seen: list[Any] = []

    def body(doors: Any) -> None:
        seen.clear()
        step = from_langchain(TheirGenerator(shout, ashout))
        stream = doors.open(RunnableGenerator(letters, aletters) | step, "x")
        assert stream.next() == "A"
        assert seen == [("in", "a")]
        assert stream.rest() == ["B", "C"]

    colour.run(body)


def letters(_: Iterator[Any]) -> Iterator[str]:
    yield from "abc"


async def aletters(_: AsyncIterator[Any]) -> AsyncIterator[str]:
    for letter in "abc":
        yield letter


@every_colour
def test_a_parallel_adds_up(colour: Any) -> None:
    def body(doors: Any) -> None:
        branches = TheirParallel(
            a=Streaming() | StrOutputParser(), b=TheirPassthrough(), c=TheirLambda(len)
        )
        chain = from_langchain(branches) | RunnableLambda(lambda found: found)
        expected = {"a": "one two three", "b": "xy", "c": 2}
        assert doors.invoke(chain, "xy") == expected
        assert doors.stream(chain, "xy") == [expected]

    colour.run(body)


# ------------------------------------------------------------------ runs


class Recorder:
    """An observer that leaves calls as they are."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def on_event(self, event: Any) -> None:
        self.events.append(event)

    def tree(self) -> dict[str, str | None]:
        """The runs and which run is above each."""
        started = [e.run for e in self.events if e.kind == "start"]
        names = {run.id: run.name for run in started}
        assert len(names) == len(started), "a run was told twice"
        ends = [e.run.id for e in self.events if e.kind in ("end", "error", "cancelled")]
        assert sorted(ends, key=str) == sorted(names, key=str), "a run has no end, or two"
        above = {run.name: run.parent_ids for run in started}
        return {name: names[ids[-1]] if ids else None for name, ids in above.items()}

    def kinds(self) -> dict[str, str]:
        return {e.run.name: e.run.run_type for e in self.events if e.kind == "start"}


@every_colour
@pytest.mark.parametrize("door", ["invoke", "stream"])
def test_inner_runs_are_children(colour: Any, door: str) -> None:
    def body(doors: Any) -> None:
        seen = Recorder()
        inner = sequence().with_config(run_name="inner", tags=["deep"])
        chain = RunnableLambda(lambda x: x) | from_langchain(inner)
        getattr(doors, door)(chain, {"x": 1}, {"callbacks": [seen], "metadata": {"m": 1}})
        assert seen.tree() == {
            "RunnableSequence": None,
            "RunnableLambda": "RunnableSequence",
            "inner": "RunnableSequence",
            "ChatPromptTemplate": "inner",
            "Streaming": "inner",
            "StrOutputParser": "inner",
        }
        assert seen.kinds()["ChatPromptTemplate"] == "prompt"
        assert seen.kinds()["StrOutputParser"] == "parser"
        model = next(e.run for e in seen.events if e.run.name == "Streaming")
        assert model.run_type == "chat_model"
        assert model.metadata["m"] == 1 and model.metadata["ls_model_type"] == "chat"
        assert {"deep", "seq:step:2"} <= set(model.all_tags)
        assert model.path.endswith("inner/2:Streaming")
        assert "inner" in model.path
        last = next(e for e in seen.events if e.run is model and e.kind == "end")
        assert last.output.content == "one two three"
        assert type(last.output).__module__.startswith("headrace.")

    colour.run(body)


async def test_events_are_those_of_a_chain_of_ours() -> None:
    ours_chain = (
        OurPrompt.from_template("{x}") | from_langchain(Streaming()) | ours.StrOutputParser()
    )
    theirs_chain = from_langchain(sequence())

    async def told(chain: Any) -> list[tuple[Any, ...]]:
        events = [e async for e in chain.astream_events({"x": "y"}, version="v2")]
        return [
            (e["event"], e["name"], len(e["parent_ids"]), tuple(e["tags"]), _text(e["data"]))
            for e in events
        ]

    def _text(data: Any) -> str:
        chunk = data.get("chunk", "")
        return getattr(chunk, "content", chunk)

    found, expected = await told(theirs_chain), await told(ours_chain)
    assert sorted(found) == sorted(expected)


@every_colour
def test_observing_leaves_calls_as_they_are(colour: Any) -> None:
    def body(doors: Any) -> None:
        seen = Recorder()
        model = Streaming()
        chain = from_langchain(TheirLambda(lambda x: model.invoke(x).content))
        doors.invoke(chain, "x", {"callbacks": [seen]})
        assert model.closed == []  # it was asked for a whole answer

    colour.run(body)


@every_colour
def test_handlers_of_langchain_know_the_run_by_our_id(colour: Any) -> None:
    def body(doors: Any) -> None:
        seen, own = Recorder(), Heard()
        chain = from_langchain(sequence().with_config(callbacks=[own]))
        doors.invoke(chain, {"x": 1}, {"callbacks": [seen]})
        ids = {e.run.name: e.run.id for e in seen.events}
        assert {own.names[i]: i for i in own.names} == {
            name: ids[name] for name in own.names.values()
        }
        assert own.starts[0] == ("chain", "RunnableSequence")

    colour.run(body)


class PassesOn(TheirRunnable[Any, Any]):
    """A runnable that makes no run of its own, and calls two with its config."""

    def invoke(self, input: Any, config: TheirConfig | None = None, **kwargs: Any) -> Any:
        first = TheirLambda(lambda x: x + 1).with_config(run_name="first")
        second = TheirLambda(lambda x: x * 2).with_config(run_name="second")
        return second.invoke(first.invoke(input, config), config)


class PassesToModel(TheirRunnable[Any, Any]):
    def invoke(self, input: Any, config: TheirConfig | None = None, **kwargs: Any) -> Any:
        return Scripted().invoke(input, config).content


@every_colour
def test_a_runnable_without_a_run_of_its_own(colour: Any) -> None:
    def body(doors: Any) -> None:
        seen = Recorder()
        assert doors.invoke(from_langchain(PassesOn()), 1, {"callbacks": [seen]}) == 4
        assert seen.tree() == {"PassesOn": None, "second": "PassesOn"}
        seen = Recorder()
        doors.invoke(from_langchain(PassesToModel()), "x", {"callbacks": [seen]})
        assert seen.tree() == {"PassesToModel": None, "Scripted": "PassesToModel"}

    colour.run(body)


@every_colour
def test_custom_events_of_each_try(colour: Any) -> None:
    tries: list[int] = []

    def work(x: Any) -> Any:
        dispatch_custom_event("progress", {"at": TheirQuestion("q")})
        tries.append(x)
        if len(tries) % 2:
            raise ValueError("not yet")
        return x

    async def awork(x: Any) -> Any:
        await adispatch_custom_event("progress", {"at": TheirQuestion("q")})
        tries.append(x)
        if len(tries) % 2:
            raise ValueError("not yet")
        return x

    def body(doors: Any) -> None:
        tries.clear()
        seen = Recorder()
        inner = TheirLambda(work, awork).with_retry(wait_exponential_jitter=False)
        doors.invoke(from_langchain(inner), 1, {"callbacks": [seen]})
        custom = [e for e in seen.events if e.kind == "custom"]
        assert [(e.label, e.data) for e in custom] == [("progress", {"at": HumanMessage("q")})] * 2
        failed = [e for e in seen.events if e.kind == "error"]
        assert [str(e.error) for e in failed] == ["not yet"]

    colour.run(body)


@every_colour
def test_a_model_says_that_it_tries_again(colour: Any) -> None:
    from tenacity import Retrying, stop_after_attempt

    class Stubborn(Scripted):
        def _generate(
            self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any
        ) -> Any:
            tried: list[int] = []

            def ask() -> Any:
                tried.append(1)
                if len(tried) == 1:
                    raise ValueError("not yet")
                return super(Stubborn, self)._generate(messages)

            retrying = Retrying(stop=stop_after_attempt(2), before_sleep=run_manager.on_retry)
            return retrying(ask)

    def body(doors: Any) -> None:
        for step in (from_langchain(Stubborn()), from_langchain(Stubborn() | StrOutputParser())):
            seen = Recorder()
            doors.invoke(step, "x", {"callbacks": [seen]})
            (retried,) = [e for e in seen.events if e.kind == "retry"]
            assert (retried.attempt, str(retried.error)) == (1, "not yet")
            assert retried.run.name == "Stubborn"

    colour.run(body)


@every_colour
@pytest.mark.parametrize("watched", [False, True])
def test_a_chain_of_ours_called_inside_langchain_without_a_bridge(
    colour: Any, watched: bool
) -> None:
    def body(doors: Any) -> None:
        heard, seen = Heard(), Recorder()
        step = from_langchain(Scripted()) | RunnableLambda(lambda answer: answer.text)
        config: Any = {"callbacks": [seen]} if watched else None
        outer = TheirLambda(lambda x: step.invoke(x, config)).with_config(run_name="outer")
        doors.invoke(outer, "x", {"callbacks": [heard]})
        assert heard.above == {"outer": None, "Scripted": "outer"}
        if watched:
            assert seen.kinds()["Scripted"] == "chat_model"

    colour.run(body)


@every_colour
def test_once_even_there(colour: Any) -> None:
    def body(doors: Any) -> None:
        seen = Recorder()
        step = from_langchain(Scripted()) | RunnableLambda(lambda answer: answer.text)
        inner = TheirLambda(lambda x: step.invoke(x)).with_config(run_name="inner")
        doors.invoke(from_langchain(inner | TheirPassthrough()), "x", {"callbacks": [seen]})
        assert [e.run.name for e in seen.events if e.kind == "start"].count("Scripted") == 1

    colour.run(body)


def test_a_stream_without_an_async_body_has_one_thread() -> None:
    import threading

    threads: list[int] = []

    class Watched(SyncStream):
        def _chunks(self) -> Any:
            for chunk in super()._chunks():
                threads.append(threading.get_ident())
                yield chunk

    class Plain(TheirRunnable[Any, Any]):
        def invoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:
            return input

        def stream(self, input: Any, config: Any = None, **kwargs: Any) -> Iterator[Any]:
            for n in range(3):
                threads.append(threading.get_ident())
                yield n

    async def read(step: Any) -> list[Any]:
        return [chunk async for chunk in step.astream("x")]

    for step in (Watched(), Plain()):
        threads.clear()
        assert len(asyncio.run(read(from_langchain(step)))) >= 3
        assert len(set(threads)) == 1 and threads[0] != threading.get_ident()


async def test_coroutine_hooks_hear_of_inner_runs_in_order() -> None:
    from headrace.callbacks import AsyncCallbackHandler

    class Awaited(AsyncCallbackHandler):
        def __init__(self) -> None:
            self.told: list[str] = []

        async def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
            await asyncio.sleep(0)
            self.told.append("start")

        async def on_llm_new_token(self, token: Any, **kwargs: Any) -> None:
            self.told.append(token)

        async def on_llm_end(self, *args: Any, **kwargs: Any) -> None:
            await asyncio.sleep(0)
            self.told.append("end")

    for step in (from_langchain(sequence()), from_langchain(Streaming())):
        heard = Awaited()
        _ = [chunk async for chunk in step.astream({"x": 1} if step._run_type == "chain" else "x",
                                                   {"callbacks": [heard]})]  # fmt: skip
        assert (heard.told[0], heard.told[-1]) == ("start", "end")
        assert [t for t in heard.told[1:-1] if t] == ["one ", "two ", "three"]


# ------------------------------------------------------------------ config


@every_colour
def test_config_goes_in(colour: Any) -> None:
    got: list[Any] = []

    def look(x: Any, config: TheirConfig) -> Any:
        got.append(config)
        return x

    def body(doors: Any) -> None:
        got.clear()
        step = from_langchain(TheirLambda(look))
        config = {
            "tags": ["t"],
            "metadata": {"m": 1},
            "configurable": {"thread_id": "7"},
            "max_concurrency": 3,
            "recursion_limit": 9,
        }
        doors.invoke(RunnableLambda(lambda x: x) | step, 1, config)
        (seen,) = got
        assert seen["tags"] == ["t"]
        assert seen["metadata"] == {"m": 1}
        assert seen["configurable"] == {"thread_id": "7"}
        assert (seen["max_concurrency"], seen["recursion_limit"]) == (3, 9)

    colour.run(body)


@both_drivers
def test_what_is_configurable(colour: Any) -> None:
    def body(doors: Any) -> None:
        prompt = PromptTemplate.from_template("{a}").configurable_fields(
            template=ConfigurableField(id="template")
        )
        step = from_langchain(prompt)
        assert [spec.id for spec in step.config_specs] == ["template"]
        found = doors.invoke(step, {"a": 1}, {"configurable": {"template": "<{a}>"}})
        assert found.text == "<1>"

    colour.run(body)


@every_colour
def test_bindings_are_bindings(colour: Any) -> None:
    def body(doors: Any) -> None:
        bound = Streaming().bind(stop=["x"], temperature=1).with_config(tags=["t"])
        model = from_langchain(bound)
        doors.invoke(model, "q")
        assert bound.bound.given == [{"stop": ["x"], "temperature": 1}]
        there = as_langchain(model)
        assert there.bound is bound.bound and there.kwargs == bound.kwargs

    colour.run(body)


def test_schemas() -> None:
    prompt = from_langchain(ChatPromptTemplate.from_template("{x} {y}"))
    assert set(prompt.get_input_jsonschema()["properties"]) == {"x", "y"}
    assert "source" in str(prompt._flow()) or "barrier" in str(prompt._flow())
    assert from_langchain(StrOutputParser())._flow().kind == "streams"


# ------------------------------------------------------------------ errors and ends


@every_colour
@pytest.mark.parametrize("at", [0, 1])
def test_errors(colour: Any, at: int) -> None:
    error = KeyError("x")

    def body(doors: Any) -> None:
        seen = Recorder()
        chain = from_langchain(sequence(error=error, fails_at=at)) | RunnableLambda(lambda x: x)
        for call in (doors.invoke, doors.stream):
            with pytest.raises(KeyError) as caught:
                call(chain, {"x": 1}, {"callbacks": [seen]})
            assert caught.value is error
        failed = {e.run.name for e in seen.events if e.kind == "error"}
        assert {"RunnableSequence", "Streaming"} <= failed
        started = [e.run.id for e in seen.events if e.kind == "start"]
        ended = [e.run.id for e in seen.events if e.kind in ("end", "error", "cancelled")]
        assert len(set(started)) == len(started)
        assert sorted(started, key=str) == sorted(ended, key=str)

    colour.run(body)


@every_colour
@pytest.mark.parametrize("kind", [SyncStream, Streaming])
@pytest.mark.parametrize("observed", [False, True])
def test_closing(colour: Any, kind: Any, observed: bool) -> None:
    def body(doors: Any) -> None:
        seen = Recorder()
        model = kind()
        inner = ChatPromptTemplate.from_template("{x}") | model | StrOutputParser()
        chain = from_langchain(inner.with_config(run_name="inner")) | ours.StrOutputParser()
        stream = doors.open(chain, {"x": 1}, {"callbacks": [seen]} if observed else None)
        assert stream.next() == "one "
        assert model.closed == []
        stream.close()
        if kind is Streaming or not doors.asynchronous:
            assert len(model.closed) == 1
        if observed:
            ends = {e.run.name: e.kind for e in seen.events if e.kind != "start"}
            assert ends["Streaming" if kind is Streaming else "SyncStream"] == "cancelled"
            names = [e.run.name for e in seen.events if e.kind == "start"]
            over = [e.run.name for e in seen.events if e.kind in ("end", "cancelled", "error")]
            assert sorted(names) == sorted(over)

    colour.run(body)


@pytest.mark.allows_leaks(reason="LangChain's tee around a parallel's input is closed by the loop")
async def test_closing_a_parallel_ends_its_branches() -> None:
    ended: list[str] = []

    async def branch(chunks: AsyncIterator[Any]) -> AsyncIterator[Any]:
        try:
            async for chunk in chunks:
                yield chunk
                await asyncio.sleep(0)
                yield chunk
        finally:
            ended.append("x")

    both = from_langchain(TheirParallel(a=TheirGenerator(branch), b=TheirGenerator(branch)))
    stream = both.astream("x")
    assert await anext(stream) in ({"a": "x"}, {"b": "x"})
    await stream.aclose()
    assert ended == ["x", "x"]


@pytest.mark.parametrize("observed", [False, True])
async def test_cancelling(observed: bool) -> None:
    begun, ended = asyncio.Event(), []

    async def wait(chunks: AsyncIterator[Any]) -> AsyncIterator[Any]:
        try:
            async for chunk in chunks:
                yield chunk
                begun.set()
                await asyncio.Event().wait()
        finally:
            ended.append(True)

    chain = from_langchain(TheirPassthrough() | TheirGenerator(wait))

    async def read() -> None:
        config: Any = {"callbacks": [Recorder()]} if observed else None
        async for _ in chain.astream("x", config):
            pass

    task = asyncio.create_task(read())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == [True]


@every_colour
def test_closing_reaches_what_feeds_it(colour: Any) -> None:
    closed: list[str] = []
    pulled: list[str] = []

    def feed(_: Iterator[Any]) -> Iterator[str]:
        try:
            for letter in "abc":
                pulled.append(letter)
                yield letter
        finally:
            closed.append("sync")

    async def afeed(_: AsyncIterator[Any]) -> AsyncIterator[str]:
        try:
            for letter in "abc":
                pulled.append(letter)
                yield letter
        finally:
            closed.append("async")

    def body(doors: Any) -> None:
        closed.clear()
        pulled.clear()
        chain = RunnableGenerator(feed, afeed) | from_langchain(TheirPassthrough())
        stream = doors.open(chain, "x")
        assert stream.next() == "a"
        stream.close()
        assert len(closed) == 1
        # LangChain reads its input to the end when it is closed; ours is not pulled
        assert len(pulled) == 1

    colour.run(body)


# ------------------------------------------------------------------ tools, retrievers, the rest


@their_tool
def multiply(a: int, b: int, key: Annotated[str, InjectedToolArg] = "k") -> int:
    """Multiply two numbers."""
    return a * b


@every_colour
def test_tools(colour: Any) -> None:
    def body(doors: Any) -> None:
        seen = Recorder()
        tool = from_langchain(multiply)
        assert isinstance(tool, BaseTool)
        assert doors.invoke(tool, {"a": 2, "b": 3}, {"callbacks": [seen]}) == 6
        assert seen.kinds() == {"multiply": "tool"}
        call = {"type": "tool_call", "id": "c1", "name": "multiply", "args": {"a": 2, "b": 3}}
        answer = doors.invoke(tool, call)
        assert answer == ToolMessage("6", tool_call_id="c1", name="multiply")
        described = convert_to_openai_tool(tool)["function"]
        assert described["name"] == "multiply"
        assert described["description"] == "Multiply two numbers."
        assert set(described["parameters"]["properties"]) == {"a", "b"}
        assert as_langchain(tool) is multiply

    colour.run(body)


@every_colour
def test_a_tool_that_fails_handles_it_as_langchain_does(colour: Any) -> None:
    from langchain_core.tools import ToolException

    def body(doors: Any) -> None:
        def fail(a: int) -> int:
            raise ToolException("no such thing")

        made = StructuredTool.from_function(fail, name="fail", description="f")
        call = {"type": "tool_call", "id": "c1", "name": "fail", "args": {"a": 2}}
        with pytest.raises(ToolException):
            doors.invoke(from_langchain(made), call)
        made.handle_tool_error = True
        answer = doors.invoke(from_langchain(made), call)
        assert (answer.status, answer.content) == ("error", "no such thing")

    colour.run(body)


def test_a_tool_that_is_async_only() -> None:
    async def fetch(a: int) -> int:
        return a + 1

    tool = from_langchain(StructuredTool.from_function(coroutine=fetch, name="f", description="f"))
    with pytest.raises(AsyncOnlyError):
        tool.invoke({"a": 1})
    assert asyncio.run(tool.ainvoke({"a": 1})) == 2


class Found(TheirRetriever):
    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[TheirDocument]:
        return [TheirDocument(query, metadata={"n": 1}, id="d")]


@every_colour
def test_retrievers(colour: Any) -> None:
    def body(doors: Any) -> None:
        seen = Recorder()
        retriever = from_langchain(Found(tags=["mine"]))
        assert isinstance(retriever, BaseRetriever)
        expected = [Document("q", {"n": 1}, id="d")]
        assert doors.invoke(retriever, "q", {"callbacks": [seen]}) == expected
        assert seen.kinds() == {"Found": "retriever"}
        assert doors.stream(retriever, "q") == [expected]

    colour.run(body)


@both_drivers
def test_embeddings_and_stores(colour: Any) -> None:
    def body(doors: Any) -> None:
        there = DeterministicFakeEmbedding(size=4)
        here = from_langchain(there)
        assert isinstance(here, Embeddings)
        assert here.embed_query("x") == there.embed_query("x")
        store = InMemoryVectorStore(as_langchain(here))
        store.add_texts(["x"])
        found = doors.invoke(from_langchain(store.as_retriever()), "x")
        assert [d.page_content for d in found] == ["x"]
        if doors.asynchronous:
            assert doors.wait(here.aembed_documents(["x"])) == [there.embed_query("x")]
            assert doors.wait(here.aembed_query("x")) == there.embed_query("x")

    colour.run(body)


# ------------------------------------------------------------------ what is refused


def test_what_is_nothing_of_langchains() -> None:
    for thing in ("x", RunnableLambda(len), TheirQuestion("x")):
        with pytest.raises(InputError, match="from_langchain"):
            from_langchain(thing)


@pytest.mark.parametrize("thing", [Scripted(), multiply, Found(), sequence()])
def test_a_forgotten_bridge_is_named(thing: Any) -> None:
    with pytest.raises(NotRunnableError, match="from_langchain"):
        _ = RunnableLambda(len) | thing


def test_without_langchain(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "langchain_core", None)
    for call in (from_langchain, as_langchain):
        with pytest.raises(MissingExtraError, match=r"headrace\[langchain\]"):
            call(1)


def test_importing_the_bridge_imports_nothing_of_langchain() -> None:
    import subprocess
    import sys

    code = "import headrace.langchain, sys; sys.exit('langchain_core' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
