"""Caches inside of larger programs: chains, tools, retries, live handles, many calls at once."""

from __future__ import annotations

import asyncio
import contextlib
import copy
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel, PrivateAttr

from headrace.caches import InMemoryCache, SQLiteCache
from headrace.callbacks import RunCollectorCallbackHandler, UsageMetadataCallbackHandler
from headrace.chat_history import InMemoryChatMessageHistory
from headrace.globals import set_llm_cache
from headrace.language_models import BaseChatModel
from headrace.messages import AIMessage, AIMessageChunk, HumanMessage
from headrace.output_parsers import JsonOutputParser, StrOutputParser
from headrace.outputs import ChatGeneration, ChatGenerationChunk, ChatResult, Generation
from headrace.prompts import ChatPromptTemplate
from headrace.runnables import (
    ConfigurableField,
    RunnableLambda,
    RunnableParallel,
    RunnableWithMessageHistory,
)
from laws.colours import END, every_colour
from text_side.kit import TEXTS, Counting, CountingAsync, Echo, Several, events, shape, told

TEXT = "".join(TEXTS)


@every_colour
def test_a_hit_in_a_json_chain_streams_the_same_partial_values(colour):
    pieces = [{"content": piece} for piece in ('{"a": [1', ", 2", '], "b": "x', 'y"}')]

    def body(doors):
        model = Counting(pieces=pieces, cache=InMemoryCache())
        chain = model | JsonOutputParser()
        missed, hit = doors.stream(chain, "q"), doors.stream(chain, "q")
        assert missed == hit
        assert len(hit) > 2
        assert hit[-1] == {"a": [1, 2], "b": "xy"}
        assert len(model.asked) == 1

    colour.run(body)


@every_colour
def test_two_branches_of_one_question(colour):
    def body(doors):
        model = Counting(cache=InMemoryCache())
        doors.invoke(model, "q")
        both = RunnableParallel(one=model | StrOutputParser(), two=model | StrOutputParser())
        chunks = doors.stream(both, "q")
        for branch in ("one", "two"):
            assert "".join(chunk.get(branch, "") for chunk in chunks) == TEXT
        assert len(model.asked) == 1

    colour.run(body)


@every_colour
def test_a_model_asked_inside_of_a_function_hits_and_streams_events(colour):
    def body(doors):
        model = Counting(cache=InMemoryCache())
        if doors.asynchronous:

            async def ask(question: str) -> str:
                return (await model.ainvoke(question)).content
        else:

            def ask(question: str) -> str:
                return model.invoke(question).content

        chain = RunnableLambda(ask)
        missed, hit = (events(doors, chain, "q") for _ in range(2))
        assert [shape(e) for e in missed] == [shape(e) for e in hit]
        assert len(model.asked) == 1
        texts = [e["data"]["chunk"].content for e in hit if e["event"] == "on_chat_model_stream"]
        assert "".join(texts) == TEXT

    colour.run(body)


@every_colour
def test_retries_and_fallbacks_store_what_succeeded(colour):
    def body(doors):
        cache = InMemoryCache()
        broken, good = Counting(fail_at=1, cache=cache, model_name="b"), Counting(cache=cache)
        chain = broken.with_fallbacks([good])
        assert doors.invoke(chain, "q").content == TEXT
        assert doors.invoke(chain, "q").content == TEXT
        assert (len(broken.asked), len(good.asked)) == (2, 1)

    colour.run(body)


class Flaky(Counting):
    _failures: int = PrivateAttr(default=1)

    def _stream(self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any) -> Any:
        self._note(messages, stop, kw)
        yield ChatGenerationChunk(message=AIMessageChunk("half "))
        if self._failures:
            self._failures -= 1
            raise ConnectionError("again, please")
        yield ChatGenerationChunk(message=AIMessageChunk("whole"))

    _generate = BaseChatModel._generate


@every_colour
def test_the_half_of_a_try_that_failed_is_not_in_the_cache(colour):
    def body(doors):
        model = Flaky(cache=InMemoryCache())
        retried = model.with_retry(stop_after_attempt=2, wait_exponential_jitter=False)
        assert doors.invoke(retried, "q").content == "half whole"
        assert doors.invoke(model, "q").content == "half whole"
        assert len(model.asked) == 2

    colour.run(body)


@every_colour
def test_bound_tools_are_part_of_the_question(colour):
    class Add(BaseModel):
        """Add."""

        a: int

    class Times(BaseModel):
        """Multiply."""

        a: int

    def body(doors):
        model = Counting(cache=InMemoryCache())
        add, times = model.bind_tools([Add]), model.bind_tools([Times])
        for _ in range(2):
            for bound in (model, add, times, model.bind_tools([Add], tool_choice="Add")):
                doors.stream(bound, "q")
        assert len(model.asked) == 4

    colour.run(body)


class Jsonic(Counting):
    structured_modes: ClassVar[tuple[str, ...]] = ("json_mode", "json_schema")


@every_colour
def test_schemas_are_part_of_the_question(colour):
    class One(BaseModel):
        a: int

    class Two(BaseModel):
        a: int
        b: int = 0

    pieces = [{"content": '{"a"'}, {"content": ": 1}"}]

    def body(doors):
        model = Jsonic(pieces=pieces, cache=InMemoryCache())
        one = model.with_structured_output(One, method="json_schema")
        two = model.with_structured_output(Two, method="json_schema")
        for _ in range(2):
            assert doors.invoke(one, "q") == doors.stream(one, "q")[-1] == One(a=1)
            assert doors.invoke(two, "q") == Two(a=1)
        assert len(model.asked) == 2

    colour.run(body)


@every_colour
def test_a_hit_may_be_left_in_the_middle(colour):
    def body(doors):
        model = Counting(cache=InMemoryCache())
        doors.stream(model, "q")
        stream = doors.open(model, "q")
        assert stream.next() is not END
        stream.close()
        assert "".join(c.content for c in doors.stream(model, "q")) == TEXT
        assert len(model.asked) == 1

    colour.run(body)


@every_colour
def test_each_hit_has_an_id_and_a_run_of_its_own(colour):
    pieces = [{"content": "a"}, {"content": "b"}]

    def body(doors):
        model = Counting(pieces=pieces, cache=InMemoryCache())
        ids = [doors.invoke(model, "q").id for _ in range(3)]
        assert len(set(ids)) == 3
        named = Counting(cache=InMemoryCache())
        assert [doors.invoke(named, "q").id for _ in range(2)] == ["msg_1"] * 2
        runs = []
        for _ in range(2):
            collected = RunCollectorCallbackHandler()
            doors.invoke(model, "q", {"callbacks": [collected]})
            runs.append(collected.traced_runs[0])
        assert runs[0].id != runs[1].id
        assert all(run.error is None and run.end_time for run in runs)

    colour.run(body)


@every_colour
def test_a_history_stores_a_hit_like_a_miss(colour):
    def body(doors):
        kept: dict[str, Any] = {}
        chain = RunnableWithMessageHistory(
            Counting(cache=InMemoryCache()),
            lambda name: kept.setdefault(name, InMemoryChatMessageHistory()),
        )
        for name in ("a", "b"):
            doors.stream(chain, "q", {"configurable": {"session_id": name}})
        texts = [[(m.type, m.content) for m in kept[name].messages] for name in "ab"]
        assert texts[0] == texts[1] == [("human", "q"), ("ai", TEXT)]

    colour.run(body)


@every_colour
def test_many_equal_questions_at_once_all_get_the_answer(colour):
    def body(doors):
        model = Counting(cache=InMemoryCache())
        answers = doors.batch(model, ["q"] * 6)
        assert [answer.content for answer in answers] == [TEXT] * 6
        assert len(model.asked) <= 6
        asked = len(model.asked)
        doors.batch(model, ["q"] * 6)
        assert len(model.asked) == asked

    colour.run(body)


@every_colour
def test_generate_reads_and_writes_the_cache(colour):
    def body(doors):
        model = Counting(cache=InMemoryCache())
        given = [[HumanMessage("a")], [HumanMessage("b")]]

        def generate():
            if doors.asynchronous:
                return doors.wait(model.agenerate(given))
            return model.generate(given)

        for _ in range(2):
            assert [row[0].text for row in generate().generations] == [TEXT, TEXT]
        assert len(model.asked) == 2
        doors.invoke(model, "a")
        assert len(model.asked) == 2

    colour.run(body)


class Candidates(BaseChatModel):
    _calls: int = PrivateAttr(default=0)

    @property
    def _llm_type(self) -> str:
        return "candidates"

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any) -> Any:
        self._calls += 1
        return ChatResult(
            generations=[ChatGeneration(message=AIMessage(text)) for text in ("one", "two")]
        )


@pytest.mark.parametrize("where", ["memory", "file"])
def test_all_candidates_are_kept(where, tmp_path):
    cache = InMemoryCache() if where == "memory" else SQLiteCache(tmp_path / "c.db")
    model = Candidates(cache=cache)
    for _ in range(2):
        (row,) = model.generate([[HumanMessage("q")]]).generations
        assert [generation.text for generation in row] == ["one", "two"]
    assert model._calls == 1
    if isinstance(cache, SQLiteCache):
        cache.close()


class TextRows(InMemoryCache):
    """Gives plain `Generation`s for chat models, as caches of text do."""

    def lookup(self, prompt, llm_string):
        found = super().lookup(prompt, llm_string)
        return found and [Generation(text=found[0].text)]


@every_colour
def test_a_chat_model_takes_a_plain_generation_from_a_cache(colour):
    def body(doors):
        model = Counting(cache=TextRows())
        doors.invoke(model, "q")
        again = doors.invoke(model, "q")
        assert isinstance(again, AIMessage)
        assert again.content == TEXT

    colour.run(body)


def test_copies_of_a_model_share_its_cache():
    cache = InMemoryCache()
    model = Counting(cache=cache)
    model.invoke("q")
    for twin in (model.model_copy(), copy.copy(model)):
        assert twin.cache is cache
        before = len(twin.asked)
        twin.invoke("q")
        assert len(twin.asked) == before


@every_colour
def test_with_and_without_streaming_share_answers(colour):
    def body(doors):
        cache = InMemoryCache()
        streaming, whole = Counting(cache=cache), Counting(cache=cache, disable_streaming=True)
        doors.stream(streaming, "q")
        (first, *_) = [c for c in doors.stream(whole, "q") if c.content]
        assert doors.invoke(whole, "q").content == TEXT
        assert len(streaming.asked) + len(whole.asked) <= 2
        assert first.content in (TEXT, TEXTS[0])

    colour.run(body)


@every_colour
def test_usage_of_hits_is_told_to_the_counter_without_cost(colour):
    def body(doors):
        model = Counting(cache=InMemoryCache())
        counter = UsageMetadataCallbackHandler()
        for _ in range(2):
            doors.invoke(model, "q", {"callbacks": [counter]})
        assert len(model.asked) == 1
        for usage in counter.usage_metadata.values():
            assert usage["total_tokens"] >= told(3, 4)["total_tokens"]

    colour.run(body)


@every_colour
def test_a_prompt_that_formats_to_the_same_text_is_the_same_question(colour):
    def body(doors):
        model = Counting(cache=InMemoryCache())
        one = ChatPromptTemplate.from_template("say {a} {b}") | model
        two = ChatPromptTemplate.from_template("say {c}") | model
        doors.invoke(one, {"a": "x", "b": "y"})
        doors.stream(two, {"c": "x y"})
        assert len(model.asked) == 1

    colour.run(body)


@every_colour
def test_stop_by_argument_by_bind_and_by_config_is_one_question(colour):
    def body(doors):
        model = Counting(cache=InMemoryCache())
        doors.invoke(model, "q", stop=["x"])
        doors.invoke(model.bind(stop=["x"]), "q")
        doors.stream(model.bind(stop=["x"]).with_config(tags=["t"]), "q")
        assert len(model.asked) == 1
        doors.invoke(model.bind(stop=None), "q")
        doors.invoke(model, "q")
        assert len(model.asked) == 2

    colour.run(body)


@every_colour
def test_unset_fields_do_not_matter_but_changed_ones_do(colour):
    def body(doors):
        cache = InMemoryCache()
        model = Counting(cache=cache)
        doors.invoke(model, "q")
        model.temperature = 0.7
        doors.invoke(model, "q")
        assert len(model.asked) == 2
        model.temperature = 0.0
        doors.invoke(model, "q")
        assert len(model.asked) == 2

    colour.run(body)


@every_colour
def test_streams_of_text_models_left_or_failed_are_not_kept(colour):
    class Failing(Echo):
        _fail: bool = PrivateAttr(default=True)

        def _stream(self, prompt, stop=None, run_manager=None, **kw):
            for number, chunk in enumerate(super()._stream(prompt, stop, run_manager, **kw)):
                if number == 2 and self._fail:
                    raise ConnectionError("gone")
                yield chunk

    def body(doors):
        model = Failing(cache=InMemoryCache())
        with pytest.raises(ConnectionError):
            doors.stream(model, "abcd")
        model._fail = False
        stream = doors.open(model, "abcd")
        stream.next()
        stream.close()
        assert "".join(doors.stream(model, "abcd")) == "abcd!"
        assert len(model.asked) == 3
        assert doors.stream(model, "abcd") == list("abcd!")
        assert len(model.asked) == 3

    colour.run(body)


async def test_a_live_handle_reads_a_hit():
    model = CountingAsync(cache=InMemoryCache())
    chain = model | StrOutputParser()
    for _ in range(2):
        async with chain.open("q") as run:
            pieces = [piece async for piece in run.text]
            assert "".join(pieces) == TEXT
    assert len(model.asked) == 1


async def test_tasks_of_several_loops_use_one_cache():
    cache = InMemoryCache()
    await CountingAsync(cache=cache).ainvoke("q")
    model = CountingAsync(cache=cache)
    answer = await asyncio.to_thread(lambda: asyncio.run(model.ainvoke("q")))
    assert answer.content == TEXT
    assert model.asked == []


@every_colour
def test_the_form_of_the_content_is_part_of_the_question(colour):
    """A model with `output_version="v1"` must not get the content that one without it stored."""

    def body(doors):
        cache = InMemoryCache()
        plain, standard = Counting(cache=cache), Counting(cache=cache, output_version="v1")
        for _ in range(2):
            assert doors.invoke(plain, "q").content == TEXT
            assert doors.invoke(standard, "q").content == [{"type": "text", "text": TEXT}]
            streamed = [c.content for c in doors.stream(standard, "q")]
            assert all(isinstance(content, list) for content in streamed)

    colour.run(body)


@every_colour
def test_configured_fields_are_part_of_the_question(colour):
    def body(doors):
        model = Counting(cache=InMemoryCache()).configurable_fields(
            temperature=ConfigurableField(id="heat")
        )
        cache = model.default.cache
        seen = []
        for heat in (0.0, 0.5, 0.0, 0.5):
            before = len(cache._rows) if hasattr(cache, "_rows") else None
            got = doors.invoke(model, "q", {"configurable": {"heat": heat}})
            seen.append((heat, "total_cost" in got.usage_metadata, before))
        assert [hit for _, hit, _ in seen] == [False, False, True, True]

    colour.run(body)


@every_colour
def test_equal_prompts_in_one_batch_of_a_text_model(colour):
    def body(doors):
        model = Several(cache=InMemoryCache())
        assert doors.batch(model, ["a", "b", "a"]) == ["A", "B", "A"]
        assert doors.batch(model, ["b", "a"]) == ["B", "A"]
        assert len(model._asked) == 1

    colour.run(body)


async def test_many_tasks_share_a_file(tmp_path):
    cache = SQLiteCache(tmp_path / "tasks.db")
    model = CountingAsync(cache=cache)
    for _ in range(2):
        answers = await asyncio.gather(*(model.ainvoke(f"q{n % 5}") for n in range(20)))
        assert {answer.content for answer in answers} == {TEXT}
    assert len(model.asked) <= 20
    assert {call["messages"][0].content for call in model.asked} == {f"q{n}" for n in range(5)}
    cache.close()


@every_colour
def test_what_a_file_cannot_hold_does_not_break_the_answer(colour, tmp_path):
    odd = object()
    pieces = [{"content": "a", "additional_kwargs": {"odd": odd}}, {"content": "b"}]

    def body(doors):
        with contextlib.closing(SQLiteCache(tmp_path / f"{colour}.db")) as cache:
            model = Counting(pieces=pieces, cache=cache)
            for number in (1, 2):
                assert doors.invoke(model, "q").additional_kwargs["odd"] is odd
                assert len(model.asked) == number

    colour.run(body)


@every_colour
def test_a_hit_costs_its_listeners_one_start_and_one_end(colour):
    def body(doors):
        model = Counting(cache=InMemoryCache())
        heard: list[str] = []
        chain = (model | StrOutputParser()).with_listeners(
            on_start=lambda run: heard.append("start"),
            on_end=lambda run: heard.append(f"end {run.outputs}"),
            on_error=lambda run: heard.append("error"),
        )
        for _ in range(2):
            doors.stream(chain, "q")
        assert heard[:2] == heard[2:]
        assert heard[0] == "start"
        assert len(heard) == 4

    colour.run(body)


@every_colour
def test_a_cache_set_in_the_middle_of_a_run_counts_for_the_next_call(colour):
    def body(doors):
        cache = InMemoryCache()
        model = Counting()
        stream = doors.open(model, "q")
        stream.next()
        set_llm_cache(cache)
        try:
            stream.rest()
            doors.invoke(model, "q")
            asked = len(model.asked)
            doors.invoke(model, "q")
            assert len(model.asked) == asked
        finally:
            set_llm_cache(None)

    colour.run(body)
