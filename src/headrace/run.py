"""One run of one runnable: what it inherited, who observes it, what it opened.

A config is parsed once, at the door, into a `Scope` (what children inherit) and a `Run` (whose
turn it is). A run that nobody observes and that inherits nothing is *bare*: its whole tree shares
one `Run`, no context is entered and no event is built. Contract *Close*: every stream opened in a
tree is registered in `streams`, and the root closes them last-in-first-out.
"""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from itertools import count
from typing import Any

from ._gate import Gate
from .config import DEFAULT_RECURSION_LIMIT, RunnableConfig, callbacks_list
from .errors import ConfigError, RecursionLimitError
from .events import Event, Observer, RunCancelled, RunChunk, RunEnded, RunFailed, RunStarted

__all__ = ["BARE", "Run", "RunCallbacks", "Scope", "begin", "current_run"]

log = logging.getLogger("headrace")


class Scope:
    """What every run below inherits. Immutable; `BARE` is the one that holds nothing."""

    __slots__ = ("configurable", "max_concurrency", "metadata", "observers", "recursion_limit",
                 "tags")  # fmt: skip

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
        self.max_concurrency = max_concurrency
        self.recursion_limit = recursion_limit

    def merged(self, config: Mapping[str, Any]) -> Scope:
        """This scope under a config: lists and dicts add up, single values are replaced."""
        limit = config.get("max_concurrency")
        return Scope(
            tags=_union(self.tags, config.get("tags") or ()),
            metadata={**self.metadata, **(config.get("metadata") or {})},
            configurable={**self.configurable, **_configurable(config)},
            observers=_union(self.observers, _observers(config.get("callbacks"))),
            max_concurrency=self.max_concurrency if limit is None else _gate(limit),
            recursion_limit=config.get("recursion_limit") or self.recursion_limit,
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
        if isinstance(item, RunCallbacks):
            found.extend(item.observers)
        elif not hasattr(item, "on_event"):
            raise ConfigError(
                f"config['callbacks'] holds {item!r}, which has no method 'on_event(event)': "
                "give handlers from headrace.callbacks or objects with that method."
            )
        else:
            found.append(item)
    return tuple(found)


BARE = Scope()
_current: ContextVar[Run | None] = ContextVar("headrace_run", default=None)


def current_run() -> Run | None:
    """The run whose user code is executing here, or None outside any (or in a bare one)."""
    return _current.get()


class Run:
    """A node of the tree of runs; see the module's head. Satisfies `events.RunInfo`."""

    __slots__ = ("_id", "_name", "bare", "depth", "node", "observed", "parent", "scope", "seq",
                 "streams", "tag")  # fmt: skip

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

    # ------------------------------------------------------------- relatives

    def _like(self, scope: Scope, streams: list[Any]) -> Run:
        new = type(self)(scope, streams)
        new.parent = self.parent
        new.depth = self.depth
        new._id = self.id if self.observed else self._id  # one run, one id
        new._name, new.tag, new.node = self._name, self.tag, self.node
        new.seq = self.seq
        return new

    def child(self, node: Any, tag: str | None) -> Run:
        """The run of a step below this one, with streams of its own; only observed runs need it."""
        new = Run(self.scope, [])
        new.depth, new.seq = self.depth, self.seq
        if type(self) is _Overlay:
            new.parent, new._id, new._name = self.parent, self._id, self._name
        else:
            new.parent = self
        new.node, new.tag = node, tag
        return new

    def configured(self, config: Mapping[str, Any]) -> Run:
        """This run as seen through a binding: the step below gets the name, id, tags, handlers."""
        new = _Overlay(self.scope.merged(config), self.streams)
        new.depth = self.depth
        new.parent = self.parent if type(self) is _Overlay else self
        new.seq = self.seq or (count() if new.observed else None)
        new._name = config.get("run_name") or (self._name if type(self) is _Overlay else None)
        new._id = config.get("run_id")
        return new

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
        """Hand one event to every observer; a failing one is logged by name, never fatal."""
        for observer in self.scope.observers:
            try:
                observer.on_event(event)
            except Exception:
                if getattr(observer, "raise_error", False):
                    raise
                log.exception("Observer %r failed on %r", observer, event)

    def _next(self) -> int:
        if self.seq is None:
            self.seq = count()
        return next(self.seq)

    def started(self, value: Any) -> None:
        self.emit(RunStarted(self, self._next(), value))

    def chunk(self, chunk: Any) -> None:
        self.emit(RunChunk(self, self._next(), chunk))

    def ended(self, value: Any, output: Any) -> None:
        self.emit(RunEnded(self, self._next(), value, output))

    def stopped(self, error: BaseException, partial: Any) -> None:
        """The terminal event for a run that did not end by itself."""
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


def _label(tag: str) -> str:
    """A step's place, as its parent calls it in a path."""
    return tag.removeprefix("seq:step:").removeprefix("map:key:")


class _Overlay(Run):
    """A run seen through bindings: not a run of its own, it lends its name and scope to a child."""

    __slots__ = ()


class RunCallbacks:
    """What `config["callbacks"]` is inside a run: the handlers, and whose children come next."""

    __slots__ = ("run",)

    def __init__(self, run: Run) -> None:
        self.run = run

    @property
    def observers(self) -> tuple[Observer, ...]:
        return self.run.scope.observers

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
        return self if tag is None else RunCallbacks(self.run._like(
            self.run.scope.merged({"tags": [tag]}), self.run.streams))  # fmt: skip


def fresh_id() -> str:
    """The text of a random UUID, a third of what `str(uuid.uuid4())` costs."""
    digits = os.urandom(16).hex()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def begin(node: Any, config: Mapping[str, Any] | None) -> Run:
    """The run for a call at a public door: bare, a root, or below the run found in the context."""
    parent = _current.get()
    if not config:
        if parent is None:
            return Run(BARE, [])
        scope = parent.scope
        config = {}
    else:
        callbacks = config.get("callbacks")
        if isinstance(callbacks, RunCallbacks):
            parent = callbacks.run
        scope = (BARE if parent is None else parent.scope).merged(config)
    new = Run(scope, [])
    new.node, new._name, new._id = node, config.get("run_name"), config.get("run_id")
    if parent is not None:
        new.parent = parent if parent.observed else None
        new.seq, new.depth = parent.seq, parent.depth
    if new.seq is None and new.observed:
        new.seq = count()
    return new
