"""`race(a, b, …)`: all start at once, and the first chunk decides whose stream it is."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, overload

from .._terms import Terms
from ..callbacks.arguments import MODELS
from ..errors import ConfigError
from ..runnables import Runnable, schema
from ..runnables._again import Again
from ..runnables._copying import ByValue
from ..runnables._repr import called
from ..runnables.base import Input, Output
from ..runnables.coerce import coerce_to_runnable
from ..runnables.sequence import RunnableSequence
from ..shapes import Contest, Flow, Kwargs, Node, Pieces, side_by_side
from .timeout import asks_a_model, comes_in_pieces
from .wrong import lacking

__all__ = ["Rivals", "RunnableRace", "race"]

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")


class Rivals(ByValue, Contest, Runnable[Input, Output]):
    """What a race and a hedge have in common: several on the same input, of which one wins.

    They take the whole input, since more than one reads it, and time is counted from when it is
    there.
    """

    _layout = "one"
    _collects = True

    def _all(self) -> list[Any]:
        raise NotImplementedError

    def _enter(self) -> None:
        """To be called when it is known who runs."""
        nodes = self._all()
        self._fold = self._fold_after(None)
        self._many = max(node._many for node in nodes)
        # all of them run, or may have to
        self._async_only = next((n._async_only for n in nodes if n._async_only is not None), None)
        self._pieces = any(map(comes_in_pieces, nodes))

    def _speaks(self) -> bool:
        """Whether what is said are its chunks, and not those of the models in it, of which one
        wins: so where models, or sequences that end with the one model in them, are its rivals."""
        return all(map(is_voice, self._all()))

    def _asked_once(self, kw: Kwargs, *, sync: bool) -> bool:
        return False

    def _reads(self) -> Pieces:
        return Pieces.NONE

    def _fold_after(self, fold: Any) -> Any:
        """That of all where they agree; else known when it is known who wins."""
        first, *others = [node._fold_after(None) for node in self._all()]
        return first if all(each is first for each in others) else None

    def _data(self, side: schema.Side, config: Any = None) -> schema.Data:
        parts = [schema.known(partial(schema.said, node, side, config)) for node in self._all()]
        if side == "input":
            return schema.one_input(schema.title(self, side), parts)
        return schema.either(schema.title(self, side), parts)

    def _flow(self) -> Flow:
        together = side_by_side(node._flow() for node in self._all())
        return Flow("barrier" if together.kind == "barrier" else "source")


def is_voice(node: Any) -> bool:
    """Whether its chunks are those of one model at a time."""
    if node._run_type in MODELS:
        return True
    if isinstance(node, RunnableSequence):
        *before, last = node.steps
        return is_voice(last) and not any(map(asks_a_model, before))
    passes = isinstance(node, (Again, Contest)) or getattr(type(node), "_passes", False)
    if not (node._transparent or passes):
        return False
    arms = getattr(node, "_arms", None) if node._transparent else None
    parts = [child for _, child in node._children()] if arms is None else arms()
    return bool(parts) and all(map(is_voice, parts))


class RunnableRace(Rivals[Input, Output]):
    """`runnables`, all started at once on the same input: the one that gives the first chunk wins.

    Its stream is handed on, the others are given up: a task is cancelled; a thread is broken off
    where it waits for something that can be closed, and otherwise ends with its next chunk. They
    have ended when the stream has (a blocked thread is awaited for a second; after that, a warning
    says that it still runs). Nothing of theirs is ever handed on. In events they are runs that were
    cancelled.

    One that fails before any chunk is out; when all have failed, the failure of the first is raised
    with the others' as notes. One that ends without a chunk wins with that. What fails after its
    first chunk is raised: it has won.
    """

    _written = "race(a.{call}, b.{call})"

    if not TYPE_CHECKING:  # a type checker knows what there is

        def __getattr__(self, name: str) -> Any:
            raise lacking(self, name)

    def __init__(self, *runnables: Any, name: str | None = None) -> None:
        if len(runnables) < 2:
            raise ConfigError(
                f"race() got {len(runnables)} runnable{'s' * (len(runnables) != 1)}: give at least "
                "two."
            )
        self.runnables = [
            coerce_to_runnable(each, f"number {number} of a race")
            for number, each in enumerate(runnables, 1)
        ]
        self.name = name
        self._enter()

    def _all(self) -> list[Any]:
        return self.runnables

    def _terms(self) -> Terms:
        entrants = [(f"race:{number}", each) for number, each in enumerate(self.runnables, 1)]
        return Terms(entrants, (0.0,) * len(entrants))

    def _children(self) -> Sequence[tuple[str | None, Node]]:
        return [(f"race:{number}", each) for number, each in enumerate(self.runnables, 1)]

    def _terms_told(self) -> str:
        return ""  # all is in its name

    def _kind_name(self) -> str:
        return f"RunnableRace<{','.join(each.get_name() for each in self.runnables)}>"

    def __repr__(self) -> str:
        return called("race", *self.runnables)


@overload
def race(
    first: Runnable[Input, A], second: Runnable[Input, B], /, *, name: str | None = None
) -> Runnable[Input, A | B]: ...
@overload
def race(
    first: Runnable[Input, A],
    second: Runnable[Input, B],
    third: Runnable[Input, C],
    /,
    *,
    name: str | None = None,
) -> Runnable[Input, A | B | C]: ...
@overload
def race(
    *runnables: Runnable[Input, Output], name: str | None = None
) -> Runnable[Input, Output]: ...
@overload
def race(*runnables: Any, name: str | None = None) -> Runnable[Any, Any]: ...
def race(*runnables: Any, name: str | None = None) -> Runnable[Any, Any]:
    """All start at once on the same input, and the first chunk wins; see `RunnableRace`.

    Args:
        runnables: at least two, or functions, generator functions and dicts that stand for them.

    Raises:
        ConfigError: there are fewer than two.
    """
    return RunnableRace(*runnables, name=name)
