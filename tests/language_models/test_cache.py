"""Caches of models: asked in every door, chunks replayed as they came, only whole streams kept."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.caches import (
    BaseCache,
    InMemoryCache,
    SQLiteCache,
    StreamedChatGeneration,
)
from headrace.errors import ConfigError
from headrace.globals import get_llm_cache, set_llm_cache
from headrace.language_models import (
    LLM,
    BaseChatModel,
    BaseLLM,
    FakeListChatModel,
    FakeListLLM,
    FakeStreamingListLLM,
    GenericFakeChatModel,
)
from headrace.merge import merge
from headrace.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage
from headrace.output_parsers import StrOutputParser
from headrace.outputs import (
    ChatGeneration,
    ChatGenerationChunk,
    ChatResult,
    Generation,
    LLMResult,
)
from headrace.rate_limiters import BaseRateLimiter, RateLimiter
from headrace.runnables import RunnableLambda
from laws.colours import both_drivers, every_colour

USAGE = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}


class Counting(BaseCache):
    """A cache of a user's own, as one would write it for LangChain."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], Any] = {}
        self.asked: list[str] = []

    def lookup(self, prompt: str, llm_string: str) -> Any:
        self.asked.append("lookup")
        return self.kept.get((prompt, llm_string))

    def update(self, prompt: str, llm_string: str, return_val: Any) -> None:
        self.asked.append("update")
        assert all(isinstance(one, Generation) for one in return_val)
        self.kept[prompt, llm_string] = return_val

    def clear(self, **kwargs: Any) -> None:
        self.kept.clear()


class Whole(Counting):
    """One that writes down no more than LangChain has: text, or the message."""

    def update(self, prompt: str, llm_string: str, return_val: Any) -> None:
        plain = [
            ChatGeneration(one.message) if isinstance(one, ChatGeneration) else Generation(one.text)
            for one in return_val
        ]
        super().update(prompt, llm_string, plain)


class Pieces(BaseChatModel):
    """Streams a text, a tool call in pieces and its usage; counts its calls."""

    calls: list[str] = []  # noqa: RUF012 - pydantic copies it
    fail_at: int | None = None

    def _stream(self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any) -> Any:
        self.calls.append("stream")
        number = len(self.calls)
        call = {"name": "f", "args": '{"a"', "id": "c", "index": 0}
        pieces = [
            AIMessageChunk(content=f"Hi {number}"),
            AIMessageChunk(content=" there"),
            AIMessageChunk(content="", tool_call_chunks=[call]),
            AIMessageChunk(content="", tool_call_chunks=[{**call, "name": None, "args": ": 1}"}]),
            AIMessageChunk(content="", usage_metadata=USAGE, response_metadata={"m": {"x": [1]}}),
        ]
        for at, piece in enumerate(pieces):
            if at == self.fail_at:
                raise ConnectionError("gone")
            yield ChatGenerationChunk(message=piece, generation_info={"n": at} if at == 1 else None)


class Both(Pieces):
    """And answers as a whole, with two candidates."""

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any) -> Any:
        self.calls.append("generate")
        text = f"Hi {len(self.calls)}"
        answers = [AIMessage(content=text, usage_metadata=USAGE), AIMessage(content="other")]
        return ChatResult(generations=[ChatGeneration(message=each) for each in answers])


def bare(chunks: list[Any]) -> list[Any]:
    """Without ids that were made up, and without what a hit adds."""
    out = []
    for chunk in chunks:
        copied = chunk.model_copy(deep=True)
        copied.id = None
        if copied.usage_metadata:
            copied.usage_metadata.pop("total_cost", None)
        out.append(copied)
    return out


CACHES = {"memory": lambda path: InMemoryCache(), "own": lambda path: Counting(),
          "sqlite": lambda path: SQLiteCache(path / "c.db")}  # fmt: skip


@pytest.fixture(params=CACHES)
def cache(request, tmp_path):
    made = CACHES[request.param](tmp_path)
    yield made
    if isinstance(made, SQLiteCache):
        made.close()


# ---- hits ---------------------------------------------------------------------------------------


@every_colour
def test_a_hit_replays_the_same_chunks(colour, cache):
    def body(doors: Any) -> None:
        model = Pieces(cache=cache)
        first = doors.stream(model, "hi")
        again = doors.stream(model, "hi")
        assert model.calls == ["stream"]
        assert bare(again) == bare(first)
        assert len(again) == 6
        assert len({chunk.id for chunk in again}) == 1
        assert again[0].id != first[0].id
        assert again[4].usage_metadata == {**USAGE, "total_cost": 0}
        assert first[4].usage_metadata == USAGE
        assert doors.stream(model, "ho")[0].content == "Hi 2"

    colour.run(body)


@every_colour
def test_a_stored_stream_answers_invoke_and_the_other_way_round(colour, cache):
    def body(doors: Any) -> None:
        model = Pieces(cache=cache)
        chunks = doors.stream(model, "a")
        whole = doors.invoke(model, "a")
        assert type(whole) is AIMessage
        assert bare([whole]) == bare([Pieces()._whole(merge(bare(chunks)))])
        assert whole.tool_calls[0]["args"] == {"a": 1}
        assert whole.usage_metadata == {**USAGE, "total_cost": 0}
        invoked = doors.invoke(model, "b")  # it is the sum of a stream: the chunks are kept
        assert invoked.content == "Hi 2 there"
        assert len(doors.stream(model, "b")) == 6
        assert model.calls == ["stream"] * 2

    colour.run(body)


@every_colour
def test_a_whole_answer_is_one_chunk(colour, cache):
    def body(doors: Any) -> None:
        model = Both(cache=cache)
        whole = doors.invoke(model, "a")
        chunks = doors.stream(model, "a")
        assert [type(chunk) for chunk in chunks] == [AIMessageChunk]
        assert chunks[0].content == whole.content == "Hi 1"
        assert chunks[0].chunk_position == "last"
        assert chunks[0].id is not None
        assert model.calls == ["generate"]

    colour.run(body)


@every_colour
@pytest.mark.parametrize("door", ["invoke", "stream", "transform", "batch", "as_completed"])
def test_every_door_asks_and_keeps(colour, door):
    def body(doors: Any) -> None:
        for model, call in (
            (Both(cache=Counting()), lambda m: m.calls),
            (FakeListLLM(responses=list("abcdef"), cache=Counting()), lambda m: [m.i]),
            (FakeStreamingListLLM(responses=list("abcdef"), cache=Counting()), lambda m: [m.i]),
        ):
            given: Any = ["hi"] if door in ("batch", "as_completed") else "hi"
            first = getattr(doors, door)(model, given)
            before = list(call(model))
            for _ in range(2):
                again = getattr(doors, door)(model, given)
                assert str(texts(again)) == str(texts(first))
            assert call(model) == before
            assert model.cache.asked == ["lookup", "update", "lookup", "lookup"]

    colour.run(body)


def texts(found: Any) -> Any:
    if isinstance(found, (list, tuple)):
        return [texts(each) for each in found]
    return getattr(found, "content", found)


@every_colour
def test_what_a_consumer_does_to_its_chunks_does_not_get_into_the_cache(colour):
    def body(doors: Any) -> None:
        model = Pieces(cache=InMemoryCache())

        def spoil(chunks: list[Any]) -> None:
            for chunk in chunks:
                chunk.content = "spoilt"
                chunk.id = "spoilt"
                chunk.additional_kwargs["a"] = 1
                chunk.response_metadata.setdefault("m", {"x": []})["x"].append(2)

        stream, seen = doors.open(model, "a"), []
        while hasattr(chunk := stream.next(), "content"):
            seen.append(chunk.model_copy(deep=True))
            spoil([chunk])
        for _ in range(2):
            again = doors.stream(model, "a")
            assert bare(again) == bare(seen)
            spoil(again)
        whole = doors.invoke(model, "a")
        assert whole.response_metadata == {"n": 1, "m": {"x": [1]}}
        whole.response_metadata["m"]["x"].append(3)
        assert doors.invoke(model, "a").response_metadata == {"n": 1, "m": {"x": [1]}}

    colour.run(body)


@every_colour
def test_a_providers_id_is_kept(colour, cache):
    def body(doors: Any) -> None:
        messages = iter([AIMessage(content="a b", id="msg_1"), AIMessage(content="no")])
        model = GenericFakeChatModel(messages=messages, cache=cache)
        doors.stream(model, "x")
        assert {chunk.id for chunk in doors.stream(model, "x")} == {"msg_1"}
        assert doors.invoke(model, "x").id == "msg_1"

    colour.run(body)


async def events(model: Any, value: Any) -> list[Any]:
    seen = []
    async for event in model.astream_events(value, version="v2"):
        data = dict(event["data"])
        for key in ("chunk", "output", "input"):
            if isinstance(data.get(key), AIMessage):
                data[key] = repr(bare([data[key]]))
        seen.append((event["event"], event["name"], repr(data.get("input")), data.get("chunk"),
                     data.get("output")))  # fmt: skip
    return seen


def plain(seen: list[Any]) -> str:
    """Without the numbers of the calls that `Pieces` counts."""
    return re.sub(r"Hi \d", "Hi", str(seen))


async def test_events_of_a_hit_are_those_of_the_call(cache):
    model = Pieces(cache=cache)
    runnables = (model, model | StrOutputParser(), model | (lambda message: message))
    for value, runnable in zip("abc", runnables, strict=True):
        first = await events(runnable, value)
        again = await events(runnable, value)
        assert plain(again) == plain(first)
        assert sum(event[0] == "on_chat_model_stream" for event in again) == 6
    assert model.calls == ["stream"] * 3


async def test_a_view_of_an_invoked_model_shows_the_chunks_of_a_hit(cache):
    model = Both(cache=cache)

    async def call(value: Any) -> Any:
        return await model.ainvoke(value)

    chain = RunnableLambda(call)
    first, again = await events(chain, "a"), await events(chain, "a")
    assert plain(again) == plain(first)
    assert sum(event[0] == "on_chat_model_stream" for event in again) == 6
    assert model.calls == ["stream"]


@every_colour
def test_hooks_are_told_of_all_candidates_of_a_hit(colour, cache):
    from headrace.callbacks import BaseCallbackHandler

    class Ends(BaseCallbackHandler):
        def __init__(self) -> None:
            self.told: list[Any] = []

        def on_llm_end(self, response: Any, **kwargs: Any) -> None:
            self.told.append([one.text for one in response.generations[0]])

    def body(doors: Any) -> None:
        model = Both(cache=cache)
        for _ in range(2):
            ends = Ends()
            doors.invoke(model, "a", {"callbacks": [ends]})
            assert ends.told == [["Hi 1", "other"]]
        result = model.generate(["a"])
        assert [one.text for one in result.generations[0]] == ["Hi 1", "other"]
        assert model.calls == ["generate"]

    colour.run(body)


# ---- what is kept -------------------------------------------------------------------------------


@every_colour
def test_only_streams_that_ended_are_kept(colour):
    def body(doors: Any) -> None:
        cache = Counting()
        model = Pieces(cache=cache)
        for taken in range(7):
            stream = doors.open(model, "a")
            for _ in range(taken):
                stream.next()
            stream.close()
        failing = Pieces(cache=cache, fail_at=3)
        for door in (doors.stream, doors.invoke):
            with pytest.raises(ConnectionError):
                door(failing, "a")
        assert cache.kept == {}
        assert "update" not in cache.asked

    colour.run(body)


async def test_a_cancelled_stream_is_not_kept():
    class Slow(BaseChatModel):
        async def _astream(self, messages: Any, stop: Any = None, **kw: Any) -> Any:
            yield ChatGenerationChunk(message=AIMessageChunk(content="a"))
            await asyncio.sleep(30)
            yield ChatGenerationChunk(message=AIMessageChunk(content="b"))

    cache = Counting()
    model = Slow(cache=cache)
    began = asyncio.Event()

    async def read() -> None:
        async for _ in model.astream("x"):
            began.set()

    for work in (read, lambda: model.ainvoke("x")):
        task = asyncio.ensure_future(work())
        await (began.wait() if work is read else asyncio.sleep(0.01))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert cache.kept == {}


@every_colour
def test_an_empty_stream_is_not_kept(colour):
    class Nothing(BaseChatModel):
        def _stream(self, messages: Any, stop: Any = None, **kw: Any) -> Any:
            yield from ()

    def body(doors: Any) -> None:
        cache = Counting()
        assert doors.stream(Nothing(cache=cache), "x") == []
        assert cache.kept == {}

    colour.run(body)


def test_without_a_cache_no_chunk_is_kept(monkeypatch):
    from headrace.language_models import caching

    def forbidden(*args: Any) -> None:
        raise AssertionError("a chunk was copied for nobody")

    monkeypatch.setattr(caching._Recorder, "take", forbidden)
    monkeypatch.setattr(caching, "_copied", forbidden)
    monkeypatch.setattr(caching, "_prompt_text", forbidden)
    model = Pieces()
    assert len(list(model.stream("a"))) == 6
    assert model.invoke("a").content == "Hi 2 there"
    with pytest.raises(AssertionError):
        list(Pieces(cache=InMemoryCache()).stream("a"))


# ---- which cache --------------------------------------------------------------------------------


@pytest.fixture
def the_global():
    cache = Counting()
    set_llm_cache(cache)
    yield cache
    set_llm_cache(None)


@every_colour
@pytest.mark.parametrize("own", [None, True, False, "own"])
def test_which_cache_is_asked(colour, the_global, own):
    def body(doors: Any) -> None:
        the_global.kept.clear()
        mine = Counting()
        model = Both(cache=mine if own == "own" else own)
        doors.invoke(model, "a")
        doors.stream(model, "b")
        assert len(the_global.kept) == (2 if own in (None, True) else 0)
        assert len(mine.kept) == (2 if own == "own" else 0)

    colour.run(body)


@every_colour
def test_a_global_cache_that_is_wanted_and_not_set(colour):
    def body(doors: Any) -> None:
        assert get_llm_cache() is None
        for door in (doors.invoke, doors.stream):
            with pytest.raises(ConfigError, match="cache=True and no global cache is set"):
                door(Both(cache=True), "a")
        assert doors.invoke(Both(cache=None), "a").content == "Hi 1"

    colour.run(body)


def test_only_caches_are_caches():
    with pytest.raises(ConfigError, match="give a cache"):
        set_llm_cache({})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="cache"):
        Both(cache="memory")
    model = Both(cache=InMemoryCache())
    assert model.model_copy(deep=True).cache is model.cache
    assert "cache" not in model.model_dump()


# ---- keys ---------------------------------------------------------------------------------------


@every_colour
def test_ids_and_what_a_provider_told_are_no_part_of_the_key(colour):
    def body(doors: Any) -> None:
        model = Both(cache=InMemoryCache())
        conversation = [HumanMessage("a", id="1"), AIMessage("b", id="2"), HumanMessage("c")]
        doors.invoke(model, conversation)
        told = AIMessage("b", usage_metadata={**USAGE, "total_cost": 0},
                         response_metadata={"t": 1.5})  # fmt: skip
        for same in (
            [HumanMessage("a", id="7"), told, HumanMessage("c", id="9")],
            [("human", "a"), ("ai", "b"), ("user", "c")],
            [HumanMessage("a"), AIMessageChunk("b"), HumanMessage("c")],
        ):
            assert doors.invoke(model, same).content == "Hi 1"
        for other in (
            [HumanMessage("a"), AIMessage("b"), SystemMessage("c")],
            [HumanMessage("a", name="x"), AIMessage("b"), HumanMessage("c")],
            [HumanMessage("a"), AIMessage("b"), HumanMessage("c"), HumanMessage("")],
        ):
            assert doors.invoke(model, other).content != "Hi 1"

    colour.run(body)


@every_colour
def test_arguments_are_part_of_the_key(colour):
    from pydantic import BaseModel, SecretStr

    class A(BaseModel):
        x: int

    class B(BaseModel):
        x: str

    def body(doors: Any) -> None:
        model = Both(cache=InMemoryCache())
        different = [
            {}, {"stop": ["a"]}, {"stop": ["b"]}, {"tools": [{"name": "f"}]}, {"temperature": 0},
            {"temperature": 0.5}, {"temperature": "0"}, {"response_format": A},
            {"response_format": B}, {"flag": True}, {"flag": 1}, {"flag": [1]}, {"flag": (1,)},
        ]  # fmt: skip
        answers = [doors.invoke(model.bind(**kw), "a").content for kw in different]
        assert len(set(answers)) == len(different)
        assert [doors.invoke(model.bind(**kw), "a").content for kw in different] == answers
        secret = [doors.invoke(model, "a", key=SecretStr(s)).content for s in "xy"]
        assert secret[0] == secret[1] != answers[0]
        assert doors.invoke(model.bind(tools=[{"b": 1, "a": 2}]), "z").content == (
            doors.invoke(model.bind(tools=[{"a": 2, "b": 1}]), "z").content
        )

    colour.run(body)


def test_models_do_not_answer_for_each_other():
    class Named(Both):
        model: str = "small"
        temperature: float | None = None

        @property
        def _llm_type(self) -> str:
            return "named"

    class Other(Named):
        pass

    cache, models = InMemoryCache(), [Named(), Named(model="large"), Named(temperature=1), Other()]
    for model in models:
        model.cache = cache
        assert len(list(model.stream("a"))) == 6
    assert len(cache._cache) == 4
    Named(cache=cache).invoke("a")
    assert len(cache._cache) == 4


def test_a_model_that_says_nothing_of_itself_is_known_by_the_fields_that_were_set():
    class Plain(Pieces):
        path: str = "default"
        client: Any = None
        state: int = 0
        _calls: int = 0

    def key(**given: Any) -> str:
        model = Plain(**given)
        model._calls += 1
        return model._get_llm_string()

    assert Plain() == Plain(path="default") != Plain(path="a")
    first = key(path="a")
    assert key(path="a", client=object(), tags=["t"], name="n", cache=InMemoryCache()) == first
    assert len({first, key(), key(path="b"), key(path="a", state=3)}) == 4
    late = Plain()
    late.path = "a"
    copied = Plain().model_copy(update={"path": "a"})
    assert late._get_llm_string() == first == copied._get_llm_string()

    class Secretive(Plain):
        api_key: str = ""

        @property
        def lc_secrets(self) -> dict[str, str]:
            return {"api_key": "KEY"}

    assert "hush" not in Secretive(api_key="hush")._get_llm_string()

    class Telling(Plain):
        @property
        def _identifying_params(self) -> dict[str, Any]:
            return {"path": self.path}

    assert Telling(state=1)._get_llm_string() == Telling(state=2)._get_llm_string()


class Ended(BaseChatModel):
    log: list[str] = []  # noqa: RUF012

    def _stream(self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any) -> Any:
        try:
            for piece in "abcdef":
                yield ChatGenerationChunk(message=AIMessageChunk(content=piece))
        finally:
            self.log.append("ended")


class EndedAsync(Ended):
    async def _astream(self, messages: Any, stop: Any = None, **kw: Any) -> Any:
        try:
            for piece in "abcdef":
                yield ChatGenerationChunk(message=AIMessageChunk(content=piece))
        finally:
            self.log.append("ended")


@every_colour
def test_whoever_leaves_ends_the_models_own_stream(colour):
    def body(doors: Any) -> None:
        for kind in (Ended, EndedAsync):
            limit = RateLimiter(tokens_per_minute=1000)
            model = kind(cache=InMemoryCache(), rate_limiter=limit)
            for runnable in (model, model | (lambda message: message), model | StrOutputParser()):
                model.log.clear()
                stream = doors.open(runnable, "x")
                stream.next()
                stream.close()
                assert model.log == ["ended"]
                model.cache.clear()
            doors.stream(model, "x")
            stream = doors.open(model, "x")  # a hit
            stream.next()
            stream.close()
            assert model.log == ["ended", "ended"]

    colour.run(body)


@every_colour
def test_an_error_names_the_step_with_a_cache_too(colour):
    def body(doors: Any) -> None:
        chain = RunnableLambda(str) | Pieces(cache=InMemoryCache(), fail_at=2)
        for door in (doors.stream, doors.invoke):
            with pytest.raises(ConnectionError) as caught:
                door(chain, "x")
            assert "2:Pieces" in "".join(caught.value.__notes__)

    colour.run(body)


@every_colour
def test_calls_with_what_cannot_be_compared_go_past_the_cache(colour, caplog):
    def body(doors: Any) -> None:
        from headrace.language_models import caching

        caching._said.clear()
        caplog.clear()
        cache = Counting()
        model = Both(cache=cache)
        with caplog.at_level(logging.WARNING, "headrace"):
            for number in range(1, 4):
                found = doors.invoke(model, "a", hook=lambda: None)
                assert found.content == f"Hi {number}"
            assert len(doors.stream(model.bind(hook=threading.Lock()), "a")) == 6
        assert cache.asked == []
        assert len(caplog.records) == 1
        assert "Both with call.hook=<function" in caplog.text

    colour.run(body)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
    | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


def spelt(value: Any) -> Any:
    """So that 1, 1.0 and True differ."""
    if isinstance(value, dict):
        return {key: spelt(each) for key, each in value.items()}
    return [spelt(each) for each in value] if isinstance(value, list) else repr(value)


@given(one=VALUES, two=VALUES)
def test_keys_are_equal_just_where_arguments_are(one, two):
    model = Both()
    keys = [model._get_llm_string(**{"x": value}) for value in (one, two)]
    assert (keys[0] == keys[1]) == (spelt(one) == spelt(two))


def test_keys_are_the_same_in_every_process(tmp_path):
    import os
    import subprocess
    import sys

    program = (
        "from headrace.language_models import FakeListChatModel as M\n"
        "print(M(responses=['a'])._get_llm_string(stop=['x'], tools=[{'b': 1, 'a': {'z', 'y'}}]))"
    )
    texts = set()
    for seed in "12":
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True, text=True, check=True, timeout=60,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )  # fmt: skip
        texts.add(done.stdout.strip())
    assert len(texts) == 1
    here = FakeListChatModel(responses=["a"])._get_llm_string(
        stop=["x"], tools=[{"b": 1, "a": {"y", "z"}}]
    )
    assert texts == {here}


# ---- caches of a user's own ---------------------------------------------------------------------


@every_colour
def test_a_cache_that_keeps_the_whole_replays_one_chunk(colour):
    def body(doors: Any) -> None:
        model = Pieces(cache=Whole())
        first = doors.stream(model, "a")
        again = doors.stream(model, "a")
        assert len(again) == 1
        total, whole = merge(first), again[0]
        assert (whole.content, whole.tool_calls) == (total.content, total.tool_calls)
        assert doors.invoke(model, "a").tool_calls == total.tool_calls
        text = FakeStreamingListLLM(responses=["abc", "no"], cache=Whole())
        assert doors.stream(text, "a") == ["a", "b", "c"]
        assert doors.stream(text, "a") == ["abc"]
        assert model.calls == ["stream"]

    colour.run(body)


@every_colour
def test_a_cache_gets_the_whole_and_its_chunks(colour):
    def body(doors: Any) -> None:
        cache = Counting()
        doors.stream(Pieces(cache=cache), "a")
        (stored,) = cache.kept.values()
        assert isinstance(stored[0], StreamedChatGeneration)
        assert stored[0].message.content == stored[0].text == "Hi 1 there"
        assert len(stored[0].chunks) == 6
        import pickle

        again = pickle.loads(pickle.dumps(stored))
        assert again == stored
        assert again[0].chunks == stored[0].chunks
        ((prompt, _),) = cache.kept
        assert '"content": "a"' in prompt

    colour.run(body)


@every_colour
def test_a_chat_model_takes_the_text_of_a_plain_generation(colour):
    def body(doors: Any) -> None:
        class Texts(Counting):
            def lookup(self, prompt: str, llm_string: str) -> Any:
                return [Generation("from text", {"why": "it was kept so"})]

        model = Pieces(cache=Texts())
        found = doors.invoke(model, "a")
        assert (type(found), found.content) == (AIMessage, "from text")
        assert [chunk.content for chunk in doors.stream(model, "a")] == ["from text"]
        assert model.calls == []

    colour.run(body)


@every_colour
def test_a_chunk_that_a_cache_gives_as_the_whole_is_one(colour):
    class Chunked(Counting):
        def lookup(self, prompt: str, llm_string: str) -> Any:
            return (ChatGenerationChunk(AIMessageChunk("whole", id="mine")),)

    def body(doors: Any) -> None:
        model = Pieces(cache=Chunked())
        found = doors.invoke(model, "a")
        assert (type(found), found.content, found.id) == (AIMessage, "whole", "mine")
        chunks = doors.stream(model, "a")
        assert [(type(chunk), chunk.content) for chunk in chunks] == [(AIMessageChunk, "whole")]

    colour.run(body)


class Broken(Counting):
    what: str = ""

    def lookup(self, prompt: str, llm_string: str) -> Any:
        if self.what == "lookup":
            raise ConnectionError("no server")
        return {"junk": "junk", "empty": [], "strings": ["a"]}.get(self.what)

    def update(self, prompt: str, llm_string: str, return_val: Any) -> None:
        if self.what == "update":
            raise ConnectionError("no server")


@every_colour
@pytest.mark.parametrize("what", ["lookup", "update", "junk", "empty", "strings"])
def test_a_cache_in_trouble_does_not_break_the_call(colour, what, caplog):
    def body(doors: Any) -> None:
        caplog.clear()
        cache = Broken()
        cache.what = what
        with caplog.at_level(logging.WARNING, "headrace"):
            model = Both(cache=cache)
            assert doors.invoke(model, "a").content == "Hi 1"
            assert len(doors.stream(model, "a")) == 6
            text = FakeListLLM(responses=["x", "y"], cache=cache)
            assert doors.invoke(text, "a") == "x"
        assert len(caplog.records) == 3
        door = "update" if what == "update" else "lookup"
        assert f"{door} of the cache" in caplog.text

    colour.run(body)


@every_colour
def test_the_limiter_is_not_asked_on_a_hit(colour):
    class Limit(BaseRateLimiter):
        calls = 0

        def acquire(self, *, blocking: bool = True) -> bool:
            self.calls += 1
            return True

        async def aacquire(self, *, blocking: bool = True) -> bool:
            return self.acquire()

    def body(doors: Any) -> None:
        for model in (
            Both(cache=InMemoryCache(), rate_limiter=Limit()),
            Pieces(cache=InMemoryCache(), rate_limiter=Limit()),
            FakeListLLM(responses=["a"], cache=InMemoryCache(), rate_limiter=Limit()),
        ):
            doors.invoke(model, "a")
            doors.invoke(model, "a")
            doors.stream(model, "a")
            doors.batch(model, ["a"])
            assert model.rate_limiter.calls == 1

    colour.run(body)


# ---- text models --------------------------------------------------------------------------------


@every_colour
def test_text_models_replay_their_pieces(colour, cache):
    def body(doors: Any) -> None:
        model = FakeStreamingListLLM(responses=["abc", "no"], cache=cache)
        assert doors.stream(model, "a") == ["a", "b", "c"]
        assert doors.stream(model, "a") == ["a", "b", "c"]
        assert doors.invoke(model, "a") == "abc"
        if hasattr(cache, "kept"):
            assert {prompt for prompt, _ in cache.kept} == {"a"}

    colour.run(body)


# ---- in memory ----------------------------------------------------------------------------------


@given(
    steps=st.lists(st.tuples(st.sampled_from("lu"), st.integers(0, 4)), max_size=40),
    size=st.integers(1, 4),
)
def test_a_full_cache_forgets_what_was_not_asked_for_longest(steps, size):
    cache, used = InMemoryCache(maxsize=size), []
    for what, key in steps:
        if what == "u":
            cache.update(str(key), "m", [Generation(str(key))])
            used = [k for k in used if k != key][-(size - 1) :] if size > 1 else []
            used.append(key)
        else:
            found = cache.lookup(str(key), "m")
            assert (found is not None) == (key in used)
            if found is not None:
                assert found[0].text == str(key)
                used.remove(key)
                used.append(key)


@both_drivers
def test_equal_calls_at_once_may_each_ask(colour):
    def body(doors: Any) -> None:
        cache = InMemoryCache()
        model = FakeListLLM(responses=["a", "a", "a"], cache=cache)
        assert doors.batch(model, ["q", "q", "q"]) == ["a", "a", "a"]
        assert len(cache._cache) == 1

    colour.run(body)


class Batched(BaseLLM):
    """Answers several prompts at once."""

    seen: list[list[str]] = []  # noqa: RUF012

    def _generate(self, prompts: Any, stop: Any = None, run_manager: Any = None, **kw: Any) -> Any:
        self.seen.append(list(prompts))
        return LLMResult(generations=[[Generation(prompt.upper())] for prompt in prompts])


@every_colour
def test_of_a_batch_the_model_is_asked_what_the_cache_does_not_have(colour):
    def body(doors: Any) -> None:
        model = Batched(cache=Counting())
        assert doors.batch(model, ["a", "b"]) == ["A", "B"]
        assert doors.batch(model, ["b", "c", "a"]) == ["B", "C", "A"]
        assert doors.batch(model, ["a", "b"]) == ["A", "B"]
        assert model.seen == [["a", "b"], ["c"]]
        assert doors.invoke(model, "c") == "C"

    colour.run(body)


def test_an_answer_of_one_function_is_kept():
    class One(LLM):
        def _call(self, prompt: str, stop: Any = None, run_manager: Any = None, **kw: Any) -> str:
            return f"{prompt}!"

    cache = Counting()
    assert One(cache=cache).invoke("a") == "a!"
    assert next(iter(cache.kept.values())) == [Generation("a!")]
