"""What a chunk costs, in counts: frames, calls, tasks, threads, events, copies."""

from __future__ import annotations

import asyncio
import concurrent.futures
import copy
import sys
from typing import Any

import pytest

from headrace import events as events_module
from headrace.runnables import (
    RunnableBranch,
    RunnableGenerator,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
    each,
)
from laws.colours import ASYNC, SYNC, both_drivers
from laws.counted import counted_calls
from laws.ledger import Recorder, Source


def _loop(chunks: Any) -> Any:
    for chunk in chunks:  # noqa: UP028 - counted as users write it
        yield chunk


async def _aloop(chunks: Any) -> Any:
    async for chunk in chunks:
        yield chunk


def row(steps: int) -> Any:
    chain: Any = RunnableGenerator(_loop, _aloop)
    for _ in range(steps - 1):
        chain = chain | RunnableGenerator(_loop, _aloop)
    return chain


def depth() -> int:
    frame, count = sys._getframe(1), 0
    while frame is not None:
        frame, count = frame.f_back, count + 1  # type: ignore[assignment]
    return count


# ---- frames and calls per chunk -----------------------------------------------------------------


def frames_below(chain: Any, doors: Any) -> int:
    """Frames between the consumer and its source while a chunk is made."""
    seen: list[int] = []

    def pieces() -> Any:
        for _ in range(5):
            seen.append(depth())
            yield "a"

    if doors.asynchronous:

        async def apieces() -> Any:
            for piece in pieces():
                yield piece

        async def main() -> int:
            here = depth()
            async for _ in chain.atransform(apieces()):
                pass
            return here

        here = doors.wait(main())
        return seen[2] - here - 2  # the two generators of the source
    here = depth()
    for _ in chain.transform(pieces()):
        pass
    return seen[2] - here - 1


@both_drivers
@pytest.mark.parametrize("steps", [3, 10])
def test_frames_between_consumer_and_source(steps, colour):
    """One for each generator of the user, and one for the root that closes it all."""

    def body(doors: Any) -> None:
        assert frames_below(row(steps), doors) <= steps + 1

    colour.run(body)


@both_drivers
def test_a_passthrough_adds_no_frame(colour):
    def body(doors: Any) -> None:
        plain = row(3)
        padded = RunnablePassthrough() | row(3) | RunnablePassthrough()
        named = row(3).bind().bind()
        assert frames_below(padded, doors) == frames_below(plain, doors)
        assert frames_below(named, doors) == frames_below(plain, doors)

    colour.run(body)


@both_drivers
def test_a_config_adds_a_frame_for_each_step_of_the_user(colour):
    """With tags and the like, his code must find its run: a context is entered around each."""

    def body(doors: Any) -> None:
        bound = row(3).with_config(tags=["t"]).with_config(run_name="n")
        assert frames_below(bound, doors) <= 2 * 3 + 1

    colour.run(body)


def frames_of(runnable: Any, doors: Any) -> int:
    """Frames between the consumer of a stream and the step that makes it, for a chunk under way."""
    DEPTHS.clear()
    if doors.asynchronous:

        async def main() -> int:
            here = depth()
            async for _ in runnable.astream("abcde"):
                pass
            return here

        return -doors.wait(main()) + DEPTHS[2] - 1
    here = depth()
    for _ in runnable.stream("abcde"):
        pass
    return DEPTHS[2] - here - 1


DEPTHS: list[int] = []


def _spelled(chunks: Any) -> Any:
    for text in chunks:
        for letter in text:
            DEPTHS.append(depth())
            yield letter


async def _aspelled(chunks: Any) -> Any:
    async for text in chunks:
        for letter in text:
            DEPTHS.append(depth())
            yield letter


async def _ayes(value: Any) -> bool:
    return True


def _branch(arm: Any) -> Any:
    return RunnableBranch((RunnableLambda(lambda value: True, _ayes), arm), row(1))


POLICIES: dict[str, tuple[Any, int]] = {
    "retry": (lambda chain: chain.with_retry(), 1),
    "fallbacks": (lambda chain: chain.with_fallbacks([row(1)]), 1),
    "branch": (_branch, 1),
    "retry of a retry": (lambda chain: chain.with_retry().with_retry(), 2),
    "all three": (lambda chain: _branch(chain.with_retry()).with_fallbacks([row(1)]), 3),
}


@both_drivers
@pytest.mark.parametrize("policy", POLICIES)
def test_a_policy_adds_one_frame(policy, colour):
    """Beside the bare chain, once the first chunk has gone by."""
    wrap, added = POLICIES[policy]

    def body(doors: Any) -> None:
        spelling = RunnableGenerator(_spelled, _aspelled)
        for bare in (spelling, spelling | row(2)):
            with_policy = frames_of(wrap(bare), doors)
            assert with_policy <= frames_of(bare, doors) + added
            inside = frames_of(RunnablePassthrough() | wrap(bare) | row(1), doors)
            assert inside <= frames_of(bare | row(1), doors) + added

    colour.run(body)


@both_drivers
@pytest.mark.parametrize("policy", ["retry", "fallbacks"])
def test_a_policy_over_a_stream_adds_one_frame_more_for_its_input(policy, colour):
    """What it reads is kept until a chunk has gone by, and read through the same reader after."""
    wrap, added = POLICIES[policy]

    def body(doors: Any) -> None:
        assert frames_below(wrap(row(3)), doors) <= frames_below(row(3), doors) + added + 1

    colour.run(body)


@both_drivers
@pytest.mark.parametrize(
    ("make", "allowed"),
    [
        (lambda: row(3), 3 + 1),
        (lambda: row(10), 10 + 1),
        (lambda: row(3) | RunnablePassthrough(), 3 + 1),
        (lambda: RunnablePassthrough() | RunnablePassthrough(), 1),
        (lambda: row(2).bind(), 2 + 1),
        (lambda: row(2).with_config(tags=["t"]), 2 * 2 + 1),
        (lambda: RunnablePassthrough() | each(str.upper) | RunnablePassthrough(), 1 + 1),
    ],
    ids=["3", "10", "passthrough", "nothing", "bound", "tagged", "each"],
)
def test_calls_per_chunk(make, allowed, colour):
    """Python calls for one chunk more: the user's own generators and the root's frame (and the
    test's source, which is taken off)."""

    def body(doors: Any) -> None:
        def calls(n: int) -> int:
            with counted_calls() as counter:
                transform(doors, make(), n)
            return counter.total

        calls(10)
        per_chunk = (calls(210) - calls(10)) / 200
        assert per_chunk - 1 <= allowed + 0.1, f"{per_chunk - 1:.2f} calls per chunk"

    def transform(doors: Any, chain: Any, n: int) -> None:
        if not doors.asynchronous:
            for _ in chain.transform(piece for piece in ["a"] * n):
                pass
            return

        async def pieces() -> Any:
            for piece in ["a"] * n:
                yield piece

        async def main() -> None:
            async for _ in chain.atransform(pieces()):
                pass

        doors.wait(main())

    colour.run(body)


# ---- tasks and threads --------------------------------------------------------------------------


class Spawned:
    """Tasks made in a loop and jobs given to worker threads, while it is entered."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tasks = self.jobs = 0
        submit = concurrent.futures.ThreadPoolExecutor.submit

        def counting(pool: Any, *args: Any, **kwargs: Any) -> Any:
            self.jobs += 1
            return submit(pool, *args, **kwargs)

        monkeypatch.setattr(concurrent.futures.ThreadPoolExecutor, "submit", counting)

    def run(self, doors: Any, runnable: Any, chunks: int) -> tuple[int, int]:
        """Tasks and jobs that one stream of so many chunks makes."""

        def factory(loop: Any, coroutine: Any, **kwargs: Any) -> Any:
            self.tasks += 1
            return asyncio.Task(coroutine, loop=loop, **kwargs)

        async def main() -> None:
            asyncio.get_running_loop().set_task_factory(factory)
            self.tasks = 0
            async for _ in runnable.atransform(Source(["a"] * chunks).async_()):
                pass

        self.tasks = self.jobs = 0
        if doors.asynchronous:
            doors.wait(main())
        else:
            doors.transform(runnable, ["a"] * chunks)
        return self.tasks, self.jobs


def sync_only(name: str = "loop") -> Any:
    return RunnableGenerator(_loop, name=name)


# name: (graph, (tasks, jobs) at most in sync, the same in async)
SPAWNS: dict[str, tuple[Any, tuple[int, int], tuple[int, int]]] = {
    "row": (lambda: row(4), (0, 0), (0, 0)),
    "row with lambda": (
        lambda: row(2) | RunnableLambda(lambda x: x, _aidentity) | row(2), (0, 0), (0, 0)
    ),
    "each": (lambda: each(str.upper) | RunnablePassthrough(), (0, 0), (0, 0)),
    "bound": (lambda: row(2).with_config(tags=["t"]).bind(), (0, 0), (0, 0)),
    "pure parallel": (
        lambda: RunnableParallel(a=RunnablePassthrough(), b=each(str.upper)), (0, 0), (0, 0)
    ),
    "parallel": (lambda: RunnableParallel(a=row(2), b=row(1), c=row(3)), (0, 3), (3, 0)),
    "parallel of one": (lambda: RunnableParallel(a=row(2)), (0, 1), (1, 0)),
    "blocking": (lambda: RunnablePassthrough() | sync_only() | row(2), (0, 0), (1, 1)),
    "two blocking": (lambda: sync_only() | sync_only(), (0, 0), (2, 2)),
    "blocking lambda": (lambda: row(1) | RunnableLambda(lambda x: x), (0, 0), (1, 1)),
}  # fmt: skip


async def _aidentity(value: Any) -> Any:
    return value


@both_drivers
@pytest.mark.parametrize("graph", SPAWNS)
def test_tasks_and_threads_of_a_stream(graph, colour, monkeypatch):
    """As many as the graph has places for them, however many chunks go through."""
    make, in_sync, in_async = SPAWNS[graph]
    spawned = Spawned(monkeypatch)

    def body(doors: Any) -> None:
        tasks, jobs = in_async if doors.asynchronous else in_sync
        spawned.run(doors, make(), 2)
        few = spawned.run(doors, make(), 5)
        many = spawned.run(doors, make(), 300)
        assert few == many, "the number depends on the number of chunks"
        assert many[0] <= tasks, f"{many[0]} tasks"
        assert many[1] <= jobs, f"{many[1]} worker threads"

    colour.run(body)


def test_invoke_of_a_row_needs_no_thread_and_no_task(monkeypatch):
    spawned = Spawned(monkeypatch)

    def body(doors: Any) -> None:
        spawned.jobs = 0
        doors.invoke(RunnableLambda(lambda x: x) | (lambda x: x) | row(2), "a")
        assert spawned.jobs == 0

    SYNC.run(body)


# ---- the bus costs nothing where nobody listens --------------------------------------------------

GRAPHS = {
    "row": lambda: row(3),
    "barrier": lambda: row(2) | (lambda x: x) | RunnablePassthrough(),
    "parallel": lambda: RunnableParallel(a=row(2), b=RunnablePassthrough(), c=lambda x: x),
    "pure": lambda: RunnableParallel(a=RunnablePassthrough(), b=each(str.upper)),
    "bound": lambda: row(2).with_config(tags=["t"], metadata={"k": 1}, run_name="n"),
    "retry": lambda: row(2).with_retry(),
    "nested": lambda: RunnableLambda(lambda x: row(2).invoke(x)) | RunnableLambda(lambda x: row(1)),
}


@both_drivers
@pytest.mark.parametrize("config", [None, {}, {"tags": ["t"]}, {"callbacks": []}], ids=repr)
@pytest.mark.parametrize("graph", GRAPHS)
def test_no_observer_no_event_no_copy(graph, config, colour, monkeypatch):
    built: list[Any] = []
    copies: list[Any] = []
    inits = {}
    for name in ("RunStarted", "RunChunk", "RunEnded", "RunFailed", "RunCancelled"):
        cls = getattr(events_module, name)
        inits[cls] = cls.__init__

        def init(self: Any, *args: Any, made: Any = cls, **kwargs: Any) -> None:
            built.append(made)
            inits[made](self, *args, **kwargs)

        monkeypatch.setattr(cls, "__init__", init)
    for name in ("copy", "deepcopy"):
        original = getattr(copy, name)
        monkeypatch.setattr(copy, name, lambda v, *a, o=original: copies.append(v) or o(v, *a))

    def body(doors: Any) -> None:
        chunks = [Chunk(), Chunk(), Chunk()]
        out = doors.transform(RunnablePassthrough() | GRAPHS["row"](), chunks, config)
        assert all(one is other for one, other in zip(chunks, out, strict=True))
        for way in ("stream", "invoke", "transform"):
            getattr(doors, way)(GRAPHS[graph](), "abc", config)
        assert not built, f"events built with no observer: {built}"
        assert not copies, f"copied: {copies}"
        # The measuring itself works:
        doors.invoke(GRAPHS[graph](), "abc", Recorder().config)
        assert built

    colour.run(body)


class Chunk(str):
    """A chunk with an identity."""


@both_drivers
def test_chunks_are_handed_on_as_the_objects_they_are(colour):
    """Observed or not, through every streaming step: no copy."""

    def body(doors: Any) -> None:
        for config in (None, Recorder().config):
            chunks = [Chunk("a"), Chunk("b"), Chunk("c")]
            out = doors.transform(row(2) | RunnablePassthrough(), chunks, config)
            assert [id(chunk) for chunk in out] == [id(chunk) for chunk in chunks]
            fan = RunnableParallel(a=RunnablePassthrough(), b=row(1))
            out = doors.transform(fan, chunks, config)
            assert {id(v) for d in out for v in d.values()} == {id(chunk) for chunk in chunks}

    colour.run(body)


def test_no_sync_call_starts_an_event_loop(monkeypatch):
    made: list[Any] = []
    new_loop = asyncio.new_event_loop
    monkeypatch.setattr(asyncio, "new_event_loop", lambda: made.append(1) or new_loop())

    def body(doors: Any) -> None:
        for make in GRAPHS.values():
            doors.invoke(make(), "abc")
            doors.stream(make(), "abc")
            doors.batch(make(), ["a", "b"])
        assert not made

    SYNC.run(body)


def test_an_observed_row_makes_no_task_either(monkeypatch):
    spawned = Spawned(monkeypatch)

    def body(doors: Any) -> None:
        observed = row(3).with_config(callbacks=[Recorder()])
        assert spawned.run(doors, observed, 50) == (0, 0)

    ASYNC.run(body)
