"""`MultiQueryRetriever`: each query is asked when it is written, and what becomes of the rest."""

from __future__ import annotations

import asyncio
import pickle
import threading
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from headrace.errors import ConfigError, HeadraceError, InputError
from headrace.events import CustomEvent, RunCancelled, RunEnded, RunFailed, RunStarted
from headrace.language_models import FakeListChatModel
from headrace.output_parsers import StrOutputParser
from headrace.prompts import PromptTemplate
from headrace.retrievers import EnsembleRetriever, MultiQueryRetriever
from headrace.retrievers.multi_query import DEFAULT_QUERY_PROMPT, QueriesOutputParser
from headrace.runnables import ConfigurableField, RunnableGenerator, RunnableLambda
from laws.colours import every_colour

from .asked import LIMIT, Fails, Given, Hangs, Log, found, texts

FINDS = {"a": "xy", "b": "yz", "c": "", "q": "xw"}


def model(text):
    return FakeListChatModel(responses=[text])


def multi(text, **fields):
    return MultiQueryRetriever.from_llm(Given(texts=FINDS), model(text), **fields)


def written(*queries):
    """A chain whose queries come one by one, in both colours."""

    def stream(inputs):
        for _ in inputs:
            for query in queries:
                yield [query]

    async def astream(inputs):
        async for _ in inputs:
            for query in queries:
                yield [query]

    return RunnableGenerator(stream, astream)


# ---- what is found -------------------------------------------------------------------------------


@every_colour
def test_each_document_once_those_of_the_first_query_first(colour):
    def body(doors):
        retriever = multi("1. b\n\n2) c\n - a\n")
        assert texts(doors.invoke(retriever, "q")) == ["y", "z", "x"]
        assert [texts(chunk) for chunk in doors.stream(retriever, "q")] == [["y", "z", "x"]]
        with_original = multi("b\na", include_original=True)
        assert texts(doors.invoke(with_original, "q")) == ["y", "z", "x", "w"]
        assert doors.invoke(multi(""), "q") == []
        assert texts(doors.invoke(multi(" \n", include_original=True), "q")) == ["x", "w"]

    colour.run(body)


@every_colour
def test_a_query_that_comes_again_is_asked_once(colour):
    def body(doors):
        finds = Given(texts=FINDS)
        chain = RunnableLambda(lambda _: ["a", " a ", "", "q", "b", "a"])
        retriever = MultiQueryRetriever(retriever=finds, llm_chain=chain, include_original=True)
        assert texts(doors.invoke(retriever, "q")) == ["x", "y", "z", "w"]
        assert sorted(retriever.retriever.asked) == ["a", "b", "q"]

    colour.run(body)


@every_colour
def test_more_queries_than_lanes(colour):
    def body(doors):
        many = [f"query {n}" for n in range(100)]
        finds = RunnableLambda(lambda query: found(query))
        retriever = MultiQueryRetriever(retriever=finds, llm_chain=written(*many))
        assert texts(doors.invoke(retriever, "q")) == many
        assert texts(doors.invoke(retriever, "q", {"max_concurrency": 1})) == many
        assert texts(doors.invoke(retriever, "q", {"max_concurrency": 3})) == many

    colour.run(body)


@every_colour
def test_arguments_of_a_call_go_to_the_retriever(colour):
    def body(doors):
        assert texts(doors.invoke(multi("a\nb"), "q", k=1)) == ["x", "y"]

    colour.run(body)


def test_documents_that_differ_in_more_than_their_text_both_stay():
    from headrace.documents import Document

    one, two = Document("a", {"n": 1}), Document("a", {"n": 2})
    union = multi("a").unique_union([one, two, Document("a", {"n": 1})])
    assert union == [one, two]
    # A store's id says no more than that it is the store's.
    with_id, other_id = Document("a", {"n": 1}, "x"), Document("a", {"n": 1}, "y")
    assert multi("a").unique_union([one, with_id]) == [one]
    assert multi("a").unique_union([with_id, one, other_id]) == [with_id, other_id]


# ---- when it is asked ----------------------------------------------------------------------------


def test_a_query_is_asked_while_the_model_writes_on():
    asked = threading.Event()

    def writes(inputs):
        for _ in inputs:
            yield ["a"]
            assert asked.wait(LIMIT), "not asked before the model had ended"
            yield ["b"]

    def finds(query):
        asked.set()
        return found(query)

    retriever = MultiQueryRetriever(retriever=finds, llm_chain=RunnableGenerator(writes))
    assert texts(retriever.invoke("q")) == ["a", "b"]
    asked.clear()
    assert [texts(chunk) for chunk in retriever.stream("q")] == [["a", "b"]]


async def test_a_query_is_asked_while_the_model_writes_on_async():
    asked = asyncio.Event()

    async def writes(inputs):
        async for _ in inputs:
            yield ["a"]
            async with asyncio.timeout(LIMIT):
                await asked.wait()
            yield ["b"]

    async def finds(query):
        asked.set()
        return found(query)

    retriever = MultiQueryRetriever(retriever=finds, llm_chain=RunnableGenerator(writes))
    assert texts(await retriever.ainvoke("q")) == ["a", "b"]
    asked.clear()
    assert [texts(chunk) async for chunk in retriever.astream("q")] == [["a", "b"]]


def test_of_a_model_each_line_is_a_query_when_its_end_is_there():
    asked = threading.Event()

    def tokens(inputs):
        for _ in inputs:
            yield from ["1. a", " ", "one\n", "2"]
            assert asked.wait(LIMIT), "not asked before the model had ended"
            yield ". b"

    def finds(query):
        asked.set()
        return found(query)

    chain = RunnableGenerator(tokens) | QueriesOutputParser()
    retriever = MultiQueryRetriever(retriever=finds, llm_chain=chain)
    assert texts(retriever.invoke("q")) == ["a one", "b"]


def test_the_question_itself_is_asked_before_the_model_writes():
    asked = threading.Event()

    def writes(inputs):
        for _ in inputs:
            assert asked.wait(LIMIT), "not asked before the model wrote"
            yield ["a"]

    def finds(query):
        asked.set()
        return found(query)

    chain = RunnableGenerator(writes)
    retriever = MultiQueryRetriever(retriever=finds, llm_chain=chain, include_original=True)
    assert texts(retriever.invoke("q")) == ["a", "q"]


def test_queries_are_asked_at_once():
    place = threading.Barrier(3)

    def finds(query):
        place.wait(LIMIT)
        return found(query)

    retriever = MultiQueryRetriever(retriever=finds, llm_chain=written("a", "b", "c"))
    assert texts(retriever.invoke("q")) == ["a", "b", "c"]


# ---- max_queries ---------------------------------------------------------------------------------


@every_colour
def test_the_model_is_stopped_when_there_are_enough(colour):
    def body(doors):
        pulled, over = [], []

        def endless(inputs):
            for _ in inputs:
                try:
                    while True:
                        pulled.append(1)
                        yield f"query {len(pulled)}\n"
                finally:
                    over.append(True)

        async def aendless(inputs):
            async for _ in inputs:
                try:
                    while True:
                        pulled.append(1)
                        yield f"query {len(pulled)}\n"
                finally:
                    over.append(True)

        chain = RunnableGenerator(endless, aendless) | QueriesOutputParser()
        log = Log()
        retriever = MultiQueryRetriever(
            retriever=RunnableLambda(lambda query: found(query)),
            llm_chain=chain,
            max_queries=3,
            include_original=True,
        )
        shown = doors.invoke(retriever, "q", {"callbacks": [log]})
        assert texts(shown) == ["query 1", "query 2", "query 3", "q"]
        assert over == [True] and len(pulled) == 3
        assert "RunnableSequence" in log.names(RunCancelled)
        assert log.names(RunEnded)[-1] == "MultiQueryRetriever"

    colour.run(body)


def test_the_model_is_stopped_while_the_last_query_is_asked():
    stopped = threading.Event()

    def endless(inputs):
        for _ in inputs:
            try:
                while True:
                    yield ["a"]
            finally:
                stopped.set()

    def finds(query):
        assert stopped.wait(LIMIT), "the model went on"
        return found(query)

    chain = RunnableGenerator(endless)
    retriever = MultiQueryRetriever(retriever=finds, llm_chain=chain, max_queries=1)
    assert texts(retriever.invoke("q")) == ["a"]


async def test_the_model_is_stopped_while_the_last_query_is_asked_async():
    stopped = asyncio.Event()

    async def endless(inputs):
        async for _ in inputs:
            try:
                while True:
                    yield ["a"]
            finally:
                stopped.set()

    async def finds(query):
        async with asyncio.timeout(LIMIT):
            await stopped.wait()
        return found(query)

    chain = RunnableGenerator(endless)
    retriever = MultiQueryRetriever(retriever=finds, llm_chain=chain, max_queries=1)
    assert texts(await retriever.ainvoke("q")) == ["a"]


# ---- failures ------------------------------------------------------------------------------------


@every_colour
def test_an_error_of_the_retriever_comes_out_and_closes_the_model(colour):
    def body(doors):
        error, over = LookupError("no index"), []

        def endless(inputs):
            for _ in inputs:
                try:
                    while True:
                        yield ["a"]
                finally:
                    over.append(True)

        async def aendless(inputs):
            async for _ in inputs:
                try:
                    while True:
                        await asyncio.sleep(0)
                        yield ["a"]
                finally:
                    over.append(True)

        retriever = MultiQueryRetriever(
            retriever=Fails(error=error), llm_chain=RunnableGenerator(endless, aendless)
        )
        log = Log()
        with pytest.raises(LookupError) as caught:
            doors.invoke(retriever | len, "q", {"callbacks": [log]})
        assert caught.value is error
        assert over == [True]
        assert any("MultiQueryRetriever/retriever:Fails" in note for note in error.__notes__)
        names = log.names(RunFailed)
        assert names[-2:] == ["MultiQueryRetriever", "RunnableSequence"] and "Fails" in names
        starts, ends = len(log.of(RunStarted)), [*names, *log.names(RunCancelled)]
        assert starts == len(ends) + len(log.of(RunEnded))

    colour.run(body)


@every_colour
def test_an_error_of_the_model_comes_out_when_what_is_asked_has_ended(colour):
    def body(doors):
        error = ConnectionError("gone")

        def breaks(inputs):
            for _ in inputs:
                yield ["a"]
                raise error

        async def abreaks(inputs):
            async for _ in inputs:
                yield ["a"]
                raise error

        retriever = MultiQueryRetriever(
            retriever=RunnableLambda(lambda query: found(query)),
            llm_chain=RunnableGenerator(breaks, abreaks).with_config(run_name="writer"),
        )
        log = Log()
        with pytest.raises(ConnectionError) as caught:
            doors.invoke(retriever, "q", {"callbacks": [log]})
        assert caught.value is error
        assert log.names(RunFailed) == ["writer", "MultiQueryRetriever"]
        assert any("MultiQueryRetriever/llm_chain:" in note for note in error.__notes__)

    colour.run(body)


async def test_where_one_fails_the_others_are_cancelled_and_awaited():
    begun, over, error = asyncio.Event(), [], LookupError("no")
    hangs = Hangs(begun=begun, over=over)

    async def finds(query):
        if query == "a":
            return await hangs.ainvoke(query)
        await begun.wait()
        raise error

    retriever = MultiQueryRetriever(retriever=finds, llm_chain=written("a", "b"))
    with pytest.raises(LookupError) as caught:
        await retriever.ainvoke("q")
    assert caught.value is error and over == ["a"]


async def test_cancelled_everything_has_ended_when_control_returns():
    begun, over, log = asyncio.Event(), [], Log()

    async def writes(inputs):
        async for _ in inputs:
            try:
                yield ["a"]
                await asyncio.Event().wait()
            finally:
                over.append("model")

    retriever = MultiQueryRetriever(
        retriever=Hangs(begun=begun, over=over), llm_chain=RunnableGenerator(writes, writes)
    )
    task = asyncio.create_task(retriever.ainvoke("q", {"callbacks": [log]}))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(over) == ["a", "model"]
    assert sorted(log.names(RunCancelled)) == ["Hangs", "MultiQueryRetriever", "writes"]
    assert log.names(RunCancelled)[-1] == "MultiQueryRetriever"


@every_colour
def test_a_chain_that_writes_no_lists_is_told_what_to_end_with(colour):
    def body(doors):
        for chain in (model("a\nb") | StrOutputParser(), RunnableLambda(lambda _: [1])):
            asked = PromptTemplate.from_template("{question}") | chain
            retriever = MultiQueryRetriever(retriever=Given(texts=FINDS), llm_chain=asked)
            with pytest.raises(InputError, match="no list of strings: let it end with a Queries"):
                doors.invoke(retriever, "q")

    colour.run(body)


# ---- events --------------------------------------------------------------------------------------


@every_colour
def test_queries_are_told_as_they_are_written(colour):
    def body(doors):
        log = Log()
        doors.invoke(multi("a\nb", include_original=True), "q", {"callbacks": [log]})
        root = log.runs(RunStarted)[0]
        told = log.of(CustomEvent)
        assert [each.data for each in told] == [
            {"number": 1, "query": "a"},
            {"number": 2, "query": "b"},
        ]
        assert all(each.run is root and each.label == "multi_query" for each in told)
        below = {each.input: each for each in log.of(RunStarted) if each.run.name == "Given"}
        assert set(below) == {"a", "b", "q"}
        assert all(each.run.parent_ids == [root.id] for each in below.values())
        assert all(below[each.data["query"]].seq > each.seq for each in told)
        ends = {e.input: texts(e.output) for e in log.of(RunEnded) if e.run.name == "Given"}
        assert ends == {"a": ["x", "y"], "b": ["y", "z"], "q": ["x", "w"]}
        names = log.names(RunStarted)
        assert {"RunnableSequence", "PromptTemplate", "FakeListChatModel"} <= set(names)

    colour.run(body)


async def test_event_dicts_show_tokens_queries_and_documents():
    events = [each async for each in multi("a\nb").astream_events("q")]
    kinds = [(each["event"], each["name"]) for each in events]
    assert kinds[0] == ("on_retriever_start", "MultiQueryRetriever")
    assert kinds[-1] == ("on_retriever_end", "MultiQueryRetriever")
    tokens = [
        each["data"]["chunk"].content for each in events if each["event"] == "on_chat_model_stream"
    ]
    assert "".join(tokens) == "a\nb"
    first = kinds.index(("on_custom_event", "multi_query"))
    assert events[first]["data"] == {"number": 1, "query": "a"}
    assert first < kinds.index(("on_chat_model_end", "FakeListChatModel"))
    asked = [e["data"]["input"]["query"] for e in events if e["event"] == "on_retriever_start"
             if e["name"] == "Given"]  # fmt: skip
    assert asked == ["a", "b"]


def test_coroutine_hooks_hear_each_query_before_it_is_asked():
    from headrace.callbacks import AsyncCallbackHandler

    heard = []

    class Hears(AsyncCallbackHandler):
        async def on_custom_event(self, name, data, **kwargs):
            await asyncio.sleep(0)
            heard.append(data["query"])

    async def finds(query):
        heard.append(query.upper())
        return []

    retriever = MultiQueryRetriever(retriever=finds, llm_chain=written("a", "b"))
    asyncio.run(retriever.ainvoke("q", {"callbacks": [Hears()]}))
    assert [heard.index(each) < heard.index(each.upper()) for each in "ab"] == [True, True]


async def test_coroutine_hooks_hear_a_query_while_nothing_else_happens():
    from headrace.callbacks import AsyncCallbackHandler

    heard = asyncio.Event()

    class Hears(AsyncCallbackHandler):
        async def on_custom_event(self, name, data, **kwargs):
            heard.set()

    async def writes(inputs):
        async for _ in inputs:
            yield ["a"]
            await asyncio.Event().wait()

    async def finds(query):
        async with asyncio.timeout(LIMIT):
            await heard.wait()
        raise LookupError("heard")

    retriever = MultiQueryRetriever(retriever=finds, llm_chain=RunnableGenerator(writes))
    with pytest.raises(LookupError, match="heard"):
        await retriever.ainvoke("q", {"callbacks": [Hears()]})


# ---- what it is made of --------------------------------------------------------------------------


def test_settings_are_checked():
    with pytest.raises(ValidationError, match="the retriever of MultiQueryRetriever"):
        MultiQueryRetriever(retriever=3, llm_chain=written())
    with pytest.raises(ValidationError, match="the llm_chain of MultiQueryRetriever"):
        MultiQueryRetriever(retriever=Given(texts=""), llm_chain="model")
    with pytest.raises(ValidationError, match="max_queries"):
        multi("a", max_queries=0)
    with pytest.raises(ValidationError, match="the queries are events"):
        multi("a", verbose=True)
    assert texts(multi("a", parser_key="lines").invoke("q")) == ["x", "y"]


def test_a_prompt_of_ones_own_is_asked():
    seen = []

    def answers(prompt):
        seen.append(prompt.to_string())
        return "a"

    own = PromptTemplate.from_template("Ask {question} again")
    for prompt, shown in [(own, "Ask q again"), (None, DEFAULT_QUERY_PROMPT.format(question="q"))]:
        given = {} if prompt is None else {"prompt": prompt}
        made = MultiQueryRetriever.from_llm(Given(texts=FINDS), RunnableLambda(answers), **given)
        assert texts(made.invoke("q")) == ["x", "y"]
        assert seen.pop() == shown


def test_it_is_pickled_configured_and_explained():
    retriever = multi("a\nb")
    assert texts(pickle.loads(pickle.dumps(retriever)).invoke("q")) == ["x", "y", "z"]
    chosen = retriever.configurable_fields(include_original=ConfigurableField(id="original"))
    config = {"configurable": {"original": True}}
    assert texts(chosen.invoke("q", config)) == ["x", "y", "z", "w"]
    shown = [(step.name, step.kind) for step in retriever.explain()]
    assert shown[0] == ("MultiQueryRetriever", "barrier")
    assert ("QueriesOutputParser", "streams") in shown
    named = EnsembleRetriever(retrievers=[retriever.with_config(run_name="Docs")])
    log = Log()
    named.invoke("q", {"callbacks": [log]})
    assert "Docs" in log.names(RunStarted)


def test_what_has_no_sync_body_says_so_before_the_model_is_asked():
    asked = []

    async def finds(query):
        return found(query)

    chain = RunnableLambda(asked.append)
    with pytest.raises(HeadraceError, match="finds"):
        MultiQueryRetriever(retriever=finds, llm_chain=chain).invoke("q")
    assert asked == []


@given(
    st.text("ab1.-* \n", max_size=30),
    st.lists(st.integers(0, 30), max_size=4),
)
def test_the_parser_reads_lines_however_the_text_is_cut(text, cuts):
    parser = QueriesOutputParser()
    edges = sorted({0, *(cut for cut in cuts if cut < len(text)), len(text)})
    pieces = [text[a:b] for a, b in pairwise(edges)]
    streamed = [query for chunk in parser.transform(iter(pieces or [""])) for query in chunk]
    assert streamed == parser.invoke(text)
    assert all(query.strip() and "\n" not in query for query in streamed)


def test_the_parser_takes_marks_away():
    lines = "1. a\n 2) b b\n- c\n* d\n• e\n-\n 3.\n\n3.5 mm\n-f\n1999 in film\n"
    assert QueriesOutputParser().invoke(lines) == [
        *("a", "b b", "c", "d", "e", "3.5 mm", "-f", "1999 in film")
    ]


def test_arguments_of_from_llm_that_cannot_be():
    with pytest.raises(ConfigError, match="FakeListChatModel as its retriever and Given as its"):
        MultiQueryRetriever.from_llm(model("a"), Given(texts=FINDS))
    with pytest.raises(ConfigError, match=r"the variables \['query'\], .* write \{question\}"):
        multi("a", prompt=PromptTemplate.from_template("{query}"))
