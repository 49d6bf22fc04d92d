"""Parts against time and against each other, async.

Twin of `_sync_race.py`. One part against time runs in the consumer's own task: a timer cancels the
pull that has waited too long, and is set anew only when it goes off too early, so that no chunk
costs a task or a timer. Several against each other have a task each, which takes one chunk when the
consumer asks for it. What is given up is cancelled, and awaited before control returns.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ._async import abandon, close_streams, fold_source, open_step, value_step
from ._async_fan import _Signal as Signal
from ._async_fan import settle
from ._bridge import GIVEN_UP, giving_up
from ._gate import Gate, alane, alent, hand_over, held
from ._lazy import Lazy
from ._terms import Terms, Watch, fatal, first_of, lost, must_start, tell_winner
from .flow import Fold, Once, fold_of
from .run import Run

if TYPE_CHECKING:
    import asyncio
else:
    asyncio = Lazy("asyncio")

__all__ = ["compete", "value_contest"]

_END = object()


class _Timer:
    """Cancels a pull that has waited until its watch's `due`. One handle, kept while it is early
    enough; nothing happens while nobody waits."""

    __slots__ = ("_at", "_cancelling", "_handle", "_loop", "_task", "_watch", "fired")

    def __init__(self, watch: Watch) -> None:
        self._loop = asyncio.get_running_loop()
        self._watch = watch
        self._handle: asyncio.TimerHandle | None = None
        self._at = 0.0
        self._task: asyncio.Task[Any] | None = None
        self._cancelling = 0
        self.fired = False

    def on(self) -> None:
        """A pull begins, in this task."""
        self._task = task = asyncio.current_task()
        self._cancelling = task.cancelling()  # type: ignore[union-attr]
        due = self._watch.due
        if (self._handle is None or due < self._at) and due < _NEVER:
            self.stop()
            self._at, self._handle = due, self._loop.call_at(due, self._tick)

    def off(self) -> None:
        """It has ended."""
        self._task = None

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _tick(self) -> None:
        self._handle = None
        if self._task is None:
            return
        due = self._watch.due
        if due > self._loop.time():
            self._at, self._handle = due, self._loop.call_at(due, self._tick)
            return
        self.fired = True
        self._task.cancel(GIVEN_UP)

    def judged(self, error: BaseException | None) -> BaseException:
        """It has fired: what to raise for what the pull ended with. A cancellation that came from
        elsewhere as well goes on."""
        task = asyncio.current_task()
        if task is not None and task.uncancel() > self._cancelling:
            return error if isinstance(error, asyncio.CancelledError) else asyncio.CancelledError()
        timeout = self._watch.error()
        if isinstance(error, Exception) and not isinstance(error, StopAsyncIteration):
            timeout.add_note(f"While closing the stream after this error: {error!r}")
        return timeout


_NEVER = float("inf")


class _Entrant:
    """One that runs. It holds at most one chunk, and goes on when it is asked to."""

    def __init__(self, bell: Signal) -> None:
        self.chunk: Any = None
        self.given = self.over = False
        self.failure: BaseException | None = None
        self.fold: Fold | None = None
        self.task: asyncio.Task[None] | None = None
        self._bell = bell
        self._asked: asyncio.Future[None] | None = None
        self._permit = held()

    async def work(
        self, stream: AsyncIterator[Any], run: Run, gate: Gate | None, up: list[Any]
    ) -> None:
        """The task's own: the stream to its end."""
        try:
            try:
                async with alane(gate):
                    chunk = await anext(stream, _END)
                while chunk is not _END:
                    await self._give(chunk)
                    chunk = await anext(stream, _END)
                await close_streams(run)
            except BaseException as error:
                await abandon(error, run, up)
                raise
        except BaseException as error:
            self.failure = error
        self.over = True
        self._bell.notify()

    async def _give(self, chunk: Any) -> None:
        self.chunk, self.given = chunk, True
        self._asked = asyncio.get_running_loop().create_future()
        self._bell.notify()
        await self._asked
        hand_over(self._permit)

    # ---- the consumer's

    def ask(self) -> None:
        self._permit = held()
        self.chunk, self.given = None, False
        if self._asked is not None and not self._asked.done():
            self._asked.set_result(None)

    def stop(self) -> None:
        """Nobody wants more of it."""
        if self.task is not None:
            self.task.cancel(GIVEN_UP)


class _Course:
    """Those that run in one contest, and the consumer that waits for them."""

    def __init__(self, run: Run, kw: Mapping[str, Any], whole: bool) -> None:
        self.run, self.kw, self.whole = run, kw, whole
        self.entrants: list[_Entrant] = []
        self._bell = Signal()

    def opened(self, run: Run, tag: str | None, node: Any, source: Any) -> Any:
        """The stream of one, and how its chunks add up."""
        if self.whole:
            stream = _answer(node, source.value, run, self.kw, tag)
            run.streams.append((stream, None, None))
        else:
            stream = open_step(node, source, run, self.kw, tag)
        return stream.__aiter__(), fold_of(node, stream, source)

    def enter(self, tag: str | None, node: Any, source: Any, gate: Gate | None) -> _Entrant:
        """Let one begin."""
        inner = self.run.fork()
        entrant = _Entrant(self._bell)
        stream, entrant.fold = self.opened(inner, tag, node, source)
        self.entrants.append(entrant)
        work = entrant.work(stream, inner, gate, self.run.streams)
        entrant.task = asyncio.create_task(work)
        return entrant

    async def wait(self, until: float | None) -> None:
        """Until something has happened, or it may have; at most until then."""
        handle = None
        if until is not None:
            handle = asyncio.get_running_loop().call_at(until, self._bell.notify)
        try:
            await self._bell.wait()
        finally:
            if handle is not None:
                handle.cancel()

    async def next(self, entrant: _Entrant) -> Any:
        """The chunk that it was asked for, or _END."""
        while not entrant.given:
            if entrant.over:
                if entrant.failure is not None:
                    raise entrant.failure
                return _END
            await self._bell.wait()
        return entrant.chunk

    async def first(self, terms: Terms, value: Any) -> _Entrant:
        """The one that gives a chunk first, or ends well; the others are stopped."""
        time = asyncio.get_running_loop().time
        began = time()
        while (winner := first_of(self.entrants)) is None:
            if (end := fatal(self.entrants)) is not None:
                raise end
            number = len(self.entrants)
            if must_start(terms, self.entrants, began, time()):
                self.enter(*terms.entrants[number], Once(value), self.run.gate)
            elif number < len(terms.starts):
                await self.wait(began + terms.starts[number])
            elif all(entrant.over for entrant in self.entrants):
                raise lost(self.entrants)
            else:
                await self.wait(None)
        for entrant in self.entrants:
            if entrant is not winner:
                entrant.stop()
        return winner  # type: ignore[no-any-return]

    async def leave(self, mine: Sequence[_Entrant], error: BaseException | None) -> None:
        """Stop all and wait for them. What fails in `mine` only then, while it closes, is raised,
        or noted on an error that the consumer must get as it is."""
        await settle([e.task for e in self.entrants if e.task is not None])
        late = [e.failure for e in mine if isinstance(e.failure, Exception)]
        if late and late[0] is not error:
            if not isinstance(error, Exception):
                raise late[0]
            error.add_note(f"While closing the stream after this error: {late[0]!r}")


async def _answer(
    node: Any, value: Any, run: Run, kw: Mapping[str, Any], tag: str | None
) -> AsyncIterator[Any]:
    """A step's whole value, as a stream."""
    yield await value_step(node, value, run, kw, tag)


def compete(
    self: Any,
    source: Any,
    run: Run,
    kw: Mapping[str, Any],
    told: list[Any],
    *,
    whole: bool = False,
) -> AsyncIterator[Any]:
    """The stream of a contest. `whole`: each part gives its whole value, for an input at hand."""
    against_time = len(self._terms().entrants) == 1
    return (_timed if against_time else _raced)(self, source, run, kw, told, whole)


async def _timed(
    self: Any, source: Any, run: Run, kw: Mapping[str, Any], told: list[Any], whole: bool
) -> AsyncIterator[Any]:
    terms, inner, now = self._terms(), run.fork(), asyncio.get_running_loop().time
    tag, node = terms.entrants[0]
    stream, fold = _Course(run, kw, whole).opened(inner, tag, node, source)
    told.append(fold)
    watch = Watch(terms.limits, now(), node, fold)
    timer, pull, late = _Timer(watch), stream.__anext__, False
    try:
        while True:
            timer.on()
            try:
                chunk = await pull()
            except BaseException as error:
                if timer.fired:
                    raise timer.judged(error) from None
                if isinstance(error, StopAsyncIteration):
                    break
                raise
            timer.off()
            if timer.fired:
                raise timer.judged(None)
            watch.had(chunk)
            yield chunk
            watch.asks(time := now())
            if late := time >= watch.due:
                raise watch.error()
        timer.stop()
        await close_streams(inner)
    except BaseException as error:
        timer.stop()
        with giving_up(late):
            await abandon(error, inner, run.streams)
        raise


async def _raced(
    self: Any, source: Any, run: Run, kw: Mapping[str, Any], told: list[Any], whole: bool
) -> AsyncIterator[Any]:
    terms, value = self._terms(), await fold_source(source)
    course = _Course(run, kw, whole)
    mine: list[_Entrant] = []
    try:
        async with alent(run.gate):
            winner = await course.first(terms, value)
        mine.append(winner)
        told.append(winner.fold)
        if run.observed:
            tell_winner(run, terms, course.entrants.index(winner))
        while (chunk := await course.next(winner)) is not _END:
            yield chunk
            winner.ask()
    except BaseException as error:
        await course.leave(mine, error)
        raise
    await course.leave((), None)


async def value_contest(self: Any, value: Any, run: Run, kw: Mapping[str, Any]) -> Any:
    """A contest, invoked: the whole value of the one that has it first, or in time."""
    values = [each async for each in compete(self, Once(value), run, kw, [None], whole=True)]
    return values[0]
