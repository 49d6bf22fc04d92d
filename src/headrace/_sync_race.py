"""Parts against time and against each other, sync: each stream in a worker thread of its own.

Twin of `_async_race.py`. A thread takes one chunk when the consumer asks for it, and works under
the consumer's permit, who waits meanwhile: nothing is pulled ahead, and a consumer that leaves
between two chunks finds the thread idle. Whoever is in the middle of a wait when it is given up is
broken off where the wait allows it (`_threads.breakable`); where not, it gets `GRACE` to come back,
and then ends by itself when it does.
"""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from . import _threads
from ._gate import Gate, hand_over, held, lane, lent
from ._sync import abandon, close_streams, fold_source, open_step, value_step
from ._terms import Terms, Watch, fatal, first_of, lost, must_start, tell_winner
from ._threads import GRACE, Breaks, LeftError, breakable
from .errors import HeadraceWarning
from .flow import Fold, Once, fold_of
from .run import Run

__all__ = ["GRACE", "compete", "value_contest"]

_LOOK = 0.5  # seconds until a waiting thread looks whether there was a signal
_END = object()


class Clock:
    """Where the time comes from, and how a thread waits for the bell."""

    monotonic = staticmethod(time.monotonic)

    @staticmethod
    def wait(bell: Bell, seconds: float | None) -> None:
        bell.wait(_LOOK if seconds is None else min(seconds, _LOOK))


clock = Clock()


class Bell:
    """Wakes the one thread that waits, or the next time it would."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def ring(self) -> None:
        if self._lock.locked():
            try:
                self._lock.release()
            except RuntimeError:  # another thread has rung it just now
                return

    def wait(self, seconds: float = -1) -> None:
        self._lock.acquire(timeout=seconds)


class _Entrant:
    """One that runs. It holds at most one chunk, and goes on when it is asked to."""

    def __init__(self, bell: Bell) -> None:
        self.chunk: Any = None
        self.given = self.over = self.stopped = False
        self.failure: BaseException | None = None
        self.fold: Fold | None = None
        self._bell = bell
        self._asked = Bell()
        self._breaks = Breaks()
        self._permit = held()

    def work(self, stream: Iterator[Any], run: Run, gate: Gate | None, up: list[Any]) -> None:
        """The thread's own: the stream to its end."""
        self._breaks.here()
        try:
            try:
                with lane(gate):
                    if self.stopped:
                        raise LeftError
                    chunk = next(stream, _END)
                while chunk is not _END:
                    self._give(chunk)
                    chunk = next(stream, _END)
                close_streams(run)
            except BaseException as error:
                abandon(error, run, up)
                raise
        except BaseException as error:
            self.failure = error
        self.over = True
        self._bell.ring()

    def _give(self, chunk: Any) -> None:
        self.chunk, self.given = chunk, True
        self._bell.ring()
        while self.given and not self.stopped:
            self._asked.wait()
        if self.stopped:
            raise LeftError
        hand_over(self._permit)

    # ---- the consumer's

    def ask(self) -> None:
        self._permit = held()
        self.chunk, self.given = None, False
        self._asked.ring()

    def stop(self) -> None:
        """Nobody wants more of it."""
        self.stopped = True
        self._asked.ring()
        if not self.over:
            self._breaks.fire()


class _Course:
    """Those that run in one contest, and the consumer that waits for them."""

    def __init__(self, node: Any, run: Run, kw: Mapping[str, Any], whole: bool) -> None:
        self.node, self.run, self.kw, self.whole = node, run, kw, whole
        self.entrants: list[_Entrant] = []
        self._bell = Bell()
        self._left = False

    def left(self) -> None:
        """The consumer works for somebody who has gone; called in any thread."""
        self._left = True
        self._bell.ring()

    def enter(self, tag: str | None, node: Any, source: Any, gate: Gate | None) -> _Entrant:
        """Let one begin."""
        inner = self.run.fork()
        if self.whole:
            stream = _answer(node, source.value, inner, self.kw, tag)
            inner.streams.append((stream, None, None))
        else:
            stream = open_step(node, source, inner, self.kw, tag)
        entrant = _Entrant(self._bell)
        entrant.fold = fold_of(node, stream, source)
        self.entrants.append(entrant)
        _threads.submit(partial(entrant.work, iter(stream), inner, gate, self.run.streams))
        return entrant

    def wait(self, until: float | None) -> bool:
        """Until something has happened, or it may have; False once it is past `until`."""
        left = None if until is None else until - clock.monotonic()
        if left is not None and left <= 0:
            return False
        clock.wait(self._bell, left)
        if self._left:
            raise LeftError
        return True

    def next(self, entrant: _Entrant, watch: Watch | None = None) -> Any:
        """The chunk that it was asked for, or _END."""
        while not entrant.given:
            if entrant.over:
                if entrant.failure is not None:
                    raise entrant.failure
                return _END
            if not self.wait(None if watch is None else watch.due):
                raise watch.error()  # type: ignore[union-attr]
        return entrant.chunk

    def first(self, terms: Terms, value: Any) -> _Entrant:
        """The one that gives a chunk first, or ends well; the others are stopped."""
        began = clock.monotonic()
        while (winner := first_of(self.entrants)) is None:
            if (end := fatal(self.entrants)) is not None:
                raise end
            number = len(self.entrants)
            if must_start(terms, self.entrants, began, clock.monotonic()):
                self.enter(*terms.entrants[number], Once(value), self.run.gate)
            elif number < len(terms.starts):
                self.wait(began + terms.starts[number])
            elif all(entrant.over for entrant in self.entrants):
                raise lost(self.entrants)
            else:
                self.wait(None)
        for entrant in self.entrants:
            if entrant is not winner:
                entrant.stop()
        return winner  # type: ignore[no-any-return]

    def leave(self, mine: Sequence[_Entrant], error: BaseException | None) -> None:
        """Stop all and wait for them. What fails in `mine` only then, while it closes, is raised,
        or noted on an error that the consumer must get as it is."""
        for entrant in self.entrants:
            entrant.stop()
        until = clock.monotonic() + GRACE
        while running := [e for e in self.entrants if not e.over]:
            if (left := until - clock.monotonic()) <= 0:
                break
            clock.wait(self._bell, left)
        late = [e.failure for e in mine if isinstance(e.failure, Exception)]
        if late and late[0] is not error:
            if not isinstance(error, Exception):
                raise late[0]
            error.add_note(f"While closing the stream after this error: {late[0]!r}")
        if running:
            _say_still_running(self.node, len(running), error)


def _say_still_running(node: Any, count: int, error: BaseException | None) -> None:
    said = (
        f"In {node.get_name()}, {count} blocked thread{'s' * (count > 1)} did not come back within "
        f"{GRACE:g} s of being given up, and will end when what blocks returns: give what blocks a "
        "timeout of its own."
    )
    if isinstance(error, Exception):
        error.add_note(said)
    else:
        warnings.warn(said, HeadraceWarning, stacklevel=2)


def _answer(
    node: Any, value: Any, run: Run, kw: Mapping[str, Any], tag: str | None
) -> Iterator[Any]:
    """A step's whole value, as a stream."""
    yield value_step(node, value, run, kw, tag)


def compete(
    self: Any,
    source: Any,
    run: Run,
    kw: Mapping[str, Any],
    told: list[Any],
    *,
    whole: bool = False,
) -> Iterator[Any]:
    """The stream of a contest. `whole`: each part gives its whole value, for an input at hand."""
    terms = self._terms()
    course = _Course(self, run, kw, whole)
    against_time = len(terms.entrants) == 1
    with breakable(course.left):
        if against_time:
            yield from _timed(course, terms, source, told)
        else:
            yield from _raced(course, terms, fold_source(source), told)


def _timed(course: _Course, terms: Terms, source: Any, told: list[Any]) -> Iterator[Any]:
    tag, node = terms.entrants[0]
    entrant = course.enter(tag, node, source, None)
    told.append(entrant.fold)
    watch = Watch(terms.limits, clock.monotonic(), node, entrant.fold)
    try:
        while (chunk := course.next(entrant, watch)) is not _END:
            watch.had(chunk)
            yield chunk
            now = clock.monotonic()
            watch.asks(now)
            if now >= watch.due:
                raise watch.error()
            entrant.ask()
    except BaseException as error:
        course.leave([entrant], error)
        raise


def _raced(course: _Course, terms: Terms, value: Any, told: list[Any]) -> Iterator[Any]:
    mine: list[_Entrant] = []
    try:
        with lent(course.run.gate):
            winner = course.first(terms, value)
        mine.append(winner)
        told.append(winner.fold)
        if course.run.observed:
            tell_winner(course.run, terms, course.entrants.index(winner))
        while (chunk := course.next(winner)) is not _END:
            yield chunk
            winner.ask()
    except BaseException as error:
        course.leave(mine, error)
        raise
    course.leave((), None)


def value_contest(self: Any, value: Any, run: Run, kw: Mapping[str, Any]) -> Any:
    """A contest, invoked: the whole value of the one that has it first, or in time."""
    values = list(compete(self, Once(value), run, kw, [None], whole=True))
    return values[0]
