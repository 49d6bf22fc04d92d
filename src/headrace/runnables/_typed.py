"""The types of what may stand beside `|`, as far as they need no Runnable. Nothing here runs.

`Whole`, `Awaited` and `Streamed` are functions of an input alone; the same with `Filled` before it
also take what a run fills in: `config`, `run_manager`, or both. (A run goes by their names, types
by their places: mypy loses its way among protocols of calls, which could say names.) Two aliases
for each, because a lambda gets the type of its parameter only where one plain `Callable` is asked.
"""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Coroutine,
    Generator,
    Iterator,
)
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from ..config import RunnableConfig
from ..run import RunCallbacks

A = TypeVar("A")
B = TypeVar("B")

if TYPE_CHECKING:
    from typing_extensions import TypeVar as _TypeVar

    # Of a step that lets anything through: what its neighbours say, else anything.
    Same = _TypeVar("Same", default=Any)
else:
    Same = TypeVar("Same")


# What doors give: generators, so that `closing` and `aclosing` take them.
Stream: TypeAlias = Generator[A, None, None]
AStream: TypeAlias = AsyncGenerator[A, None]

Whole: TypeAlias = Callable[[A], B]
Awaited: TypeAlias = Callable[[A], Coroutine[Any, Any, B]]
Streamed: TypeAlias = Callable[[Iterator[A]], Iterator[B]]
AStreamed: TypeAlias = Callable[[AsyncIterator[A]], AsyncIterator[B]]
Filled: TypeAlias = (
    Callable[[A, RunnableConfig], B]
    | Callable[[A, RunCallbacks], B]
    | Callable[[A, RunnableConfig, RunCallbacks], B]
    | Callable[[A, RunCallbacks, RunnableConfig], B]
)
FilledAwaited: TypeAlias = Filled[A, Coroutine[Any, Any, B]]
FilledStreamed: TypeAlias = (
    Filled[Iterator[A], Iterator[B]] | Filled[AsyncIterator[A], AsyncIterator[B]]
)
Function: TypeAlias = Whole[A, B] | Filled[A, B]
Streaming: TypeAlias = Streamed[A, B] | AStreamed[A, B] | FilledStreamed[A, B]
