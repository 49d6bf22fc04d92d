"""`CallbackManager`: handlers with tags and metadata, as one value of `config["callbacks"]`.

A manager only says who observes; runs are made by the engine. A manager that belongs to a run (that
of `trace_as_chain_group`) makes the runs it is given to children of that run. Handlers are
inherited by the runs below, whether they were added as inheritable or not.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Self
from uuid import UUID

from .._awaited import await_hooks, settle
from ..config import callbacks_list
from ..run import Run, RunCallbacks, begin
from ..scope import Scope
from .custom import adispatch_custom_event, dispatch_custom_event
from .opening import AsyncOpening, Opening
from .run_managers import (
    AsyncCallbackManagerForChainRun,
    AsyncCallbackManagerForLLMRun,
    AsyncCallbackManagerForRetrieverRun,
    AsyncCallbackManagerForToolRun,
    ByHand,
    CallbackManagerForChainRun,
    CallbackManagerForLLMRun,
    CallbackManagerForRetrieverRun,
    CallbackManagerForToolRun,
    Opened,
    _Async,
    _Sync,
)

__all__ = [
    "AsyncCallbackManager",
    "AsyncCallbackManagerForChainGroup",
    "AsyncCallbackManagerForChainRun",
    "AsyncCallbackManagerForLLMRun",
    "AsyncCallbackManagerForRetrieverRun",
    "AsyncCallbackManagerForToolRun",
    "BaseCallbackManager",
    "CallbackManager",
    "CallbackManagerForChainGroup",
    "CallbackManagerForChainRun",
    "CallbackManagerForLLMRun",
    "CallbackManagerForRetrieverRun",
    "CallbackManagerForToolRun",
    "adispatch_custom_event",
    "atrace_as_chain_group",
    "dispatch_custom_event",
    "trace_as_chain_group",
]


def _handlers_of(callbacks: Any) -> list[Any]:
    """The handlers of a `callbacks` field, those of managers and of runs among them taken out."""
    found: list[Any] = []
    for item in callbacks_list(callbacks):
        found.extend(item.observers if hasattr(item, "observers") else [item])
    return found


def _added(old: Sequence[Any], new: Any) -> list[Any]:
    """Both, each handler (by identity) and each tag (by value) once, in order."""
    both = list(old)
    for item in new or ():
        if not any(item is one or (type(item) is str and item == one) for one in both):
            both.append(item)
    return both


class BaseCallbackManager:
    """Handlers, tags and metadata; those called inheritable and the others, kept apart.

    Args:
        handlers, tags, metadata: what is not called inheritable.
        inheritable_handlers, inheritable_tags, inheritable_metadata: what is.
        parent_run_id: kept for those who read it; a parent is given by the run itself.
    """

    run: Run | None = None

    def __init__(
        self,
        handlers: Sequence[Any] = (),
        inheritable_handlers: Sequence[Any] | None = None,
        parent_run_id: UUID | None = None,
        *,
        tags: Sequence[str] | None = None,
        inheritable_tags: Sequence[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        inheritable_metadata: Mapping[str, Any] | None = None,
    ) -> None:
        self.handlers = list(handlers)
        self.inheritable_handlers = list(inheritable_handlers or ())
        self.parent_run_id = parent_run_id
        self.tags = list(tags or ())
        self.inheritable_tags = list(inheritable_tags or ())
        self.metadata = dict(metadata or {})
        self.inheritable_metadata = dict(inheritable_metadata or {})

    # ------------------------------------------------------------- what a config needs

    @property
    def observers(self) -> tuple[Any, ...]:
        """Everyone who is told, each once."""
        return tuple(_added(self.handlers, self.inheritable_handlers))

    @property
    def brings(self) -> dict[str, Any]:
        """The tags and metadata for the runs it is given to, as fields of a config."""
        tags = _added(self.tags, self.inheritable_tags)
        metadata = {**self.metadata, **self.inheritable_metadata}
        return {"tags": tags, "metadata": metadata} if tags or metadata else {}

    def joined(self, other: Any) -> Self | RunCallbacks:
        """A copy that has the other's handlers as well: another manager, a list, a handler. With
        what `config["callbacks"]` is inside a run, that run's callbacks with these added: the
        run stays the parent of what is called."""
        if isinstance(other, BaseCallbackManager):
            return self.merge(other)
        if isinstance(other, RunCallbacks) and self.run is None:
            return other.joined(self)
        copied = self.copy()
        for handler in _handlers_of(other):
            copied.add_handler(handler)
        return copied

    # ------------------------------------------------------------- handlers

    @property
    def is_async(self) -> bool:
        return False

    def add_handler(self, handler: Any, inherit: bool = True) -> None:
        """Add a handler, once."""
        self.handlers = _added(self.handlers, [handler])
        if inherit:
            self.inheritable_handlers = _added(self.inheritable_handlers, [handler])

    def remove_handler(self, handler: Any) -> None:
        """Take a handler out, wherever it is."""
        self.handlers = [one for one in self.handlers if one is not handler]
        self.inheritable_handlers = [h for h in self.inheritable_handlers if h is not handler]

    def set_handlers(self, handlers: Sequence[Any], inherit: bool = True) -> None:
        """Have these handlers and no others."""
        self.handlers, self.inheritable_handlers = [], []
        for handler in handlers:
            self.add_handler(handler, inherit)

    def set_handler(self, handler: Any, inherit: bool = True) -> None:
        """Have this handler and no other."""
        self.set_handlers([handler], inherit)

    # ------------------------------------------------------------- tags and metadata

    def add_tags(self, tags: Sequence[str], inherit: bool = True) -> None:
        """Add tags, each once."""
        self.tags = _added(self.tags, tags)
        if inherit:
            self.inheritable_tags = _added(self.inheritable_tags, tags)

    def remove_tags(self, tags: Sequence[str]) -> None:
        """Take tags out, wherever they are."""
        self.tags = [tag for tag in self.tags if tag not in tags]
        self.inheritable_tags = [tag for tag in self.inheritable_tags if tag not in tags]

    def add_metadata(self, metadata: Mapping[str, Any], inherit: bool = True) -> None:
        """Add metadata; a key that is there already is replaced."""
        self.metadata = {**self.metadata, **metadata}
        if inherit:
            self.inheritable_metadata = {**self.inheritable_metadata, **metadata}

    def remove_metadata(self, keys: Sequence[str]) -> None:
        """Take keys out, wherever they are."""
        for held in (self.metadata, self.inheritable_metadata):
            for key in keys:
                held.pop(key, None)

    # ------------------------------------------------------------- copies

    def copy(self) -> Self:
        """A manager of its own with the same handlers."""
        copied = type(self)(
            self.handlers,
            self.inheritable_handlers,
            self.parent_run_id,
            tags=self.tags,
            inheritable_tags=self.inheritable_tags,
            metadata=self.metadata,
            inheritable_metadata=self.inheritable_metadata,
        )
        copied.run = self.run
        return copied

    def merge(self, other: BaseCallbackManager) -> Self:
        """A copy with the other's handlers, tags and metadata added, inheritable ones to
        inheritable ones. What belongs to a run belongs to it after the merge."""
        merged = self.copy()
        merged.run = self.run or other.run
        merged.parent_run_id = self.parent_run_id or other.parent_run_id
        merged.handlers = _added(self.handlers, other.handlers)
        merged.inheritable_handlers = _added(self.inheritable_handlers, other.inheritable_handlers)
        merged.add_tags(other.tags, inherit=False)
        merged.inheritable_tags = _added(self.inheritable_tags, other.inheritable_tags)
        merged.add_metadata(other.metadata, inherit=False)
        merged.inheritable_metadata = {**self.inheritable_metadata, **other.inheritable_metadata}
        return merged

    @classmethod
    def configure(
        cls,
        inheritable_callbacks: Any = None,
        local_callbacks: Any = None,
        verbose: bool = False,
        inheritable_tags: Sequence[str] | None = None,
        local_tags: Sequence[str] | None = None,
        inheritable_metadata: Mapping[str, Any] | None = None,
        local_metadata: Mapping[str, Any] | None = None,
    ) -> Self:
        """A manager of these callbacks (managers, lists, what `config["callbacks"]` is inside a
        run, or None), tags and metadata.

        `verbose` adds a handler that prints, unless there is one.
        """
        manager = cls()
        for callbacks, inherit in ((inheritable_callbacks, True), (local_callbacks, False)):
            if isinstance(callbacks, BaseCallbackManager):
                manager = manager.merge(callbacks)
            else:
                for handler in _handlers_of(callbacks):
                    manager.add_handler(handler, inherit)
                if isinstance(callbacks, RunCallbacks):
                    manager.run = manager.run or callbacks.run
                    manager.parent_run_id = manager.parent_run_id or callbacks.run_id
        manager.add_tags(inheritable_tags or ())
        manager.add_tags(local_tags or (), inherit=False)
        manager.add_metadata(inheritable_metadata or {})
        manager.add_metadata(local_metadata or {}, inherit=False)
        if verbose:
            from .stdout import StdOutCallbackHandler

            if not any(isinstance(h, StdOutCallbackHandler) for h in manager.observers):
                manager.add_handler(StdOutCallbackHandler(), inherit=False)
        return manager

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self.observers)!r})"


class CallbackManager(Opening, BaseCallbackManager):
    """A manager for `config["callbacks"]`."""


class AsyncCallbackManager(AsyncOpening, BaseCallbackManager):
    """The same; for those who ask which colour it was made for."""

    @property
    def is_async(self) -> bool:
        return True


_Sync._manager, _Async._manager = CallbackManager, AsyncCallbackManager

# ------------------------------------------------------------------ groups


class _Group(BaseCallbackManager):
    """The manager of a run that was opened by hand: what is called with it is the run's child.

    What is taken out of the manager is taken from the runs below that start later; the run itself
    keeps what it began with.
    """

    opened: Opened | None = None

    def remove_handler(self, handler: Any) -> None:
        super().remove_handler(handler)
        self._narrow(observers=lambda one: one is not handler)

    def set_handlers(self, handlers: Sequence[Any], inherit: bool = True) -> None:
        super().set_handlers(handlers, inherit)
        self._narrow(observers=lambda one: any(one is kept for kept in handlers))

    def remove_tags(self, tags: Sequence[str]) -> None:
        super().remove_tags(tags)
        self._narrow(tags=lambda tag: tag not in tags)

    def remove_metadata(self, keys: Sequence[str]) -> None:
        super().remove_metadata(keys)
        self._narrow(metadata=lambda key: key not in keys)

    def _narrow(self, **keep: Callable[[Any], bool]) -> None:
        """Have the runs below inherit only what is kept."""
        if self.run is None:
            return
        old = self.run.scope

        def kept(field: str) -> tuple[Any, ...]:
            wanted = keep.get(field)
            return tuple(one for one in getattr(old, field) if wanted is None or wanted(one))

        narrow = Scope(
            tags=kept("tags"),
            metadata={key: old.metadata[key] for key in kept("metadata")},
            configurable=old.configurable,
            observers=kept("observers"),
            max_concurrency=old.max_concurrency,
            recursion_limit=old.recursion_limit,
        )
        told = self.run.observed  # what has been told of stays the parent
        self.run = self.run._like(narrow, self.run.streams)
        self.run.observed = told

    def copy(self) -> Self:
        copied = super().copy()
        copied.opened = self.opened
        return copied

    def get_child(self, tag: str | None = None) -> Self:
        """For `config["callbacks"]` of a nested call; `tag` goes to the runs below."""
        child = self.copy()
        if tag is not None:
            child.add_tags([tag])
        return child

    @property
    def run_id(self) -> UUID | None:
        """The id of the run."""
        return self.parent_run_id


class CallbackManagerForChainGroup(_Group, CallbackManager):
    """What `trace_as_chain_group` gives."""

    def on_chain_end(self, outputs: Any, **kwargs: Any) -> None:
        """End the run with these outputs; leaving the block ends it without any."""
        if self.opened is not None:
            self.opened.end(outputs)

    def on_chain_error(self, error: BaseException, **kwargs: Any) -> None:
        """End the run with this error."""
        if self.opened is not None:
            self.opened.fail(error)


class AsyncCallbackManagerForChainGroup(_Group, AsyncCallbackManager):
    """What `atrace_as_chain_group` gives."""

    async def on_chain_end(self, outputs: Any, **kwargs: Any) -> None:
        """End the run with these outputs; leaving the block ends it without any."""
        if self.opened is not None:
            self.opened.end(outputs)
            await settle(self.opened.run)

    async def on_chain_error(self, error: BaseException, **kwargs: Any) -> None:
        """End the run with this error."""
        if self.opened is not None:
            self.opened.fail(error)
            await settle(self.opened.run)


def _group(
    kind: Any, name: str, callback_manager: Any, run_id: Any, tags: Any, metadata: Any
) -> tuple[Run, Any]:
    """The run of a group, not started, and its manager."""
    config = {"run_name": name, "run_id": run_id, "callbacks": callback_manager,
              "tags": tags, "metadata": metadata}  # fmt: skip
    run = begin(ByHand(name), {key: value for key, value in config.items() if value is not None})
    manager = kind.configure(callback_manager)
    manager.run, manager.parent_run_id = run, run.id
    return run, manager


@contextmanager
def trace_as_chain_group(
    group_name: str,
    callback_manager: Any = None,
    *,
    inputs: dict[str, Any] | None = None,
    run_id: UUID | None = None,
    tags: list[str] | None = None,
    metadata: dict[str, Any] | None = None,
    **ignored: Any,
) -> Iterator[CallbackManagerForChainGroup]:
    """A run around a block: calls with the manager as `config["callbacks"]` are its children.

    Args:
        group_name: what the run is called in events.
        callback_manager: handlers of the run: a manager or a list.
        inputs: the run's input, for events.
        run_id, tags, metadata: of the run; tags and metadata are inherited.
        ignored: `project_name` and `example_id`, which only a tracing service would read.
    """
    kind = CallbackManagerForChainGroup
    run, manager = _group(kind, group_name, callback_manager, run_id, tags, metadata)
    opened = manager.opened = Opened(run, inputs or {})
    try:
        yield manager
    except BaseException as error:
        opened.fail(error)
        raise
    opened.end(None)


@asynccontextmanager
async def atrace_as_chain_group(
    group_name: str,
    callback_manager: Any = None,
    *,
    inputs: dict[str, Any] | None = None,
    run_id: UUID | None = None,
    tags: list[str] | None = None,
    metadata: dict[str, Any] | None = None,
    **ignored: Any,
) -> AsyncIterator[AsyncCallbackManagerForChainGroup]:
    """`trace_as_chain_group` for async code: coroutine hooks are awaited."""
    kind = AsyncCallbackManagerForChainGroup
    run, manager = _group(kind, group_name, callback_manager, run_id, tags, metadata)
    await_hooks(run)
    opened = manager.opened = Opened(run, inputs or {})
    await settle(run)
    try:
        yield manager
    except BaseException as error:
        opened.fail(error)
        await settle(run, last=True)
        raise
    opened.end(None)
    await settle(run, last=True)
