"""`RouterRunnable`: the input says which runnable it is for."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from functools import partial
from typing import Any, TypedDict, overload

from ..errors import InputError
from ..flow import Command, Forward, Outcome, Read
from ..run import Run
from ..shapes import Flow, Kwargs, Node, Pieces, Plan, lacking_all, side_by_side
from . import schema
from ._repr import called
from ._typed import A
from .base import Output, Runnable
from .coerce import coerced


class RouterInput(TypedDict):
    """What a router takes: whom it is for, and what that one gets."""

    key: str
    input: Any


class RouterRunnable(Plan, Runnable[RouterInput, Output]):
    """The one of `runnables` that `input["key"]` names runs on `input["input"]` and streams.

    It waits for its whole input, of which the key is a part. An unknown key raises InputError
    before anything runs.
    """

    _layout = "one"

    @overload
    def __init__(
        self: RouterRunnable[A],
        runnables: Mapping[str, Runnable[Any, A]],
        *,
        name: str | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: RouterRunnable[Any], runnables: Mapping[str, Any], *, name: str | None = None
    ) -> None: ...
    def __init__(self, runnables: Mapping[str, Any], *, name: str | None = None) -> None:
        self.runnables = coerced(runnables, "RouterRunnable")
        self.name = name
        arms = list(self.runnables.values())
        self._fold = self._fold_after(None)
        self._many = max([Pieces.NONE, *(arm._many for arm in arms)])
        self._async_only = lacking_all(arms)

    def _plan(self, run: Run, kw: Kwargs) -> Generator[Command, Outcome, None]:
        key, value = self._parts((yield Read()).value)
        outcome = yield Forward(self.runnables[key], key, value=value)
        if outcome.error is not None:
            raise outcome.error

    def _parts(self, given: Any) -> tuple[str, Any]:
        if not isinstance(given, Mapping) or "key" not in given or "input" not in given:
            raise InputError(
                f'A router works on a dict {{"key": …, "input": …}} and got {given!r} '
                f"({type(given).__name__})."
            )
        if given["key"] not in list(self.runnables):
            raise InputError(
                f"The router has no runnable under the key {given['key']!r}: it has "
                f"{list(self.runnables)}."
            )
        return given["key"], given["input"]

    def _fold_after(self, fold: Any) -> Any:
        """That of the runnables where they agree, whose input is a value of its own; else known
        when one of them has been chosen."""
        folds = [each._fold_after(None) for each in self.runnables.values()]
        return folds[0] if folds and all(each is folds[0] for each in folds) else None

    def _data(self, side: schema.Side, config: Any = None) -> schema.Data:
        name = schema.title(self, side)
        if side == "input":
            return schema.Plain(name, RouterInput)
        arms = self.runnables.values()
        parts = [schema.known(partial(schema.said, each, side, config)) for each in arms]
        return schema.either(name, parts) if parts else schema.Plain(name, Any)

    def _children(self) -> Sequence[tuple[str | None, Node]]:
        return list(self.runnables.items())

    def _reads(self) -> Pieces:
        return Pieces.NONE

    def _flow(self) -> Flow:
        kind = side_by_side(arm._flow() for arm in self.runnables.values()).kind
        return Flow("barrier" if kind == "barrier" else "source")

    def __repr__(self) -> str:
        return called(type(self).__name__, self.runnables)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RouterRunnable):
            return NotImplemented
        return self.runnables == other.runnables

    __hash__ = None  # type: ignore[assignment]
