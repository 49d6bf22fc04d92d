"""Law 8: `out[i]` comes from `in[i]` whatever fails, retries or is slow; `max_concurrency` bounds
the leaf calls in flight across the nested graph, and never deadlocks at 1."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace import runnables
from headrace.runnables import (
    RunnableGenerator,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
)
from laws.colours import COLOURS, END, both_drivers, every_colour
from laws.effort import examples
from laws.events import check_events
from laws.kinds import texts
from laws.ledger import LEDGER, Recorder
from laws.programs import build, output, trees
from laws.registry import ENTRIES

# ---- order --------------------------------------------------------------------------------------

FATES = st.sampled_from(["plain", "slow", "fails", "flaky"])


class Fated:
    """A leaf that treats each input `(number, fate)` as it is fated."""

    def __init__(self) -> None:
        self.tries: dict[int, int] = {}
        self.errors: dict[int, ValueError] = {}

    def _begin(self, number: int, fate: str) -> None:
        self.tries[number] = self.tries.get(number, 0) + 1
        if fate == "fails" or (fate == "flaky" and self.tries[number] == 1):
            raise self.errors.setdefault(number, ValueError(number))

    def sync(self, item: tuple[int, str]) -> int:
        number, fate = item
        with LEDGER.body("fated"):
            if fate == "slow":
                time.sleep(0.003)
            self._begin(number, fate)
            return number * 10

    async def async_(self, item: tuple[int, str]) -> int:
        number, fate = item
        with LEDGER.body("fated"):
            if fate == "slow":
                await asyncio.sleep(0.003)
            self._begin(number, fate)
            return number * 10


def _shapes(fated: Fated) -> dict[str, Any]:
    leaf = RunnableLambda(fated.sync, fated.async_)
    retried = leaf.with_retry(wait_exponential_jitter=False, stop_after_attempt=2)
    return {
        "leaf": leaf,
        "retry": retried,
        "chain": RunnablePassthrough() | retried | RunnableLambda(lambda n: n),
        "parallel": {"a": retried, "b": RunnablePassthrough()} | RunnableLambda(lambda d: d["a"]),
    }


def _check_outputs(shape: str, fates: list[str], outputs: dict[int, Any], fated: Fated) -> None:
    failing = ("fails", "flaky") if shape == "leaf" else ("fails",)
    for number, fate in enumerate(fates):
        if fate in failing:
            assert outputs[number] is fated.errors[number]
        else:
            assert outputs[number] == number * 10


@every_colour
@pytest.mark.parametrize("shape", ["leaf", "retry", "chain", "parallel"])
@examples(8)
@given(fates=st.lists(FATES, max_size=8), limit=st.none() | st.integers(1, 3))
def test_outputs_stand_where_their_inputs_stood(shape, colour, fates, limit):
    inputs = list(enumerate(fates))

    def body(doors: Any) -> None:
        config = {"max_concurrency": limit}
        fated = Fated()
        outputs = doors.batch(_shapes(fated)[shape], inputs, config, return_exceptions=True)
        assert len(outputs) == len(inputs)
        _check_outputs(shape, fates, dict(enumerate(outputs)), fated)
        fated = Fated()
        pairs = doors.as_completed(_shapes(fated)[shape], inputs, config, return_exceptions=True)
        assert sorted(number for number, _ in pairs) == list(range(len(inputs)))
        _check_outputs(shape, fates, dict(pairs), fated)

    colour.run(body)


@every_colour
@examples(15)
@given(tree=trees(), inputs=st.lists(texts, max_size=4), limit=st.none() | st.integers(1, 3))
def test_programs_in_a_batch(tree, inputs, limit, colour):
    def body(doors: Any) -> None:
        seen = Recorder()
        config = {**seen.config, "max_concurrency": limit}
        outputs = doors.batch(build(tree, runnables), inputs, config)
        assert outputs == [output(tree, text) for text in inputs]
        if inputs:
            check_events(seen.events, root_count=len(inputs))

    colour.run(body)


CASES = [
    (e, c)
    for c in COLOURS
    for e in ENTRIES
    if e.expect and not e.own and (c.asynchronous or not e.async_only)
]


@pytest.mark.parametrize(("entry", "colour"), CASES, ids=repr)
def test_every_entry_in_a_batch(entry, colour):
    def body(doors: Any) -> None:
        inputs = [entry.kind.sample(n) for n in (2, 3, 5)]
        expected = [entry.expect(value) for value in inputs]
        for limit in (None, 1, 2):
            outputs = doors.batch(entry.make(), inputs, {"max_concurrency": limit})
            assert [entry.view(value) for value in outputs] == expected

    colour.run(body)


# ---- failure ------------------------------------------------------------------------------------


@every_colour
def test_the_first_failure_is_raised_and_nothing_goes_on(colour):
    error = ValueError("third")
    begun: list[int] = []

    def work(number: int) -> int:
        with LEDGER.body("work"):
            begun.append(number)
            if number == 2:
                raise error
            time.sleep(0.001)
            return number

    async def awork(number: int) -> int:
        with LEDGER.body("work"):
            begun.append(number)
            if number == 2:
                raise error
            await asyncio.sleep(0.001)
            return number

    def body(doors: Any) -> None:
        for call in (doors.batch, doors.as_completed):
            begun.clear()
            with pytest.raises(ValueError) as info:
                call(RunnableLambda(work, awork), list(range(100)), {"max_concurrency": 2})
            assert info.value is error
            assert not LEDGER.still_open, "a call was still at work when batch raised"
            count = len(begun)
            assert count < 100, "inputs were begun after the failure"
            time.sleep(0.004)
            assert len(begun) == count

    colour.run(body)


@every_colour
def test_return_exceptions_keeps_exceptions_only(colour):
    """What is no `Exception` is no output: it is raised."""

    class Stop(BaseException):
        pass

    stop = Stop()

    def raises(number: int) -> int:
        raise stop

    def body(doors: Any) -> None:
        with pytest.raises(Stop) as info:
            doors.batch(RunnableLambda(raises), [1, 2], return_exceptions=True)
        assert info.value is stop

    colour.run(body)


@every_colour
def test_configs_one_for_each_input(colour):
    def tag(value: str, config: Any) -> str:
        return value + config["tags"][0]

    def body(doors: Any) -> None:
        chain = RunnablePassthrough() | RunnableLambda(tag)
        configs = [{"tags": ["1"]}, {"tags": ["2"]}, {"tags": ["3"]}]
        assert doors.batch(chain, ["a", "b", "c"], configs) == ["a1", "b2", "c3"]
        assert sorted(doors.as_completed(chain, ["a", "b", "c"], configs)) == [
            (0, "a1"), (1, "b2"), (2, "c3"),
        ]  # fmt: skip
        with pytest.raises(ValueError, match="2 configs for 3 inputs"):
            doors.batch(chain, ["a", "b", "c"], configs[:2])
        assert doors.batch(chain, []) == []
        assert doors.as_completed(chain, []) == []

    colour.run(body)


@every_colour
def test_as_completed_gives_the_quick_ones_first(colour):
    release = threading.Event()

    def sync(number: int) -> int:
        if number == 0:
            assert release.wait(5)
        return number

    async def async_(number: int) -> int:
        while number == 0 and not release.is_set():  # noqa: ASYNC110 - meets threads, too
            await asyncio.sleep(0)
        return number

    def body(doors: Any) -> None:
        release.clear()
        pairs = doors.open_as_completed(RunnableLambda(sync, async_), [0, 1, 2])
        assert {pairs.next()[0], pairs.next()[0]} == {1, 2}
        release.set()
        assert pairs.next() == (0, 0)
        assert pairs.next() is END

    colour.run(body)


@every_colour
def test_inputs_run_at_the_same_time(colour):
    """Unbounded, all are in flight at once: each waits until all have begun."""
    barrier = threading.Barrier(6, timeout=5)
    begun: list[int] = []

    async def meet(number: int) -> int:
        begun.append(number)
        while len(begun) < 6:  # noqa: ASYNC110 - meets threads, too
            await asyncio.sleep(0)
        return number

    def body(doors: Any) -> None:
        begun.clear()
        barrier.reset()
        leaf = RunnableLambda(lambda n: (barrier.wait() and n) or n, meet)
        assert doors.batch(leaf, list(range(6))) == list(range(6))

    colour.run(body)


# ---- max_concurrency ----------------------------------------------------------------------------


class Gauge:
    """How many leaf calls are in flight, and the most there were."""

    def __init__(self, takes: float = 0.0005) -> None:
        self._lock, self._takes = threading.Lock(), takes
        self.now = self.most = self.calls = 0

    def _in(self) -> None:
        with self._lock:
            self.now += 1
            self.calls += 1
            self.most = max(self.most, self.now)

    def _out(self) -> None:
        with self._lock:
            self.now -= 1

    def sync(self, value: Any) -> Any:
        self._in()
        time.sleep(self._takes)
        self._out()
        return value

    async def async_(self, value: Any) -> Any:
        self._in()
        try:
            await asyncio.sleep(self._takes)
            return value
        finally:
            self._out()


def leaf_of(gauge: Gauge) -> Any:
    return RunnableLambda(gauge.sync, gauge.async_)


def _calling(inner: Any) -> Any:
    async def acall(value: Any) -> Any:
        return await inner.ainvoke(value)

    return RunnableLambda(lambda value: inner.invoke(value), acall)


def _batching(inner: Any) -> Any:
    async def acall(value: Any) -> Any:
        return (await inner.abatch([value] * 3))[0]

    return RunnableLambda(lambda value: inner.batch([value] * 3)[0], acall)


def _streaming(inner: Any) -> Any:
    def call(chunks: Any) -> Any:
        for chunk in chunks:
            yield from inner.stream(chunk)

    async def acall(chunks: Any) -> Any:
        async for chunk in chunks:
            yield await inner.ainvoke(chunk)

    return RunnableGenerator(call, acall)


def _wide(leaf: Any, width: int = 4) -> Any:
    return RunnableParallel({str(n): leaf for n in range(width)})


NESTED = {
    "leaf": lambda leaf: leaf,
    "chain": lambda leaf: leaf | RunnablePassthrough() | leaf,
    "parallel": _wide,
    "nested parallel": lambda leaf: RunnableParallel(a=_wide(leaf), b=_wide(leaf), c=leaf),
    "after a parallel": lambda leaf: _wide(leaf) | RunnableLambda(lambda d: d["0"]) | _wide(leaf),
    "assign": lambda leaf: {"k": leaf} | RunnablePassthrough.assign(x=leaf, y=leaf | leaf),
    "assign after assign": lambda leaf: (
        RunnableParallel(k=leaf, l=leaf)
        | RunnablePassthrough.assign(x=leaf, y=leaf)
        | RunnablePassthrough.assign(z=leaf)
    ),
    "map": lambda leaf: RunnableLambda(lambda v: [v] * 4) | leaf.map(),
    "map of parallels": lambda leaf: RunnableLambda(lambda v: [v] * 3) | _wide(leaf, 2).map(),
    "retry": lambda leaf: _wide(leaf.with_retry()),
    "calls": lambda leaf: _calling(leaf),
    "calls a parallel": lambda leaf: _wide(_calling(_wide(leaf, 2)), 2),
    "calls a batch": lambda leaf: _batching(leaf | leaf),
    "calls deeply": lambda leaf: _calling(_calling(_calling(_wide(leaf, 2)))),
    "streams": lambda leaf: _streaming(_wide(leaf, 2) | RunnableLambda(lambda d: d["0"])),
    "returns": lambda leaf: RunnableLambda(lambda v: _wide(leaf, 3)),
}


@every_colour
@pytest.mark.parametrize("limit", [1, 2, 3])
@pytest.mark.parametrize("graph", NESTED)
def test_leaf_calls_in_flight_are_bounded_across_the_graph(graph, limit, colour):
    def body(doors: Any) -> None:
        config = {"max_concurrency": limit}
        for way in ("batch", "invoke", "stream", "as_completed"):
            gauge = Gauge()
            runnable = NESTED[graph](leaf_of(gauge))
            given = ["a"] * 4 if way in ("batch", "as_completed") else "a"
            getattr(doors, way)(runnable, given, config)
            assert gauge.calls
            assert gauge.most <= limit, f"{way}: {gauge.most} in flight"
            assert gauge.now == 0

    colour.run(body)


@every_colour
def test_the_bound_is_used_up(colour):
    """Not one after the other by mistake: with a bound of 3, 3 meet."""
    barrier = threading.Barrier(3, timeout=5)
    waiting: list[int] = []

    async def meet(value: int) -> int:
        waiting.append(value)
        while len(waiting) < 3:  # noqa: ASYNC110 - meets threads, too
            await asyncio.sleep(0)
        return value

    def body(doors: Any) -> None:
        waiting.clear()
        barrier.reset()
        leaf = RunnableLambda(lambda v: (barrier.wait() and v) or v, meet)
        config = {"max_concurrency": 3}
        assert doors.batch(leaf, [1, 2, 3], config) == [1, 2, 3]
        waiting.clear()
        assert doors.invoke(RunnablePassthrough() | _wide(leaf, 3), 1, config) == dict.fromkeys(
            "012", 1
        )

    colour.run(body)


@both_drivers
def test_the_bound_holds_for_branches_of_a_stream_and_frees_its_places(colour):
    """A branch that has ended, failed or was left gives its place back."""

    def body(doors: Any) -> None:
        gauge = Gauge()
        config = {"max_concurrency": 1}
        chain = RunnablePassthrough() | _wide(leaf_of(gauge))
        for _ in range(3):
            stream = doors.open(chain, "a", config)
            stream.next()
            stream.close()
        error = ValueError("branch")

        def fails(value: Any) -> Any:
            raise error

        for _ in range(3):
            with pytest.raises(ValueError):
                doors.stream(RunnablePassthrough() | {"a": fails, "b": leaf_of(gauge)}, "a", config)
        assert len(doors.stream(chain, "a", config)) == 4
        assert gauge.most == 1

    colour.run(body)


@both_drivers
@pytest.mark.parametrize("limit", [0, -1])
def test_a_bound_below_one_is_refused(limit, colour):
    def body(doors: Any) -> None:
        with pytest.raises(ValueError, match="max_concurrency"):
            doors.batch(RunnablePassthrough(), ["a"], {"max_concurrency": limit})

    colour.run(body)
