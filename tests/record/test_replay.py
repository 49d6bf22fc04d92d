"""`replay`: the same chunks, outputs, errors and events again, at any speed, in every colour."""

from __future__ import annotations

import asyncio
import time

import pytest

from headrace.errors import ConfigError, HeadraceError
from headrace.language_models.fake import (
    FakeListChatModel,
    FakeListChatModelError,
    FakeMessagesListChatModel,
    GenericFakeChatModel,
)
from headrace.messages import AIMessage, AIMessageChunk, HumanMessage
from headrace.output_parsers import JsonOutputParser, StrOutputParser
from headrace.prompts import ChatPromptTemplate
from headrace.record import NotRecordedError, RecordingError, record, replay
from headrace.runnables import RunnableGenerator, RunnableLambda, RunnableParallel
from laws.colours import both_drivers, every_colour
from record import users


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.jsonl"


def a_prompt():
    return ChatPromptTemplate.from_template("joke about {topic}")


def a_chain(*answers):
    return a_prompt() | FakeListChatModel(responses=list(answers or ["Hi you"])) | StrOutputParser()


class VirtualClock:
    """Time that passes when somebody waits, and when the test says so."""

    def __init__(self):
        self.time = 100.0
        self.waits = []

    def now(self):
        return self.time

    def sleep(self, seconds):
        self.waits.append(seconds)
        self.time += seconds

    async def asleep(self, seconds):
        await asyncio.sleep(0)
        self.sleep(seconds)


# ------------------------------------------------------------------ as a runnable


@every_colour
def test_the_same_chunks_and_the_same_output(colour, path):
    with record(path):
        chunks = list(a_chain().stream({"topic": "x"}))
    again = replay(path).as_runnable()

    def body(doors):
        assert doors.stream(again, {"topic": "x"}) == chunks
        assert doors.invoke(again, {"topic": "x"}) == "Hi you"

    colour.run(body)
    assert again.name == "RunnableSequence"


@every_colour
def test_one_that_was_invoked_gives_its_output_in_one_chunk(colour, path):
    with record(path):
        a_chain().invoke({"topic": "x"})

    def body(doors):
        assert doors.stream(replay(path).as_runnable(), {"topic": "x"}) == ["Hi you"]
        assert doors.invoke(replay(path).as_runnable(), {"topic": "x"}) == "Hi you"

    colour.run(body)


@every_colour
def test_snapshots_do_not_add_up_in_the_replay_either(colour, path):
    chain = a_prompt() | FakeListChatModel(responses=['{"a": "xy", "b": 1}']) | JsonOutputParser()
    with record(path):
        chunks = list(chain.stream({"topic": "x"}))
    assert len(chunks) > 3
    again = replay(path).as_runnable()
    keeps = RunnableLambda(lambda value: value)

    def body(doors):
        assert doors.stream(again, {"topic": "x"}) == chunks
        assert doors.invoke(again | keeps, {"topic": "x"}) == {"a": "xy", "b": 1}
        assert doors.stream(again | keeps, {"topic": "x"})[-1] == {"a": "xy", "b": 1}

    colour.run(body)


@every_colour
def test_an_error_comes_where_it_came_as_what_it_was(colour, path):
    model = FakeListChatModel(responses=["Hi you"], error_on_chunk_number=3)
    chain = a_prompt() | model | StrOutputParser()
    with record(path), pytest.raises(FakeListChatModelError) as first:
        list(chain.stream({"topic": "x"}))
    again = replay(path).as_runnable()

    def body(doors):
        stream, seen = doors.open(again, {"topic": "x"}), []
        with pytest.raises(FakeListChatModelError) as caught:
            while True:
                seen.append(stream.next())
        assert seen == ["H", "i", " "]
        assert caught.value.__notes__ == first.value.__notes__
        with pytest.raises(FakeListChatModelError):
            doors.invoke(again, {"topic": "x"})

    colour.run(body)


@every_colour
def test_what_was_left_cannot_be_played_further(colour, path):
    with record(path):
        stream = a_chain().stream({"topic": "x"})
        next(stream)
        stream.close()

    def body(doors):
        stream = doors.open(replay(path).as_runnable(), {"topic": "x"})
        assert stream.next() == "H"
        with pytest.raises(NotRecordedError, match="was left by its consumer after 1 chunks"):
            stream.next()
        stream.close()
        stream = doors.open(replay(path).as_runnable(), {"topic": "x"})
        assert stream.next() == "H"
        stream.close()

    colour.run(body)


def test_what_was_cut_off_by_the_end_of_the_file(path):
    with record(path):
        list(a_chain().stream({"topic": "x"}))
    path.write_bytes(path.read_bytes()[:-20])
    back = replay(path)
    stream = back.as_runnable().stream({"topic": "x"})
    assert [next(stream) for _ in range(6)] == list("Hi you")
    with pytest.raises(NotRecordedError, match="cut off by the recording's end after 6 chunks"):
        next(stream)
    assert "cut off" in back.note


@every_colour
def test_inputs_choose_the_run(colour, path):
    double = RunnableLambda(lambda x: [x, x])
    with record(path):
        for value in (1, {"k": {2}}, HumanMessage("hi", id="a"), 1.0):
            double.invoke(value)

    def body(doors):
        again = replay(path).as_runnable(strict=True)
        assert doors.invoke(again, HumanMessage("hi", id="another"))[0].content == "hi"
        assert doors.invoke(again, 1.0) == [1.0, 1.0]
        assert doors.invoke(again, {"k": {2}}) == [{"k": {2}}] * 2
        first = doors.invoke(again, 1)
        assert (first, type(first[0])) == ([1, 1], int)
        assert doors.invoke(again, 1) == [1, 1]  # again what it was
        with pytest.raises(NotRecordedError, match="all 4 have been given"):
            doors.invoke(again, 2)

    colour.run(body)


def test_equal_inputs_are_answered_in_their_order_and_others_by_what_is_left(path):
    count = iter(range(10))
    step = RunnableLambda(lambda x: next(count))
    with record(path):
        step.batch(["a", "b", "a"], {"max_concurrency": 1})
    again = replay(path).as_runnable()
    assert [again.invoke("a") for _ in range(4)] == [0, 2, 2, 2]
    assert again.invoke("other") == 1
    with pytest.raises(NotRecordedError) as caught:
        again.invoke("x" * 1000)
    assert "all 3 have been given" in str(caught.value)
    assert len(str(caught.value)) < 600
    with pytest.raises(LookupError, match="strict=True takes no other"):
        replay(path).as_runnable(strict=True).invoke("other")


def test_who_gets_an_answer_may_change_it(path):
    with record(path):
        RunnableLambda(lambda x: [x]).invoke(1)
    again = replay(path).as_runnable()
    again.invoke(1).append(2)
    assert again.invoke(1) == [1]


def test_values_of_users_come_back_where_that_is_allowed(path):
    point = users.Point(1, 2)
    with record(path):
        RunnableLambda(lambda x: point).invoke(point)
    assert replay(path, allow=[users]).as_runnable(strict=True).invoke(point) == point
    described = replay(path).as_runnable(strict=True).invoke(point)
    assert described.data == {"x": 1, "y": 2}


INPUTS = [
    users.Settings(name="n", inner=users.Inner(number=1)),
    users.Settings,
    [users.Colour.RED, {"a": (1, 2)}],
    {1: {"b", "c"}},
    float("nan"),
    "\ud83d\ude00",
    [HumanMessage("x", id="1"), ("human", "y")],
]


@pytest.mark.parametrize("value", INPUTS, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("allow", [[], [users]])
def test_inputs_of_every_kind_are_found_again(value, allow, path):
    with record(path):
        RunnableLambda(lambda x: "found").invoke(value)
        RunnableLambda(lambda x: "another").invoke("another")
    again = replay(path, allow=allow).as_runnable(strict=True)
    assert again.invoke("another") == "another"
    assert again.invoke(value) == "found"
    with pytest.raises(NotRecordedError):
        again.invoke([value])


def test_a_circle_is_found_again(path):
    circle = [1]
    circle.append(circle)
    with record(path):
        RunnableLambda(len).invoke(circle)
    assert replay(path).as_runnable(strict=True).invoke(circle) == 2


def test_a_model_that_was_asked_with_an_object_of_the_users_is_answered_in_order(path):
    with record(path):
        FakeListChatModel(responses=["one"]).invoke(users.Question())
    with pytest.raises(NotRecordedError):
        replay(path).as_chat_model(strict=True).invoke("q")
    assert replay(path).as_chat_model().invoke(users.Question()).content == "one"


def test_sums_of_chunks_ask_as_messages_do(path):
    with record(path):
        FakeListChatModel(responses=["one"]).invoke([AIMessage("ab"), HumanMessage("q")])
    asked = [AIMessageChunk("a") + AIMessageChunk("b", chunk_position="last"), HumanMessage("q")]
    assert replay(path).as_chat_model(strict=True).invoke(asked).content == "one"


def test_an_inner_run_that_was_recorded_alone_is_a_root(path):
    inner = RunnableLambda(lambda x: x + 1)
    with record(path) as recorder:
        pass
    assert recorder.count == 0
    from headrace.record import Recorder

    recorder = Recorder(path)
    outer = RunnableLambda(str) | inner.with_config(callbacks=[recorder]) | str
    with pytest.raises(TypeError):
        outer.invoke(1)
    recorder.close()
    with pytest.raises(TypeError, match="concatenate"):
        replay(path).as_runnable().invoke("1")


def test_several_roots_one_after_the_other(path):
    with record(path):
        list(a_chain("ab", "cd").stream({"topic": "x"}))
        a_chain("ef").invoke({"topic": "y"})
    assert [list(chunks) for chunks in replay(path).streams()] == [["a", "b"], ["ef"]]


# ------------------------------------------------------------------ as a chat model


@every_colour
def test_the_model_answers_with_the_same_chunks(colour, path):
    with record(path):
        assert "".join(a_chain().stream({"topic": "x"})) == "Hi you"

    def body(doors):
        model = replay(path).as_chat_model()
        chunks = doors.stream(model, "joke about x")
        assert [chunk.content for chunk in chunks] == list("Hi you")
        assert len({chunk.id for chunk in chunks}) == 1
        assert chunks[-1].chunk_position == "last"
        again = doors.invoke(model, "joke about x")
        assert type(again) is AIMessage
        assert again.content == "Hi you"
        chain = a_prompt() | replay(path).as_chat_model(strict=True) | StrOutputParser()
        assert doors.stream(chain, {"topic": "x"}) == list("Hi you")
        assert doors.invoke(chain, {"topic": "x"}) == "Hi you"

    colour.run(body)


CALL = {"name": "f", "args": {"a": 1}, "id": "c1"}
USAGE = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}


@every_colour
def test_a_model_that_does_not_stream_gives_its_answer_at_once(colour, path):
    answer = AIMessage("yes", id="m1", tool_calls=[CALL], usage_metadata=USAGE)
    with record(path):
        list(FakeMessagesListChatModel(responses=[answer]).stream("q"))

    def body(doors):
        (only,) = doors.stream(replay(path).as_chat_model(), "q")
        assert only == answer
        assert doors.invoke(replay(path).as_chat_model(), "q") == answer

    colour.run(body)


@every_colour
def test_one_that_was_invoked_can_be_streamed(colour, path):
    answer = AIMessage("yes", id="m1", tool_calls=[CALL], usage_metadata=USAGE)
    with record(path):
        GenericFakeChatModel(messages=iter([answer])).invoke("q")

    def body(doors):
        (only,) = doors.stream(replay(path).as_chat_model(), "q")
        assert type(only) is AIMessageChunk
        assert (only.tool_calls[0]["args"], only.usage_metadata, only.id) == ({"a": 1}, USAGE, "m1")
        assert doors.invoke(replay(path).as_chat_model(), "q") == answer

    colour.run(body)


@every_colour
def test_the_models_errors_come_where_they_came(colour, path):
    failing = FakeListChatModel(responses=["Hi you"], error_on_chunk_number=2)
    with record(path), pytest.raises(FakeListChatModelError):
        list(failing.stream("q"))

    def body(doors):
        model = replay(path).as_chat_model()
        stream = doors.open(model, "q")
        assert (stream.next().content, stream.next().content) == ("H", "i")
        with pytest.raises(FakeListChatModelError):
            stream.next()
        with pytest.raises(FakeListChatModelError):
            doors.invoke(model, "q")

    colour.run(body)


def test_messages_choose_the_answer_however_they_are_given(path):
    model = FakeListChatModel(responses=["one", "two", "three"])
    with record(path):
        for question in ("a", [("system", "s"), ("human", "b")], [HumanMessage("c", id="1")]):
            model.invoke(question)
    again = replay(path).as_chat_model(strict=True)
    assert again.invoke([{"role": "user", "content": "c"}]).content == "three"
    assert again.invoke([HumanMessage("a", id="x")]).content == "one"
    assert again.invoke([("system", "s"), ("human", "b")]).content == "two"
    with pytest.raises(NotRecordedError, match="has no answer to"):
        again.invoke("d")


def test_tool_calls_that_somebody_has_read_do_not_change_the_question(path):
    def question():
        return [AIMessage("x", id="1", tool_calls=[CALL]), AIMessage("plain"), HumanMessage("go")]

    with record(path):
        FakeListChatModel(responses=["one"]).invoke(question())
    asked = question()
    assert asked[1].tool_calls == []
    assert asked[1].additional_kwargs == {}
    assert replay(path).as_chat_model(strict=True).invoke(asked).content == "one"


def test_without_a_chat_model_there_is_none(path):
    with record(path):
        RunnableLambda(str).invoke(1)
    with pytest.raises(RecordingError, match=r"No chat model ran.*use as_runnable"):
        replay(path).as_chat_model()


def test_branches_find_their_own_answers(path):
    def chain(model):
        ask = ChatPromptTemplate.from_template
        return RunnableParallel(
            a=ask("first {x}") | model | StrOutputParser(),
            b=ask("second {x}") | model | StrOutputParser(),
        )

    class Echo(GenericFakeChatModel):
        def _next(self):
            raise NotImplementedError

        def _generate(self, messages, stop=None, run_manager=None, **kw):
            from headrace.outputs import ChatGeneration, ChatResult

            return ChatResult([ChatGeneration(AIMessage(messages[-1].content.upper()))])

    with record(path):
        said = chain(Echo(messages=iter(()))).invoke({"x": "q"})
    assert said == {"a": "FIRST q".upper(), "b": "SECOND Q"}
    for _ in range(5):
        assert chain(replay(path).as_chat_model(strict=True)).invoke({"x": "q"}) == said


def normalised(events):
    """Event dicts with run ids numbered in the order in which they are met."""
    numbers = {}

    def plain(value):
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, list):
            return [plain(item) for item in value]
        if hasattr(value, "model_dump"):
            return [type(value).__name__, plain(value.model_dump())]
        if isinstance(value, str):
            for ident, number in numbers.items():
                value = value.replace(ident, number)
        return value

    told = []
    for event in events:
        numbers.setdefault(event["run_id"], f"id{len(numbers)}")
        told.append(plain(event))
    return told


ANSWER = AIMessage("Hi you", usage_metadata=USAGE)
MODELS = {
    "streaming": lambda: FakeListChatModel(responses=["Hi you"]),
    "generic": lambda: GenericFakeChatModel(
        messages=iter([AIMessage("some words", tool_calls=[CALL], additional_kwargs={"k": "v"})])
    ),
    "whole": lambda: FakeMessagesListChatModel(responses=[ANSWER]),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_a_chain_with_the_model_replaced_gives_equal_events(name, path):
    chain = a_prompt() | MODELS[name]() | StrOutputParser()
    with record(path):
        first = list(chain.stream_events({"topic": "x"}))
    model = replay(path).as_chat_model(strict=True)
    again = list((a_prompt() | model | StrOutputParser()).stream_events({"topic": "x"}))
    assert len(first) > 5
    assert normalised(again) == normalised(first)


@pytest.mark.parametrize("name", MODELS)
async def test_the_same_in_async_code(name, path):
    chain = a_prompt() | MODELS[name]() | StrOutputParser()
    with record(path):
        first = [event async for event in chain.astream_events({"topic": "x"})]
    model = replay(path).as_chat_model(strict=True)
    chain = a_prompt() | model | StrOutputParser()
    again = [event async for event in chain.astream_events({"topic": "x"})]
    assert normalised(again) == normalised(first)


# ------------------------------------------------------------------ speed


@pytest.fixture
def timed(path):
    """A recording with known times: the start at 10 s, chunks after 1, 1.5 and 4 s, the end after
    5 s."""
    with record(path):
        list(RunnableGenerator(lambda chunks: iter("abc"), name="letters").stream("x"))
        model = FakeListChatModel(responses=["abc"])
        list(model.stream("q"))
    times = iter([0.0, 10.0, 11.0, 11.5, 14.0, 15.0, 20.0, 21.0, 21.5, 24.0, 25.0])
    lines = []
    for line in path.read_text().splitlines(keepends=True):
        before, _, rest = line.partition('"time":')
        old = rest[: min(rest.find(end) for end in ",}" if end in rest)]
        lines.append(f'{before}"time":{next(times)}{rest[len(old) :]}')
    path.write_text("".join(lines))
    return path


@pytest.mark.parametrize(
    ("speed", "waits"),
    [("recorded", [1, 0.5, 2.5, 1]), (1, [1, 0.5, 2.5, 1]), (2, [0.5, 0.25, 1.25, 0.5]), (0, [])],
)
@every_colour
def test_chunks_come_as_they_came(colour, speed, waits, timed):
    clock = VirtualClock()

    def body(doors):
        back = replay(timed, speed=speed, clock=clock)
        assert doors.stream(back.as_runnable(), "x") == ["a", "b", "c"]
        assert clock.waits == pytest.approx(waits)
        clock.waits.clear()
        assert [c.content for c in doors.stream(back.as_chat_model(), "q")] == ["a", "b", "c"]
        assert clock.waits == pytest.approx(waits)

    colour.run(body)


@pytest.mark.parametrize(("speed", "waits"), [("recorded", [5]), (10, [0.5]), (0, [])])
@every_colour
def test_a_whole_answer_comes_when_it_was_whole(colour, speed, waits, timed):
    clock = VirtualClock()

    def body(doors):
        back = replay(timed, speed=speed, clock=clock)
        assert doors.invoke(back.as_runnable(), "x") == "abc"
        assert doors.invoke(back.as_chat_model(), "q").content == "abc"
        assert clock.waits == pytest.approx(waits * 2)

    colour.run(body)


@both_drivers
def test_a_slow_consumer_is_not_made_slower(colour, timed):
    clock = VirtualClock()

    def body(doors):
        back = replay(timed, speed="recorded", clock=clock)
        stream = doors.open(back.as_runnable(), "x")
        assert stream.next() == "a"
        clock.time += 2  # "b" is overdue then, "c" due in a second
        assert (stream.next(), stream.next()) == ("b", "c")
        assert clock.waits == pytest.approx([1, 1])
        stream.rest()

    colour.run(body)


@both_drivers
def test_real_time_passes_by_the_real_clock(colour, timed):
    def body(doors):
        begun = time.monotonic()
        doors.stream(replay(timed, speed=100).as_runnable(), "x")
        assert 0.05 <= time.monotonic() - begun < 1

    colour.run(body)


async def test_waiting_does_not_block_the_loop(timed):
    async def one():
        return [chunk async for chunk in replay(timed, speed=50).as_runnable().astream("x")]

    begun = time.monotonic()
    assert await asyncio.gather(*(one() for _ in range(20))) == [["a", "b", "c"]] * 20
    assert time.monotonic() - begun < 1  # one after the other they take 2 s


async def test_leaving_ends_the_waiting(timed):
    for thing in (
        replay(timed, speed=0.01).as_runnable(),
        replay(timed, speed=0.01).as_chat_model(),
    ):
        task = asyncio.create_task(anext(thing.astream("q")))
        await asyncio.sleep(0.01)
        task.cancel()
        begun = time.monotonic()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - begun < 1


async def test_async_replays_use_no_thread(timed, monkeypatch):
    from headrace import _threads

    def no(*args, **kwargs):
        raise AssertionError("a thread")

    monkeypatch.setattr(_threads, "submit", no)
    back = replay(timed)
    for thing in (back.as_runnable(), back.as_chat_model()):
        await thing.ainvoke("q")
        assert len([chunk async for chunk in thing.astream("q")]) == 3


@pytest.mark.parametrize("speed", ["fast", -1, float("nan"), float("inf"), None, "2"])
def test_speeds_that_are_none(path, speed):
    with record(path):
        pass
    with pytest.raises(ConfigError, match=r'give "recorded", 0 \(at once\), or how many times'):
        replay(path, speed=speed)


# ------------------------------------------------------------------ the events


def test_events_can_be_read_again_and_again_and_share_their_runs(path):
    with record(path):
        list(a_chain().stream({"topic": "x"}))
    back = replay(path)
    for _ in range(2):
        events = list(back.events())
        assert len({id(event.run) for event in events}) == 4
        assert len({event.run for event in events}) == 4
    assert [event.seq for event in events] == list(range(len(events)))
    assert back.path == str(path)


def test_views_take_recorded_events(path):
    from headrace.views import Filter, StreamEvents

    chain = a_chain()
    with record(path):
        told = list(chain.stream_events({"topic": "x"}))
    view, again = StreamEvents(Filter()), []
    for event in replay(path).events():
        if type(event) in view.wants(event.run):
            again.extend(view.feed(event))
    assert normalised(again) == normalised(told)


def test_many_at_once_each_get_their_own(path):
    with record(path):
        RunnableLambda(lambda x: x * 2).batch(list(range(50)))
    again = replay(path).as_runnable(strict=True)
    assert again.batch(list(range(50))) == [x * 2 for x in range(50)]
    assert sorted(replay(path).as_runnable().batch(["other"] * 50)) == [x * 2 for x in range(50)]


def test_what_they_say_of_themselves(path):
    with record(path):
        a_chain().invoke({"topic": "x"})
    back = replay(path)
    assert repr(back) == f"Replay({str(path)!r})"
    assert repr(back.as_runnable()) == f"RecordedRunnable('RunnableSequence', {str(path)!r})"
    assert "FakeListChatModel" in repr(back.as_chat_model())
    assert "source" in str(back.as_runnable()._flow())
    assert back.as_chat_model()._llm_type == "recorded-chat-model"


def test_a_replay_may_be_recorded(path, tmp_path):
    with record(path):
        first = list(a_chain().stream({"topic": "x"}))
    second = tmp_path / "second.jsonl"
    with record(second):
        list(replay(path).as_runnable().stream({"topic": "x"}))
    assert list(replay(second).as_runnable(strict=True).stream({"topic": "x"})) == first
    assert issubclass(NotRecordedError, HeadraceError)
