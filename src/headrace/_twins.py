"""Work that calls one thing after another and is written once for both colours.

A plan is a generator that yields `Call`s and gets what they returned. `run` makes the calls as they
stand; `arun` awaits their twins, which have the same name with an `a` before it. What a call raises
is raised at its `yield`, so a plan handles errors and cleans up as any function does (but makes no
call while it is being closed).

    def plan(store):
        found = yield Call(store, "mget", ["a"])       # store.mget(["a"]); await store.amget(["a"])
        return found
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeAlias, TypeVar

from headrace._bridge import call_in_thread

__all__ = ["THREAD", "Call", "Plan", "arun", "run"]

T = TypeVar("T")


class Call:
    """A method to be called: `target.name(*args, **kwargs)`, or its async twin."""

    __slots__ = ("args", "kwargs", "name", "target")

    def __init__(self, target: Any, name: str, *args: Any, **kwargs: Any) -> None:
        self.target, self.name, self.args, self.kwargs = target, name, args, kwargs


Plan: TypeAlias = Generator[Call, Any, T]


def run(plan: Plan[T]) -> T:
    """What the plan returns; its calls are made here."""
    advance: Callable[[Any], Call] = plan.send
    value: Any = None
    try:
        while True:
            call = advance(value)
            try:
                value = getattr(call.target, call.name)(*call.args, **call.kwargs)
                advance = plan.send
            except BaseException as error:
                value, advance = error, plan.throw
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    finally:
        plan.close()


async def arun(plan: Plan[T]) -> T:
    """`run`, with the async twins of the calls."""
    advance: Callable[[Any], Call] = plan.send
    value: Any = None
    try:
        while True:
            call = advance(value)
            try:
                value = await getattr(call.target, f"a{call.name}")(*call.args, **call.kwargs)
                advance = plan.send
            except BaseException as error:
                value, advance = error, plan.throw
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    finally:
        plan.close()


class _Thread:
    """Target of calls that compute or block: made here, or in a worker thread."""

    @staticmethod
    def do(function: Callable[..., T], *args: Any) -> T:
        return function(*args)

    @staticmethod
    async def ado(function: Callable[..., T], *args: Any) -> T:
        return await call_in_thread(function, *args)  # type: ignore[no-any-return]


THREAD = _Thread()
