"""What a saver must do, and how an agent uses one: a *thread* is a conversation kept as rows.

A row is the text that `headrace.load.dumps` gives of one piece of the state, a message or a dict of
the keys beside the messages: JSON, of which nothing executes when it is read. Rows are numbered
from 0 and only ever appended. The state is their sum (`state.py`): a message with the id of an
earlier one takes its place, a `RemoveMessage` takes one out, answers of tools stand in the order of
their calls, whichever was ready first, and of a key the last value counts.

An agent appends a message when it is there and before anything further begins: what was given to
the agent, each answer of the model, each answer of a tool from the lane that made it. So savers are
called from several threads at once, and a call whose answer stands in the thread is never made
again. Rows are there for good when `append` returns: a `kill -9` after that loses none of them.

Two keys are the agent's own, ids of messages of the model: `ASKED`, whose calls it has asked a
person about, and `HOOKED`, which its `after_model` hooks have seen.

One run at a time goes on in a thread: it claims it before it reads. A run that would be the second
gets a `ThreadConflictError` before it does anything. The numbers of the rows are a second lock.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeAlias

from .._awaited import to_the_end
from .._bridge import call_in_thread
from .._fork import in_child
from .._lazy import Lazy
from ..errors import InputError
from ..load import dumps, loads
from ..messages import BaseMessage, RemoveMessage, ToolMessage
from .errors import ThreadConflictError
from .state import AgentState

if TYPE_CHECKING:
    import asyncio
else:
    asyncio = Lazy("asyncio")

__all__ = ["ASKED", "HOOKED", "BaseSaver", "Piece", "Thread", "moved", "piece_of", "row_of",
           "state_of", "taken"]  # fmt: skip

Piece: TypeAlias = BaseMessage | Mapping[str, Any]
ASKED, HOOKED = "__asked__", "__hooked__"

_claimed: set[tuple[int, str]] = set()  # (id of a saver, thread), by runs of this process
_claiming = Lock()


@in_child
def _forget() -> None:
    """In a forked child: the runs of the parent are not here, whichever lock they had."""
    global _claiming
    _claiming = Lock()
    _claimed.clear()


class BaseSaver(ABC):
    """Base of savers: write the four methods without `a`; the others call them in a worker thread,
    and are for those who can await their store.

    A thread that is not known is one without rows. All methods may be called from several threads
    at once.
    """

    @abstractmethod
    def append(self, thread_id: str, start: int, rows: Sequence[str]) -> None:
        """Put rows behind those of a thread, all or none; they are durable when it returns.

        Args:
            start: the number of the first row, which is how many the thread has so far.

        Raises:
            ThreadConflictError: it has another number of rows, see `moved`; nothing is written.
        """

    @abstractmethod
    def rows(self, thread_id: str) -> list[str]:
        """The rows of a thread, from the first."""

    @abstractmethod
    def threads(self) -> list[str]:
        """The ids of the threads that have rows, in the order in which they were begun."""

    @abstractmethod
    def delete_thread(self, thread_id: str) -> None:
        """Forget a thread; one that is not known is no error."""

    def claim(self, thread_id: str) -> Callable[[], None]:
        """Take a thread for one run; gives the function that lets it go. Neither waits for others.

        This one knows the runs of this process that use this object. A saver for several processes
        overrides it (an async run calls that in a worker thread, and the function that it gives in
        the event loop), so that a thread is free as soon as the process that had it is dead.

        Raises:
            ThreadConflictError: another run has it; see `taken`.
        """
        mark = (id(self), thread_id)
        with _claiming:
            if mark in _claimed:
                raise taken(thread_id)
            _claimed.add(mark)

        def let_go(saver: BaseSaver = self) -> None:  # which lives on as long: its id stays its own
            _claimed.discard(mark)

        return let_go

    async def aappend(self, thread_id: str, start: int, rows: Sequence[str]) -> None:
        """`append`, async."""
        await call_in_thread(self.append, thread_id, start, rows)

    async def arows(self, thread_id: str) -> list[str]:
        """`rows`, async."""
        found: list[str] = await call_in_thread(self.rows, thread_id)
        return found

    async def athreads(self) -> list[str]:
        """`threads`, async."""
        found: list[str] = await call_in_thread(self.threads)
        return found

    async def adelete_thread(self, thread_id: str) -> None:
        """`delete_thread`, async."""
        await call_in_thread(self.delete_thread, thread_id)

    def messages(self, thread_id: str) -> list[BaseMessage]:
        """The conversation that a thread holds."""
        return state_of(self.rows(thread_id)).messages

    async def amessages(self, thread_id: str) -> list[BaseMessage]:
        """`messages`, async."""
        return state_of(await self.arows(thread_id)).messages


def moved(thread_id: str, start: int, found: int) -> ThreadConflictError:
    """What `append` raises where a thread has `found` rows and not `start`."""
    return ThreadConflictError(
        f"Thread {thread_id!r} has {found} rows, and the run that would append to it knows of "
        f"{start}: somebody else has written to it meanwhile, or deleted it. Call the agent again: "
        "it goes on from what is there."
    )


def taken(thread_id: str) -> ThreadConflictError:
    """What `claim` raises where another run has a thread."""
    return ThreadConflictError(
        f"Thread {thread_id!r} is in use by another run of an agent: wait for its end, or give "
        'this one a thread of its own, config={"configurable": {"thread_id": "…"}}. What a tool '
        "invokes has the thread_id of the run around it, unless it is given another."
    )


# ------------------------------------------------------------------ rows


def row_of(piece: Piece) -> str:
    """A piece of the state as a row. An artifact that JSON cannot hold is not kept: no model reads
    it.

    Raises:
        InputError: something else in it cannot be written as JSON.
    """
    try:
        return dumps(piece if isinstance(piece, BaseMessage) else dict(piece))
    except InputError as error:
        if isinstance(piece, ToolMessage) and piece.artifact is not None:
            return row_of(piece.model_copy(update={"artifact": None}))
        what = piece.type + " message" if isinstance(piece, BaseMessage) else f"state {[*piece]}"
        raise InputError(f"This {what} cannot be kept in a thread: {error}") from error


def piece_of(row: str) -> Piece:
    """What a row holds.

    Raises:
        InputError: something else than a piece of a state.
    """
    found = loads(row)
    if not isinstance(found, (BaseMessage, dict)):
        raise InputError(
            f"A row of a thread holds a message or a dict; this one holds {row[:200]!r}."
        )
    return found


def state_of(rows: Sequence[str]) -> AgentState:
    """The state that rows add up to."""
    pieces = [piece_of(row) for row in rows]
    found = AgentState(messages=[])
    if pieces:
        found += AgentState.__headrace_merge__(
            {"messages": [each]} if isinstance(each, BaseMessage) else each for each in pieces
        )
        found["messages"] = [m for m in found.messages if not isinstance(m, RemoveMessage)]
    return found


class Thread:
    """One thread in one run of an agent: claims it, and numbers the rows, one append at a time."""

    __slots__ = ("_alock", "_let_go", "_lock", "_over", "_saved", "_saver", "_turn", "id")

    def __init__(self, saver: BaseSaver, thread_id: str) -> None:
        self.id = thread_id
        self._saver = saver
        self._saved = 0
        self._turn = Lock()
        self._alock: Any = None  # made in the loop that uses it
        self._lock = Lock()  # of the two below
        self._let_go: Callable[[], None] | None = None
        self._over = False

    def load(self) -> AgentState:
        """Claims it; what is there so far."""
        self._claim()
        return self._read(self._saver.rows(self.id))

    async def aload(self) -> AgentState:
        """`load`, async."""
        if type(self._saver).claim is BaseSaver.claim:
            self._claim()
        else:
            await call_in_thread(self._claim)
        return self._read(await self._saver.arows(self.id))

    def append(self, pieces: Sequence[Piece]) -> None:
        """Keep these, too."""
        rows = [row_of(piece) for piece in pieces]
        with self._turn:
            self._check()
            self._saver.append(self.id, self._saved, rows)
            self._saved += len(rows)

    async def aappend(self, pieces: Sequence[Piece]) -> None:
        """`append`, async. A cancellation waits for it: what was finished is kept."""
        cancelled = await to_the_end(self._aappended([row_of(piece) for piece in pieces]))
        if cancelled is not None:
            raise cancelled

    async def _aappended(self, rows: list[str]) -> None:
        self._alock = self._alock or asyncio.Lock()
        async with self._alock:
            self._check()
            await self._saver.aappend(self.id, self._saved, rows)
            self._saved += len(rows)

    def forget(self, thread_ids: Sequence[str]) -> None:
        """Delete threads that are parts of this one."""
        for thread_id in thread_ids:
            self._saver.delete_thread(thread_id)

    async def aforget(self, thread_ids: Sequence[str]) -> None:
        """`forget`, async."""
        for thread_id in thread_ids:
            await self._saver.adelete_thread(thread_id)

    def release(self) -> None:
        """The run is over. Does not wait."""
        with self._lock:
            let_go, self._let_go, self._over = self._let_go, None, True
        if let_go is not None:
            let_go()

    def _read(self, rows: list[str]) -> AgentState:
        self._saved = len(rows)
        return state_of(rows)

    def _claim(self) -> None:
        let_go = self._saver.claim(self.id)
        with self._lock:
            if not self._over:
                self._let_go = let_go
                return
        let_go()  # nobody waits for this thread any more

    def _check(self) -> None:
        if self._over:  # a tool that was given up for its slowness comes to its end
            raise taken(self.id)
