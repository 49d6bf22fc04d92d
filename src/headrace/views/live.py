"""A handle on a live run: independent projections of one run, for several consumers at once.

    with chain.open("x") as run:
        for delta in run.text:
            print(delta, end="")
        print(run.output, run.usage)

`async with` gives the same, to be read with `async for` and `await`. Nothing runs before the first
consumption: iterating a projection, `get()`, `output`. Leaving the block ends the run, if it has
not ended; then it has when control returns, and an error while it was closed is raised. A
projection that is not read holds nobody up; one that is read late, or again, gets the past as one
delta. Each iteration is a consumer of its own, with the policy that `with_policy` gives it when it
is slow (see `readers`).

`text` is that of the output where it is text or a message, else that of the models below, one delta
as another comes (the whole: one model after the other); `reasoning`, `tool_calls`, `blocks` and
`usage` are those of all models below. `chunks` and `output` are what `stream` gives and its sum.

| the run | iterating | `get()`, `await` | `output` |
|---|---|---|---|
| ends | ends | the whole | the output |
| fails | gives what came, then raises that | raises that | raises that |
| `stop()` | the same: each model that speaks ends after its next chunk | the whole | the output |
| `stop()`, no model speaks | gives what came, then ends | what came | what came |
| `cancel()`, or its block left | the same | what came | raises `RunCancelledError` |

The last two have the run's streams closed at the next event (sync) or where it waits (async), and
its observers are told that it was cancelled, with what had come.

In a thread, a step in the middle of blocking work is waited for. A consumer that waits for one
thing in the thread or task in which it reads another is not held up by itself: what it has not read
is joined meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Mapping
from contextvars import Context, copy_context
from typing import Any, NoReturn

from .._awaited import outlast
from .._threads import submit
from ..errors import ConfigError
from ..flow import Once
from .deltas import AsyncProjection, NotIterableError, Projection
from .filters import Filter, Names
from .hub import AsyncHub, Hub, SyncHub
from .projections import Blocks, Chunks, Events, Reasoning, Text, ToolCalls
from .readers import Policy
from .subscription import View
from .usage import Usage
from .watching import Pump, apump, joined

__all__ = ["AsyncLiveRun", "LiveRun", "Opened"]


class _Live:
    """What both colours have."""

    _projection: type[Any]
    _hub: Any

    def __init__(self, given: _Given, hub: Hub) -> None:
        self._given, self._hub = given, hub
        self._context: Context = copy_context()
        self._begun = False
        self.text = self._of("text", Text)
        self.reasoning = self._of("reasoning", Reasoning)
        self.tool_calls = self._of("tool_calls", ToolCalls)
        self.blocks = self._of("blocks", Blocks)
        self.chunks = self._of("chunks", Chunks)
        self._timings: Any = None
        if given.timing:
            from ..timing import Timings  # which most runs do not need

            self._timings = Timings()
            self.subscribe(self._timings)

    def _of(self, name: str, view: type[Any]) -> Any:
        return self._projection(self, name, lambda: view(self._hub))

    def __repr__(self) -> str:
        name = self._given.runnable.get_name()
        return f"<live run of {name}, {self._hub.state(self._begun)}: see .output, .text, .chunks>"

    def _start(self) -> None:
        raise NotImplementedError

    def _interrupt(self) -> None:
        """Have the run end soon."""
        raise NotImplementedError

    def events(
        self,
        *,
        include_names: Names = None,
        include_types: Names = None,
        include_tags: Names = None,
        exclude_names: Names = None,
        exclude_types: Names = None,
        exclude_tags: Names = None,
        blocks: bool = True,
        policy: Policy = "block",
        limit: int | None = None,
    ) -> Any:
        """What happens inside, as typed events (`headrace.events`), with those of content blocks
        unless `blocks` is False.

        Ask for it before the first consumption: it hears what happens from this call on, and
        chunks only of runs that begin after it (those of the outermost run and of models always).
        Until it is read, chunks of one run are joined, and nobody is held up.

        Raises:
            ConfigError: a filter that is a string, another policy, a limit below 1.
        """
        chosen = Filter(
            include_names=include_names, include_types=include_types, include_tags=include_tags,
            exclude_names=exclude_names, exclude_types=exclude_types, exclude_tags=exclude_tags,
        )  # fmt: skip
        make = lambda: Events.chosen(self._hub, chosen, blocks)  # noqa: E731
        return self._listening("events()", make, policy, limit)

    def subscribe(
        self,
        view: View,
        *,
        policy: Policy = "block",
        limit: int | None = None,
        blocks: bool = False,
    ) -> Any:
        """What any view (`headrace.views`) makes of the events: `events`, with a view of your own.
        A view is for one iteration. What it makes is not joined: where it may stay unread, give it
        the policy "drop_oldest"."""
        return self._listening(
            "subscribe()", lambda: Events(self._hub, view, blocks), policy, limit
        )

    def _listening(self, name: str, make: Any, policy: Policy, limit: int | None) -> Any:
        projection = self._projection(self, name, make, policy, limit)
        projection._listen()
        return projection

    @property
    def usage(self) -> Usage:
        """Tokens that the models below read and wrote, as far as they have told: starts nothing and
        waits for nothing."""
        return Usage(self._hub)

    @property
    def timing(self) -> Any:
        """When the chunks of each step came so far, as a `headrace.timing.RunTiming`; None before
        the run has started. Starts nothing and waits for nothing.

        Raises:
            ConfigError: the handle was opened without `timing=True`.
        """
        if self._timings is None:
            raise ConfigError(
                "The times of this run are not taken, because that costs something per chunk: "
                "open the handle with open(input, timing=True)."
            )
        return self._timings.report()

    @property
    def started(self) -> bool:
        """Whether anything has been consumed."""
        return self._begun

    @property
    def ended(self) -> bool:
        """Whether the run is over."""
        return bool(self._hub.over)

    def cancel(self) -> None:
        """Have the run end as cancelled, and go on; see the file's head. From any thread (sync), in
        the event loop (async). A run that has not begun never will."""
        self._end("cancel")

    def stop(self) -> None:
        """End generation, and keep what came: each chat model that speaks ends after its next
        chunk, as if that were its last, and the steps behind it finish on that. A run in which none
        speaks, or in which another model speaks afterwards, is ended as a whole; see the file's
        head."""
        if not self._hub.stop():
            self._end("stop")

    def _end(self, ending: str) -> None:
        with self._hub.lock:
            if self._hub.over:
                return
            self._hub.end(ending)
            begun, self._begun = self._begun, True
        if begun:
            self._interrupt()
        else:
            self._hub.finish(None)


class LiveRun(_Live):
    """A handle for threads; `chain.open(input)` gives it to `with`."""

    _projection = Projection
    text: Projection[str, str]
    reasoning: Projection[str, str]
    tool_calls: Projection[Any, list[Any]]
    blocks: Projection[Any, list[Any]]
    chunks: Projection[Any, Any]

    def __init__(self, given: _Given) -> None:
        super().__init__(given, SyncHub(given.runnable))
        self._hub.interrupt = self._interrupt
        self._pump: Pump | None = None

    def _start(self) -> None:
        with self._hub.lock:
            if self._begun:
                return
            self._begun = True
            given, config = self._given, joined(self._given.config, self._hub)
            source = Once(given.input)
            self._pump = Pump(given.runnable, source, config, given.kwargs, self._finished)
            self._context.run(submit, self._pump.run)

    def _finished(self) -> None:
        """In the pump's thread."""
        self._hub.finish(None if self._pump is None else self._pump.failure)

    def _interrupt(self) -> None:
        if self._pump is not None:
            self._pump.ask()

    @property
    def output(self) -> Any:
        """The output, when the run has ended.

        Raises:
            RunCancelledError: it was cancelled, or its block left before its end; with `partial`.
            Exception: what the run raised.
        """
        self._start()
        self._hub.wait_over()
        return self._hub.result()

    def _leave(self) -> None:
        self._end("leave")
        self._hub.close()
        if self._pump is not None:
            self._pump.stop()


class AsyncLiveRun(_Live):
    """A handle for the tasks of an event loop; `chain.open(input)` gives it to `async with`."""

    _projection = AsyncProjection
    text: AsyncProjection[str, str]
    reasoning: AsyncProjection[str, str]
    tool_calls: AsyncProjection[Any, list[Any]]
    blocks: AsyncProjection[Any, list[Any]]
    chunks: AsyncProjection[Any, Any]

    def __init__(self, given: _Given) -> None:
        super().__init__(given, AsyncHub(given.runnable))
        self._hub.interrupt = lambda: self._hub.loop.call_soon_threadsafe(self._interrupt)
        self._task: asyncio.Task[None] | None = None

    def _start(self) -> None:
        if self._begun:
            return
        self._begun = True
        given = self._given
        config = joined(given.config, self._hub)
        pumped = apump(given.runnable, Once(given.input), config, given.kwargs)
        self._task = asyncio.get_running_loop().create_task(pumped, context=self._context)
        self._hub.task = self._task
        self._task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        if not self._hub.over:  # told twice where a cancelled scope hurries the way out
            failure = asyncio.CancelledError() if task.cancelled() else task.exception()
            self._hub.finish(failure)

    def _interrupt(self) -> None:
        if self._task is not None:
            self._task.cancel()

    @property
    def output(self) -> _Output:
        """`await` it for what `LiveRun.output` gives."""
        return _Output(self)

    async def _leave(self) -> None:
        self._end("leave")
        self._hub.close()
        task = self._task
        if task is not None:
            cancelled = await outlast(task)
            self._done(task)
            if cancelled is not None:
                raise cancelled


class _Output:
    """`run.output` of an async handle."""

    __slots__ = ("_run",)

    def __init__(self, run: AsyncLiveRun) -> None:
        self._run = run

    def __repr__(self) -> str:
        state = self._run._hub.state(self._run._begun)
        return f"<run.output of a run that is {state}: await it>"

    def _not_awaited(self, *_: Any) -> NoReturn:
        raise NotIterableError(
            "run.output of an async handle is not the output yet: await it, `await run.output`."
        )

    __iter__ = __aiter__ = __len__ = __getitem__ = __contains__ = _not_awaited

    def __bool__(self) -> bool:
        return True

    def __await__(self) -> Generator[Any, None, Any]:
        return self._get().__await__()

    async def _get(self) -> Any:
        self._run._start()
        await self._run._hub.wait_over(asyncio.current_task())
        return self._run._hub.result()


class _Given:
    """What is to be run."""

    __slots__ = ("config", "input", "kwargs", "runnable", "timing")

    def __init__(
        self, runnable: Any, input: Any, config: Any, kwargs: Mapping[str, Any], timing: bool
    ) -> None:
        self.runnable, self.input, self.config, self.kwargs = runnable, input, config, kwargs
        self.timing = timing


class Opened:
    """What `Runnable.open` gives: a context manager in both colours, for one run."""

    def __init__(
        self,
        runnable: Any,
        input: Any,
        config: Any,
        kwargs: Mapping[str, Any],
        *,
        timing: bool = False,
    ) -> None:
        self._given = _Given(runnable, input, config, kwargs, timing)
        self._live: Any = None

    def __repr__(self) -> str:
        return f"<open() of {self._given.runnable!r}, for `with` or `async with`>"

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"What open() gives has no {name!r} of its own: it is for a block, `with chain.open(…) "
            f"as run:` (or `async with`), and {name!r} may be one of the run that the block gets."
        )

    def _not_entered(self) -> NoReturn:
        raise NotIterableError(
            "What open() gives is for a block, and the run that the block gets is what can be "
            "read: `with chain.open(…) as run:` (or `async with`), then `for delta in run.text:`."
        )

    __iter__ = __aiter__ = _not_entered

    def _once(self) -> None:
        if self._live is not None:
            raise ConfigError(
                "This handle has been entered before, and it is for one run: call open() again."
            )

    def __enter__(self) -> LiveRun:
        self._once()
        live = self._live = LiveRun(self._given)
        return live

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        self._live._leave()
        self._live._hub.check_closed(error)

    async def __aenter__(self) -> AsyncLiveRun:
        self._once()
        live = self._live = AsyncLiveRun(self._given)
        return live

    async def __aexit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        await self._live._leave()
        self._live._hub.check_closed(error)
