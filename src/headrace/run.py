"""One run of one runnable: what it inherited, who observes it, what it opened.

A config is parsed once, at the door, into a `Scope` (what children inherit) and a `Run` (whose
turn it is). A run that nobody observes and that inherits nothing is *bare*: its whole tree shares
one `Run`, no context is entered and no event is built. Contract *Close*: every stream opened in a
tree is registered in `streams`, and the root closes them last-in-first-out.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from threading import RLock
from typing import TYPE_CHECKING, Any

from ._gate import Gate
from ._lazy import Lazy
from .config import DEFAULT_RECURSION_LIMIT, RunnableConfig, callbacks_list, checked, merge_configs
from .errors import ConfigError, RecursionLimitError
from .events import Event, Observer, RunCancelled, RunChunk, RunEnded, RunFailed, RunStarted

if TYPE_CHECKING:
    import logging
else:
    logging = Lazy("logging")  # needed when an observer fails

__all__ = ["BARE", "Run", "RunCallbacks", "Scope", "Waking", "begin", "current_run", "observed"]


class Scope:
    """What every run below inherits. Immutable; `BARE` is the one that holds nothing."""

    __slots__ = ("configurable", "max_concurrency", "metadata", "observers", "recursion_limit",
                 "tags", "waits")  # fmt: skip

    def __init__(
        self,
        tags: tuple[str, ...] = (),
        metadata: Mapping[str, Any] | None = None,
        configurable: Mapping[str, Any] | None = None,
        observers: tuple[Observer, ...] = (),
        max_concurrency: Gate | None = None,
        recursion_limit: int = DEFAULT_RECURSION_LIMIT,
    ) -> None:
        self.tags = tags
        self.metadata = dict(metadata or {})
        self.configurable = dict(configurable or {})
        self.observers = observers
        # whether async drivers await somebody: an observer with a method `aon_event(event)`
        self.waits = any(getattr(o, "aon_event", None) is not None for o in observers)
        self.max_concurrency = max_concurrency
        self.recursion_limit = recursion_limit

    def merged(self, config: Mapping[str, Any], *, over: bool = True) -> Scope:
        """This scope and a config: lists and dicts add up; where both have a value, the config's
        counts if it stands `over` the scope, else the scope's."""
        brought = getattr(config.get("callbacks"), "brings", None)
        if brought:  # a callback manager's tags and metadata
            rest = {**config, "callbacks": [config["callbacks"]]}
            return self.merged(brought, over=over).merged(rest, over=over)
        metadata = config.get("metadata") or {}
        configurable = _configurable(config)
        gate, limit = config.get("max_concurrency"), config.get("recursion_limit")
        gated = self.max_concurrency is not None and not over
        limited = self.recursion_limit != DEFAULT_RECURSION_LIMIT and not over
        return Scope(
            tags=_union(self.tags, config.get("tags") or ()),
            metadata={**self.metadata, **metadata} if over else {**metadata, **self.metadata},
            configurable={**self.configurable, **configurable}
            if over
            else {**configurable, **self.configurable},
            observers=_union(self.observers, _observers(config.get("callbacks"))),
            max_concurrency=self.max_concurrency if gated or gate is None else _gate(gate),
            recursion_limit=self.recursion_limit if limited or not limit else limit,
        )


def _union(first: tuple[Any, ...], more: Any) -> tuple[Any, ...]:
    new: list[Any] = list(first)
    for item in more:
        if not any(item is old or (type(item) is str and item == old) for old in new):
            new.append(item)
    return tuple(new)


_CONFIG_KEYS = frozenset(RunnableConfig.__annotations__)


def _configurable(config: Mapping[str, Any]) -> dict[str, Any]:
    """Unknown top-level keys count as configurable ones, as users of LangChain expect."""
    strangers = {k: v for k, v in config.items() if k not in _CONFIG_KEYS and v is not None}
    return {**(config.get("configurable") or {}), **strangers}


def _gate(limit: int) -> Gate:
    if isinstance(limit, Gate):
        return limit
    if limit < 1:
        raise ConfigError(f"max_concurrency is {limit!r}: give a number of at least 1, or None.")
    return Gate(limit)


def _observers(callbacks: Any) -> tuple[Observer, ...]:
    found: list[Observer] = []
    for item in callbacks_list(callbacks):
        if isinstance(item, type):
            raise ConfigError(
                f"config['callbacks'] holds the class {item.__name__}: give an instance of it, "
                f"{item.__name__}(...)."
            )
        if hasattr(item, "observers"):  # a manager, or a run's own callbacks
            found.extend(item.observers)
        elif not hasattr(item, "on_event"):
            raise ConfigError(
                f"config['callbacks'] holds {item!r}, which has no method 'on_event(event)': "
                "give handlers from headrace.callbacks or objects with that method."
            )
        else:
            found.append(item)
    for observer in found:
        catch_up = getattr(observer, "catch_up", None)
        if catch_up is not None:  # a handler whose hooks may have been set since it was made
            catch_up()
    return tuple(found)


BARE = Scope()
_current: ContextVar[Run | None] = ContextVar("headrace_run", default=None)
_around: ContextVar[tuple[Observer, ...]] = ContextVar("headrace_around", default=())
_watched = False  # whether there has been an `observed` block: most programs have none


def current_run() -> Run | None:
    """The run whose user code is executing here, or None outside any (or in a bare one)."""
    return _current.get()


class Run:
    """A node of the tree of runs; see the module's head. Satisfies `events.RunInfo`."""

    __slots__ = ("_id", "_name", "bare", "depth", "node", "notes", "observed", "parent", "pending",
                 "scope", "seq", "streams", "tag", "waking", "whole")  # fmt: skip

    def __init__(self, scope: Scope, streams: list[Any]) -> None:
        self.scope = scope
        self.streams = streams
        self.bare = scope is BARE
        self.observed = False if self.bare else bool(scope.observers)
        self.parent: Run | None = None
        self.depth = 0
        self._id: Any = None
        self._name: str | None = None
        self.tag: str | None = None
        self.node: Any = None
        self.seq: Iterator[int] | None = None
        self.whole = False  # nobody sees a chunk before the end: a value is made by a stream
        self.pending: Any = None  # events for observers that are awaited (`_async.Pending`)
        self.notes: Any = None  # what views work out about this run once
        self.waking: Waking | None = None  # until its start is told

    # ------------------------------------------------------------- relatives

    def _like(self, scope: Scope, streams: list[Any]) -> Run:
        new = type(self)(scope, streams)
        new.parent = self.parent
        new.depth = self.depth
        new._id = self.id if self.observed else self._id  # one run, one id
        new._name, new.tag, new.node = self._name, self.tag, self.node
        new.waking = self.waking
        new.seq, new.pending, new.whole = self.seq, self.pending, self.whole
        return new

    def child(self, node: Any, tag: str | None) -> Run:
        """The run of a step below this one, with streams of its own; only observed runs need it."""
        new = Run(self.scope, [])
        new.depth, new.seq, new.pending = self.depth, self.seq, self.pending
        new.whole = self.whole
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
    def id(self) -> uuid.UUID:
        """Made when somebody first asks."""
        made = self._id
        if made is None:
            made = self._id = uuid.uuid4()
        elif isinstance(made, str):
            made = self._id = uuid.UUID(made)
        return made  # type: ignore[no-any-return]

    @property
    def parent_ids(self) -> list[uuid.UUID]:
        """From the root down to the parent."""
        ids, run = [], self.parent
        while run is not None:
            ids.append(run.id)
            run = run.parent
        return ids[::-1]

    @property
    def name(self) -> str:
        return self._name or (self.node.get_name() if self.node is not None else "Runnable")

    @property
    def run_type(self) -> str:
        return self.node._run_type if self.node is not None else "chain"

    @property
    def all_tags(self) -> list[str]:
        """The step's own tags first, then the inherited ones."""
        own = () if self.tag is None else (self.tag,)
        return list(_union((*own, *(getattr(self.node, "tags", None) or ())), self.scope.tags))

    @property
    def metadata(self) -> dict[str, Any]:
        return {**(getattr(self.node, "metadata", None) or {}), **self.scope.metadata}

    @property
    def path(self) -> str:
        """Where in the root's tree, e.g. `RunnableSequence/2:StrOutputParser`."""
        label = self.name if self.tag is None else f"{_label(self.tag)}:{self.name}"
        return label if self.parent is None else f"{self.parent.path}/{label}"

    # ------------------------------------------------------------- reporting

    def emit(self, event: Event) -> None:
        """Hand one event to every observer; a failing one is logged by name, never fatal.

        Observers that are awaited get theirs when the async driver comes by. One that has a method
        `hears(event)` is asked first: what it does not want is neither handed over nor kept.
        """
        pending = self.pending
        for observer in self.scope.observers:
            hears = getattr(observer, "hears", None)
            try:
                if hears is not None and not hears(event):
                    continue
                if pending is not None and getattr(observer, "aon_event", None) is not None:
                    pending.append((observer, event))
                else:
                    observer.on_event(event)
            except Exception:
                self.failed_to_tell(observer, event)

    @staticmethod
    def failed_to_tell(observer: Any, event: Event) -> None:
        """Inside `except`: what becomes of an observer's error."""
        if getattr(observer, "raise_error", False):
            raise  # noqa: PLE0704 - called where an exception is being handled
        logging.getLogger("headrace").exception("Observer %r failed on %r", observer, event)

    def wake(self, value: Any = None) -> None:
        """Tell the start, where that has not been done."""
        if self.waking is not None:
            self.waking.wake(value)

    def starved(self, error: BaseException) -> None:
        """What feeds it has failed before it had anything: if it makes nothing of that, it reports
        nothing, as a step that `invoke` does not come to."""
        if self.waking is not None:
            self.waking.starved = error

    def _next(self) -> int:
        if self.waking is not None:  # whatever comes, the start comes first
            self.waking.wake()
        if self.seq is None:
            self.seq = count()
        return next(self.seq)

    def started(self, value: Any) -> None:
        if self.parent is not None:
            self.parent.wake()
        self.emit(RunStarted(self, self._next(), value))

    def chunk(self, chunk: Any) -> None:
        self.emit(RunChunk(self, self._next(), chunk))

    def ended(self, value: Any, output: Any) -> None:
        self.emit(RunEnded(self, self._next(), value, output))

    def stopped(self, error: BaseException, partial: Any) -> None:
        """The terminal event for a run that did not end by itself."""
        if self.waking is not None and self.waking.starved is error:
            return
        if isinstance(error, Exception):
            self.emit(RunFailed(self, self._next(), error, partial))
        else:  # GeneratorExit, CancelledError, KeyboardInterrupt: the consumer is gone
            self.emit(RunCancelled(self, self._next(), partial))

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

    __slots__ = ("_lock", "_run", "_value", "starved")

    def __init__(self, run: Run, value: Any = None) -> None:
        self._lock = RLock()  # another thread's event waits until the start is told
        self._run: Run | None = run
        self._value = value
        self.starved: BaseException | None = None
        run.waking = self

    def wake(self, value: Any = None) -> None:
        """`value`: the input, where it is known by now."""
        with self._lock:
            run, self._run = self._run, None
            if run is not None:
                run.started(self._value if value is None else value)
                run.waking = None


def _label(tag: str) -> str:
    """A step's place, as its parent calls it in a path."""
    return tag.removeprefix("seq:step:").removeprefix("map:key:")


@contextmanager
def observed(observer: Observer) -> Iterator[None]:
    """Every run that begins inside the block, in its context, is told to `observer` as well."""
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
        new._name = new._id = None
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
    def parent_run_id(self) -> uuid.UUID:
        return self.run.id

    @property
    def run_id(self) -> uuid.UUID:
        return self.run.id

    @property
    def tags(self) -> list[str]:
        return self.run.all_tags

    @property
    def metadata(self) -> dict[str, Any]:
        return self.run.metadata

    def get_child(self, tag: str | None = None) -> RunCallbacks:
        """For `config["callbacks"]` of a nested call; `tag` goes to the runs below."""
        return self if tag is None else self._with({"tags": [tag]})


def fresh_id() -> str:
    """The text of a random UUID, a third of what `str(uuid.uuid4())` costs."""
    digits = os.urandom(16).hex()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def begin(node: Any, config: Mapping[str, Any] | None) -> Run:
    """The run for a call at a public door: bare, a root, or below the run found in the context."""
    parent = _current.get()
    if config:
        checked(config)
    if _watched and (watching := _around.get()):
        config = merge_configs(config, {"callbacks": list(watching)})
    if node is not None and node._own_callbacks is not None:
        config = merge_configs(config, {"callbacks": node._own_callbacks})
    if not config:
        if parent is None:
            return Run(BARE, [])
        scope = parent.scope
        config = {}
    else:
        above = getattr(config.get("callbacks"), "run", None)
        if above is not None:
            parent = above
        scope = (BARE if parent is None else parent.scope).merged(config)
    new = Run(scope, [])
    new.node, new._name, new._id = node, config.get("run_name"), config.get("run_id")
    if parent is not None:
        new.parent = parent if parent.observed else None
        new.seq, new.depth, new.pending = parent.seq, parent.depth, parent.pending
    if new.seq is None and new.observed:
        new.seq = count()
    return new
