"""Random chains from a small grammar, text in and text out, that may fail at any chunk.

A program is plain data (so that hypothesis can shrink it); `build` makes a new chain of it, with
new counters, each time. All its errors are made beforehand: `errors` finds them.
"""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import strategies as st

from behaviour.pieces import LEDGER, answering
from headrace.output_parsers import StrOutputParser
from headrace.runnables import (
    RunnableBranch,
    RunnableGenerator,
    RunnableLambda,
    RunnableParallel,
    chain,
)
from headrace.tools import tool


class Broken(Exception):
    """What a step of a program fails with; compared by identity."""


def _generator(name: str, fail_at: int, error: Broken | None) -> Any:
    def body(chunks: Any) -> Any:
        with LEDGER.body(name):
            for number, chunk in enumerate(chunks):
                if number == fail_at and error is not None:
                    raise error
                yield chunk + "."

    async def abody(chunks: Any) -> Any:
        with LEDGER.body(name):
            number = -1
            async for chunk in chunks:
                number += 1
                await asyncio.sleep(0)
                if number == fail_at and error is not None:
                    raise error
                yield chunk + "."

    return body, abody


def _source(count: int, fail_at: int, error: Broken | None) -> Any:
    def body(text: str) -> Any:
        with LEDGER.body("source"):
            for number in range(count):
                if number == fail_at and error is not None:
                    raise error
                yield text[:3] + str(number)

    async def abody(text: str) -> Any:
        with LEDGER.body("source"):
            for number in range(count):
                await asyncio.sleep(0)
                if number == fail_at and error is not None:
                    raise error
                yield text[:3] + str(number)

    return RunnableLambda(body, abody, name="source")


def _failing(error: Broken) -> Any:
    def fail(_: Any) -> Any:
        raise error

    async def afail(_: Any) -> Any:
        raise error

    return RunnableLambda(fail, afail, name="failing")


def _flaky(error: Broken) -> Any:
    """Fails the first time it is called."""
    calls: list[int] = []

    def body(text: str) -> str:
        calls.append(1)
        if len(calls) == 1:
            raise error
        return text

    async def abody(text: str) -> str:
        return body(text)

    return RunnableLambda(body, abody, name="flaky")


async def _ashort(text: str) -> str:
    return text[:8]


def _calls(inner: Any) -> Any:
    async def abody(text: str) -> Any:
        return await inner.ainvoke(text)

    return RunnableLambda(lambda text: inner.invoke(text), abody, name="calls")


def _blocking(inner: Any) -> Any:
    @chain
    def blocks(text: str) -> Any:
        with LEDGER.body("blocks"):
            return inner.invoke(text)

    return blocks


def _passing(inner: Any) -> Any:
    def body(text: str) -> Any:
        with LEDGER.body("passing"):
            yield from inner.stream(text)

    async def abody(text: str) -> Any:
        with LEDGER.body("passing"):
            async for chunk in inner.astream(text):
                yield chunk

    return RunnableLambda(body, abody, name="passing")


def _tool(inner: Any) -> Any:
    @tool
    def works(text: str) -> Any:
        """Ask another one."""
        return inner.invoke(text)

    return works


def _joined(value: dict[str, str]) -> str:
    return value["a"] + value["b"]


def _branch(yes: Any, no: Any) -> Any:
    return RunnableBranch((lambda text: len(text) % 2 == 0, yes), no)


MAKERS: dict[str, Any] = {
    "short": lambda: RunnableLambda(lambda text: text[:8], _ashort, name="short"),
    "model": lambda: answering("a word") | StrOutputParser(),
    "source": _source,
    "generator": lambda k, e: RunnableGenerator(*_generator("generator", k, e), name="generator"),
    "blocking generator": lambda k, e: RunnableGenerator(
        _generator("blocking", k, e)[0], name="blocking"
    ),
    "failing": _failing,
    "retried": lambda e: _flaky(e).with_retry(
        stop_after_attempt=2,
        wait_exponential_jitter=False,
        exponential_jitter_params={"initial": 0},
    ),
    "fallen back": lambda first, second: first.with_fallbacks([second]),
    "parallel": lambda a, b: RunnableParallel(a=a, b=b) | RunnableLambda(_joined),
    "branch": _branch,
    "row": lambda *steps: _row(steps),
    "calls": _calls,
    "blocks": _blocking,
    "passing": _passing,
    "tool": _tool,
}


def _row(steps: Any) -> Any:
    whole = steps[0]
    for step in steps[1:]:
        whole = whole | step
    return whole


def build(program: Any) -> Any:
    """A new chain of a program `(name, *arguments)`, whose arguments may be programs."""
    name, *given = program
    made = [build(g) if isinstance(g, tuple) else g for g in given]
    return MAKERS[name](*made)


def errors(program: Any) -> list[Broken]:
    found = []
    for part in program:
        if isinstance(part, Broken):
            found.append(part)
        elif isinstance(part, tuple):
            found += errors(part)
    return found


def _broken(chance: bool) -> Any:
    never = st.just(None)
    return st.one_of(never, st.builds(Broken)) if chance else never


def programs(broken: bool = True) -> st.SearchStrategy[Any]:
    """Programs; `broken`: some of their steps fail."""
    error, at = _broken(broken), st.integers(0, 3)
    leaves = [
        st.just(("short",)),
        st.just(("model",)),
        st.tuples(st.just("source"), st.integers(1, 5), at, error),
        st.tuples(st.just("generator"), at, error),
        st.tuples(st.just("blocking generator"), at, error),
        st.tuples(st.just("retried"), st.builds(Broken)),
    ]
    if broken:
        leaves.append(st.tuples(st.just("failing"), st.builds(Broken)))

    def larger(inner: Any) -> Any:
        one = [st.tuples(st.just(name), inner) for name in ("calls", "blocks", "passing", "tool")]
        two = [
            st.tuples(st.just(n), inner, inner)
            for n in ("fallen back", "parallel", "branch", "row")
        ]
        three = st.tuples(st.just("row"), inner, inner, inner)
        return st.one_of(*one, *two, three)

    return st.recursive(st.one_of(*leaves), larger, max_leaves=6)
