"""`with_listeners` and `with_alisteners`: once per call, of that runnable's run alone."""

from __future__ import annotations

import asyncio
import copy
import logging
import pickle
from uuid import uuid4

import pytest

from headrace.callbacks import Run, RunCancelledError
from headrace.errors import ConfigError
from headrace.language_models import FakeListChatModel
from headrace.messages import HumanMessage
from headrace.output_parsers import StrOutputParser
from headrace.runnables import RunnableLambda, RunnableParallel, RunnablePassthrough
from laws.colours import both_drivers, every_colour


class Heard:
    """Listeners that keep what they were called with, plain or as coroutine functions."""

    def __init__(self, wait):
        self.calls = []
        self._wait = wait

    def _listener(self, moment):
        def plain(run):
            assert isinstance(run, Run)
            self.calls.append((moment, run, run.outputs))

        async def awaited(run):
            await asyncio.sleep(0)
            plain(run)

        return awaited if self._wait else plain

    def on(self, runnable):
        method = runnable.with_alisteners if self._wait else runnable.with_listeners
        moments = ("on_start", "on_end", "on_error")
        return method(**{moment: self._listener(moment) for moment in moments})

    @property
    def moments(self):
        return [moment for moment, _, _ in self.calls]


def _sorted(values):
    return sorted(values.items())


both_kinds = pytest.mark.parametrize("wait", [False, True], ids=["plain", "awaited"])


@every_colour
@both_kinds
@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_a_chain_starts_and_ends_once(colour, wait, way):
    def body(doors):
        heard = Heard(wait)
        chain = RunnableLambda(lambda x: x, name="a") | RunnableLambda(len, name="b")
        result = getattr(doors, way)(heard.on(chain), "xyz")
        assert result == (3 if way == "invoke" else [3])
        assert heard.moments == ["on_start", "on_end"]
        (_, started, none), (_, ended, outputs) = heard.calls
        assert started is ended
        assert (none, outputs) == ({}, {"output": 3})
        assert (ended.name, ended.inputs) == ("RunnableSequence", {"input": "xyz"})
        assert [child.name for child in ended.child_runs] == ["a", "b"]
        assert ended.parent_run_id is None

    colour.run(body)


@every_colour
@both_kinds
def test_an_input_that_streams_is_there_at_the_end(colour, wait):
    def body(doors):
        heard = Heard(wait)
        assert doors.transform(heard.on(StrOutputParser()), ["a", "b"]) == ["a", "b"]
        assert heard.moments == ["on_start", "on_end"]
        assert heard.calls[1][1].inputs == {"input": "ab"}
        assert heard.calls[1][2] == {"output": "ab"}

    colour.run(body)


@every_colour
@both_kinds
@pytest.mark.parametrize("observed", [False, True])
def test_a_step_inside_is_heard_and_its_neighbours_are_not(colour, wait, observed):
    def body(doors):
        heard, others = Heard(wait), Heard(False)
        inside = heard.on(RunnableLambda(len, name="inside"))
        chain = RunnableLambda(lambda x: x) | RunnableParallel(a=inside, b=lambda x: x) | _sorted
        chain = others.on(chain) if observed else chain
        assert doors.invoke(chain, "ab") == [("a", 2), ("b", "ab")]
        assert doors.stream(chain, "ab") == [[("a", 2), ("b", "ab")]]
        assert heard.moments == ["on_start", "on_end"] * 2
        assert {run.name for _, run, _ in heard.calls} == {"inside"}
        assert others.moments == (["on_start", "on_end"] * 2 if observed else [])

    colour.run(body)


@every_colour
@both_kinds
def test_each_input_of_a_batch_with_its_own_id(colour, wait):
    def body(doors):
        heard, ids = Heard(wait), [uuid4() for _ in range(4)]
        step = heard.on(RunnableLambda(lambda n: n * 2))
        assert doors.batch(step, [1, 2, 3, 4], [{"run_id": i} for i in ids]) == [2, 4, 6, 8]
        assert {run.id: out for moment, run, out in heard.calls if moment == "on_end"} == {
            run_id: {"output": n} for run_id, n in zip(ids, [2, 4, 6, 8], strict=True)
        }
        assert heard.moments.count("on_start") == 4
        heard.calls.clear()
        assert doors.batch(step, [1, 2, 3, 4]) == [2, 4, 6, 8]
        assert sorted(heard.moments) == ["on_end"] * 4 + ["on_start"] * 4
        assert doors.invoke(step.map(), [1, 2]) == [2, 4]
        assert len(heard.calls) == 12

    colour.run(body)


@every_colour
@both_kinds
def test_a_runnable_that_calls_itself_is_heard_once_per_call(colour, wait):
    def body(doors):
        heard = Heard(wait)

        def countdown(n):
            return n if n == 0 else listened.invoke(n - 1)

        listened = heard.on(RunnableLambda(countdown))
        assert doors.invoke(listened, 2) == 0
        assert sorted(heard.moments) == ["on_end"] * 3 + ["on_start"] * 3
        inputs = {run.id: run.inputs["input"] for _, run, _ in heard.calls}
        assert sorted(inputs.values()) == [0, 1, 2]

    colour.run(body)


@every_colour
@both_kinds
def test_listeners_on_listeners_with_retry_bind_and_config(colour, wait):
    def body(doors):
        first, second = Heard(wait), Heard(False)
        chain = RunnableLambda(lambda x, **kw: x + len(kw)) | RunnableLambda(lambda x: x)
        twice = second.on(first.on(chain))
        for changed in (twice, twice.with_retry(), twice.with_config(tags=["t"]), twice.bind(a=1)):
            doors.invoke(changed, 1)
            assert [first.moments, second.moments] == [["on_start", "on_end"]] * 2
            first.calls.clear()
            second.calls.clear()

    colour.run(body)


@every_colour
@both_kinds
@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_a_failure_goes_to_on_error_with_its_trace(colour, wait, way):
    def body(doors):
        heard = Heard(wait)
        with pytest.raises(ZeroDivisionError):
            getattr(doors, way)(heard.on(RunnableLambda(lambda x: 1 // x)), 0)
        assert heard.moments == ["on_start", "on_error"]
        _, run, outputs = heard.calls[1]
        assert run.error.startswith("ZeroDivisionError(")
        assert "test_listeners.py" in run.error
        assert outputs == {}
        assert run.end_time >= run.start_time

    colour.run(body)


@every_colour
@both_kinds
def test_a_run_that_is_left_goes_to_on_error_with_what_had_come(colour, wait):
    def body(doors):
        heard = Heard(wait)
        chain = FakeListChatModel(responses=["foo"]) | StrOutputParser()
        stream = doors.open(heard.on(chain), "q")
        assert stream.next() == "f"
        stream.close()
        assert heard.moments == ["on_start", "on_error"]
        _, run, outputs = heard.calls[1]
        assert run.error.startswith(RunCancelledError.__name__)
        assert outputs == {"output": "f"}

    colour.run(body)


@both_kinds
def test_a_cancelled_task_has_told_its_listeners_when_it_ends(wait):
    async def main():
        heard, here = Heard(wait), asyncio.Event()

        async def forever(x):
            here.set()
            await asyncio.Event().wait()

        task = asyncio.ensure_future(heard.on(RunnableLambda(forever)).ainvoke("x"))
        await here.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return heard.moments

    assert asyncio.run(main()) == ["on_start", "on_error"]


@both_drivers
@pytest.mark.parametrize("wait", [False, True], ids=["plain", "awaited"])
def test_a_listener_may_take_the_config(colour, wait):
    calls = []

    def two(run, config):
        calls.append(config)

    def named(run, *, config):
        calls.append(config)

    def named_after_another(run, other=None, config=None):
        assert other is None
        calls.append(config)

    async def named_and_awaited(run, *, config):
        calls.append(config)

    def optional(run, other=None):
        calls.append(other)

    async def awaited(run, config):
        calls.append(config)

    def body(doors):
        step = RunnableLambda(len).with_listeners(
            on_start=awaited if wait else two, on_end=optional
        )
        doors.invoke(step, "ab", {"tags": ["t"], "metadata": {"m": 1}})
        assert [calls[0]["tags"], calls[0]["metadata"], calls[1]] == [["t"], {"m": 1}, None]
        calls.clear()
        doors.invoke(RunnablePassthrough() | step, "ab", {"tags": ["t"]})
        assert calls[0]["tags"] == ["t"]
        calls.clear()
        step = RunnableLambda(len).with_listeners(
            on_start=named_and_awaited if wait else named, on_end=named_after_another
        )
        doors.invoke(step, "ab", {"tags": ["t"]})
        assert [config["tags"] for config in calls] == [["t"], ["t"]]
        calls.clear()

    colour.run(body)


@every_colour
@both_kinds
def test_what_a_listener_raises_is_logged_and_the_call_goes_on(colour, wait, caplog):
    def fails(run):
        raise RuntimeError("listener")

    async def afails(run):
        raise RuntimeError("listener")

    def body(doors):
        listener = afails if wait else fails
        with caplog.at_level(logging.ERROR, logger="headrace"):
            assert doors.invoke(RunnableLambda(len).with_listeners(on_start=listener), "ab") == 2
        (record,) = caplog.records
        assert "listener" in record.exc_text
        assert listener.__name__ in record.getMessage()

    colour.run(body)


def test_what_cannot_be_called_is_refused_at_once():
    with pytest.raises(ConfigError, match="on_end='x' cannot be called"):
        RunnableLambda(len).with_listeners(on_end="x")


def test_without_listeners_nothing_is_observed():
    seen = []
    inner = RunnableLambda(lambda x, config: seen.append(config["callbacks"]))
    inner.with_listeners().invoke(1)
    assert seen == [None]


def _noted(run):
    NOTED.append(run.name)


NOTED = []


@pytest.mark.parametrize("again", [copy.deepcopy, lambda r: pickle.loads(pickle.dumps(r))])
def test_listened_runnables_copy_and_pickle(again):
    step = StrOutputParser().with_listeners(on_end=_noted)
    NOTED.clear()
    assert again(step).invoke("ab") == "ab"
    assert NOTED == ["StrOutputParser"]


def test_a_listened_step_streams_as_before():
    pulled = []

    def source():
        for text in ("a", "b"):
            pulled.append(text)
            yield text

    listened = StrOutputParser().with_listeners(on_end=lambda run: None)
    stream = (StrOutputParser() | listened).transform(source())
    assert next(stream) == "a"
    assert pulled == ["a"]
    stream.close()


@every_colour
@both_kinds
def test_a_chat_model_is_told_of_as_one_with_its_messages(colour, wait):
    class Burnt(FakeListChatModel):
        def _generate(self, *args, **kwargs):
            raise OSError("no model")

        async def _agenerate(self, *args, **kwargs):
            raise OSError("no model")

    def body(doors):
        heard = Heard(wait)
        doors.invoke(heard.on(FakeListChatModel(responses=["foo"])), "hi")
        with pytest.raises(OSError, match="no model"):
            doors.invoke(heard.on(Burnt(responses=["x"])), "hi")
        assert heard.moments == ["on_start", "on_end", "on_start", "on_error"]
        runs = [run for _, run, _ in heard.calls]
        assert {run.run_type for run in runs} == {"chat_model"}
        assert all(run.inputs == {"messages": [[HumanMessage("hi")]]} for run in runs)
        outputs = [outputs for _, _, outputs in heard.calls]
        assert (outputs[0], outputs[2]) == ({}, {})
        assert outputs[1]["generations"][0][0]["text"] == "foo"
        assert outputs[3]["generations"] == [[]]

    colour.run(body)


@every_colour
@both_kinds
def test_an_input_of_none_is_none_at_the_end(colour, wait):
    def body(doors):
        heard = Heard(wait)
        doors.invoke(heard.on(RunnableLambda(lambda x: x)), None)
        _, run, outputs = heard.calls[-1]
        assert (run.inputs, outputs) == ({"input": None}, {"output": None})

    colour.run(body)
