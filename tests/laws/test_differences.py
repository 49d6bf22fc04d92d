"""What differs from langchain-core on purpose: a program for each that shows both behaviours.

The key of each must be the anchor of a row in docs/differences.md, which gives the reason.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from laws.both import aupper, collect, fails, feed, flaky, gen, libraries, outcome, spell, upper
from laws.ledger import LEDGER, Source
from laws.test_differential import EXPECTED
from laws.test_law08_batch import Gauge


def relay(chunks: Any) -> Any:
    with LEDGER.body("relay"):
        for chunk in chunks:  # noqa: UP028 - closes what is inside after itself
            yield chunk


async def arelay(chunks: Any) -> Any:
    with LEDGER.body("relay"):
        async for chunk in chunks:
            yield chunk


def relays(m: Any) -> Any:
    return m.RunnableGenerator(relay, arelay) | m.RunnableGenerator(relay, arelay)


def early_close(m: Any) -> Any:
    """Chunks pulled while a sync stream is closed after its first."""
    source = Source("a" * 100)
    stream = relays(m).transform(source.sync())
    next(stream)
    source.leaving = True
    stream.close()
    return source.pulled_while_leaving


def early_close_async(m: Any) -> Any:
    """Bodies still open when `aclose()` has returned."""

    async def main() -> list[str]:
        stream = relays(m).atransform(Source("a" * 100).async_())
        await anext(stream)
        await stream.aclose()
        still_open = LEDGER.still_open
        await asyncio.get_running_loop().shutdown_asyncgens()
        return still_open

    LEDGER.reset()
    return asyncio.run(main())


def dash(chunks: Any) -> Any:
    for chunk in chunks:
        yield chunk + "-"


def transform(runnable: Any, pieces: list[Any]) -> list[Any]:
    return list(runnable.transform(iter(pieces)))


def steps_run_before_an_async_only_one(m: Any) -> Any:
    ran: list[str] = []
    with pytest.raises((TypeError, NotImplementedError)):
        (m.RunnableLambda(ran.append) | m.RunnableGenerator(aupper)).invoke("a")
    return ran


def tasks_left_by_a_failing_abatch(m: Any) -> Any:
    async def work(number: int) -> int:
        if number == 0:
            raise ValueError("first")
        await asyncio.sleep(0.01)
        return number

    async def main() -> bool:
        with pytest.raises(ValueError, match="first"):
            await m.RunnableLambda(work).abatch([0, 1, 2])
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        return bool(left)

    return asyncio.run(main())


def most_in_flight(m: Any) -> Any:
    gauge = Gauge(0.01)
    leaf = m.RunnableLambda(gauge.sync)
    m.RunnableParallel(a=leaf, b=leaf, c=leaf).batch([1, 2, 3], {"max_concurrency": 2})
    return gauge.most


def calls_of_a_retried_batch(m: Any) -> Any:
    calls: list[int] = []

    def work(number: int) -> int:
        calls.append(number)
        if number == 0:
            raise ConnectionError("again")
        if number == 1:
            raise ValueError("not again")
        return number

    m.RunnableLambda(work).with_retry(
        retry_if_exception_type=(ConnectionError,), wait_exponential_jitter=False,
        stop_after_attempt=3,
    ).batch([0, 1, 2], return_exceptions=True)  # fmt: skip
    return sorted(calls)


def thread_count_of_an_async_stream(m: Any) -> Any:
    """Threads that a blocking parser of the user runs in, for 20 chunks."""
    seen: set[str] = set()

    class Parser(m.BaseTransformOutputParser):  # type: ignore[misc, name-defined]
        def parse(self, text: str) -> str:
            seen.add(threading.current_thread().name)
            return text

    async def main() -> list[Any]:
        return await collect(Parser().atransform(feed(["a"] * 20)))

    asyncio.run(main())
    return seen == {threading.current_thread().name}


class Difference(NamedTuple):
    """A program whose outcome is one thing with langchain-core and another with Headrace."""

    key: str  # the anchor of its row in docs/differences.md
    program: Callable[[Any], Any]
    theirs: Any
    ours: Any


def _raises(name: str) -> Callable[[Any], bool]:
    return lambda outcome: outcome[:2] == ("raised", name)


DIFFERENCES = [
    Difference("early-close", early_close, 99, 0),
    Difference("early-close", early_close_async, ["relay", "relay", "source"], []),
    Difference(
        "each-streams",
        lambda m: list(m.RunnableLambda(str.upper).map().stream(["a", "b"])),
        [["A", "B"]],
        [["A"], ["B"]],
    ),
    Difference(
        "assign-interleaves",
        lambda m: transform(
            m.RunnablePassthrough.assign(z=m.RunnablePick("x")), [{"x": "a"}, {"x": "b"}]
        ),
        [{"x": "a"}, {"x": "b"}, {"z": "a"}, {"z": "b"}],
        [{"x": "a"}, {"z": "a"}, {"x": "b"}, {"z": "b"}],
    ),
    Difference(
        "generators-agree",
        lambda m: (m.RunnableLambda(spell) | dash).invoke("ab"),
        "ab-",
        "a-b-",
    ),
    Difference(
        "cumulative-fold",
        lambda m: transform(m.JsonOutputParser() | (lambda value: value), ["[1,", "2]"]),
        [[1, 1, 2]],
        [[1, 2]],
    ),
    Difference(
        "json-end",
        lambda m: transform(m.JsonOutputParser(), ["no json"]),
        [],
        _raises("OutputParserException"),
    ),
    Difference(
        "empty-barrier",
        lambda m: transform(m.RunnableLambda(repr), []),
        _raises("UnboundLocalError"),
        ["None"],
    ),
    Difference("async-only", steps_run_before_an_async_only_one, ["a"], []),
    Difference("abatch-cancel", tasks_left_by_a_failing_abatch, True, False),
    Difference("max-concurrency", most_in_flight, lambda most: most > 2, 2),
    Difference("retry-batch", calls_of_a_retried_batch, [0, 0, 0, 1, 1, 1, 2], [0, 0, 0, 1, 2]),
    Difference("sync-in-async", thread_count_of_an_async_stream, False, True),
    Difference(
        "generator-in-async",
        lambda m: asyncio.run(collect((m.RunnablePassthrough() | upper).astream("a"))),
        _raises("NotImplementedError"),
        ["A", "."],
    ),
    Difference(
        "retry-streams",
        lambda m: list(
            m.RunnableLambda(flaky()).with_retry(wait_exponential_jitter=False).stream("a")
        ),
        _raises("ConnectionError"),
        ["a!"],
    ),
    Difference(
        "fallbacks-transform",
        lambda m: transform(m.RunnableLambda(fails).with_fallbacks([gen(m)]), ["a", "b"]),
        ["AB", "."],
        ["A", "B", "."],
    ),
]


def _matches(outcome: Any, wanted: Any) -> bool:
    return bool(wanted(outcome)) if callable(wanted) else outcome == wanted


@pytest.mark.allows_leaks(reason="what langchain-core leaves open is what some of them show")
@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda d: f"{d.key}:{d.program.__name__}")
def test_a_difference_is_what_it_is_said_to_be(difference):
    theirs, ours = (outcome(lambda m=m: difference.program(m)) for m in libraries())
    assert _matches(ours, difference.ours), f"ours: {ours!r}"
    assert _matches(theirs, difference.theirs), f"theirs: {theirs!r}"


def test_each_difference_has_its_row():
    page = Path(__file__).parents[2] / "docs" / "differences.md"
    rows = set(re.findall(r'^\| <a id="([\w-]+)">', page.read_text(encoding="utf-8"), re.MULTILINE))
    keys = {difference.key for difference in DIFFERENCES} | set(EXPECTED.values())
    assert not keys - rows, f"docs/differences.md lacks rows for {sorted(keys - rows)}"
