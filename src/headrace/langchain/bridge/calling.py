"""How a step of ours calls LangChain: the config it gives, the colour it takes, how it closes.

| field of LangChain's config | from our run |
|---|---|
| `callbacks` | a handler that reports inner runs into ours (`inside.py`), where it is observed |
| `run_id` | our run's, where it is observed: LangChain's own handlers know it by the same id |
| `run_name` | what the run is called, where a config says so |
| `tags`, `metadata`, `configurable` | what the run inherits |
| `max_concurrency`, `recursion_limit` | where they have been set |

Where our run is not observed, LangChain finds the callbacks of the LangChain run around it, if
there is one, as it does for runnables of its own.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from itertools import tee
from traceback import walk_tb
from types import AsyncGeneratorType, FrameType, GeneratorType
from typing import Any

from langchain_core.runnables import Runnable as TheirRunnable
from langchain_core.runnables.config import RunnableConfig as TheirConfig
from langchain_core.runnables.config import var_child_runnable_config

from ... import _async, _sync
from ..._bridge import call_in_thread
from ...config import DEFAULT_RECURSION_LIMIT
from ...run import Run
from ...shapes import Kwargs
from .inside import Inside, inside
from .values import to_headrace, to_langchain

__all__ = [
    "agiven",
    "called",
    "converted",
    "given",
    "overrides",
    "sync_only",
    "theirs",
    "theirs_async",
]


def overrides(thing: Any, *doors: str, base: type = TheirRunnable) -> bool:
    """Whether a class writes one of these methods itself."""
    return any(getattr(type(thing), door) is not getattr(base, door) for door in doors)


def sync_only(runnable: Any) -> bool:
    """Whether all async doors of a LangChain runnable are those that call the sync ones."""
    return not overrides(runnable, "ainvoke", "astream", "atransform")


def converted(kw: Kwargs) -> dict[str, Any]:
    """Keyword arguments of a call, for LangChain."""
    return {key: to_langchain(value) for key, value in kw.items()}


@contextmanager
def called(run: Run, *, tokens: bool = False) -> Iterator[TheirConfig]:
    """The config for one call of LangChain within `run`. What it starts there and does not end
    ends with the block."""
    handler = inside(run, tokens=tokens) if run.observed else None
    config = _config(run, handler)
    try:
        yield config
    finally:
        if handler is not None:
            handler.close()


def _config(run: Run, handler: Inside | None) -> TheirConfig:
    scope = run.scope
    config: TheirConfig = {
        "tags": list(scope.tags),
        "metadata": dict(scope.metadata),
        "configurable": dict(scope.configurable),
    }
    if scope.max_concurrency is not None:
        config["max_concurrency"] = int(scope.max_concurrency)
    if scope.recursion_limit != DEFAULT_RECURSION_LIMIT:
        config["recursion_limit"] = scope.recursion_limit
    around = (var_child_runnable_config.get() or {}).get("callbacks")
    if handler is None:
        config["callbacks"] = around
    else:
        config["callbacks"] = _callbacks(run, handler, around)
        config["run_id"] = run.id
        if run._name is not None:
            config["run_name"] = run._name
    return config


def _callbacks(run: Run, handler: Inside, around: Any) -> Any:
    """Our handler, and what observes the LangChain run around us, unless our tree tells it."""
    told = any(getattr(observer, "tells_langchain", False) for observer in run.scope.observers)
    theirs = [one for one in getattr(around, "handlers", ()) if not isinstance(one, Inside)]
    if told or not theirs:
        return [handler]
    manager = around.copy()
    manager.set_handlers([*theirs, handler], inherit=True)
    return manager


# ------------------------------------------------------------------ streams


def given(source: Any) -> Iterator[Any]:
    """A stream of ours, for LangChain's `transform`."""
    for chunk in source:
        yield to_langchain(chunk)


async def agiven(source: Any) -> AsyncIterator[Any]:
    """The same, async."""
    async for chunk in source:
        yield to_langchain(chunk)


def theirs(stream: Iterator[Any], run: Run) -> Iterator[Any]:
    """A stream of LangChain's, its chunks converted; closed when this is."""
    stream = iter(stream)
    entered = _sync.entered(stream, run)
    try:
        for chunk in entered:
            yield to_headrace(chunk)
    except BaseException as error:
        for inner in _left_open(stream, error):
            run.call(inner.close)
        raise
    finally:
        entered.close()  # type: ignore[attr-defined]


async def theirs_async(stream: AsyncIterator[Any], run: Run) -> AsyncIterator[Any]:
    """The same, async."""
    stream = aiter(stream)
    entered = _async.entered(stream, run)
    try:
        async for chunk in entered:
            yield to_headrace(chunk)
    except BaseException as error:
        for inner in _left_open(stream, error):
            if isinstance(inner, AsyncGeneratorType):
                await run.acall(inner.aclose)
            else:
                await call_in_thread(run.call, inner.close)
        raise
    finally:
        before = asyncio.all_tasks()
        await entered.aclose()  # type: ignore[attr-defined]
        await _settled(before)


# ------------------------------------------------------------------ what LangChain leaves open


def _left_open(stream: Any, error: BaseException) -> list[Any]:
    """The generators of LangChain's, and those it reads, that are suspended inside `stream` or were
    when it failed with `error`; each stands behind those that it reads.

    LangChain does not close them in time. A sync one that is closed first reads the rest of its
    input, for its traces: a model would go on to its end. Async ones drop what they read, and the
    event loop closes that later, in tasks of its own. So they are closed from the inside out.
    """
    seen = {id(stream)}
    found = list(_suspended(stream, seen))
    for frame, _ in walk_tb(error.__traceback__):
        if _is_theirs(frame):
            found += _suspended(frame, seen)
    return found


def _suspended(reader: Any, seen: set[int]) -> Iterator[Any]:
    """Of a generator or a frame, in that order; what reads us is looked at no further."""
    for found in gc.get_referents(reader):
        if id(found) in seen or not isinstance(found, _LOOKED_AT):
            continue
        seen.add(id(found))
        if isinstance(found, _TEES):
            yield from _suspended(found, seen)
            continue
        frame = getattr(found, "gi_frame", None) or getattr(found, "ag_frame", None)
        if frame is not None:  # else it has ended
            if _is_theirs(frame):
                yield from _suspended(found, seen)
            if not (getattr(found, "gi_running", False) or getattr(found, "ag_running", False)):
                yield found  # else a thread or a task of LangChain's is in it, and leaves it


def _is_theirs(frame: FrameType) -> bool:
    """Whether it is LangChain's code, or this package's in between."""
    if frame.f_code in (given.__code__, agiven.__code__):
        return False
    return str(frame.f_globals.get("__name__")).startswith(_PACKAGES)


async def _settled(before: set[asyncio.Task[Any]]) -> None:
    """Wait until the loop has closed what vendors' packages have dropped just now: their async
    generators, too, are left to it. Not for tasks in `before`: those may be waiting for us."""
    quiet = 0
    while quiet < 2:  # one round of the loop until a task is made, one until its generator is gone
        await asyncio.sleep(0)
        new = asyncio.all_tasks() - before
        closing = [task for task in new if type(task.get_coro()).__name__ == _CLOSING]
        quiet = 0 if closing else quiet + 1
        if closing:
            await asyncio.wait(closing)
        del new, closing  # they hold what the generator has read, which is dropped with it


_CLOSING = "async_generator_athrow"  # the type of what `aclose()` gives
_PACKAGES = ("langchain", "langgraph.", f"{__package__}.")
_TEES: tuple[type, ...] = (type(tee(())[0]), vars(itertools)["_tee_dataobject"])
_LOOKED_AT = (GeneratorType, AsyncGeneratorType, *_TEES)
