"""Where timings are reached: `timing()`, end events; on a clock that the steps themselves move."""

from __future__ import annotations

import asyncio
import gc
import re
import weakref

import pytest

import headrace.events
from headrace.errors import ConfigError
from headrace.language_models import FakeListChatModel
from headrace.output_parsers import StrOutputParser
from headrace.prompts import ChatPromptTemplate
from headrace.runnables import RunnableGenerator, RunnableLambda, RunnableParallel
from headrace.timing import Timings, timing
from laws.colours import both_drivers, every_colour


class Time:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now

    def step(self, name, waits, works=()):
        """A generator step that takes this long before it gives each chunk: `waits` for a source,
        which ignores its input, `works` for one that passes chunks on."""

        def source(chunks):
            list(chunks)
            for seconds in waits:
                self.now += seconds
                yield "x"

        async def asource(chunks):
            async for _ in chunks:
                pass
            for seconds in waits:
                self.now += seconds
                yield "x"

        def passes(chunks):
            for seconds, chunk in zip(works, chunks, strict=True):
                self.now += seconds
                yield chunk

        async def apasses(chunks):
            rest = iter(works)
            async for chunk in chunks:
                self.now += next(rest)
                yield chunk

        one, two = (passes, apasses) if works else (source, asource)
        return RunnableGenerator(one, two, name=name)


@pytest.fixture
def time(monkeypatch):
    time = Time()
    monkeypatch.setattr(headrace.events, "monotonic", time)
    return time


def held(times):
    return {run.name: round(run.held, 9) for run in times.runs}


def timed(colour, work, **options):
    """The times of what is done in a colour. An event loop has a context of its own from when it is
    made, as a thread has, so the block goes around the one and inside the other."""
    if colour.asynchronous:
        with timing(**options) as times:
            colour.run(work)
        return times

    def body(doors):
        with timing(**options) as times:
            work(doors)
        return times

    return colour.run(body)


# ---- the block ----------------------------------------------------------------------------------


@every_colour
def test_who_held_the_stream_up(colour, time):
    chain = time.step("model", [2.0, 0.5, 3.0]) | time.step("parser", (), [0.1, 0.2, 0.1])

    def work(doors):
        assert doors.stream(chain, "go") == ["x"] * 3

    times = timed(colour, work)
    assert held(times) == {"RunnableSequence": 0, "model": 5.5, "parser": 0.4}
    root = times.root
    assert (root.first_chunk, root.chunks, root.ended) == (
        pytest.approx(2.1),
        3,
        pytest.approx(5.9),
    )
    assert root.held_by.path == "RunnableSequence/1:model"
    assert "held up by RunnableSequence/1:model: 5.50 s of 5.90 s (93%)" in str(times)


@every_colour
def test_a_function_holds_back_what_a_model_streams(colour, time):
    def slow(text):
        time.now += 4.0
        return text

    chain = time.step("model", [0.1] * 10) | RunnableLambda(slow)

    def work(doors):
        assert doors.stream(chain, "go") == ["x" * 10]

    times = timed(colour, work)
    assert held(times) == {"RunnableSequence": 0, "model": 1.0, "slow": 4.0}
    assert [(run.name, run.chunks) for run in times.runs] == [
        *[("RunnableSequence", 1), ("model", 10), ("slow", 1)]
    ]


@every_colour
def test_invoke_and_what_functions_call(colour, time):
    def inner(value):
        time.now += 1.0
        return value

    called = RunnableLambda(inner)

    def outer(value):
        time.now += 0.25
        return called.invoke(value)

    async def aouter(value):
        time.now += 0.25
        return await called.ainvoke(value)

    chain = RunnableLambda(outer, aouter, name="outer")

    def work(doors):
        assert doors.invoke(chain, 7) == 7

    times = timed(colour, work)
    assert held(times) == {"outer": 0.25, "inner": 1.0}
    assert times.root.chunks == 0
    assert times.root.steps[0].path == "outer/inner"


@both_drivers
def test_a_parallel(colour, time):
    both = RunnableParallel(a=time.step("a", [1.0, 1.0]), b=time.step("b", [0.5]))

    def work(doors):
        doors.stream(both, "go")

    times = timed(colour, work)
    assert sum(held(times).values()) == pytest.approx(times.root.ended)
    assert [step.path.rpartition("/")[2] for step in times.root.steps] == ["a:a", "b:b"]
    assert [step.chunks for step in times.root.steps] == [2, 1]


def test_several_runs_one_after_the_other_and_none(time):
    step = time.step("model", [1.0])
    with timing(keep=2) as times:
        assert (times.runs, str(times)) == ([], "no run has begun")
        for _ in range(3):
            step.invoke("go")
    assert len(times.roots) == 2
    step.invoke("outside")
    assert len(times.roots) == 2
    assert str(times).count("model") == 2


@pytest.mark.parametrize("idle", ["a", -1, None, True, float("nan")])
@pytest.mark.parametrize("door", [timing, Timings])
def test_what_is_no_time_is_refused_at_the_call(door, idle):
    with pytest.raises(ConfigError, match=f"idle is {re.escape(repr(idle))}: give the seconds"):
        door(idle=idle)


@pytest.mark.parametrize("keep", [0, -1, 1.5, "a", True, None])
@pytest.mark.parametrize("door", [timing, Timings])
def test_what_is_no_number_of_runs_is_refused_at_the_call(door, keep):
    with pytest.raises(ConfigError, match=f"keep is {re.escape(repr(keep))}: give a whole number"):
        door(keep=keep)


def test_every_gap_may_be_idle_and_none():
    for idle, count in ((0, 2), (float("inf"), 0)):
        with timing(idle=idle) as times:
            list(RunnableGenerator(lambda chunks: iter("abc")).stream("go"))
        assert times.root.idle == count


@every_colour
def test_a_stream_that_is_left(colour, time):
    chain = time.step("model", [1.0] * 5) | time.step("parser", (), [0.0] * 5)

    def work(doors):
        stream = doors.open(chain, "go")
        assert stream.next() == "x"
        stream.close()

    times = timed(colour, work)
    assert {run.status for run in times.runs} == {"cancelled"}
    assert not times._live


async def test_tasks_and_threads_that_begin_inside(time):
    def body(value):
        return value

    step = RunnableLambda(body)
    with timing() as times:
        await asyncio.gather(*(step.ainvoke(n) for n in range(3)))
        await asyncio.to_thread(step.invoke, 3)
    assert len(times.roots) == 4


def test_inputs_and_chunks_are_not_kept():
    class Big:
        pass

    def chunks(values):
        for _ in values:
            yield Big()

    seen = []
    step = RunnableGenerator(chunks)
    with timing() as times:
        for _ in range(20):
            given = Big()
            for chunk in step.stream(given):
                seen += [weakref.ref(chunk), weakref.ref(given)]
        del chunk, given
    gc.collect()
    assert not any(ref() for ref in seen)
    assert len(times.roots) == 20


# ---- end events ---------------------------------------------------------------------------------


def chain():
    prompt = ChatPromptTemplate.from_template("{a}")
    return prompt | FakeListChatModel(responses=["abc"]) | StrOutputParser()


async def dicts(colour, runnable, value, **options):
    if colour == "sync":
        return list(runnable.stream_events(value, **options))
    return [event async for event in runnable.astream_events(value, **options)]


@pytest.mark.parametrize("colour", ["sync", "async"])
async def test_end_events_carry_times_when_asked(colour):
    plain = await dicts(colour, chain(), {"a": "b"})
    timed = await dicts(colour, chain(), {"a": "b"}, timing=True)
    assert [event["event"] for event in timed] == [event["event"] for event in plain]
    assert not any("timing" in event["metadata"] for event in plain)
    with_times = [event for event in timed if "timing" in event["metadata"]]
    assert [event["event"] for event in with_times] == [
        *("on_prompt_end", "on_chat_model_end", "on_parser_end", "on_chain_end")
    ]
    root = with_times[-1]["metadata"]["timing"]
    model = with_times[1]["metadata"]["timing"]
    assert (root["chunks"], model["chunks"]) == (3, 3)
    assert 0 < root["first_chunk"] <= root["seconds"]
    assert root["held_by"].startswith("RunnableSequence")
    assert 0 < root["held"] <= root["seconds"]
    assert "held_by" not in model
    assert set(model) | {"held_by", "held"} == set(root)


@pytest.mark.parametrize("colour", ["sync", "async"])
async def test_filters_hold_for_timed_events_too(colour):
    plain = await dicts(colour, chain(), {"a": "b"}, include_types=["chat_model"])
    timed = await dicts(colour, chain(), {"a": "b"}, include_types=["chat_model"], timing=True)
    assert [(e["event"], e["name"]) for e in timed] == [(e["event"], e["name"]) for e in plain]
    assert timed[-1]["metadata"]["timing"]["chunks"] == 3


@pytest.mark.parametrize("colour", ["sync", "async"])
async def test_timed_events_of_an_invoked_model_show_no_more_than_others(colour):
    def ask(text):
        return FakeListChatModel(responses=["abc"]).invoke(text).content

    plain = await dicts(colour, RunnableLambda(ask), "b")
    timed = await dicts(colour, RunnableLambda(ask), "b", timing=True)
    assert [(e["event"], e["name"]) for e in timed] == [(e["event"], e["name"]) for e in plain]


def test_the_machine_as_an_observer(time):
    times = Timings()
    time.step("model", [1.0, 1.0]).invoke("go", {"callbacks": [times]})
    assert held(times) == {"model": 2.0}
