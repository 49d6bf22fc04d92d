"""The hub: the one observer of a run behind a handle, which feeds its readers.

It keeps what a reader that comes late has missed (`Heard`): the outermost run's chunks, joined now
and then, and the models' answers by content blocks, so that memory follows the text. It takes
nothing else, unless a reader wants events; steps of which nobody wants any are not even tapped.

As an observer it is called from whatever thread or task an event happens in; `lock` makes that one
order. It is also the run's valve: `full` while a reader with the policy `block` is, when another
one is to have its turn, when models are to stop, or, in a thread, when the run is to end.
"""

from __future__ import annotations

import asyncio
import threading
from asyncio import CancelledError, Future, get_running_loop
from collections.abc import Callable, Iterable
from threading import get_ident
from typing import Any

from .._threads import Signal
from ..callbacks.arguments import MODELS, RunCancelledError
from ..errors import HeadraceError
from ..events import (
    EVENTS,
    Event,
    Reset,
    RunCancelled,
    RunChunk,
    RunEnded,
    RunFailed,
    RunInfo,
    StreamReset,
    Takes,
)
from .blocks import Answer, terminal_again, told
from .heard import Heard
from .readers import TURN, Reader
from .subscription import Hold, LoopHold

__all__ = ["AsyncHub", "Hub"]

_ENDS = frozenset({RunEnded, RunFailed, RunCancelled})
_KEPT = _ENDS | {RunChunk, StreamReset}
_NOTHING: frozenset[Any] = frozenset()
_RESETS: frozenset[Any] = frozenset({StreamReset})
_ENDINGS = {"stop": "stop()", "cancel": "cancel()", "leave": "leaving its block"}
_HOW = {"cancel": "was cancelled by cancel()", "leave": "was ended with the block of its handle"}


class Hub(Heard, Hold):
    """See the file's head. `ending` says what the user asked for: "stop", "cancel" or "leave"."""

    streams_models = True  # a handle shows the tokens of models that are invoked, too
    _tells = True

    def __init__(self, runnable: Any) -> None:
        super().__init__(runnable)
        self.lock = threading.RLock()
        self.readers: dict[str, list[Reader]] = {"chunks": [], "blocks": [], "events": []}
        self._turns: list[Reader] = []  # the run is to hand over to these
        self._hears_blocks = False  # whether somebody wants events of blocks
        self.failure: BaseException | None = None
        self.ending: str | None = None
        self.live: set[RunInfo] = set()  # models that speak
        self.stopping = False  # models end after what they have said
        self.interrupt: Callable[[], object] = lambda: None  # has the whole run end soon

    # ------------------------------------------------------------- the observer

    def wants(self, run: RunInfo) -> Takes:
        with self.lock:
            if self.root is None:
                self.root = run  # nothing below it is told of before
            if self._begins(run):
                own = _KEPT
            else:
                own = _RESETS | _ENDS if run.id in self._holding else _RESETS
            for reader in self.readers["events"]:
                takes = self._asked(reader, run)
                own = own.union(kind for kind in EVENTS if kind in takes)
        return own

    def chunk_taker(self, run: Any) -> Callable[[Any], None]:
        """Where the hub alone listens, chunks come without events; it makes those that are read."""
        answer, lock, give = self._answer(run), self.lock, self._chunk

        def take(chunk: Any) -> None:
            if run.waking is not None:  # it speaks before it has read anything
                run.waking.wake()
            with lock:
                give(run, answer, chunk)

        return take

    def on_event(self, event: Event) -> None:
        with self.lock:
            if type(event) is RunChunk:
                self._chunk(event.run, self._answer(event.run), event.chunk, event)
            elif type(event) in _ENDS:
                self._ended(event)
            elif type(event) is StreamReset:
                self._begun_anew(event)
            else:
                self._tell(event)

    def _chunk(self, run: RunInfo, answer: Answer | None, chunk: Any, event: Any = None) -> None:
        root = run is self.root
        if root:
            self._keep(chunk)
        triples: Any = ()
        if answer is not None:
            if not answer.heard and run.run_type in MODELS:
                self.live.add(run)
                if self.stopping:  # a step behind a model that was stopped asks another one
                    self.end("stop")
                    self.interrupt()
            if self._hears_blocks:
                triples = answer.feed(chunk)
            else:
                answer.add(chunk)
        heard = root or not self.text_of_root  # else models have nothing to say to these
        if heard and self._counts(run):
            for reader in self.readers["chunks"]:
                for item in reader.view.chunk(run, chunk):
                    reader.push(item)
        if self.readers["events"]:
            self._tell(event or RunChunk(run, run._next(), chunk))  # type: ignore[attr-defined]
        if triples:
            self._tell_blocks(run, triples)

    def _begun_anew(self, event: StreamReset) -> None:
        """What has come of a run and of those below it does not count."""
        run = event.run
        self._forget(event)
        if run is self.root and run.id not in self._holding and event.discarded:
            reset = Reset(event.attempt, event.error, event.discarded)
            self._push_all(lambda view: view.reset(reset))
        self._tell(event)

    def _held_no_more(self, event: Any) -> None:
        """A policy has ended: what its last try said is valid now, if that went well."""
        run = event.run
        self._holding.discard(run.id)
        if type(event) is RunEnded and not self._may_be_void(run):
            answers = self._below(run, self.answers)
            self._push_all(lambda view: view.said(answers))

    def _push_all(self, items: Callable[[Any], Iterable[Any]]) -> None:
        for reader in (*self.readers["chunks"], *self.readers["blocks"]):
            for item in items(reader.view):
                reader.push(item)

    def _ended(self, event: Any) -> None:
        run = event.run
        self.live.discard(run)
        if run is self.root:
            self.terminal = event
        if type(event) is RunEnded and (run.run_type in MODELS or run.id in self._speaking):
            event = self._answered(event)
        if run.id in self._holding:
            self._held_no_more(event)
        self._tell(event)
        for reader in self.readers["events"]:
            reader.known.pop(run, None)

    def _answered(self, event: RunEnded) -> RunEnded:
        """A run with an answer has ended: so have its blocks. A model that was invoked has told no
        chunk."""
        run = event.run
        answer: Any = self._answer(run)
        triples = []
        if not answer.heard:
            triples = answer.feed(event.output)
            for reader in self.readers["chunks"]:
                if run is not self.root and self._counts(run):
                    for item in reader.view.chunk(run, event.output):
                        reader.push(item)
        triples += answer.end()
        if not (triples and self._hears_blocks):
            return event
        self._tell_blocks(run, triples)
        return terminal_again(event) if run.run_type in MODELS else event

    def _tell(self, event: Event) -> None:
        for reader in self.readers["events"]:
            if type(event) in self._taken_by(reader, event.run):
                self._feed(reader, event)

    def _tell_blocks(self, run: RunInfo, triples: Any) -> None:
        shown = self.readers["blocks"] if self._counts(run) else ()
        hearing = self.readers["events"] if run.run_type in MODELS else ()
        for event in told(run, triples):
            for reader in shown:
                for item in reader.view.feed(event):
                    reader.push(item)
            for reader in hearing:
                if reader.view.blocks and type(event) in self._taken_by(reader, event.run):
                    self._feed(reader, event)

    @staticmethod
    def _feed(reader: Reader, event: Event) -> None:
        """What a view of somebody's own makes of an event; if it fails, its consumer hears of it,
        and no other."""
        try:
            for item in reader.view.feed(event):
                reader.push(item)
        except Exception as error:
            reader.fail(error)

    @staticmethod
    def _asked(reader: Reader, run: RunInfo) -> Takes:
        try:
            return reader.view.wants(run)  # type: ignore[no-any-return]
        except Exception as error:
            reader.fail(error)
            return _NOTHING

    def _taken_by(self, reader: Reader, run: RunInfo) -> Takes:
        """What a reader's view takes of a run: asked once of those whose end the hub hears, where
        it is forgotten."""
        found = reader.known.get(run)
        if found is None:
            found = self._asked(reader, run)
            ends = run.run_type in MODELS or run.id in self._speaking
            if ends or all(kind in found for kind in _ENDS):
                reader.known[run] = found
        return found

    # ------------------------------------------------------------- readers

    def add(self, reader: Reader) -> None:
        """From now on a reader gets what comes, and first what it has missed."""
        with self.lock:
            for item in reader.view.past():
                reader.push(item)
            if self.over:
                self._finish(reader)
                return
            view = reader.view
            self.readers[view.takes] = [*self.readers[view.takes], reader]
            self._look()
            self.held()  # what it has missed may fill it

    def remove(self, reader: Reader) -> None:
        """A reader has gone."""
        with self.lock:
            takes = reader.view.takes
            self.readers[takes] = [one for one in self.readers[takes] if one is not reader]
            reader.full, reader.owner = False, None
            self._look()
            self.held()

    def _look(self) -> None:
        self._hears_blocks = bool(self.readers["blocks"]) or any(
            reader.view.blocks for reader in self.readers["events"]
        )

    def all(self) -> list[Reader]:
        """The readers there are."""
        return [reader for some in self.readers.values() for reader in some]

    def held(self) -> None:
        """A reader is full, or no longer."""
        with self.lock:
            if self.left:
                return
            full = self._holds()
            self.full = full or self.stopping or bool(self._turns)
            if not full:
                self._release()

    def _holds(self) -> bool:
        return not self.gone and any(reader.full for reader in self.all())

    def _ends(self, run: RunInfo) -> bool:
        return self.stopping and run.run_type in MODELS

    def hand_over(self, reader: Reader) -> None:
        """Let a reader take something before the run goes on; under the lock."""
        if reader.turn is None:
            reader.turn = Signal()
        if reader not in self._turns:
            self._turns.append(reader)
        self.held()

    def _due(self) -> list[tuple[Reader, Signal]]:
        with self.lock:
            readers, self._turns = self._turns, []
            self.held()
            return [(reader, reader.turn) for reader in readers if reader.turn is not None]

    async def room(self, run: RunInfo) -> bool:
        if self._turns and not self.gone:
            due = self._due()
            await asyncio.sleep(0)
            for reader, _ in due:
                reader.turn = None
        return await super().room(run)

    def wait(self, run: RunInfo) -> bool:
        if self._turns and not self.gone:
            for reader, turn in self._due():
                turn.wait(TURN)
                if not turn.is_set():
                    reader.turn, reader.lags = None, True
        return super().wait(run)

    def make_room(self, reader: Reader) -> None:
        with self.lock:
            reader.full = False
            self.held()

    def relax(self, owner: Any, waits: Reader | None = None) -> list[Reader]:
        """`owner` (a thread or task) is about to wait, for one of its readers or for the end: its
        others do not hold the run meanwhile. Give the result to `tighten` afterwards."""
        with self.lock:
            found = [reader for reader in self.all() if reader.owner == owner
                     and reader is not waits and reader.policy == "block"]  # fmt: skip
            for reader in found:
                reader.relax(True)
            if found:
                self.held()
        return found

    def tighten(self, readers: Iterable[Reader]) -> None:
        with self.lock:
            for reader in readers:
                reader.relax(False)

    # ------------------------------------------------------------- the end

    def stop(self) -> bool:
        """Have the models that speak end after what they have said; whether there are any."""
        with self.lock:
            if self.live and not self.left:
                self.stopping = True
                self.held()
            return self.stopping

    def end(self, ending: str) -> None:
        """The run is to end."""
        with self.lock:
            if self.ending is None and not self.over:
                self.ending = ending
            if not self.left:
                self.leave()

    def close(self) -> None:
        """The block is left: its consumers get nothing any more."""
        with self.lock:
            gone = self.all()
            self.readers = {takes: [] for takes in self.readers}
            for reader in gone:
                reader.owner = None
                reader.items.clear()
                reader.finish()

    def finish(self, failure: BaseException | None) -> None:
        """The run has ended, or will never begin."""
        if isinstance(failure, (GeneratorExit, CancelledError)):
            failure = None if self.ending else self._cancelled()
        with self.lock:
            self.failure = failure
            self.over = True
            for reader in self.all():
                self._finish(reader)
        self._told_over()

    def _finish(self, reader: Reader) -> None:
        for item in reader.view.rest():
            reader.push(item)
        reader.finish()

    def _told_over(self) -> None:
        raise NotImplementedError

    def _cancelled(self) -> HeadraceError:
        path = None if self.root is None else self.root.path
        return RunCancelledError(path, self._partial(), _HOW.get(self.ending or ""))

    def output(self) -> Any:
        """The output of a run that has ended by itself, or as much of it as had come."""
        with self.lock:
            return self._partial()

    def check(self) -> None:
        """Raise what the run raised."""
        if self.failure is not None:
            raise self.failure

    def check_closed(self, primary: BaseException | None) -> None:
        """Raise what failed as the block was left; beside an error of the block it is a note."""
        if self.ending != "leave" or self.failure is None:
            return
        if primary is None:
            raise self.failure
        if isinstance(primary, Exception):
            primary.add_note(f"While closing the run after this error: {self.failure!r}")

    def state(self, begun: bool) -> str:
        """Where the run is, in a word or two."""
        if not self.over:
            return "running" if begun else "not started"
        if self.failure is not None:
            return f"over (it raised {type(self.failure).__name__})"
        return "over" if self.ending is None else f"over (ended by {_ENDINGS[self.ending]})"

    def result(self) -> Any:
        """The output.

        Raises:
            RunCancelledError: the run was cancelled, or its block left before its end.
        """
        self.check()
        if self.ending not in (None, "stop") and type(self.terminal) is not RunEnded:
            raise self._cancelled()
        return self.output()


class SyncHub(Hub):
    """For threads."""

    def __init__(self, runnable: Any) -> None:
        super().__init__(runnable)
        self._ended_event = Signal()

    def _told_over(self) -> None:
        self._ended_event.set()

    def wait_over(self) -> None:
        """Until the run has ended."""
        if not self.over:
            relaxed = self.relax(get_ident())
            self._ended_event.wait()
            self.tighten(relaxed)


class AsyncHub(LoopHold, Hub):
    """For the tasks of the event loop in which it is made."""

    _tells = False

    def __init__(self, runnable: Any) -> None:
        super().__init__(runnable)
        self.loop = get_running_loop()
        self._waiters: list[Future[None]] = []

    def _told_over(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def wait_over(self, task: Any) -> None:
        """Until the run has ended; `task` is the one that waits."""
        if not self.over:
            relaxed = self.relax(task)
            waiter: Future[None] = self.loop.create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            finally:
                self._waiters.remove(waiter)
                self.tighten(relaxed)
