"""`RunnableWithHedge`: a second one starts when the first keeps its reader waiting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._terms import Terms
from ..runnables._repr import called
from ..runnables.base import Input, Output
from ..runnables.coerce import coerce_to_runnable
from ..shapes import Node
from ._numbers import seconds
from .racing import Rivals
from .wrong import Enclosing

__all__ = ["RunnableWithHedge"]


class RunnableWithHedge(Enclosing, Rivals[Input, Output]):
    """`bound`, and, when no chunk of it has come within `after` seconds, `other` as well.

    The first chunk decides whose stream is handed on; the loser is given up, as in a race (see
    `RunnableRace`). When `bound` fails before its first chunk, `other` starts at once; when both
    fail, the failure of `bound` is raised, with the other's as a note.

    Args:
        bound: starts at once.
        other: by default `bound` itself, once more: the same request may meet a quicker server.
        after: seconds from when the input is there. A good number is what nineteen of twenty
            answers need for their first chunk: then one request in twenty is made twice.
    """

    _written = "model.{call}.with_hedge({other}…)"

    def __init__(
        self, *, bound: Any, other: Any = None, after: float = 0.8, name: str | None = None
    ) -> None:
        self.bound = coerce_to_runnable(bound)
        self.other = None if other is None else coerce_to_runnable(other, "the other of a hedge")
        self.after = seconds("after", after, zero=True)
        self.name = name
        self._enter()

    def _all(self) -> list[Any]:
        return [self.bound] if self.other is None else [self.bound, self.other]

    def _terms(self) -> Terms:
        second = self.bound if self.other is None else self.other
        return Terms(((None, self.bound), ("hedge", second)), (0.0, self.after))

    def _children(self) -> Sequence[tuple[str | None, Node]]:
        first: tuple[str | None, Node] = ("", self.bound)
        return [first] if self.other is None else [first, ("hedge", self.other)]

    def _terms_told(self) -> str:
        return f"after={self.after:g} s"

    def __repr__(self) -> str:
        given = {} if self.other is None else {"other": self.other}
        return called(type(self).__name__, self.bound, **given, after=self.after)
