"""The types of what `Runnable.open` gives; what implements them is `headrace.views.live`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, TypeVar

from ..events import Event

if TYPE_CHECKING:
    from ..messages.usage import UsageMetadata

Names = Sequence[str] | None

Policy = Literal["block", "drop_oldest", "coalesce", "disconnect"]
"""What becomes of a consumer that is slow; see `headrace.views.readers`."""

T_co = TypeVar("T_co", covariant=True)
W_co = TypeVar("W_co", covariant=True)


class Counted(Protocol):
    """A consumer's counters, in items, and its policy."""

    @property
    def depth(self) -> int: ...
    @property
    def received(self) -> int: ...
    @property
    def dropped(self) -> int: ...
    @property
    def coalesced(self) -> int: ...
    @property
    def disconnected(self) -> bool: ...
    def with_policy(self, policy: Policy, limit: int | None = None) -> Self: ...


class Deltas(Counted, Protocol[T_co, W_co]):
    """One thing that a run shows: iterate it for deltas, `get()` gives the whole."""

    def __iter__(self) -> Iterator[T_co]: ...
    def get(self) -> W_co: ...


class AsyncDeltas(Counted, Awaitable[W_co], Protocol[T_co, W_co]):
    """`Deltas` for `async for` and `await`."""

    def __aiter__(self) -> AsyncIterator[T_co]: ...
    async def get(self) -> W_co: ...


class Used(Protocol):
    """Tokens that the models of a run read and wrote: in all, by path and by the model's name."""

    @property
    def total(self) -> UsageMetadata | None: ...
    @property
    def by_path(self) -> dict[str, UsageMetadata]: ...
    @property
    def by_model(self) -> dict[str, UsageMetadata]: ...


class _Run(Protocol[W_co]):
    @property
    def usage(self) -> Used: ...
    @property
    def timing(self) -> Any: ...
    @property
    def started(self) -> bool: ...
    @property
    def ended(self) -> bool: ...
    def cancel(self) -> None: ...
    def stop(self) -> None: ...
    def events(
        self,
        *,
        include_names: Names = None,
        include_types: Names = None,
        include_tags: Names = None,
        exclude_names: Names = None,
        exclude_types: Names = None,
        exclude_tags: Names = None,
        blocks: bool = True,
        policy: Policy = "block",
        limit: int | None = None,
    ) -> W_co: ...


class Handle(_Run[Deltas[Event, list[Event]]], Protocol[T_co]):
    """A live run, for threads."""

    @property
    def text(self) -> Deltas[str, str]: ...
    @property
    def reasoning(self) -> Deltas[str, str]: ...
    @property
    def tool_calls(self) -> Deltas[Any, list[Any]]: ...
    @property
    def blocks(self) -> Deltas[Event, list[Any]]: ...
    @property
    def chunks(self) -> Deltas[T_co, T_co]: ...
    @property
    def subscribe(self) -> Callable[..., Deltas[Any, list[Any]]]: ...
    @property
    def output(self) -> T_co: ...


class AsyncHandle(_Run[AsyncDeltas[Event, list[Event]]], Protocol[T_co]):
    """A live run, for the tasks of an event loop."""

    @property
    def text(self) -> AsyncDeltas[str, str]: ...
    @property
    def reasoning(self) -> AsyncDeltas[str, str]: ...
    @property
    def tool_calls(self) -> AsyncDeltas[Any, list[Any]]: ...
    @property
    def blocks(self) -> AsyncDeltas[Event, list[Any]]: ...
    @property
    def chunks(self) -> AsyncDeltas[T_co, T_co]: ...
    @property
    def subscribe(self) -> Callable[..., AsyncDeltas[Any, list[Any]]]: ...
    @property
    def output(self) -> Awaitable[T_co]: ...


class Opening(Protocol[T_co]):
    """For `with` and `async with`, once."""

    def __enter__(self) -> Handle[T_co]: ...
    def __exit__(self, kind: Any, error: BaseException | None, trace: Any, /) -> None: ...
    async def __aenter__(self) -> AsyncHandle[T_co]: ...
    async def __aexit__(self, kind: Any, error: BaseException | None, trace: Any, /) -> None: ...
