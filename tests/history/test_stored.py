"""History: each side is stored once, and the same whatever the door, the colour and the shape."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from headrace.chat_history import BaseChatMessageHistory, InMemoryChatMessageHistory
from headrace.config import ConfigurableFieldSpec
from headrace.errors import AsyncOnlyError, ConfigError, InputError
from headrace.events import RunEnded, RunFailed, RunStarted
from headrace.language_models import FakeListChatModel, GenericFakeChatModel
from headrace.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage, ToolMessage
from headrace.output_parsers import StrOutputParser
from headrace.prompts import ChatPromptTemplate, MessagesPlaceholder
from headrace.runnables import RunnableLambda, RunnableWithMessageHistory
from laws.colours import ASYNC, every_colour
from laws.events import check_events
from laws.ledger import Recorder


class Store(dict[Any, InMemoryChatMessageHistory]):
    def __call__(self, key: Any) -> InMemoryChatMessageHistory:
        return self.setdefault(key, InMemoryChatMessageHistory())

    def said(self, key: Any) -> list[tuple[str, Any]]:
        return [(m.type, m.content) for m in self[key].messages]


def session(key: Any, **more: Any) -> dict[str, Any]:
    return {"configurable": {"session_id": key}, **more}


def count(messages: Any) -> str:
    return f"message {len(messages)}"


def spelt(messages: Any) -> Any:
    yield from count(messages)


DOORS = {
    "invoke": lambda d, r, x, c: d.invoke(r, x, c),
    "stream": lambda d, r, x, c: "".join(map(str, d.stream(r, x, c))),
    "transform": lambda d, r, x, c: "".join(map(str, d.transform(r, [x], c))),
    "batch": lambda d, r, x, c: d.batch(r, [x], c)[0],
    "as_completed": lambda d, r, x, c: d.as_completed(r, [x], c)[0][1],
}
ANSWERS = {
    "function": lambda: RunnableLambda(count),
    "generator": lambda: RunnableLambda(spelt),
    "model": lambda: FakeListChatModel(responses=["message 1", "message 3"]) | StrOutputParser(),
}


@every_colour
@pytest.mark.parametrize("observed", [False, True])
@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("answer", ANSWERS)
def test_both_sides_are_stored_once(colour, answer, door, observed):
    def body(doors: Any) -> None:
        store, seen = Store(), Recorder()
        chain = RunnableWithMessageHistory(ANSWERS[answer](), store)
        config = session("s", **(seen.config if observed else {}))
        assert DOORS[door](doors, chain, "hi", config) == "message 1"
        assert DOORS[door](doors, chain, "and?", config) == "message 3"
        assert store.said("s") == [
            ("human", "hi"), ("ai", "message 1"), ("human", "and?"), ("ai", "message 3"),
        ]  # fmt: skip
        if observed:
            check_events(seen.events, 2)

    colour.run(body)


@every_colour
@pytest.mark.parametrize("door", DOORS)
def test_a_streamed_answer_is_stored_as_invoke_stores_it(colour, door):
    def body(doors: Any) -> None:
        answer = AIMessage("two words", id="a", response_metadata={"by": "fake"})
        store = Store()
        chain = RunnableWithMessageHistory(GenericFakeChatModel(messages=iter([answer])), store)
        DOORS[door](doors, chain, [HumanMessage("hi", name="ann")], session("s"))
        human, stored = store["s"].messages
        assert human == HumanMessage("hi", name="ann")
        assert (type(stored), stored.content, stored.id) == (AIMessage, "two words", "a")
        assert "interrupted" not in stored.response_metadata

    colour.run(body)


# ---- shapes of inputs and outputs ---------------------------------------------------------------

HI = HumanMessage("hi")
INPUTS = {
    "text": ("hi", {}),
    "message": (HI, {}),
    "messages": ([HI], {}),
    "tuple": ((HI,), {}),
    "nested": ([[HI]], {}),
    "key": ({"question": "hi"}, {"input_messages_key": "question"}),
    "key-message": ({"question": HI, "x": 1}, {"input_messages_key": "question"}),
    "key-messages": ({"question": [HI]}, {"input_messages_key": "question"}),
    "two-keys": (
        {"question": "hi", "x": 1},
        {"input_messages_key": "question", "history_messages_key": "past"},
    ),
}
AI = AIMessage("yes", id="1")
OUTPUTS = {
    "text": ("yes", {}, [AIMessage("yes")]),
    "message": (AI, {}, [AI]),
    "chunk": (AIMessageChunk(content="yes", id="1"), {}, [AI]),
    "messages": ([AI, ToolMessage("4", tool_call_id="t")], {},
                 [AI, ToolMessage("4", tool_call_id="t")]),
    "tuple": ((AI,), {}, [AI]),
    "chunks": ([AIMessageChunk(content="yes", id="1")], {}, [AI]),
    "only-key": ({"anything": "yes"}, {}, [AIMessage("yes")]),
    "usual-key": ({"output": AI, "x": 1}, {}, [AI]),
    "key": ({"answer": [AI], "x": 1}, {"output_messages_key": "answer"}, [AI]),
}  # fmt: skip


@every_colour
@pytest.mark.parametrize("given", INPUTS)
@pytest.mark.parametrize("door", ["invoke", "stream"])
def test_shapes_of_inputs(colour, given, door):
    def body(doors: Any) -> None:
        value, keys = INPUTS[given]
        store, got = Store(), []
        store("s").add_message(SystemMessage("be kind"))

        def answer(x: Any) -> str:
            got.append(x)
            return "yes"

        chain = RunnableWithMessageHistory(RunnableLambda(answer), store, **keys)
        assert DOORS[door](doors, chain, value, session("s")) == "yes"
        assert store.said("s") == [("system", "be kind"), ("human", "hi"), ("ai", "yes")]
        if "history_messages_key" in keys:
            assert got == [{"question": "hi", "x": 1, "past": [SystemMessage("be kind")]}]
        elif keys:
            assert got == [{**value, "question": [SystemMessage("be kind"), HI]}]
        else:
            assert got == [[SystemMessage("be kind"), HI]]

    colour.run(body)


@every_colour
@pytest.mark.parametrize("given", OUTPUTS)
def test_shapes_of_outputs(colour, given):
    def body(doors: Any) -> None:
        value, keys, expected = OUTPUTS[given]
        store = Store()
        chain = RunnableWithMessageHistory(RunnableLambda(lambda _: value), store, **keys)
        assert doors.invoke(chain, "hi", session("s")) == value
        assert doors.stream(chain, "hi", session("s")) == [value]
        assert store["s"].messages == [HI, *expected, HI, *expected]

    colour.run(body)


@every_colour
def test_what_can_be_no_message_says_so_and_stores_nothing(colour):
    def body(doors: Any) -> None:
        store = Store()
        chain = RunnableWithMessageHistory(RunnableLambda(lambda _: 7), store)
        with pytest.raises(InputError, match="The output 7 is neither text nor messages"):
            doors.invoke(chain, "hi", session("s"))
        with pytest.raises(InputError, match="The input 7 is neither"):
            doors.invoke(chain, 7, session("s"))
        keyed = RunnableWithMessageHistory(RunnableLambda(len), store, input_messages_key="q")
        with pytest.raises(InputError, match="input_messages_key='q' names no key of the input, w"):
            doors.invoke(keyed, {"x": 1, 2: 3}, session("s"))
        with pytest.raises(
            InputError, match=r"'input' is no key of the input, which has \['x', 2\]"
        ):
            doors.invoke(chain, {"x": 1, 2: 3}, session("s"))
        answer = RunnableWithMessageHistory(
            RunnableLambda(lambda _: {"x": "1"}), store, output_messages_key="q"
        )
        with pytest.raises(InputError, match="output_messages_key='q' names no key of the output"):
            doors.invoke(answer, "hi", session("s"))
        with pytest.raises(InputError, match="must be a dict"):
            doors.invoke(keyed, "hi", session("s"))
        assert store["s"].messages == []

    colour.run(body)


@every_colour
def test_with_a_prompt_that_has_a_place_for_the_past(colour):
    def body(doors: Any) -> None:
        store = Store()
        prompt = ChatPromptTemplate.from_messages(
            [("system", "be {mood}"), MessagesPlaceholder("past"), ("human", "{question}")]
        )
        chain = prompt | RunnableLambda(lambda p: count(p.to_messages()))
        chain = RunnableWithMessageHistory(
            chain, store, input_messages_key="question", history_messages_key="past"
        )
        ask = {"mood": "kind", "question": "hi"}
        assert doors.invoke(chain, ask, session("s")) == "message 2"
        assert doors.stream(chain, ask, session("s")) == ["message 4"]

    colour.run(body)


# ---- which conversation -------------------------------------------------------------------------


def spec(key: str) -> ConfigurableFieldSpec:
    return ConfigurableFieldSpec(key, str, key, key, "", is_shared=True)


@every_colour
def test_several_keys_go_to_the_function_by_name(colour):
    def body(doors: Any) -> None:
        store = Store()

        def of(*, user: str, thread: str) -> Any:
            return store((user, thread))

        chain = RunnableWithMessageHistory(
            RunnableLambda(count), of, history_factory_config=[spec("user"), spec("thread")]
        )
        for user, thread in [("ann", "1"), ("ann", "2"), ("bob", "1"), ("ann", "1")]:
            doors.invoke(chain, "hi", {"configurable": {"user": user, "thread": thread}})
        assert {key: len(history.messages) for key, history in store.items()} == {
            ("ann", "1"): 4, ("ann", "2"): 2, ("bob", "1"): 2,
        }  # fmt: skip
        assert {"user", "thread"} <= {s.id for s in chain.config_specs}
        with pytest.raises(ConfigError, match=r"lacks 'thread' \(it has \['user'\]\)"):
            doors.invoke(chain, "hi", {"configurable": {"user": "ann"}})

    colour.run(body)


@every_colour
def test_functions_of_ones_own(colour):
    def body(doors: Any) -> None:
        alone = InMemoryChatMessageHistory()
        chain = RunnableWithMessageHistory(RunnableLambda(count), lambda: alone)
        assert [doors.invoke(chain, "hi"), doors.invoke(chain, "hi")] == ["message 1", "message 3"]
        assert len(alone.messages) == 4
        store = Store()

        def named(*, session_id: str) -> Any:
            return store(session_id)

        doors.invoke(RunnableWithMessageHistory(RunnableLambda(count), named), "x", session("k"))
        assert store.said("k") == [("human", "x"), ("ai", "message 1")]

    colour.run(body)


@every_colour
def test_keys_and_parameters_that_do_not_agree(colour):
    def body(doors: Any) -> None:
        def of(user: str, other: str) -> Any:
            raise AssertionError

        keys = [spec("user"), spec("thread")]
        with pytest.raises(ConfigError, match=r"keys \['user', 'thread'\]: missing.*'other'"):
            RunnableWithMessageHistory(RunnableLambda(count), of, history_factory_config=keys)
        with pytest.raises(ConfigError, match=r"keys \['session_id'\]: missing.*'other'"):
            RunnableWithMessageHistory(RunnableLambda(count), of)
        chain = RunnableWithMessageHistory(RunnableLambda(count), Store())
        with pytest.raises(ConfigError, match=r"lacks 'session_id' \(it has \['thread'\]\)\. Call"):
            doors.invoke(chain, "hi", {"configurable": {"thread": "1"}})

    colour.run(body)


async def test_a_coroutine_function_serves_async_runs():
    store = Store()

    async def of(session_id: str) -> Any:
        await asyncio.sleep(0)
        return store(session_id)

    chain = RunnableWithMessageHistory(RunnableLambda(count), of)
    assert await chain.ainvoke("hi", session("s")) == "message 1"
    assert store.said("s") == [("human", "hi"), ("ai", "message 1")]
    with pytest.raises(ConfigError, match="only async runs can await"):
        chain.invoke("hi", session("s"))


def test_what_a_history_cannot_be_made_of_is_refused_when_it_is_made():
    step = RunnableLambda(count)
    with pytest.raises(ConfigError, match=r"get_session_history is None: .*lambda: history"):
        RunnableWithMessageHistory(step, None)
    with pytest.raises(ConfigError, match="get_session_history is InMemory"):
        RunnableWithMessageHistory(step, InMemoryChatMessageHistory())
    with pytest.raises(ConfigError, match="history_factory_config holds 'user'"):
        RunnableWithMessageHistory(step, Store(), history_factory_config=["user"])
    with pytest.raises(ConfigError, match="cannot be called with the keys"):
        RunnableWithMessageHistory(step, lambda *, user: user)


@every_colour
@pytest.mark.parametrize("found", [None, [], {}, "text"], ids=repr)
def test_what_is_no_history_is_told_before_anything_runs(colour, found):
    def body(doors: Any) -> None:
        asked: list[Any] = []
        chain = RunnableWithMessageHistory(RunnableLambda(asked.append), lambda: found)
        for door in (doors.invoke, doors.stream):
            with pytest.raises(ConfigError, match=r"gave .* which is no history.*'messages'"):
                door(chain, "hi")
        assert asked == []

    colour.run(body)


class OnlyAsync:
    def __init__(self) -> None:
        self.kept: list[Any] = []

    async def aget_messages(self) -> list[Any]:
        return self.kept

    async def aadd_messages(self, messages: Any) -> None:
        self.kept.extend(messages)


async def test_a_history_that_is_only_async():
    history = OnlyAsync()
    asked: list[Any] = []
    chain = RunnableWithMessageHistory(RunnableLambda(asked.append), lambda: history)
    with pytest.raises(AsyncOnlyError, match=r"OnlyAsync has no 'messages'.*ainvoke"):
        chain.invoke("hi")
    assert asked == []
    await RunnableWithMessageHistory(RunnableLambda(count), lambda: history).ainvoke("hi")
    assert [m.content for m in history.kept] == ["hi", "message 1"]


def test_asking_whether_it_is_a_history_reads_nothing():
    reads: list[str] = []

    class Slow:
        @property
        def messages(self) -> list[Any]:
            reads.append("read")
            return []

        def add_messages(self, messages: Any) -> None:
            reads.append("added")

    RunnableWithMessageHistory(RunnableLambda(count), Slow).invoke("hi")
    assert reads == ["read", "added"]


@every_colour
def test_conversations_at_the_same_time_do_not_mix(colour):
    def body(doors: Any) -> None:
        store = Store()
        both = threading.Barrier(4, timeout=5)

        def slow(messages: Any) -> str:
            both.wait()
            return f"to {messages[-1].content}"

        chain = RunnableWithMessageHistory(RunnableLambda(slow), store)
        names = list("abcd")
        configs = [session(name) for name in names]
        for _ in range(3):
            assert doors.batch(chain, names, configs) == [f"to {name}" for name in names]
        for name in names:
            assert store.said(name) == [("human", name), ("ai", f"to {name}")] * 3

    colour.run(body)


# ---- histories of other kinds -------------------------------------------------------------------


class Waiting(BaseChatMessageHistory):
    """Async for real; its sync methods are not for async runs."""

    def __init__(self) -> None:
        self.kept: list[Any] = []

    @property
    def messages(self) -> Any:
        raise AssertionError("the sync property, in an async run")

    def add_messages(self, messages: Any) -> None:
        raise AssertionError("the sync method, in an async run")

    async def aget_messages(self) -> Any:
        await asyncio.sleep(0)
        return self.kept

    async def aadd_messages(self, messages: Any) -> None:
        await asyncio.sleep(0)
        self.kept.extend(messages)

    def clear(self) -> None:
        self.kept.clear()


class Blocking(BaseChatMessageHistory):
    """Sync methods only; they tell in which thread they were called."""

    def __init__(self) -> None:
        self.kept: list[Any] = []
        self.threads: list[str] = []

    @property
    def messages(self) -> Any:
        self.threads.append(threading.current_thread().name)
        return self.kept

    def add_messages(self, messages: Any) -> None:
        self.threads.append(threading.current_thread().name)
        self.kept.extend(messages)

    def clear(self) -> None:
        self.kept.clear()


class Duck:
    """No class of ours, and nothing async."""

    add_messages = Blocking.add_messages
    messages = Blocking.messages
    __init__ = Blocking.__init__


async def test_an_async_history_is_awaited():
    history = Waiting()
    chain = RunnableWithMessageHistory(RunnableLambda(count), lambda: history)
    assert await chain.ainvoke("hi") == "message 1"
    assert [chunk async for chunk in chain.astream("hi")] == ["message 3"]
    assert len(history.kept) == 4


@every_colour
@pytest.mark.parametrize("kind", [Blocking, Duck])
def test_a_sync_history_blocks_no_event_loop(colour, kind):
    def body(doors: Any) -> None:
        history = kind()
        chain = RunnableWithMessageHistory(RunnableLambda(count), lambda: history)
        assert doors.invoke(chain, "hi") == "message 1"
        assert doors.stream(chain, "hi") == ["message 3"]
        own = {threading.current_thread().name}
        if colour is ASYNC:
            assert all(name.startswith("headrace-pool") for name in history.threads)
        else:
            assert set(history.threads) == own
        assert len(history.threads) == 4

    colour.run(body)


# ---- failures -----------------------------------------------------------------------------------


@every_colour
@pytest.mark.parametrize("door", ["invoke", "stream"])
def test_an_error_stores_nothing(colour, door):
    def failing(messages: Any) -> Any:
        yield "a "
        raise ConnectionError("line cut")

    def body(doors: Any) -> None:
        store = Store()
        chain = RunnableWithMessageHistory(RunnableLambda(failing), store)
        with pytest.raises(ConnectionError, match="line cut"):
            DOORS[door](doors, chain, "hi", session("s"))
        assert store["s"].messages == []

    colour.run(body)


class Full(InMemoryChatMessageHistory):
    def add_messages(self, messages: Any) -> None:
        raise OSError("no space left")


@every_colour
@pytest.mark.parametrize("door", DOORS)
def test_a_failing_store_is_raised_with_what_was_not_stored(colour, door):
    def body(doors: Any) -> None:
        seen = Recorder()
        chain = RunnableWithMessageHistory(RunnableLambda(count), lambda: Full())
        with pytest.raises(OSError, match="no space left") as caught:
            DOORS[door](doors, chain, "hi", seen.config)
        (note,) = [n for n in caught.value.__notes__ if "did not store" in n]
        assert "Full did not store these 2 messages" in note
        assert "HumanMessage" in note
        check_events(seen.events)
        assert [e.run.name for e in seen.events if isinstance(e, RunFailed)] == [
            "save_history",
            "RunnableWithMessageHistory",
        ]

    colour.run(body)


@every_colour
def test_a_streamed_answer_has_been_handed_on_when_storing_it_fails(colour):
    def body(doors: Any) -> None:
        stream = doors.open(
            RunnableWithMessageHistory(RunnableLambda(spelt), lambda: Full()), "hi", None
        )
        assert [stream.next() for _ in range(9)] == list("message 1")
        with pytest.raises(OSError, match="no space"):
            stream.next()

    colour.run(body)


# ---- events -------------------------------------------------------------------------------------


@every_colour
@pytest.mark.parametrize("door", DOORS)
def test_loading_and_saving_are_runs_of_their_own(colour, door):
    def body(doors: Any) -> None:
        seen, store = Recorder(), Store()
        store("s").add_ai_message("before")
        chain = RunnableWithMessageHistory(RunnableLambda(count), store)
        DOORS[door](doors, chain, "hi", session("s", **seen.config))
        check_events(seen.events)
        started = [e.run.path for e in seen.events if isinstance(e, RunStarted)]
        top = "RunnableWithMessageHistory"
        assert started == [top, f"{top}/load_history", f"{top}/count", f"{top}/save_history"]
        ended = {e.run.name: (e.input, e.output) for e in seen.events if isinstance(e, RunEnded)}
        assert ended["load_history"] == ([HI], [AIMessage("before")])
        assert ended["count"] == ([AIMessage("before"), HI], "message 2")
        assert ended["save_history"] == ([HI, AIMessage("message 2")], None)

    colour.run(body)


@every_colour
def test_arguments_of_the_call_go_to_the_runnable_alone(colour):
    def body(doors: Any) -> None:
        store = Store()
        chain = RunnableWithMessageHistory(RunnableLambda(lambda m, mark: "yes" + mark), store)
        assert doors.invoke(chain.bind(mark="!"), "hi", session("s")) == "yes!"
        assert store.said("s")[-1] == ("ai", "yes!")

    colour.run(body)


@every_colour
def test_under_retry_only_what_worked_is_stored(colour):
    def body(doors: Any) -> None:
        store, calls = Store(), []

        def flaky(messages: Any) -> str:
            calls.append(len(messages))
            if len(calls) < 3:
                raise ConnectionError("again")
            return "yes"

        inside = RunnableWithMessageHistory(
            RunnableLambda(flaky).with_retry(wait_exponential_jitter=False), store
        )
        assert doors.invoke(inside, "hi", session("s")) == "yes"
        calls.clear()
        outside = RunnableWithMessageHistory(RunnableLambda(flaky), store).with_retry(
            wait_exponential_jitter=False
        )
        assert doors.stream(outside, "hi", session("s")) == ["yes"]
        assert store.said("s") == [("human", "hi"), ("ai", "yes")] * 2
        assert calls == [3, 3, 3]

    colour.run(body)
