"""`BaseRetriever`: every signature that users write, both colours, one chunk, events."""

from __future__ import annotations

import asyncio
import threading

import pytest
from pydantic import ValidationError

from headrace.documents import Document
from headrace.errors import InputError
from headrace.events import RunCancelled, RunEnded, RunFailed, RunStarted
from headrace.retrievers import BaseRetriever
from headrace.runnables import RunnableLambda, RunnablePassthrough
from laws.colours import every_colour

HERE = threading.get_ident()


def found(*texts):
    return [Document(text) for text in texts]


class Plain(BaseRetriever):
    suffix: str = "!"

    def _get_relevant_documents(self, query, *, run_manager):
        assert run_manager.get_child() is not None
        return found(query + self.suffix)


class NoManager(BaseRetriever):
    def _get_relevant_documents(self, query):
        return found(query + "!")


class OptionalManager(BaseRetriever):
    def _get_relevant_documents(self, query, run_manager=None):
        assert run_manager is not None
        return found(query + "!")


class OwnAsync(BaseRetriever):
    def _get_relevant_documents(self, query, *, run_manager):
        return found(query + "!")

    async def _aget_relevant_documents(self, query, *, run_manager):
        assert run_manager.get_child() is not None
        assert threading.get_ident() == HERE
        await asyncio.sleep(0)
        return found(query + "!")


class AsyncBySync(Plain):
    async def _aget_relevant_documents(self, query, *, run_manager):
        return self._get_relevant_documents(query, run_manager=run_manager.get_sync())


class OwnAsyncNoManager(NoManager):
    async def _aget_relevant_documents(self, query):
        return found(query + "!")


class Passes(Plain):
    """Its own doors around the retriever's, and around the inner methods."""

    def invoke(self, input, config=None, **kwargs):
        return super().invoke(input, config, **kwargs)

    async def _aget_relevant_documents(self, query, *, run_manager):
        return await super()._aget_relevant_documents(query, run_manager=run_manager)


KINDS = [Plain, NoManager, OptionalManager, OwnAsync, AsyncBySync, OwnAsyncNoManager, Passes]


@pytest.mark.parametrize("kind", KINDS)
async def test_every_signature_works_through_every_door(kind):
    retriever, one = kind(), found("q!")
    assert retriever.invoke("q") == one
    assert await retriever.ainvoke("q") == one
    assert list(retriever.stream("q")) == [one]
    assert [chunk async for chunk in retriever.astream("q")] == [one]
    assert list(retriever.transform(iter(["q", "r"]))) == [found("qr!")]
    assert retriever.batch(["a", "b"]) == [found("a!"), found("b!")]
    assert await retriever.abatch(["a", "b"]) == [found("a!"), found("b!")]


async def test_without_an_async_method_the_sync_one_runs_in_a_thread():
    class Threads(BaseRetriever):
        def _get_relevant_documents(self, query):
            return found(str(threading.get_ident() != HERE))

    assert await Threads().ainvoke("q") == found("True")
    assert [chunk async for chunk in Threads().astream("q")] == [found("True")]
    assert Threads().invoke("q") == found("False")


async def test_callers_may_give_the_arguments_that_a_retriever_has():
    class Counting(BaseRetriever):
        def _get_relevant_documents(self, query, *, run_manager, k=1):
            return found(*[query] * k)

    class Anything(BaseRetriever):
        def _get_relevant_documents(self, query, **kwargs):
            return found(f"{query} {sorted(kwargs.items())}")

    assert Counting().invoke("q", k=2) == found("q", "q")
    assert await Counting().ainvoke("q", k=2) == found("q", "q")
    assert Counting().bind(k=3).invoke("q") == found("q", "q", "q")
    assert Anything().invoke("q", k=2) == found("q [('k', 2)]")
    # What a retriever has no parameter for is not handed on, as users of LangChain expect.
    assert Plain().invoke("q", k=2) == await Plain().ainvoke("q", k=2) == found("q!")


def test_fields_are_checked():
    assert Plain(suffix="?", tags=["a"], metadata={"b": 1}).invoke("q") == found("q?")
    with pytest.raises(ValidationError, match="sufix"):
        Plain(sufix="?")
    with pytest.raises(ValidationError, match="tags"):
        Plain(tags="a")
    with pytest.raises(TypeError, match="_get_relevant_documents"):
        BaseRetriever()


def test_in_a_chain_it_is_a_barrier_and_what_follows_streams():
    def words(chunks):
        for documents in chunks:
            for document in documents:
                yield from document.page_content.split()

    chain = Plain(suffix=" is asked") | words
    assert list(chain.stream("what")) == ["what", "is", "asked"]
    steps = {step.name: step for step in chain.explain()}
    assert (steps["Plain"].kind, steps["Plain"].type) == ("barrier", "retriever")
    assert steps["words"].kind == "streams"


def test_beside_its_question_in_a_parallel():
    chain = {"context": Plain().with_config(run_name="Docs"), "question": RunnablePassthrough()}
    assert (RunnablePassthrough() | chain).invoke("q") == {"context": found("q!"), "question": "q"}


class Log:
    def __init__(self):
        self.events = []

    def on_event(self, event):
        self.events.append(event)

    def names(self, kind):
        return [(e.run.name, e.run.run_type) for e in self.events if isinstance(e, kind)]


@pytest.mark.parametrize("given", ["context", "run_manager"])
async def test_what_a_retriever_calls_is_its_child(given):
    helper = RunnableLambda(lambda text: text + "!", name="helper")

    class Calls(BaseRetriever):
        def _get_relevant_documents(self, query, *, run_manager):
            config = {"callbacks": run_manager.get_child()} if given == "run_manager" else None
            return found(helper.invoke(query, config))

        async def _aget_relevant_documents(self, query, *, run_manager):
            config = {"callbacks": run_manager.get_child()} if given == "run_manager" else None
            return found(await helper.ainvoke(query, config))

    for colour in ("sync", "async"):
        log = Log()
        config = {"callbacks": [log], "run_name": "Docs"}
        call = Calls().invoke if colour == "sync" else Calls().ainvoke
        result = call("q", config)
        assert (result if colour == "sync" else await result) == found("q!")
        assert log.names(RunStarted) == [("Docs", "retriever"), ("helper", "chain")]
        starts = [e.run for e in log.events if isinstance(e, RunStarted)]
        assert starts[1].parent_ids == [starts[0].id]
        assert log.names(RunEnded) == [("helper", "chain"), ("Docs", "retriever")]


def test_an_error_comes_out_as_it_is_with_a_failed_event():
    error = LookupError("no index")

    class Broken(BaseRetriever):
        def _get_relevant_documents(self, query):
            raise error

    log = Log()
    with pytest.raises(LookupError) as caught:
        (Broken() | len).invoke("q", {"callbacks": [log]})
    assert caught.value is error
    assert log.names(RunFailed) == [("Broken", "retriever"), ("RunnableSequence", "chain")]
    assert any("Broken" in note for note in error.__notes__)


async def test_a_cancelled_one_has_ended_when_control_returns():
    state = []

    class Slow(BaseRetriever):
        def _get_relevant_documents(self, query):
            raise AssertionError("sync")

        async def _aget_relevant_documents(self, query):
            try:
                state.append("waits")
                started.set()
                await asyncio.Event().wait()
            finally:
                state.append("over")

    started, log = asyncio.Event(), Log()
    task = asyncio.create_task(Slow().ainvoke("q", {"callbacks": [log]}))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert state == ["waits", "over"]
    assert log.names(RunCancelled) == [("Slow", "retriever")]


class Gives(BaseRetriever):
    what: object = None

    def _get_relevant_documents(self, query):
        return self.what


@every_colour
@pytest.mark.parametrize(
    ("what", "said"),
    [(None, r"gave None \(NoneType\)"), (["a"], r"a list with 'a' \(str\)"), ("a", r"'a' \(str\)")],
    ids=["None", "strings", "string"],
)
def test_what_is_no_list_of_documents(colour, what, said):
    def body(doors):
        with pytest.raises(InputError, match=f"Gives was asked for documents and .*{said}"):
            doors.invoke(Gives(what=what), "q")
        assert doors.invoke(Gives(what=[]), "q") == []

    colour.run(body)
