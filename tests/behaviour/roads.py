"""The ways in which user code comes to call a runnable: who calls (a lambda, a tool, a generator),
by which road (a task, a thread with the context copied), and by which method.

A call takes `(runnable, value, config)` and gives what came out. `SYNC` and `ASYNC` are tables of
hosts, roads and calls; `host(name, …)` makes a runnable whose body calls another one.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from headrace.runnables import RunnableConfig, RunnableGenerator, RunnableLambda, chain
from headrace.tools import tool

# ------------------------------------------------------------------ calls


def _invoke(runnable: Any, value: Any, config: Any) -> Any:
    return runnable.invoke(value, config)


def _stream(runnable: Any, value: Any, config: Any) -> Any:
    return list(runnable.stream(value, config))[-1]


def _batch(runnable: Any, value: Any, config: Any) -> Any:
    return runnable.batch([value], config)[0]


def _as_completed(runnable: Any, value: Any, config: Any) -> Any:
    return next(iter(dict(runnable.batch_as_completed([value], config)).values()))


def _transform(runnable: Any, value: Any, config: Any) -> Any:
    return list(runnable.transform(iter([value]), config))[-1]


async def _ainvoke(runnable: Any, value: Any, config: Any) -> Any:
    return await runnable.ainvoke(value, config)


async def _astream(runnable: Any, value: Any, config: Any) -> Any:
    return [chunk async for chunk in runnable.astream(value, config)][-1]


async def _abatch(runnable: Any, value: Any, config: Any) -> Any:
    return (await runnable.abatch([value], config))[0]


async def _one(value: Any) -> Any:
    yield value


async def _atransform(runnable: Any, value: Any, config: Any) -> Any:
    return [chunk async for chunk in runnable.atransform(_one(value), config)][-1]


CALLS = {"invoke": _invoke, "stream": _stream, "batch": _batch, "as_completed": _as_completed,
         "transform": _transform}  # fmt: skip
ACALLS = {"ainvoke": _ainvoke, "astream": _astream, "abatch": _abatch, "atransform": _atransform}

# ------------------------------------------------------------------ roads: of a call, a call

Call = Callable[[Any, Any, Any], Any]


def _straight(call: Call) -> Call:
    return call


def _executor(call: Call) -> Call:
    def go(*args: Any) -> Any:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(contextvars.copy_context().run, call, *args).result()

    return go


def _thread(call: Call) -> Call:
    def go(*args: Any) -> Any:
        got: list[Any] = []
        run = contextvars.copy_context().run
        thread = threading.Thread(target=lambda: got.append(run(call, *args)))
        thread.start()
        thread.join()
        return got[0]

    return go


def _loop_in_thread(acall: Call) -> Call:
    """An event loop of its own, in a thread of its own."""
    return _thread(lambda *args: asyncio.run(acall(*args)))


def _gather(acall: Call) -> Call:
    async def go(*args: Any) -> Any:
        return (await asyncio.gather(acall(*args), asyncio.sleep(0)))[0]

    return go


def _group(acall: Call) -> Call:
    async def go(*args: Any) -> Any:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(acall(*args))
        return task.result()

    return go


def _to_thread(call: Call) -> Call:
    async def go(*args: Any) -> Any:
        return await asyncio.to_thread(call, *args)

    return go


def _loop_executor(call: Call) -> Call:
    async def go(*args: Any) -> Any:
        with ThreadPoolExecutor(1) as pool:
            run = contextvars.copy_context().run
            return await asyncio.get_running_loop().run_in_executor(pool, run, call, *args)

    return go


def _sync_in_async(call: Call) -> Call:
    async def go(*args: Any) -> Any:
        return call(*args)

    return go


WAYS: dict[str, Call] = {
    f"{call}/{road.__name__[1:]}": road(CALLS[call])
    for call in CALLS for road in (_straight, _executor, _thread)
} | {f"{call}/loop_in_thread": _loop_in_thread(ACALLS[call]) for call in ACALLS}  # fmt: skip
"""How a sync body calls."""
AWAYS: dict[str, Call] = {
    f"{call}/{road.__name__[1:]}": road(ACALLS[call])
    for call in ACALLS for road in (_straight, _gather, _group)
} | {
    f"{call}/{road.__name__[1:]}": road(CALLS[call])
    for call in CALLS for road in (_to_thread, _loop_executor, _sync_in_async)
} | {f"{call}/loop_in_thread": _to_thread(lambda *a, c=ACALLS[call]: asyncio.run(c(*a)))
     for call in ACALLS}  # fmt: skip
"""How an async body calls."""

# ------------------------------------------------------------------ hosts: who calls

Made = Callable[[str, Call, Any, bool], Any]


def _lambda(name: str, call: Call, inner: Any, by_hand: bool) -> Any:
    def body(x: Any, config: RunnableConfig) -> Any:
        return call(inner, x, config if by_hand else None)

    return RunnableLambda(body, name=name)


def _chain(name: str, call: Call, inner: Any, by_hand: bool) -> Any:
    def body(x: Any, config: RunnableConfig) -> Any:
        return call(inner, x, config if by_hand else None)

    body.__name__ = name
    return chain(body)


def _tool(name: str, call: Call, inner: Any, by_hand: bool) -> Any:
    @tool(name)
    def body(x: str, config: RunnableConfig) -> str:
        """Call another one."""
        return str(call(inner, x, config if by_hand else None))

    return body


def _generator(name: str, call: Call, inner: Any, by_hand: bool) -> Any:
    def body(chunks: Any, config: RunnableConfig) -> Any:
        for chunk in chunks:
            yield call(inner, chunk, config if by_hand else None)

    return RunnableGenerator(body, name=name)


def _chain_generator(name: str, call: Call, inner: Any, by_hand: bool) -> Any:
    def body(x: Any, config: RunnableConfig) -> Any:
        yield call(inner, x, config if by_hand else None)

    body.__name__ = name
    return chain(body)


def _alambda(name: str, call: Call, inner: Any, by_hand: bool) -> Any:
    async def body(x: Any, config: RunnableConfig) -> Any:
        return await call(inner, x, config if by_hand else None)

    return RunnableLambda(body, name=name)


def _achain(name: str, call: Call, inner: Any, by_hand: bool) -> Any:
    async def body(x: Any, config: RunnableConfig) -> Any:
        return await call(inner, x, config if by_hand else None)

    body.__name__ = name
    return chain(body)


def _atool(name: str, call: Call, inner: Any, by_hand: bool) -> Any:
    @tool(name)
    async def body(x: str, config: RunnableConfig) -> str:
        """Call another one."""
        return str(await call(inner, x, config if by_hand else None))

    return body


def _agenerator(name: str, call: Call, inner: Any, by_hand: bool) -> Any:
    async def body(chunks: Any, config: RunnableConfig) -> Any:
        async for chunk in chunks:
            yield await call(inner, chunk, config if by_hand else None)

    return RunnableGenerator(body, name=name)


def _achain_generator(name: str, call: Call, inner: Any, by_hand: bool) -> Any:
    async def body(x: Any, config: RunnableConfig) -> Any:
        yield await call(inner, x, config if by_hand else None)

    body.__name__ = name
    return chain(body)


HOSTS: dict[str, Made] = {"lambda": _lambda, "chain": _chain, "tool": _tool,
                          "generator": _generator, "chain_generator": _chain_generator}  # fmt: skip
AHOSTS: dict[str, Made] = {"lambda": _alambda, "chain": _achain, "tool": _atool,
                           "generator": _agenerator,
                           "chain_generator": _achain_generator}  # fmt: skip
