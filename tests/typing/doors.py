# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
"""What the methods of a Runnable take and give."""

from collections.abc import AsyncGenerator, AsyncIterator, Generator
from contextlib import aclosing, closing
from typing import Any, assert_type

from headrace.runnables import Runnable


class Base: ...


class Derived(Base): ...


def one_input(size: Runnable[str, int]) -> None:
    assert_type(size.invoke("a"), int)
    assert_type(size.stream("a"), Generator[int, None, None])
    assert_type(size.transform(iter(["a"])), Generator[int, None, None])
    assert_type(size.astream("a"), AsyncGenerator[int, None])
    with closing(size.stream("a")) as chunks:
        assert_type([chunk + 1 for chunk in chunks], list[int])


async def one_input_async(size: Runnable[str, int], chunks: AsyncIterator[str]) -> None:
    assert_type(await size.ainvoke("a", {"tags": ["t"]}), int)
    async with aclosing(size.astream("a")) as stream:
        assert_type([chunk async for chunk in stream], list[int])
    kept: list[int] = [chunk async for chunk in size.atransform(chunks)]
    assert kept


def many_inputs(size: Runnable[str, int]) -> None:
    assert_type(size.batch(["a"]), list[int])
    assert_type(size.batch_as_completed(["a"]), Generator[tuple[int, int | Exception], None, None])
    for place, output in size.batch_as_completed(["a"]):
        assert_type(place, int)
        assert_type(output, int | Exception)


async def many_inputs_async(size: Runnable[str, int]) -> None:
    assert_type(await size.abatch(["a"], [{"tags": []}]), list[int])
    async with aclosing(size.abatch_as_completed(["a"], return_exceptions=True)) as pairs:
        async for place, output in pairs:
            assert_type(place, int)
            assert_type(output, int | Exception)


def variance(step: Runnable[Base, Derived]) -> None:
    """It may stand where less is asked: a narrower input, a wider output."""
    narrower: Runnable[Derived, Derived] = step
    wider: Runnable[Base, Base] = step
    both: Runnable[Derived, object] = step
    steps: list[Runnable[Derived, object]] = [step, narrower, wider, both]
    assert_type(steps[0].invoke(Derived()), object)


def derived(size: Runnable[str, int], text: Runnable[str, str]) -> None:
    assert_type(size.bind(stop=["x"]), Runnable[str, int])
    assert_type(size.with_config(tags=["t"]), Runnable[str, int])
    assert_type(size.with_config({"tags": ["t"]}), Runnable[str, int])
    assert_type(size.with_types(input_type=str), Runnable[str, int])
    assert_type(size.with_listeners(), Runnable[str, int])
    assert_type(
        size.with_retry(retry_if_exception_type=(OSError,), stop_after_attempt=2),
        Runnable[str, int],
    )
    assert_type(size.with_retry(retry_if_exception_type=lambda e: True), Runnable[str, int])
    assert_type(size.with_fallbacks([size]), Runnable[str, int])
    assert_type(size.with_fallbacks([text]), Runnable[str, int | str])
    assert_type(size.map(), Runnable[list[str], list[int]])
    assert_type(size.map().invoke(["a"]), list[int])
    assert_type(size.map().map(), Runnable[list[list[str]], list[list[int]]])


def dicts(size: Runnable[str, dict[str, int]]) -> None:
    assert_type(size.pick("a"), Runnable[str, Any])
    assert_type(size.pick(["a", "b"]), Runnable[str, Any])
    assert_type(size.assign(b=len), Runnable[str, dict[str, Any]])
