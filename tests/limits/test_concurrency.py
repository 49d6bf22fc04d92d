"""`max_concurrency` bounds leaf calls in flight across nested graphs and never deadlocks; threads
are reused; contexts are carried into them and nothing comes back; recursion has an end."""

from __future__ import annotations

import asyncio
import threading
import time
from contextvars import ContextVar
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import ConfigError, RecursionLimitError
from headrace.runnables import (
    RunnableBranch,
    RunnableGenerator,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
)
from laws.colours import both_drivers, every_colour, sync_colours


class Meter:
    """How many leaf calls are in flight, and the most that ever were."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.now = self.most = self.calls = 0

    def __enter__(self) -> None:
        with self._lock:
            self.now += 1
            self.calls += 1
            self.most = max(self.most, self.now)

    def __exit__(self, *error: Any) -> None:
        with self._lock:
            self.now -= 1


def leaf(meter: Meter, flaky: bool = False) -> Any:
    failed: list[int] = []

    def trip() -> None:
        if flaky and not failed:
            failed.append(1)
            raise ConnectionError

    def call(value: Any) -> Any:
        with meter:
            time.sleep(0.0003)
            trip()
        return value

    async def acall(value: Any) -> Any:
        with meter:
            await asyncio.sleep(0.0003)
            trip()
        return value

    return RunnableLambda(call, acall)


def shape() -> Any:
    """Nested graphs as data, of at most some dozens of leaves."""
    return st.recursive(
        st.just("leaf") | st.just("flaky"),
        lambda inner: st.tuples(
            st.sampled_from(["parallel", "assign", "each", "row", "batch", "branch", "retry"]),
            st.lists(inner, min_size=1, max_size=3),
        ),
        max_leaves=6,
    )


def graph(made: Any, meter: Meter) -> Any:
    if isinstance(made, str):
        return leaf(meter, made == "flaky").with_retry(wait_exponential_jitter=False)
    kind, parts = made
    steps = [graph(part, meter) for part in parts]
    row = RunnablePassthrough() | steps[0]
    for step in steps[1:]:
        row = row | (lambda _: "x") | step
    if kind == "parallel":
        return RunnableParallel({str(n): step for n, step in enumerate(steps)})
    if kind == "assign":
        added = RunnablePassthrough.assign(**{f"k{n}": step for n, step in enumerate(steps)})
        return RunnableLambda(lambda _: {"x": 1}) | added
    if kind == "each":
        return RunnableLambda(lambda _: [1, 2]) | row.map()
    if kind == "batch":
        return RunnableLambda(
            lambda _, config: row.batch([1, 2], config),
            lambda _, config: row.abatch([1, 2], config),
        )
    if kind == "branch":
        return RunnableBranch((lambda _: len(parts) % 2, row), steps[-1])
    if kind == "retry":
        return row.with_retry(exponential_jitter_params={"initial": 0.001, "jitter": 0})
    return row


@both_drivers
@pytest.mark.parametrize("limit", [1, 2, 3])
@pytest.mark.parametrize("door", ["batch", "invoke", "stream"])
def test_bounded_and_no_deadlock(colour, limit, door):
    @settings(max_examples=25)
    @given(made=shape())
    def check(made: Any) -> None:
        def body(doors: Any) -> None:
            meter = Meter()
            chain = graph(made, meter)
            config = {"max_concurrency": limit}
            if door == "batch":
                doors.batch(chain, [1, 2, 3], config)
            else:
                getattr(doors, door)(chain, 1, config)
            assert meter.now == 0
            assert meter.calls > 0
            assert meter.most <= limit, f"{meter.most} leaves in flight in {made}"

        colour.run(body, limit=20)

    check()


@every_colour
def test_the_bound_is_used(colour):
    def body(doors: Any) -> None:
        meter = Meter()
        step = leaf(meter)
        chain = step | RunnableParallel(a=step, b=step) | (lambda d: list(d.values())) | step.map()
        doors.batch(chain, list(range(12)), {"max_concurrency": 3})
        assert meter.most == 3
        assert meter.calls == 12 * 5
        meter.most = 0
        doors.batch(step, list(range(12)))
        assert meter.most > 3

    colour.run(body)


@every_colour
def test_wrong_bounds(colour):
    def body(doors: Any) -> None:
        with pytest.raises(ConfigError, match="max_concurrency is 0"):
            doors.batch(RunnableLambda(str), [1], {"max_concurrency": 0})

    colour.run(body)


# ---- threads ------------------------------------------------------------------------------------


def pool_threads() -> int:
    return sum(t.name.startswith("headrace-pool") for t in threading.enumerate())


@every_colour
def test_threads_are_reused_over_a_hundred_batches(colour):
    def body(doors: Any) -> None:
        chain = RunnableLambda(str) | {"a": RunnableLambda(len), "b": RunnableLambda(str.upper)}
        config = {"max_concurrency": 4}
        doors.batch(chain, list(range(8)), config)
        before = pool_threads()
        for _ in range(100):
            doors.batch(chain, list(range(8)), config)
        assert pool_threads() <= before + 12  # a lane's two branches each may find none idle

    colour.run(body)


VAR: ContextVar[str] = ContextVar("VAR", default="unset")


def watching(seen: list[str]) -> tuple[Any, Any]:
    """Steps that look at VAR, and change it."""

    def look(value: Any) -> Any:
        seen.append(VAR.get())
        VAR.set(f"changed by {value}")
        return value

    def spell(chunks: Any) -> Any:
        seen.append(VAR.get())
        yield from chunks

    return RunnableLambda(look), RunnableGenerator(spell)


@sync_colours
@pytest.mark.parametrize("limit", [None, 2])
def test_contexts_go_in_and_nothing_comes_back(colour, limit):
    def body(doors: Any) -> None:
        seen: list[str] = []
        step, spelling = watching(seen)
        config = {"max_concurrency": limit} if limit else None
        token = VAR.set("mine")
        try:
            doors.batch(step, list(range(6)), config)
            doors.as_completed(step, list(range(6)), config)
            doors.invoke(RunnableParallel(a=step, b=step), 1, config)
            doors.invoke(step.map(), [1, 2, 3], config)
            doors.stream(RunnableParallel(a=step, b=spelling), "x", config)
            assert VAR.get() == "mine"
        finally:
            VAR.reset(token)
        assert set(seen) == {"mine"}
        assert len(seen) == 19

    colour.run(body)


@pytest.mark.parametrize("limit", [None, 2])
async def test_contexts_go_into_tasks_and_their_threads(limit):
    seen: list[str] = []
    step, spelling = watching(seen)
    config: Any = {"max_concurrency": limit} if limit else None
    VAR.set("mine")
    await step.abatch(list(range(6)), config)
    await RunnableParallel(a=step, b=step).ainvoke(1, config)
    await step.ainvoke(1, config)
    await step.map().ainvoke([1, 2, 3], config)
    async for _ in RunnableParallel(a=step, b=spelling).astream("x", config):
        assert VAR.get() == "mine"
    assert VAR.get() == "mine"
    assert set(seen) == {"mine"}
    assert len(seen) == 14


# ---- recursion ----------------------------------------------------------------------------------


@every_colour
@pytest.mark.parametrize("door", ["invoke", "stream", "batch"])
def test_recursion_ends_where_the_config_says(colour, door):
    def body(doors: Any) -> None:
        depths: list[int] = []

        def down(value: Any) -> Any:
            depths.append(1)
            return RunnableLambda(down) if value != ["stop", len(depths)] else "end"

        for limit in (1, 5, 25):
            depths.clear()
            given = [0] if door == "batch" else 0
            with pytest.raises(RecursionLimitError, match=f"recursion_limit is {limit}"):
                getattr(doors, door)(RunnableLambda(down), given, {"recursion_limit": limit})
            assert len(depths) == limit + 1
        depths.clear()
        with pytest.raises(RecursionLimitError, match="recursion_limit is 25"):
            doors.invoke(RunnableLambda(down), 0)

    colour.run(body)


@every_colour
def test_what_ends_by_itself_within_the_limit_is_left_alone(colour):
    def body(doors: Any) -> None:
        def down(number: int) -> Any:
            def again(_: int) -> Any:
                return down(number - 1)

            return RunnableLambda(again) if number else "end"

        assert doors.invoke(RunnableLambda(lambda _: down(5)), 0, {"recursion_limit": 6}) == "end"
        with pytest.raises(RecursionLimitError):
            doors.invoke(RunnableLambda(lambda _: down(9)), 0, {"recursion_limit": 6})

    colour.run(body)
