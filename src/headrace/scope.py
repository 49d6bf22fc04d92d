"""What every run below one inherits: tags, metadata, what is configured, who observes it.

Made of configs at the doors and at bindings; immutable. `BARE` is the scope that holds nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from ._gate import Gate
from .config import DEFAULT_RECURSION_LIMIT, RunnableConfig, callbacks_list, check_handlers
from .errors import ConfigError
from .events import Observer

__all__ = ["BARE", "Scope", "Valve", "same_or", "union"]


class Scope:
    """What every run below inherits. Immutable; `BARE` is the one that holds nothing."""

    __slots__ = ("configurable", "max_concurrency", "metadata", "observers", "recursion_limit",
                 "tags", "tokens", "valve", "waits")  # fmt: skip

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
        # whether somebody wants to see tokens of models that are invoked, too
        self.tokens = any(getattr(o, "streams_models", False) for o in observers)
        self.valve = _valve(observers)
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
            tags=union(self.tags, config.get("tags") or ()),
            metadata={**self.metadata, **metadata} if over else {**metadata, **self.metadata},
            configurable={**self.configurable, **configurable}
            if over
            else {**configurable, **self.configurable},
            observers=union(self.observers, _observers(config.get("callbacks"))),
            max_concurrency=self.max_concurrency if gated or gate is None else _gate(gate),
            recursion_limit=self.recursion_limit if limited or not limit else limit,
        )


class Valve(Protocol):
    """What may hold a run: an observer whose consumer has not taken enough yet.

    Drivers look at `full` after each event; where it is set they wait until there is room, by
    `await room(run)` or by `wait(run)`, which blocks the thread. The answer is whether the run is
    to end here, as if it had nothing more to give.
    """

    @property
    def full(self) -> bool: ...
    async def room(self, run: Any) -> bool: ...
    def wait(self, run: Any) -> bool: ...


class _Valves:
    """Several as one."""

    __slots__ = ("_all",)

    def __init__(self, valves: list[Valve]) -> None:
        self._all = valves

    @property
    def full(self) -> bool:
        return any(valve.full for valve in self._all)

    async def room(self, run: Any) -> bool:
        return True in [await valve.room(run) for valve in self._all if valve.full]

    def wait(self, run: Any) -> bool:
        return True in [valve.wait(run) for valve in self._all if valve.full]


def _valve(observers: tuple[Any, ...]) -> Valve | None:
    found = [v for v in (getattr(o, "valve", None) for o in observers) if v is not None]
    return _Valves(found) if len(found) > 1 else (found[0] if found else None)


def same_or(first: tuple[Any, ...], second: tuple[Any, ...]) -> tuple[Any, ...]:
    """The second tuple, of some of the items of the first; where of all, the first itself."""
    return first if len(first) == len(second) else second


def union(first: tuple[Any, ...], more: Any) -> tuple[Any, ...]:
    """The items of both, each once, in their order."""
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
    found: list[Any] = []
    for item in callbacks_list(callbacks):
        if hasattr(item, "_headrace_event") and not isinstance(item, type):
            found.append(item)
            continue
        check_handlers([item], "config['callbacks']")
        if hasattr(item, "observers"):  # a manager, or a run's own callbacks
            found.extend(item.observers)
        else:
            found.append(item)
    for observer in found:
        catch_up = getattr(observer, "catch_up", None)
        if catch_up is not None:  # a handler whose hooks may have been set since it was made
            catch_up()
    return tuple(found)


BARE = Scope()
