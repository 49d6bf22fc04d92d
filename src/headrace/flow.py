"""What flows between steps and the words in which policies speak; colour-neutral, no I/O.

Sources: a step reads an iterator (async: an async iterator). Two kinds tell more than that:
`Once` holds the single value of an `invoke` or a `stream`, `Folded` comes from a step whose chunks
do not add up with `+` (partial JSON: the last one wins) and brings its own fold.

Machines: `feed(x)` gives the outputs due now, `finish()` the rest. A step that has a machine never
waits, so drivers may push through it instead of opening it.

Commands: what a Plan may ask of its driver, and the `Outcome` it gets back.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, TypeAlias

from .merge import merge
from .run import UNKNOWN

__all__ = ["EMITTED", "EMPTY", "ROOM", "Branch", "Collect", "Command", "Emit", "Folded", "Forward",
           "Known", "Late", "Machine", "Once", "Outcome", "Read", "Sleep", "compact", "fold_chunks",
           "fold_of", "knowing_fold"]  # fmt: skip

EMPTY: Mapping[str, Any] = MappingProxyType({})
Fold: TypeAlias = Callable[[list[Any]], Any]


class Once:
    """An iterator, and an async iterator, over one value that is known beforehand."""

    __slots__ = ("_given", "value")

    def __init__(self, value: Any) -> None:
        self.value = value
        self._given = False

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self._given:
            raise StopIteration
        self._given = True
        return self.value

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        if self._given:
            raise StopAsyncIteration
        self._given = True
        return self.value

    def again(self) -> Once:
        """A fresh one over the same value."""
        return Once(self.value)


class Folded:
    """A source with a fold of its own; iterating gives the bare stream, at no cost per chunk."""

    __slots__ = ("fold", "source")

    def __init__(self, source: Any, fold: Fold) -> None:
        self.source = source
        self.fold = fold

    def __iter__(self) -> Iterator[Any]:
        return iter(self.source)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self.source.__aiter__()  # type: ignore[no-any-return]


class Late:
    """The stream of a step that learns only while it runs how its chunks add up: which arm a branch
    took, what a function returned. `told`: what it has learnt, the latest last. Iterating gives
    the bare stream, at no cost per chunk."""

    __slots__ = ("_stream", "told")

    def __init__(self, stream: Any, told: list[Fold | None]) -> None:
        self._stream = stream
        self.told = told

    def fold(self, chunks: list[Any]) -> Any:
        """To be asked when the stream has run."""
        return fold_chunks(self.told[-1], chunks)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._stream)

    def __next__(self) -> Any:
        return next(self._stream)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._stream.__aiter__()  # type: ignore[no-any-return]

    async def __anext__(self) -> Any:
        return await anext(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)  # close, aclose, the frame


class Known:
    """A fold that has the value from elsewhere: also of a stream that was empty (it `knows`)."""

    __slots__ = ("_value",)
    knows = True

    def __init__(self, value: Callable[[], Any]) -> None:
        self._value = value

    def __call__(self, chunks: list[Any]) -> Any:
        return self._value()


def fold_of(node: Any, stream: Any, source: Any) -> Fold | None:
    """How the chunks of a stream add up that `node` opened over `source`."""
    if type(stream) is Late:
        return stream.fold
    return node._fold_after(source.fold if type(source) is Folded else None)  # type: ignore[no-any-return]


def fold_chunks(fold: Fold | None, chunks: list[Any]) -> Any:
    """The value of a stream, by the producer's own fold or by adding up; None if it is empty, but
    where the fold knows (`Known`)."""
    if not chunks:
        knowing = knowing_fold(fold)
        return None if knowing is None else knowing(chunks)
    return merge(chunks) if fold is None else fold(chunks)


def knowing_fold(fold: Fold | None) -> Fold | None:
    """The fold behind this one that has the value of an empty stream too; None where none has."""
    while type(late := getattr(fold, "__self__", None)) is Late:
        fold = late.told[-1]
    return fold if getattr(fold, "knows", False) else None


def fold_partial(fold: Fold | None, chunks: list[Any]) -> Any:
    """For reports: the fold of what has come, or the list of the chunks where they do not add up
    (what failed then is another thing, or just that)."""
    try:
        return fold_chunks(fold, chunks)
    except Exception:
        return chunks


ROOM = 16  # chunks that a report keeps before it adds them up, where that is cheap
_ROOMY = 512  # where it is not


def compact(fold: Fold | None, chunks: list[Any], room: int) -> int:
    """Add up in place what a report has kept, so that memory follows the value and not the number
    of chunks. Returns how many to keep until the next time: a little more than before, so that the
    work stays linear; without bound where chunks do not add up before the end."""
    if fold is last:
        del chunks[:-1]
        return room
    if fold is not None:
        return sys.maxsize
    if room == ROOM and not _joins(chunks[-1]):
        return _ROOMY
    try:
        chunks[:] = [merge(chunks)]
    except Exception:  # the end says so, to whom it matters
        return sys.maxsize
    return room + 1 + (room >> 6)


def _joins(chunk: Any) -> bool:
    """Whether adding up is joining text, which costs little however often it is done."""
    return isinstance(chunk, (str, bytes)) or getattr(chunk, "_joins", False) is True


def last(chunks: list[Any]) -> Any:
    """The fold of a stream whose every chunk is the whole value so far."""
    return chunks[-1] if chunks else None


class Machine(Protocol):
    """A step that never waits: input in, outputs due now out."""

    def feed(self, chunk: Any, /) -> Iterable[Any]: ...
    def finish(self) -> Iterable[Any]: ...


class Stepped:
    """The machine of a function from chunk to chunk; `step_of`: whose, for errors to name."""

    __slots__ = ("step", "step_of")

    def __init__(self, step: Callable[[Any], Any], step_of: Any = None) -> None:
        self.step = step
        self.step_of = step_of

    def feed(self, chunk: Any) -> Iterable[Any]:
        return (self.step(chunk),)

    def finish(self) -> Iterable[Any]:
        return ()


class Whole:
    """The machine of a function that needs its whole input."""

    __slots__ = ("chunks", "fold", "step")

    def __init__(self, step: Callable[[Any], Any], fold: Fold | None) -> None:
        self.step = step
        self.fold = fold
        self.chunks: list[Any] = []

    def feed(self, chunk: Any) -> Iterable[Any]:
        self.chunks.append(chunk)
        return ()

    def finish(self) -> Iterable[Any]:
        return (self.step(fold_chunks(self.fold, self.chunks)),)


class Piped:
    """Machines one after the other, as one."""

    __slots__ = ("machines",)

    def __init__(self, machines: list[Machine]) -> None:
        self.machines = machines

    def feed(self, chunk: Any) -> Iterable[Any]:
        return self._through(self.machines, (chunk,))

    def finish(self) -> Iterable[Any]:
        for index, machine in enumerate(self.machines):
            yield from self._through(self.machines[index + 1 :], machine.finish())

    def close(self) -> None:
        close_machines(self.machines)

    @staticmethod
    def _through(machines: list[Machine], chunks: Iterable[Any]) -> Iterable[Any]:
        for machine in machines:
            chunks = [out for chunk in chunks for out in machine.feed(chunk)]
        return chunks


def close_machines(machines: Iterable[Any]) -> None:
    """Tell observed machines that the consumer left; one that has finished knows already."""
    for machine in machines:
        close = getattr(machine, "close", None)
        if close is not None:
            close()


class Tapped:
    """A machine whose run is observed."""

    __slots__ = ("begun", "chunks", "fold", "inner", "inputs", "known", "mute", "over", "report",
                 "rooms", "run", "source_fold")  # fmt: skip

    def __init__(self, inner: Machine, run: Any, fold: Fold | None, source_fold: Fold | None):
        self.inner = inner
        self.run = run
        self.fold = fold
        self.source_fold = source_fold
        self.begun = self.over = self.mute = False
        self.report: Callable[[Any], None] | None = None
        self.known: Any = UNKNOWN  # the whole input, where it is at hand
        self.inputs: list[Any] = []
        self.chunks: list[Any] = []
        self.rooms = [ROOM, ROOM]

    def _report(self, outputs: Callable[[], Iterable[Any]]) -> Iterator[Any]:
        report = self.report
        try:
            for chunk in outputs():
                self.chunks.append(chunk)
                if len(self.chunks) > self.rooms[0]:
                    self.rooms[0] = compact(self.fold, self.chunks, self.rooms[0])
                if report is not None:
                    report(chunk)
                yield chunk
        except BaseException as error:
            self._stopped(error)
            raise

    def _begin(self) -> None:
        if not self.begun:
            self.begun = True
            try:
                self.run.started(self.known)
            except BaseException as error:  # of an observer that is to raise
                self._stopped(error)
                raise
            self.mute, self.report = self.run.mute, self.run.reporter()

    def feed(self, chunk: Any) -> Iterable[Any]:
        if self.mute:
            return self.inner.feed(chunk)
        self._begin()
        self.inputs.append(chunk)
        if len(self.inputs) > self.rooms[1]:
            self.rooms[1] = compact(self.source_fold, self.inputs, self.rooms[1])
        return self._report(lambda: self.inner.feed(chunk))

    def finish(self) -> Iterable[Any]:
        self._begin()
        if self.mute:
            yield from self.inner.finish()
            self.over = True
            return
        yield from self._report(self.inner.finish)
        self.over = True
        given = fold_partial(self.source_fold, self.inputs)
        self.run.ended(given, fold_partial(self.fold, self.chunks))

    def close(self) -> None:
        """The consumer left before the end."""
        if self.begun and not self.over:
            self._stopped(GeneratorExit())

    def _stopped(self, error: BaseException) -> None:
        close_machines([self.inner])  # what is inside ends first
        self.over = True
        self.run.stopped(error, fold_partial(self.fold, self.chunks))


class Branch(NamedTuple):
    """One arm of a fan-out. `wrap` makes an output of the arm's chunk (for example under its key);
    exactly one of `node` (a runnable) and `machine` (a maker of one) is given."""

    tag: str | None
    wrap: Callable[[Any], Any]
    node: Any = None
    machine: Callable[[], Machine] | None = None
    opened: Callable[[Any], None] | None = None  # told the node's stream; it may be `Late`


class Forward(NamedTuple):
    """Hand on a child's stream (in `invoke`: make its value the plan's value). With `keep`, a list
    of the plan's own, the chunks handed on are also put there, one by one. `held`: none is handed
    on before the child has ended well."""

    node: Any
    tag: str | None = None
    config: Mapping[str, Any] | None = None
    value: Any = ...  # `...`: the plan's own input, from its start
    keep: list[Any] | None = None
    held: bool = False


class Collect(NamedTuple):
    """Have a child's whole value as the outcome; nothing of it is handed on."""

    node: Any
    tag: str | None = None
    config: Mapping[str, Any] | None = None
    value: Any = ...


class Read(NamedTuple):
    """Have the plan's own whole input as the outcome."""


class Emit(NamedTuple):
    """Hand on one chunk of the plan's own (in `invoke`: its value)."""

    chunk: Any


class Sleep(NamedTuple):
    """Wait so many seconds."""

    seconds: float


Command: TypeAlias = Forward | Collect | Read | Emit | Sleep


class Outcome(NamedTuple):
    """How a command went. `error` is an Exception the child raised (never a cancellation);
    `started`: a chunk of it has already been handed on, so starting over would repeat it;
    `fold`: how what was handed on adds up.

    `left`: the consumer went away in the middle of a Forward (GeneratorExit, CancelledError,
    KeyboardInterrupt). What the child had open is closed. The plan may end, or do its last work
    with Collect and Read (which gives what had come of the input), then that exception goes on."""

    value: Any = None
    error: Exception | None = None
    started: bool = False
    left: BaseException | None = None
    fold: Fold | None = None


EMITTED = Outcome(started=True)
"""How an Emit went."""
