"""One run of one runnable: what it inherited, who observes it, what it opened.

A config is parsed once, at the door, into a `Scope` (what children inherit) and a `Run` (whose
turn it is). A run that nobody observes and that inherits nothing is *bare*: its whole tree shares
one `Run`, no context is entered and no event is built. Contract *Close*: every stream opened in a
tree is registered in `streams`, and the root closes them last-in-first-out.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from threading import Lock, RLock
from types import MappingProxyType
from typing import Any

from . import _faults
from ._gate import Gate
from ._ids import fresh_id
from .config import RunnableConfig, checked, merge_configs
from .errors import RecursionLimitError
from .events import (
    CustomEvent,
    Event,
    Observer,
    RunCancelled,
    RunChunk,
    RunEnded,
    RunFailed,
    RunRetried,
    RunStarted,
)
from .scope import BARE, Scope, Valve, same_or, union

__all__ = ["BARE", "UNKNOWN", "Run", "RunCallbacks", "Scope", "Valve", "Waking", "begin",
           "current_run", "everywhere", "fresh_id", "observed"]  # fmt: skip


UNKNOWN: Any = object()
"""For `Run.started`: the input arrives as a stream."""

_NOTHING: Mapping[str, Any] = MappingProxyType({})
_current: ContextVar[Run | None] = ContextVar("headrace_run", default=None)
_around: ContextVar[tuple[Any, ...]] = ContextVar("headrace_around", default=())
_naming = Lock()
_watched = False  # whether there has been an `observed` block: most programs have none
everywhere: list[Any] = []  # observers of all runs of the process that begin from now on


def current_run() -> Run | None:
    """The run whose user code is executing here, or None outside any (or in a bare one)."""
    return _current.get()


_OUTPUTS = (RunChunk, RunEnded, RunFailed, RunCancelled)


class Run:
    """A node of the tree of runs; see the module's head. Satisfies `events.RunInfo`."""

    __slots__ = ("_ears", "_id", "_key", "_name", "answers", "bare", "depth", "faults", "invoked",
                 "kw", "node", "notes", "observed", "own", "parent", "pending", "result", "scope",
                 "seq", "streams", "tag", "untold", "waited", "waking", "whole")  # fmt: skip

    def __init__(self, scope: Scope, streams: list[Any]) -> None:
        self.scope = scope
        self.streams = streams
        self.bare = scope is BARE
        self.observed = False if self.bare else bool(scope.observers)
        self.parent: Run | None = None
        self.own: Run | None = None  # of a fork: the run that it stands for, which events tell of
        self.depth = 0
        self._id: Any = None  # as it was given, or asked for
        self._key: str | None = None
        self._name: str | None = None
        self.tag: str | None = None
        self.node: Any = None
        self.seq: Iterator[int] | None = None
        self.whole = False  # nobody sees a chunk before the end: a value is made by a stream
        self.answers = False  # what it gives is one whole answer, not a stream's chunk
        self.pending: Any = None  # events for observers that are awaited (`_async.Pending`)
        self.faults: _faults.Faults | None = None  # of its observers
        self.notes: Any = None  # what views work out about this run once
        self.waited = 0.0  # seconds between tries, in all
        self.result: Any = None  # what a model's body gave, of which the output is a part
        self.waking: Waking | None = None  # until its start is told
        self.untold: BaseException | None = None  # why its start is not told
        self.invoked = False  # asked for one value: its input is whole from the start
        self.kw: Mapping[str, Any] = _NOTHING  # what it was called with besides
        self._ears: dict[type[Event], tuple[Observer, ...]] = {}  # who takes what

    # ------------------------------------------------------------- relatives

    def _like(self, scope: Scope, streams: list[Any]) -> Run:
        new = type(self)(scope, streams)
        new.parent, new.depth, new.own = self.parent, self.depth, self.own or self
        new._id, new._key = self._id, self.key if self.observed else None  # one run, one id
        new._name, new.tag, new.node = self._name, self.tag, self.node
        new.waking, new.kw, new.invoked = self.waking, self.kw, self.invoked
        new.faults, new.seq, new.pending = self.faults, self.seq, self.pending
        new.whole = self.whole
        return new

    def child(self, node: Any, tag: str | None) -> Run:
        """The run of a step below this one, with streams of its own; only observed runs need it."""
        new = Run(self.scope, [])
        new.depth, new.seq = self.depth, self.seq
        new.pending, new.whole = self.pending, self.whole
        if type(self) is _Overlay:
            new.parent, new._id, new._name = self.parent, self._id, self._name
        else:
            new.parent = self
        new.node, new.tag = node, tag
        return new

    def configured(self, config: Mapping[str, Any], *, over: bool = False) -> Run:
        """This run as seen through a binding: the step below gets the name, id, tags, handlers.

        What the call and the bindings further out say counts more than `config`, except for one
        that is put `over` them.
        """
        new = _Overlay(self.scope.merged(config, over=over), self.streams)
        new.depth, new.pending, new.whole = self.depth, self.pending, self.whole
        above = self if self.observed else None  # a run that is never told of is nobody's parent
        new.parent = self.parent if type(self) is _Overlay else above
        new.seq = self.seq or (count() if new.observed else None)
        name, run_id = config.get("run_name"), config.get("run_id")
        if type(self) is _Overlay:
            name = name or self._name if over else self._name or name
            run_id = run_id or self._id if over else self._id or run_id
        new._name, new._id = name, run_id
        return new

    def passed(self) -> Run:
        """The run as an unobserved step gets it: what an overlay lent, it did not use."""
        return self

    def holds(self, stream: Any, node: Any) -> None:
        """A step that is running has opened a stream inside itself. It is closed after all that was
        opened when the chain was: lanes further down may be pulling it through that step."""
        self.streams.insert(0, (stream, node, None))

    def fork(self) -> Run:
        """The same run with streams of its own, for a value collected and closed at once."""
        return self._like(self.scope, [])

    def deeper(self) -> Run:
        """One step down the chain of runnables that return runnables."""
        new = self._like(self.scope, self.streams)
        new.depth += 1
        if new.depth > self.scope.recursion_limit:
            raise RecursionLimitError(
                f"Functions that return runnables are nested {new.depth} deep, and "
                f"recursion_limit is {self.scope.recursion_limit}: give the recursion an end, or "
                "raise config['recursion_limit']."
            )
        return new

    @property
    def gate(self) -> Gate | None:
        """The bound on lanes working at once, where the config sets one."""
        return self.scope.max_concurrency

    # ------------------------------------------------------------- what events tell

    @property
    def key(self) -> str:
        """The id as text, made when somebody first asks, who may be in another thread than the
        run."""
        if self._key is None:
            with _naming:
                if self._key is None:
                    self._key = fresh_id() if self._id is None else str(uuid.UUID(str(self._id)))
        return self._key

    @property
    def id(self) -> uuid.UUID:
        if not isinstance(self._id, uuid.UUID):
            self._id = uuid.UUID(self.key)
        return self._id

    def _above(self) -> list[Run]:
        """Those that it is below, from the root down."""
        above, run = [], self.parent
        while run is not None:
            above.append(run)
            run = run.parent
        return above[::-1]

    @property
    def keys(self) -> list[str]:
        """The ids as text, from the root's down to its own."""
        return [run.key for run in (*self._above(), self)]

    @property
    def parent_ids(self) -> list[uuid.UUID]:
        """From the root down to the parent."""
        return [run.id for run in self._above()]

    @property
    def name(self) -> str:
        return self._name or (self.node.get_name() if self.node is not None else "Runnable")

    @property
    def run_type(self) -> str:
        return self.node._run_type if self.node is not None else "chain"

    @property
    def all_tags(self) -> list[str]:
        """Its place, what it inherits, then its component's own."""
        place = () if self.tag is None else (self.tag,)
        return list(union((*place, *self.scope.tags), getattr(self.node, "tags", None) or ()))

    @property
    def metadata(self) -> dict[str, Any]:
        """What it inherits; its component's own counts more."""
        own = {} if self.node is None else self.node._metadata_of(self.kw)
        return {**self.scope.metadata, **own}

    @property
    def path(self) -> str:
        """Where in the root's tree, e.g. `RunnableSequence/2:StrOutputParser`."""
        place = self.tag and self.tag.removeprefix("seq:step:").removeprefix("map:key:")
        label = self.name if place is None else f"{place}:{self.name}"
        return label if self.parent is None else f"{self.parent.path}/{label}"

    # ------------------------------------------------------------- reporting

    def ears(self, kind: type[Event]) -> tuple[Observer, ...]:
        """The observers that take events of a class from this run; each is asked once."""
        found = self._ears.get(kind)
        if found is None:
            takers = []
            for observer in self.scope.observers:
                wants = getattr(observer, "wants", None)
                try:
                    if wants is None or kind in wants(self):
                        takers.append(observer)
                except Exception:
                    self.failed_to_tell(observer, "wants")
            # where all do, there is a tuple of them
            found = self._ears[kind] = same_or(self.scope.observers, tuple(takers))
        return found

    def tell(self, kind: Any, *what: Any) -> None:
        """Report an event of a class; it is built only where somebody takes it. Whatever comes, the
        start comes first."""
        if self.waking is not None:
            self.waking.wake()
        takers = self.ears(kind)
        if takers:
            self.emit(kind(self, self._next(), *what), takers)

    def emit(self, event: Event, takers: tuple[Observer, ...]) -> None:
        """Hand one event to observers: to all of them, whichever fails (`failed_to_tell`). Those
        that are awaited get theirs when the async driver comes by."""
        pending, failure = self.pending, None
        for observer in takers:
            try:
                if pending is not None and getattr(observer, "aon_event", None) is not None:
                    pending.append((observer, event))
                else:
                    (getattr(observer, "_headrace_event", None) or observer.on_event)(event)
            except Exception:
                try:
                    self.failed_to_tell(observer, event)
                except Exception as error:
                    failure = failure or error
        if failure is not None:
            raise failure

    def reporter(self) -> Callable[[Any], None] | None:
        """What to call with each chunk of this run; None where nobody takes them."""
        takers = self.ears(RunChunk)
        if not takers:
            return None
        if self.answers:
            return self.answer
        observer = takers[0]
        waits = self.pending is not None and getattr(observer, "aon_event", None) is not None
        if len(takers) > 1 or waits:
            return self.chunk
        taker = getattr(observer, "chunk_taker", None)
        if taker is not None and (take := taker(self)) is not None:
            return take  # type: ignore[no-any-return]
        number = self._next
        on_event = getattr(observer, "_headrace_event", None) or observer.on_event

        def report(chunk: Any) -> None:
            if self.waking is not None:
                self.waking.wake()
            event = RunChunk(self, number(), chunk)
            try:
                on_event(event)
            except Exception:
                self.failed_to_tell(observer, event)

        return report

    @property
    def unheard(self) -> bool:
        """Whether nobody takes its start, its chunks or its end: asked for all of them at once."""
        try:
            for observer in self.scope.observers:
                wants = getattr(observer, "wants", None)
                if wants is None:
                    return False
                takes = wants(self)
                if RunStarted in takes or any(kind in takes for kind in _OUTPUTS):
                    return False
        except Exception:
            return False  # who cannot say so is heard of where the events are told
        return True

    @property
    def mute(self) -> bool:
        """Whether nobody takes what it has to tell after its start."""
        return not any(map(self.ears, _OUTPUTS))

    def failed_to_tell(self, observer: Any, at: Any) -> None:
        """Inside `except`: what becomes of an observer's error; see `_faults.note`."""
        _faults.note(self, observer, at)

    def wake(self, value: Any = UNKNOWN) -> None:
        """Tell the start, where that has not been done."""
        if self.waking is not None:
            self.waking.wake(value)

    def starved(self, error: BaseException) -> None:
        """What feeds it has failed before it had anything: if it makes nothing of that, it reports
        nothing, as a step that `invoke` does not come to."""
        if self.waking is not None:
            self.untold = error

    def _next(self) -> int:
        if self.seq is None:
            self.seq = count()
        return next(self.seq)

    def started(self, value: Any) -> None:
        if self.parent is not None:
            try:
                self.parent.wake()
            except BaseException as error:  # of an observer: what comes of it is the parent's
                self.untold = error
                raise
        self.untold = None
        if value is UNKNOWN:
            self.tell(RunStarted, None, False)
        else:
            self.tell(RunStarted, self.node._shown_input(value))

    def chunk(self, chunk: Any) -> None:
        self.tell(RunChunk, chunk)

    def answer(self, chunk: Any) -> None:
        self.tell(RunChunk, chunk, True)

    def ended(self, value: Any, output: Any) -> None:
        self._last(RunEnded, self.node._shown_input(value), output)

    def stopped(self, error: BaseException, partial: Any) -> None:
        """The terminal event for a run that did not end by itself."""
        if error is self.untold:
            return
        if isinstance(error, Exception):
            self._last(RunFailed, error, partial)
        else:  # GeneratorExit, CancelledError, KeyboardInterrupt: the consumer is gone
            self._last(RunCancelled, partial)

    def _last(self, kind: Any, *what: Any) -> None:
        """The terminal event; behind it, in the log, how often observers failed."""
        try:
            self.tell(kind, *what)
        finally:
            if self.faults is not None or self.pending:
                _faults.tell(self)

    def retried(self, attempt: int, error: BaseException, delay: float) -> None:
        self.waited += delay
        self.tell(RunRetried, attempt, error, delay)

    def custom(self, label: str, data: Any) -> None:
        """What user code reports."""
        self.tell(CustomEvent, label, data)

    # ------------------------------------------------------------- user code

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call user code so that what it invokes finds this run as its parent."""
        if self.bare:
            return function(*args, **kwargs)
        token = _current.set(self)
        try:
            return function(*args, **kwargs)
        finally:
            _current.reset(token)

    async def acall(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """`call` for a coroutine function."""
        if self.bare:
            return await function(*args, **kwargs)
        token = _current.set(self)
        try:
            return await function(*args, **kwargs)
        finally:
            _current.reset(token)

    def config(self) -> RunnableConfig:
        """A fresh config for user code, which continues this run wherever it is passed on."""
        scope = self.scope
        config: RunnableConfig = {
            "tags": list(scope.tags),
            "metadata": dict(scope.metadata),
            "callbacks": RunCallbacks(self) if self.observed else None,
            "recursion_limit": scope.recursion_limit - self.depth,
            "configurable": dict(scope.configurable),
        }
        if scope.max_concurrency is not None:
            config["max_concurrency"] = scope.max_concurrency
        return config


class Waking:
    """The start of a run, to be told by what shows first of it or below it: once, parents first."""

    __slots__ = ("_lock", "_run", "_value")

    def __init__(self, run: Run, value: Any = UNKNOWN) -> None:
        self._lock = RLock()  # another thread's event waits until the start is told
        self._run: Run | None = run
        self._value = value
        run.waking = self

    def wake(self, value: Any = UNKNOWN) -> None:
        """`value`: the input, where it is known by now."""
        with self._lock:
            run, self._run = self._run, None
            if run is not None:
                run.started(self._value if value is UNKNOWN else value)
                run.waking = None


@contextmanager
def observed(observer: Any) -> Iterator[None]:
    """Every run that begins inside the block, in its context, is told to `observer` as well: an
    `Observer`, or a handler."""
    global _watched
    _watched = True
    token = _around.set((*_around.get(), observer))
    try:
        yield
    finally:
        _around.reset(token)


class _Overlay(Run):
    """A run seen through bindings: not a run of its own, it lends its name and scope to a child."""

    __slots__ = ()

    def passed(self) -> Run:
        if self._name is None and self._id is None:
            return self
        new = self._like(self.scope, self.streams)
        new._name = new._id = new._key = None
        return new

    def config(self) -> RunnableConfig:
        """With the name and id of the run to come, for functions that make more config for it."""
        config = super().config()
        if self._name is not None:
            config["run_name"] = self._name
        if self._id is not None:
            config["run_id"] = self._id
        return config


class RunCallbacks:
    """What `config["callbacks"]` is inside a run: the handlers, and whose children come next."""

    __slots__ = ("run",)

    def __init__(self, run: Run) -> None:
        self.run = run

    @property
    def observers(self) -> tuple[Observer, ...]:
        return self.run.scope.observers

    def joined(self, other: Any) -> RunCallbacks:
        """The same run's callbacks, with more handlers for what is called with them."""
        return self._with({"callbacks": other})

    def _with(self, config: Mapping[str, Any]) -> RunCallbacks:
        return RunCallbacks(self.run._like(self.run.scope.merged(config), self.run.streams))

    @property
    def handlers(self) -> list[Any]:
        return list(self.observers)

    @property
    def run_id(self) -> uuid.UUID:
        return self.run.id

    parent_run_id = run_id  # of what is called with them

    @property
    def tags(self) -> list[str]:
        return self.run.all_tags

    @property
    def metadata(self) -> dict[str, Any]:
        return self.run.metadata

    def get_child(self, tag: str | None = None) -> RunCallbacks:
        """For `config["callbacks"]` of a nested call; `tag` goes to the runs below."""
        return self if tag is None else self._with({"tags": [tag]})


def begin(node: Any, config: Mapping[str, Any] | None) -> Run:
    """The run for a call at a public door: bare, a root, or below the run found in the context."""
    parent = _current.get()
    if config:
        checked(config)
    if (_watched or everywhere) and (watching := (*everywhere, *_around.get())):
        config = merge_configs(config, {"callbacks": list(watching)})
    if node is not None and node._own_callbacks is not None:
        config = merge_configs(config, {"callbacks": node._own_callbacks})
    if not config:
        if parent is None:
            return Run(BARE, [])
        scope = parent.scope
        config = {}
    else:
        parent = getattr(config.get("callbacks"), "run", None) or parent
        scope = (BARE if parent is None else parent.scope).merged(config)
    new = Run(scope, [])
    new.node, new._name, new._id = node, config.get("run_name"), config.get("run_id")
    if parent is not None:
        new.parent = parent if parent.observed else None
        new.seq, new.depth, new.pending = parent.seq, parent.depth, parent.pending
    if new.seq is None and new.observed:
        new.seq = count()
    if new.observed:
        new.ears(RunStarted)  # who takes what is asked from the outermost run inwards
    return new
