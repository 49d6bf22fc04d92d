"""`RunnableWithTimeout`: a stream that keeps its reader waiting too long ends with an error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._terms import Limits, Terms
from ..errors import ConfigError
from ..runnables import Runnable
from ..runnables._copying import ByValue
from ..runnables._repr import called
from ..runnables.base import Input, Output
from ..runnables.coerce import coerce_to_runnable
from ..shapes import Contest, Flow, Node, Pieces
from ._numbers import seconds
from .wrong import Enclosing

__all__ = ["RunnableWithTimeout", "asks_a_model", "comes_in_pieces"]


def comes_in_pieces(node: Any) -> bool:
    """Whether `invoke` of it may be made of its stream: user code gives it in pieces, and there is
    no model in it, which answers `invoke` in one."""
    return node._many is Pieces.SURE and not asks_a_model(node)


def asks_a_model(node: Any) -> bool:
    """Whether there is a model in it."""
    own = node._run_type in ("chat_model", "llm")
    return own or any(asks_a_model(child) for _, child in node._children())


class RunnableWithTimeout(ByValue, Enclosing, Contest, Runnable[Input, Output]):
    """`bound`, within limits. All are in seconds; give at least one.

    Args:
        first_chunk: from the opening to the first chunk. What answers in one piece (a function, a
            model that is invoked) has its answer as its first chunk.
        idle: from when a reader asks for another chunk to that chunk. It starts again with each;
            what the reader does between two chunks does not count.
        total: from the opening to the end, the reader's own time included.

    Raises `headrace.errors.Timeout` with `which`, `seconds` and, in `partial`, what had come. Time
    in which `bound` waits for its own input counts: put the limits around what they are meant for.

    When a limit fires, `bound` is closed, and every `finally` in it has run before the error is
    raised. Async code is cancelled for that. Sync code runs in a worker thread (one for each
    stream), which is broken off where it waits for something that can be closed, and which is
    awaited for a second otherwise; then a note on the error says that it still runs.
    """

    _layout = "inside"
    _written = "model.{call}.with_timeout(…)"
    _passes = True  # its chunks are those of `bound`

    def __init__(
        self,
        *,
        bound: Any,
        first_chunk: float | None = None,
        idle: float | None = None,
        total: float | None = None,
        name: str | None = None,
    ) -> None:
        limits = {"first_chunk": first_chunk, "idle": idle, "total": total}
        given = {key: seconds(key, value) for key, value in limits.items() if value is not None}
        if not given:
            raise ConfigError(
                "with_timeout() got no limit: give first_chunk, idle, total or several, in seconds."
            )
        self.bound = coerce_to_runnable(bound)
        self.first_chunk, self.idle, self.total = first_chunk, idle, total
        self.name = name
        self._fold, self._many = self.bound._fold, self.bound._many
        self._async_only = self.bound._async_only
        self._pieces = comes_in_pieces(self.bound)

    def _terms(self) -> Terms:
        limits = Limits(self.first_chunk, self.idle, self.total)
        return Terms(((None, self.bound),), limits=limits)

    def _reads(self) -> Pieces:
        return self.bound._reads()  # type: ignore[no-any-return]

    def _fold_after(self, fold: Any) -> Any:
        return self.bound._fold_after(fold)

    def _typed_by(self, side: Any, config: Any) -> tuple[Any, Any]:
        return self.bound, config

    def _children(self) -> Sequence[tuple[str | None, Node]]:
        return [("", self.bound)]

    def _flow(self) -> Flow:
        return self.bound._flow()  # type: ignore[no-any-return]

    def _terms_told(self) -> str:
        limits = {"first_chunk": self.first_chunk, "idle": self.idle, "total": self.total}
        return ", ".join(f"{key}={value:g} s" for key, value in limits.items() if value is not None)

    def __repr__(self) -> str:
        limits = {"first_chunk": self.first_chunk, "idle": self.idle, "total": self.total}
        given = {key: value for key, value in limits.items() if value is not None}
        return called(type(self).__name__, self.bound, **given)
