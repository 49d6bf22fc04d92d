"""Callback handlers: which hook gets what, in every colour; what costs nothing; what fails."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from collections import Counter
from uuid import UUID, uuid4

import pytest

from headrace.callbacks import AsyncCallbackHandler, BaseCallbackHandler, RunCancelledError
from headrace.callbacks import base as dispatch
from headrace.callbacks.base import HOOKS
from headrace.documents import Document
from headrace.language_models import FakeListChatModel, FakeListLLM, FakeStreamingListLLM
from headrace.messages import AIMessage, AIMessageChunk, HumanMessage
from headrace.output_parsers import StrOutputParser
from headrace.outputs import ChatGenerationChunk, LLMResult
from headrace.prompts import ChatPromptTemplate
from headrace.retrievers import BaseRetriever
from headrace.run import current_run
from headrace.runnables import Runnable, RunnableGenerator, RunnableLambda, RunnableParallel
from headrace.shapes import Barrier
from laws.colours import ASYNC, both_drivers, every_colour


def recording(base, *hooks, wait=False):
    """A handler class that keeps its calls; coroutine hooks let others run first."""

    def sync(name):
        def hook(self, *args, **kwargs):
            self.calls.append((name, args, kwargs))

        return hook

    def asynchronous(name):
        async def hook(self, *args, **kwargs):
            await asyncio.sleep(0)
            self.calls.append((name, args, kwargs))

        return hook

    body = {name: (asynchronous if wait else sync)(name) for name in hooks or HOOKS}
    body["__init__"] = lambda self: setattr(self, "calls", [])
    body["names"] = property(lambda self: [name for name, _, _ in self.calls])
    return type("Recording", (base,), body)


Everything = recording(BaseCallbackHandler)
EverythingAwaited = recording(AsyncCallbackHandler, wait=True)
both_kinds = pytest.mark.parametrize("kind", [Everything, EverythingAwaited])


class Library(BaseRetriever):
    def _get_relevant_documents(self, query, *, run_manager):
        if query == "burnt":
            raise OSError("no such book")
        return [Document(page_content=query)]


class Burnt(FakeListLLM):
    def _generate(self, *args, **kwargs):
        raise OSError("no model")

    async def _agenerate(self, *args, **kwargs):
        raise OSError("no model")


class BurntChat(FakeListChatModel):
    def _generate(self, *args, **kwargs):
        raise OSError("no model")

    async def _agenerate(self, *args, **kwargs):
        raise OSError("no model")


class Hammer(Barrier, Runnable):
    _run_type = "tool"

    def _value(self, value, run, kw):
        if value == "thumb":
            raise ValueError("ouch")
        return f"hit {value}"

    async def _avalue(self, value, run, kw):
        return self._value(value, run, kw)


def chat():
    prompt = ChatPromptTemplate.from_messages([("system", "be nice"), ("human", "{q}")])
    return prompt | FakeListChatModel(responses=["foo"]) | StrOutputParser()


# ---- hooks and their arguments ------------------------------------------------------------------


@every_colour
@both_kinds
def test_a_chain_of_prompt_model_and_parser(colour, kind):
    def body(doors):
        handler = kind()
        assert doors.invoke(chat(), {"q": "hi"}, {"callbacks": [handler]}) == "foo"
        assert handler.names == [
            *("on_chain_start", "on_chain_start", "on_chain_end"),
            *("on_chat_model_start", "on_llm_end"),
            *("on_chain_start", "on_chain_end", "on_chain_end"),
        ]
        starts = [kw for name, _, kw in handler.calls if name.endswith("_start")]
        assert [kw["name"] for kw in starts] == [
            *("RunnableSequence", "ChatPromptTemplate", "FakeListChatModel", "StrOutputParser"),
        ]
        root = starts[0]["run_id"]
        assert isinstance(root, UUID)
        assert [kw["parent_run_id"] for kw in starts] == [None, root, root, root]
        assert [kw["tags"] for kw in starts[1:]] == [[f"seq:step:{n}"] for n in (1, 2, 3)]
        assert [kw.get("run_type") for kw in starts] == ["chain", "prompt", None, "parser"]

    colour.run(body)


@every_colour
@both_kinds
@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_a_chat_model_knows_its_messages_when_it_starts(colour, kind, way):
    def body(doors):
        handler = kind()
        getattr(doors, way)(chat(), {"q": "hi"}, {"callbacks": [handler]})
        ((serialized, messages),) = [a for n, a, _ in handler.calls if n == "on_chat_model_start"]
        assert [[m.content for m in row] for row in messages] == [["be nice", "hi"]]
        assert serialized["name"] == "FakeListChatModel"
        assert "responses" not in str(serialized)

    colour.run(body)


@every_colour
@both_kinds
def test_tokens_come_one_by_one_and_the_answer_at_the_end(colour, kind):
    def body(doors):
        handler = kind()
        doors.stream(chat(), {"q": "hi"}, {"callbacks": [handler]})
        tokens = [(a, kw) for name, a, kw in handler.calls if name == "on_llm_new_token"]
        assert [args for args, _ in tokens] == [("f",), ("o",), ("o",)]
        assert all(isinstance(kw["chunk"], ChatGenerationChunk) for _, kw in tokens)
        (run_id,) = {kw["run_id"] for _, kw in tokens}
        ((end, told),) = [(a, kw) for name, a, kw in handler.calls if name == "on_llm_end"]
        assert told["run_id"] == run_id
        assert isinstance(end[0], LLMResult)
        assert end[0].generations[0][0].text == "foo"

    colour.run(body)


@every_colour
def test_text_models_tools_and_retrievers_have_hooks_of_their_own(colour):
    def body(doors):
        handler = Everything()
        config = {"callbacks": [handler], "metadata": {"m": 1}}
        doors.stream(FakeStreamingListLLM(responses=["ab"]), "q", config)
        doors.invoke(Library(), "moby", config)
        doors.invoke(Hammer(), "nail", config)
        doors.invoke(Hammer(), {"on": "nail"}, config)
        assert handler.names == [
            *("on_llm_start", "on_llm_new_token", "on_llm_new_token", "on_llm_end"),
            *("on_retriever_start", "on_retriever_end"),
            *("on_tool_start", "on_tool_end") * 2,
        ]
        calls = [args for _, args, _ in handler.calls]
        assert calls[0][1] == ["q"]
        assert calls[3][0].generations[0][0].text == "ab"
        assert calls[4][1] == "moby"
        assert calls[5][0] == [Document(page_content="moby")]
        assert [calls[6][1], calls[7][0]] == ["nail", "hit nail"]
        assert handler.calls[6][2]["inputs"] is None
        assert handler.calls[8][2]["inputs"] == {"on": "nail"}
        assert all(kw["metadata"]["m"] == 1 for n, _, kw in handler.calls if n.endswith("start"))

    colour.run(body)


@every_colour
@both_kinds
@pytest.mark.parametrize(
    ("step", "value", "hook", "error"),
    [
        (Library(), "burnt", "on_retriever_error", OSError),
        (Hammer(), "thumb", "on_tool_error", ValueError),
        (RunnableLambda(lambda x: 1 // x), 0, "on_chain_error", ZeroDivisionError),
        (Burnt(responses=["x"]), "q", "on_llm_error", OSError),
        (BurntChat(responses=["x"]), "q", "on_llm_error", OSError),
    ],
)
def test_a_failure_goes_to_the_error_hook_of_its_kind(colour, kind, step, value, hook, error):
    def body(doors):
        handler = kind()
        with pytest.raises(error) as info:
            doors.invoke(step, value, {"callbacks": [handler]})
        ((args, told),) = [(a, kw) for name, a, kw in handler.calls if name == hook]
        assert args[0] is info.value
        assert ("response" in told) == (hook == "on_llm_error")
        assert handler.names.count(hook) == 1
        assert not any(name.endswith("_end") for name in handler.names)

    colour.run(body)


@every_colour
def test_an_input_that_streams_is_known_at_the_end(colour):
    def body(doors):
        handler = Everything()
        doors.transform(StrOutputParser(), ["a", "b"], {"callbacks": [handler]})
        (start, end) = handler.calls
        assert start[1][1] == {"input": ""}
        assert end[2]["inputs"] == "ab"
        assert end[1] == ("ab",)

    colour.run(body)


@every_colour
@both_kinds
def test_a_run_that_is_left_is_an_error_with_what_had_come(colour, kind):
    def body(doors):
        handler = kind()
        stream = doors.open(chat(), {"q": "hi"}, {"callbacks": [handler]})
        assert stream.next() == "f"
        stream.close()
        errors = {n: (a, kw) for n, a, kw in handler.calls if n.endswith("_error")}
        ends = Counter(handler.names)
        assert ends["on_llm_error"] == 1
        assert ends["on_chain_error"] == 2  # the parser and the chain
        assert ends["on_chain_end"] == 1  # the prompt was done
        (error,), told = errors["on_llm_error"]
        assert isinstance(error, RunCancelledError)
        assert error.partial.content == "f"
        assert told["response"].generations[0][0].text == "f"

    colour.run(body)


@both_kinds
def test_a_cancelled_task_is_an_error_told_before_the_task_ends(kind):
    async def main():
        handler, here = kind(), asyncio.Event()

        async def wait(x):
            here.set()
            await asyncio.Event().wait()

        chain = RunnableLambda(wait) | RunnableLambda(len)
        task = asyncio.ensure_future(chain.ainvoke("x", {"callbacks": [handler]}))
        await here.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert handler.names == ["on_chain_start"] * 2 + ["on_chain_error"] * 2
        return [a[0] for n, a, _ in handler.calls if n.endswith("_error")]

    assert all(isinstance(error, RunCancelledError) for error in asyncio.run(main()))


@every_colour
@both_kinds
def test_a_custom_event_comes_with_its_run(colour, kind):
    def reports(x):
        run = current_run()
        run.custom("halfway", {"at": x})
        return x

    def body(doors):
        handler, run_id = kind(), uuid4()
        config = {"callbacks": [handler], "run_id": run_id, "tags": ["t"], "metadata": {"m": 1}}
        doors.invoke(RunnableLambda(reports), 5, config)
        assert handler.names == ["on_chain_start", "on_custom_event", "on_chain_end"]
        _, args, told = handler.calls[1]
        assert args == ("halfway", {"at": 5})
        assert told == {"run_id": run_id, "tags": ["t"], "metadata": {"m": 1}}

    colour.run(body)


@every_colour
@both_kinds
def test_a_batch_gives_each_input_its_runs(colour, kind):
    def body(doors):
        handler, ids = kind(), [uuid4() for _ in range(3)]
        configs = [{"callbacks": [handler], "run_id": run_id} for run_id in ids]
        assert doors.batch(chat(), [{"q": str(n)} for n in range(3)], configs) == ["foo"] * 3
        roots = {kw["run_id"]: kw for n, _, kw in handler.calls if not kw["parent_run_id"]}
        assert set(roots) == set(ids)
        assert Counter(handler.names) == {
            "on_chain_start": 9, "on_chain_end": 9, "on_chat_model_start": 3, "on_llm_end": 3,
        }  # fmt: skip

    colour.run(body)


@every_colour
@both_kinds
def test_branches_and_nested_calls_are_told_once_each(colour, kind):
    inner = RunnableLambda(len, name="inner")
    outer = RunnableLambda(lambda text: inner.invoke(text) + inner.invoke(text), name="outer")

    def body(doors):
        handler = kind()
        config = {"callbacks": [handler, handler]}
        assert doors.invoke(RunnableParallel(a=outer, b=inner), "xy", config) == {"a": 4, "b": 2}
        starts = [kw for n, _, kw in handler.calls if n == "on_chain_start"]
        by_name = Counter(kw["name"] for kw in starts)
        assert by_name == {"RunnableParallel<a,b>": 1, "outer": 1, "inner": 3}
        ids = {kw["run_id"]: kw["name"] for kw in starts}
        above = Counter(ids[kw["parent_run_id"]] for kw in starts if kw["name"] == "inner")
        assert above == {"outer": 2, "RunnableParallel<a,b>": 1}

    colour.run(body)


# ---- what a chat model start falls back on ------------------------------------------------------

TextOnly = recording(BaseCallbackHandler, "on_llm_start")
TextOnlyAwaited = recording(AsyncCallbackHandler, "on_llm_start", wait=True)


class Refuses(TextOnly):
    def on_chat_model_start(self, serialized, messages, **kwargs):
        raise NotImplementedError


class RefusesAwaited(TextOnlyAwaited):
    async def on_chat_model_start(self, serialized, messages, **kwargs):
        await super().on_chat_model_start(serialized, messages, **kwargs)


@every_colour
@pytest.mark.parametrize("kind", [TextOnly, TextOnlyAwaited, Refuses, RefusesAwaited])
def test_a_handler_of_text_models_gets_a_chat_models_prompt_as_text(colour, kind):
    def body(doors):
        handler = kind()
        doors.invoke(chat(), {"q": "hi"}, {"callbacks": [handler]})
        ((_, args, _),) = handler.calls
        assert args[1] == ["System: be nice\nHuman: hi"]

    colour.run(body)


# ---- filters and costs --------------------------------------------------------------------------


class Deaf(Everything):
    ignore_chain = True
    ignore_chat_model = True

    @property
    def ignore_llm(self):
        return True


def _no_call(event):
    raise AssertionError(f"the arguments of {event} were made for nobody")


@every_colour
def test_a_filter_acts_before_the_arguments_are_made(colour, monkeypatch):
    for by_kind in Deaf._hook_rows.values():
        for name, row in list(by_kind.items()):
            if row is not None:
                monkeypatch.setitem(by_kind, name, row._replace(build=_no_call))

    def body(doors):
        handler = Deaf()
        handler.raise_error = True
        doors.stream(chat(), {"q": "hi"}, {"callbacks": [handler]})
        assert handler.calls == []

    colour.run(body)


def test_a_hook_that_nobody_wrote_is_in_no_table():
    assert BaseCallbackHandler._hook_rows == {}
    only = recording(BaseCallbackHandler, "on_llm_new_token")
    assert [sorted(kinds) for kinds in only._hook_rows.values()] == [["chat_model", "llm"]]
    assert only.aon_event is None
    assert recording(AsyncCallbackHandler, "on_llm_end", wait=True).aon_event is not None


@both_drivers
def test_without_an_observer_nothing_is_made(colour, monkeypatch):
    made = Counter()
    for name in ("RunStarted", "RunChunk", "RunEnded"):
        monkeypatch.setattr(f"headrace.run.{name}", lambda *a, name=name: made.update([name]))
    for by_kind in dispatch.ROWS.values():
        for row in by_kind.values():
            monkeypatch.setitem(by_kind, next(k for k, r in by_kind.items() if r is row),
                                row._replace(build=_no_call))  # fmt: skip

    def body(doors):
        assert doors.stream(chat(), {"q": "hi"}) == ["f", "o", "o"]
        assert doors.invoke(chat(), {"q": "hi"}) == "foo"
        assert not made

    colour.run(body)


@every_colour
@both_kinds
def test_handlers_and_what_they_were_told_of_die_with_the_run(colour, kind):
    class Value(str):
        pass

    def body(doors):
        handler, value = kind(), Value("x")
        dead = [weakref.ref(handler)]
        chain = RunnableLambda(len) | RunnableLambda(lambda n: n)
        doors.invoke(chain, value, {"callbacks": [handler]})
        stream = doors.open(chain, value, {"callbacks": [handler]})
        stream.next()
        stream.close()
        handler.calls.clear()
        doors.opened.clear()
        del handler, stream
        gc.collect()
        assert [ref() for ref in dead] == [None]

    colour.run(body)


# ---- handlers that fail -------------------------------------------------------------------------


class Fails(BaseCallbackHandler):
    def on_chain_start(self, serialized, inputs, **kwargs):
        raise RuntimeError("hook")


class FailsAwaited(AsyncCallbackHandler):
    async def on_chain_start(self, serialized, inputs, **kwargs):
        raise RuntimeError("hook")


both_failures = pytest.mark.parametrize("kind", [Fails, FailsAwaited])


@every_colour
@both_failures
def test_a_failing_hook_is_logged_by_name(colour, kind, caplog):
    def body(doors):
        with caplog.at_level(logging.ERROR, logger="headrace"):
            assert doors.invoke(RunnableLambda(len), "ab", {"callbacks": [kind()]}) == 2
        (record,) = caplog.records
        assert kind.__name__ in record.getMessage()
        assert "hook" in record.exc_text

    colour.run(body)


@every_colour
@both_failures
def test_a_failing_hook_is_raised_where_that_is_asked_for(colour, kind):
    def body(doors):
        handler = kind()
        handler.raise_error = True
        with pytest.raises(RuntimeError, match="hook"):
            doors.invoke(RunnableLambda(len), "ab", {"callbacks": [handler]})

    colour.run(body)


# ---- components with handlers of their own ------------------------------------------------------


@every_colour
@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_a_components_own_handlers_hear_of_it_alone_and_once(colour, way):
    def body(doors):
        handler = Everything()
        model = FakeListChatModel(responses=["foo"], callbacks=[handler])
        chain = chat().first | model | StrOutputParser()
        getattr(doors, way)(chain, {"q": "hi"})
        assert set(handler.names) <= {"on_chat_model_start", "on_llm_new_token", "on_llm_end"}
        assert handler.names.count("on_llm_end") == 1
        assert handler.calls[0][2]["parent_run_id"] is None
        getattr(doors, way)(chain, {"q": "hi"}, {"callbacks": [handler]})
        assert handler.names.count("on_llm_end") == 2
        getattr(doors, way)(model, "hi")
        assert handler.names.count("on_llm_end") == 3

    colour.run(body)


@every_colour
def test_own_handlers_of_prompts_and_parsers_inside_branches(colour):
    def body(doors):
        handler = Everything()
        parser = StrOutputParser(callbacks=[handler])
        both = RunnableParallel(a=parser | RunnableLambda(lambda x: x), b=parser)
        assert doors.invoke(both, "x") == {"a": "x", "b": "x"}
        assert Counter(handler.names) == {"on_chain_start": 2, "on_chain_end": 2}
        doors.transform(RunnableLambda(lambda x: x) | both, ["x"])
        assert Counter(handler.names) == {"on_chain_start": 4, "on_chain_end": 4}
        assert {kw["name"] for n, _, kw in handler.calls if n == "on_chain_start"} == {
            "StrOutputParser"
        }

    colour.run(body)


def test_own_handlers_are_no_part_of_a_components_repr_or_dump():
    parser = StrOutputParser(callbacks=[Everything()])
    assert repr(parser) == "StrOutputParser()"
    assert "callbacks" not in parser.model_dump()


# ---- awaited hooks ------------------------------------------------------------------------------


class Slow(AsyncCallbackHandler):
    def __init__(self):
        self.log = []

    async def on_chain_start(self, serialized, inputs, *, name, **kwargs):
        await asyncio.sleep(0.001)
        self.log.append(f"{name} starts")

    async def on_chain_end(self, outputs, **kwargs):
        await asyncio.sleep(0.001)
        self.log.append(f"{outputs} ends")


@every_colour
def test_awaited_hooks_keep_the_order_of_events_across_branches(colour):
    def body(doors):
        seen = []

        class Watch:
            def on_event(self, event):
                kind = type(event).__name__
                if kind == "RunStarted":
                    seen.append(f"{event.run.name} starts")
                elif kind == "RunEnded":
                    seen.append(f"{event.output} ends")

        handler = Slow()
        steps = {str(n): RunnableLambda(lambda x, n=n: x + n, name=f"f{n}") for n in range(4)}
        chain = RunnableLambda(lambda x: x, name="one") | RunnableParallel(steps)
        doors.invoke(chain, 1, {"callbacks": [handler, Watch()]})
        assert sorted(handler.log) == sorted(seen)
        assert len(handler.log) == 2 * 7
        assert handler.log[0] == "RunnableSequence starts"
        assert handler.log[-1] == f"{dict(zip('0123', range(1, 5), strict=True))} ends"
        if colour is ASYNC:
            assert handler.log == seen

    colour.run(body)


def test_a_hook_has_run_before_the_step_goes_on():
    async def main():
        handler, order = Slow(), []

        async def agen(chunks):
            order.append(list(handler.log))
            async for chunk in chunks:
                yield chunk

        async def feed():
            yield "x"

        step = RunnableGenerator(agen, name="g")
        stream = step.atransform(feed(), {"callbacks": [handler]})
        order += [chunk async for chunk in stream]
        return order, handler.log

    order, log = asyncio.run(main())
    assert order == [["g starts"], "x"]
    assert log == ["g starts", "x ends"]


def test_a_sync_part_of_an_async_run_is_told_of_in_the_same_loop_and_order():
    class Where(AsyncCallbackHandler):
        def __init__(self):
            self.log = []

        async def on_chain_start(self, serialized, inputs, *, name, **kwargs):
            self.log.append((name, asyncio.get_running_loop()))

        async def on_chain_end(self, outputs, **kwargs):
            self.log.append((outputs, asyncio.get_running_loop()))

    inner = RunnableLambda(len, name="inner")
    outer = RunnableLambda(lambda text: inner.invoke(text) + 1, name="outer")

    async def main():
        handler = Where()
        assert await outer.ainvoke("ab", {"callbacks": [handler]}) == 3
        assert {loop for _, loop in handler.log} == {asyncio.get_running_loop()}
        return [name for name, _ in handler.log]

    assert asyncio.run(main()) == ["outer", "inner", 2, 3]


def test_what_a_hook_invokes_is_no_part_of_the_run_and_hangs_nothing():
    small = RunnableLambda(len, name="small")

    class Invokes(AsyncCallbackHandler):
        def __init__(self):
            self.seen = []

        async def on_chain_end(self, outputs, **kwargs):
            self.seen.append((outputs, await small.ainvoke("abc")))

    inner = RunnableLambda(len, name="inner")

    @RunnableLambda
    async def outer(text):
        return await inner.ainvoke(text)

    async def main():
        handler = Invokes()
        async with asyncio.timeout(5):
            await outer.ainvoke("ab", {"callbacks": [handler]})
        return handler.seen

    assert asyncio.run(main()) == [(2, 3), (2, 3)]


@pytest.mark.parametrize("cancels", [1, 2])
def test_an_end_hook_is_finished_though_its_task_is_cancelled_meanwhile(cancels):
    async def main():
        begun, go_on = asyncio.Event(), asyncio.Event()
        finished = []

        class Patient(AsyncCallbackHandler):
            async def on_chain_end(self, outputs, **kwargs):
                begun.set()
                await go_on.wait()
                finished.append(outputs)

        run = RunnableLambda(len).ainvoke("ab", {"callbacks": [Patient()]})
        task = asyncio.ensure_future(run)
        await begun.wait()
        for _ in range(cancels):
            task.cancel()
            await asyncio.sleep(0)
        assert not task.done()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        return finished

    assert asyncio.run(main()) == [2]


def test_messages_reach_the_hook_whatever_form_the_input_had():
    for value in ("hi", [("human", "hi")], HumanMessage("hi"), [HumanMessage("hi")]):
        handler = Everything()
        FakeListChatModel(responses=["x"]).invoke(value, {"callbacks": [handler]})
        assert handler.calls[0][1][1] == [[HumanMessage("hi")]]


def test_a_whole_message_is_an_answer_and_no_token():
    class Told(BaseCallbackHandler):
        tokens = 0

        def on_llm_new_token(self, token, **kwargs):
            self.tokens += 1

    handler = Told()
    model = FakeListChatModel(responses=["abc"], disable_streaming=True)
    (answer,) = model.stream("x", {"callbacks": [handler]})
    assert isinstance(answer, AIMessage)
    assert not isinstance(answer, AIMessageChunk)
    assert handler.tokens == 0
