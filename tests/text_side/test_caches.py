"""Caches, as a user of models sees them: a hit is the answer that was given, in the same shape.

Held here: the model is asked once for what is the same and again for what is not; a hit replays
chunks, events and hooks; what was not whole is not kept. Where answers lie: test_cache_stores.py.
"""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.caches import InMemoryCache
from headrace.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage, ToolMessage
from headrace.output_parsers import StrOutputParser
from headrace.prompts import ChatPromptTemplate
from laws.colours import END, every_colour
from text_side.kit import (
    TEXTS,
    Counting,
    CountingAsync,
    Echo,
    Hooks,
    Several,
    Whole,
    core,
    events,
    log_state,
    shape,
    told,
)

TEXT = "".join(TEXTS)
MODELS = pytest.mark.parametrize("kind", [Counting, CountingAsync], ids=["sync-body", "async-body"])


# ---- a hit --------------------------------------------------------------------------------------


@every_colour
@MODELS
def test_a_second_stream_is_the_first_one_again(colour, kind, cache):
    def body(doors):
        model = kind(cache=cache)
        first, second = doors.stream(model, "hi"), doors.stream(model, "hi")
        assert [core(chunk) for chunk in first] == [core(chunk) for chunk in second]
        assert [chunk.content for chunk in second if chunk.content] == list(TEXTS)
        assert all(isinstance(chunk, AIMessageChunk) for chunk in second)
        assert second[-1].chunk_position == "last"
        assert len({chunk.id for chunk in second}) == 1
        assert len(model.asked) == 1

    colour.run(body)


@every_colour
@pytest.mark.parametrize("first_door", ["invoke", "stream", "batch"])
@pytest.mark.parametrize("second_door", ["invoke", "stream", "batch"])
def test_every_door_hits_what_any_door_stored(colour, first_door, second_door):
    def ask(doors, model, door):
        if door == "stream":
            chunks = doors.stream(model, "hi")
            whole = chunks[0]
            for chunk in chunks[1:]:
                whole = whole + chunk
            return whole
        return doors.invoke(model, "hi") if door == "invoke" else doors.batch(model, ["hi"])[0]

    def body(doors):
        model = Counting(cache=InMemoryCache())
        first, second = ask(doors, model, first_door), ask(doors, model, second_door)
        assert len(model.asked) == 1
        assert first.content == second.content == TEXT
        assert core(first)[1] == core(second)[1] == told(3, 4)

    colour.run(body)


@every_colour
def test_events_of_a_hit_are_those_of_the_miss(colour, cache):
    def body(doors):
        model = Counting(cache=cache)
        chain = ChatPromptTemplate.from_template("say {word}") | model | StrOutputParser()
        missed, hit = (events(doors, chain, {"word": "hi"}) for _ in range(2))
        assert [shape(event) for event in missed] == [shape(event) for event in hit]
        assert len(model.asked) == 1
        tokens = [e for e in hit if e["event"] == "on_chat_model_stream"]
        assert "".join(e["data"]["chunk"].content for e in tokens) == TEXT
        streamed = [e["data"]["chunk"] for e in hit if e["event"] == "on_parser_stream"]
        assert [piece for piece in streamed if piece] == list(TEXTS)

    colour.run(body)


@every_colour
def test_the_log_of_a_hit_is_that_of_the_miss(colour, cache):
    def body(doors):
        chain = Counting(cache=cache) | StrOutputParser()
        missed, hit = (log_state(doors, chain, "hi") for _ in range(2))
        assert missed["final_output"] == hit["final_output"] == TEXT
        assert missed["streamed_output"] == hit["streamed_output"]
        assert set(missed["logs"]) == set(hit["logs"])
        for name in missed["logs"]:
            assert (
                missed["logs"][name]["streamed_output_str"]
                == hit["logs"][name]["streamed_output_str"]
            )

    colour.run(body)


@every_colour
def test_hooks_of_a_hit_are_those_of_the_miss(colour):
    def body(doors):
        model, seen = Counting(cache=InMemoryCache()), []
        for _ in range(2):
            hooks = Hooks()
            doors.stream(model, "hi", {"callbacks": [hooks]})
            seen.append(hooks.seen)
        assert seen[0] == seen[1]
        assert seen[0][0] == "chat_start"
        assert seen[0][-1] == ("end", TEXT)
        assert [item[1] for item in seen[1][1:-1] if item[1]] == list(TEXTS)

    colour.run(body)


@every_colour
def test_a_hit_has_its_cost_marked_zero(colour):
    def body(doors):
        model = Counting(cache=InMemoryCache())
        missed, hit = doors.invoke(model, "hi"), doors.invoke(model, "hi")
        assert "total_cost" not in missed.usage_metadata
        assert hit.usage_metadata["total_cost"] == 0

    colour.run(body)


@every_colour
def test_a_model_that_does_not_stream_hits_as_one_chunk(colour, cache):
    def body(doors):
        model = Whole(cache=cache)
        missed = doors.invoke(model, "hi")
        (hit,) = [chunk for chunk in doors.stream(model, "hi") if chunk.content]
        assert hit.content == missed.content == "whole answer"
        assert model._calls == 1
        assert type(doors.invoke(model, "hi")) is AIMessage

    colour.run(body)


@every_colour
def test_tool_calls_and_reasoning_survive_a_hit(colour, cache):
    pieces = [
        {"content": [{"type": "reasoning", "reasoning": "hm", "index": 0}]},
        {
            "content": "",
            "tool_call_chunks": [{"name": "add", "args": '{"a":', "id": "c1", "index": 1}],
        },
        {
            "content": "",
            "tool_call_chunks": [{"name": None, "args": " 1}", "id": None, "index": 1}],
        },
        {
            "content": "",
            "tool_call_chunks": [{"name": "bad", "args": "oops", "id": "c2", "index": 2}],
        },
    ]

    def body(doors):
        model = Counting(pieces=pieces, cache=cache)
        missed, hit = doors.stream(model, "hi"), doors.stream(model, "hi")
        assert len(missed) == len(hit)
        assert [c.tool_call_chunks for c in missed] == [c.tool_call_chunks for c in hit]
        assert [c.content for c in missed] == [c.content for c in hit]
        answer = doors.invoke(model, "hi")
        assert [(c["name"], c["args"]) for c in answer.tool_calls] == [("add", {"a": 1})]
        assert [c["name"] for c in answer.invalid_tool_calls] == ["bad"]
        assert len(model.asked) == 1

    colour.run(body)


@every_colour
def test_text_models_hit_as_streams_too(colour, cache):
    def body(doors):
        model = Echo(cache=cache)
        missed, hit = doors.stream(model, "hello"), doors.stream(model, "hello")
        assert missed == hit == list("hello!")
        assert doors.invoke(model, "hello") == "hello!"
        assert len(model.asked) == 1
        first, second = (events(doors, Echo(cache=cache), "hello") for _ in range(2))
        assert [shape(e) for e in first] == [shape(e) for e in second]

    colour.run(body)


@every_colour
def test_batch_asks_only_for_what_is_missing(colour, cache):
    def body(doors):
        model = Several(cache=cache)
        assert doors.batch(model, ["a", "b"]) == ["A", "B"]
        assert doors.batch(model, ["b", "c", "a"]) == ["B", "C", "A"]
        assert sorted(p for prompts in model._asked for p in prompts) == ["a", "b", "c"]

    colour.run(body)


@every_colour
def test_the_changed_answer_of_a_caller_does_not_reach_the_next_one(colour, cache):
    def body(doors):
        model = Counting(cache=cache)
        for chunk in doors.stream(model, "hi"):
            chunk.content = "spoiled"
            chunk.response_metadata["spoiled"] = True
        for door in ("invoke", "stream"):
            got = getattr(doors, door)(model, "hi")
            for message in got if door == "stream" else [got]:
                assert "spoiled" not in str(message.content)
                assert "spoiled" not in message.response_metadata
                message.response_metadata["spoiled"] = True
                message.additional_kwargs["spoiled"] = True
        assert "spoiled" not in str(doors.stream(model, "hi"))
        assert len(model.asked) == 1

    colour.run(body)


@every_colour
@pytest.mark.parametrize("has_id", [[True, False], [True, True], [False, False]])
def test_the_chunks_of_an_answer_share_one_id(colour, has_id):
    """Providers send the id with the first chunk, and often with no other."""
    pieces = [{"content": "a", **({"id": "msg_1"} if given else {})} for given in has_id]

    def body(doors):
        model = Counting(pieces=pieces, cache=InMemoryCache())
        for _ in range(2):
            assert len({chunk.id for chunk in doors.stream(model, "hi")}) == 1

    colour.run(body)


# ---- what is not kept ---------------------------------------------------------------------------


@every_colour
@MODELS
@pytest.mark.parametrize("taken", [0, 1, 3, 5])
def test_a_stream_left_in_the_middle_is_not_kept(colour, kind, cache, taken):
    def body(doors):
        model = kind(cache=cache)
        stream = doors.open(model, "hi")
        for _ in range(taken):
            stream.next()
        stream.close()
        asked = len(model.asked)
        assert asked == (1 if taken else 0)
        assert len(doors.stream(model, "hi")) >= 5
        assert len(model.asked) == asked + 1
        doors.stream(model, "hi")
        assert len(model.asked) == asked + 1

    colour.run(body)


@every_colour
def test_a_chain_left_in_the_middle_keeps_nothing(colour, cache):
    def body(doors):
        model = Counting(cache=cache)
        stream = doors.open(model | StrOutputParser(), "hi")
        assert stream.next() is not END
        stream.close()
        doors.invoke(model | StrOutputParser(), "hi")
        assert len(model.asked) == 2

    colour.run(body)


@every_colour
@MODELS
@pytest.mark.parametrize("at", [0, 2, 4])
@pytest.mark.parametrize("door", ["invoke", "stream"])
def test_a_stream_that_fails_is_not_kept(colour, kind, cache, at, door):
    def body(doors):
        model = kind(cache=cache, fail_at=at)
        with pytest.raises(RuntimeError, match="went dead"):
            getattr(doors, door)(model, "hi")
        healed = kind(cache=cache)
        doors.stream(healed, "hi")
        assert len(healed.asked) == 1

    colour.run(body)


class Stuck(Counting):
    """Streams two chunks, then waits for ever."""

    async def _agenerate(self, messages, stop=None, run_manager=None, **kw):
        self._note(messages, stop, kw)
        await asyncio.Event().wait()

    async def _astream(self, messages, stop=None, run_manager=None, **kw):
        chunks = self._stream(messages, stop, run_manager, **kw)
        yield next(chunks)
        yield next(chunks)
        chunks.close()
        await asyncio.Event().wait()


@pytest.mark.parametrize("door", ["ainvoke", "astream"])
async def test_a_cancelled_call_is_not_kept(door):
    cache = InMemoryCache()
    model = Stuck(cache=cache)

    async def consume():
        if door == "ainvoke":
            await model.ainvoke("hi")
        else:
            async for _ in model.astream("hi"):
                pass

    task = asyncio.create_task(consume())
    for _ in range(1000):
        await asyncio.sleep(0)
        if model.asked:
            break
    for _ in range(10):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    healed = Stuck(cache=cache)
    stream = healed.astream("hi")
    assert (await anext(stream)).content == TEXTS[0]
    await stream.aclose()
    assert len(healed.asked) == 1


def test_two_interleaved_streams_each_are_whole():
    model = Counting(cache=InMemoryCache())
    one, two = model.stream("hi"), model.stream("hi")
    got = [(a.content, b.content) for a, b in zip(one, two, strict=True)]
    assert [a for a, _ in got] == [b for _, b in got]
    assert len(model.asked) == 2
    assert "".join(c.content for c in model.stream("hi")) == TEXT
    assert len(model.asked) == 2


# ---- what is the same question ------------------------------------------------------------------


DIFFERENT = [
    ("stop", lambda m: m.bind(stop=["x"])),
    ("other stop", lambda m: m.bind(stop=["y"])),
    ("tools", lambda m: m.bind(tools=[{"type": "function", "function": {"name": "a"}}])),
    ("other tools", lambda m: m.bind(tools=[{"type": "function", "function": {"name": "b"}}])),
    ("tool choice", lambda m: m.bind(tool_choice="any")),
    ("temperature of the call", lambda m: m.bind(temperature=0.5)),
    ("seed", lambda m: m.bind(seed=1)),
]


@every_colour
def test_what_differs_in_the_call_is_asked_again(colour, cache):
    def body(doors):
        model = Counting(cache=cache)
        doors.invoke(model, "hi")
        for number, (name, bound) in enumerate(DIFFERENT, start=2):
            doors.invoke(bound(model), "hi")
            assert len(model.asked) == number, name
            doors.stream(bound(model), "hi")
            assert len(model.asked) == number, name

    colour.run(body)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ({"temperature": 0.0}, {"temperature": 1.0}),
        ({"model_name": "a"}, {"model_name": "b"}),
    ],
)
def test_settings_of_the_model_are_part_of_the_question(one, two, cache):
    first, second, again = (Counting(cache=cache, **given) for given in (one, two, one))
    for model in (first, second, again):
        model.invoke("hi")
    assert [len(model.asked) for model in (first, second, again)] == [1, 1, 0]


def test_two_classes_do_not_share_answers(cache):
    one, two = Counting(cache=cache), Whole(cache=cache)
    assert one.invoke("hi").content == TEXT
    assert two.invoke("hi").content == "whole answer"


class Silent(Counting):
    """Says nothing of its settings, as authors often do."""

    @property
    def _identifying_params(self):
        return {}


def test_a_model_that_names_no_settings_is_told_apart_by_what_it_was_made_with(cache):
    one = Silent(cache=cache, temperature=0.0)
    two = Silent(cache=cache, temperature=0.9)
    one.invoke("hi")
    two.invoke("hi")
    assert (len(one.asked), len(two.asked)) == (1, 1)


SAME = [
    ("hi", [HumanMessage("hi")]),
    ("hi", [HumanMessage("hi", id="42")]),
    ([("human", "hi")], [{"role": "user", "content": "hi"}]),
    (
        [HumanMessage("a", id="1"), AIMessage("b", id="2"), HumanMessage("c")],
        [HumanMessage("a", id="7"), AIMessage("b"), HumanMessage("c", id="9")],
    ),
    (
        [HumanMessage("a"), AIMessage("b", usage_metadata=told(1, 1)), HumanMessage("c")],
        [HumanMessage("a"), AIMessage("b", usage_metadata=told(9, 9)), HumanMessage("c")],
    ),
]


@pytest.mark.parametrize(("one", "two"), SAME)
def test_ids_and_forms_of_messages_do_not_matter(one, two, cache):
    model = Counting(cache=cache)
    model.invoke(one)
    model.invoke(two)
    assert len(model.asked) == 1


class Reading(Counting):
    """Looks at every field of its messages, as the class of a provider does."""

    def _note(self, messages, stop, kwargs):
        super()._note(messages, stop, kwargs)
        for message in messages:
            for name in ("additional_kwargs", "response_metadata", "tool_calls", "name"):
                getattr(message, name, None)
            getattr(message, "invalid_tool_calls", None)


@every_colour
def test_looking_at_a_message_does_not_make_it_another_question(colour, cache):
    def body(doors):
        cache.clear()
        conversation = [HumanMessage("a"), AIMessage("b"), HumanMessage("c")]
        model = Reading(cache=cache)
        for _ in range(3):
            doors.invoke(model, conversation)
        assert len(model.asked) == 1

    colour.run(body)


@pytest.mark.parametrize(
    "message",
    [
        HumanMessage("x"),
        AIMessage("x", tool_calls=[{"name": "f", "args": {}, "id": "c"}]),
        AIMessage("x", additional_kwargs={}, invalid_tool_calls=[]),
        ToolMessage("x", tool_call_id="c"),
        ToolMessage("x", tool_call_id="c", status="success"),
        SystemMessage("x", name=None),
    ],
)
def test_messages_that_are_equal_are_one_question(message, cache):
    model = Counting(cache=cache)
    twins = [
        message,
        type(message).model_validate(message.model_dump()),
        type(message)(**{k: v for k, v in message.model_dump().items() if k != "type"}),
    ]
    for twin in twins:
        assert twin == message
        model.invoke([HumanMessage("q"), twin])
    assert len(model.asked) == 1


CALL = {"name": "f", "args": {"a": 1}, "id": "c1"}
OTHERS = [
    [HumanMessage("hi")],
    [HumanMessage("hi ")],
    [HumanMessage("")],
    [SystemMessage("hi")],
    [AIMessage("hi")],
    [HumanMessage("hi", name="anna")],
    [HumanMessage("hi"), HumanMessage("hi")],
    [HumanMessage([{"type": "text", "text": "hi"}])],
    [HumanMessage([{"type": "text", "text": "hi"}, {"type": "image", "url": "http://a/b"}])],
    [HumanMessage([{"type": "text", "text": "hi"}, {"type": "image", "url": "http://a/c"}])],
    [HumanMessage("hi"), AIMessage("", tool_calls=[CALL]), ToolMessage("1", tool_call_id="c1")],
    [HumanMessage("hi"), AIMessage("", tool_calls=[CALL]), ToolMessage("2", tool_call_id="c1")],
    [
        HumanMessage("hi"),
        AIMessage("", tool_calls=[{**CALL, "args": {"a": 2}}]),
        ToolMessage("1", tool_call_id="c1"),
    ],
    [HumanMessage("Human: hi")],
    [HumanMessage("hi\nAI: hi")],
    [HumanMessage("hi"), AIMessage("hi")],
]


def test_other_messages_are_other_questions(cache):
    model = Counting(cache=cache)
    for messages in OTHERS:
        model.invoke(messages)
    assert len(model.asked) == len(OTHERS)
    for messages in OTHERS:
        model.invoke(messages)
    assert len(model.asked) == len(OTHERS)


@given(st.lists(st.tuples(st.sampled_from(["human", "ai", "system"]), st.text()), min_size=1))
def test_two_conversations_share_an_answer_only_if_they_are_equal(pairs):
    """Joining texts can make two conversations look alike; the key must not."""
    model = Counting(cache=InMemoryCache())
    model.invoke(pairs)
    joined = [(pairs[0][0], "\n".join(text for _, text in pairs))]
    model.invoke(joined)
    assert len(model.asked) == (1 if joined == pairs else 2)
    model.invoke(pairs)
    assert len(model.asked) == (1 if joined == pairs else 2)


def test_the_order_of_keys_in_an_argument_does_not_matter(cache):
    model = Counting(cache=cache)
    model.bind(extra={"a": 1, "b": 2}).invoke("hi")
    model.bind(extra={"b": 2, "a": 1}).invoke("hi")
    assert len(model.asked) == 1


def test_what_cannot_be_compared_goes_past_the_cache(cache):
    model = Counting(cache=cache)
    for _ in range(2):
        assert model.bind(hook=lambda: None).invoke("hi").content == TEXT
    assert len(model.asked) == 2


def test_config_is_no_part_of_the_question(cache):
    model = Counting(cache=cache)
    model.invoke("hi", {"tags": ["a"], "metadata": {"k": 1}, "run_name": "x"})
    model.invoke("hi", {"tags": ["b"]})
    assert len(model.asked) == 1
