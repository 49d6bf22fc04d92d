"""`RunnableWithFallbacks`: others take over when a step fails, before its first chunk."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from functools import wraps
from typing import Any

from ..errors import ConfigError, InputError
from ..flow import Command, Forward, Outcome, Read
from ..run import Run
from ..shapes import Flow, Kwargs, Node, Plan, lacking_all
from . import schema
from ._copying import ByValue
from ._handled import handled
from ._methods import is_method
from ._repr import called
from .base import Input, Output, Runnable, makers
from .coerce import coerce_to_runnable


class RunnableWithFallbacks(ByValue, Plan, Runnable[Input, Output]):
    """`runnable`, or the first of `fallbacks` that works, on the same input.

    Args:
        exceptions_to_handle: the failures that let the next one take over; others are raised.
        exception_key: the failure is put into the (dict) input of the next one under this key.

    When all fail, the first failure is raised. Once a chunk has been handed on, a failure is raised
    too: the next one would start over. An empty stream is no failure.
    """

    _restarts = True
    _layout = "one"

    def __init__(
        self,
        *,
        runnable: Any,
        fallbacks: Sequence[Any],
        exceptions_to_handle: type[BaseException] | tuple[type[BaseException], ...] = (Exception,),
        exception_key: str | None = None,
        name: str | None = None,
    ) -> None:
        self.runnable = coerce_to_runnable(runnable)
        self.fallbacks = _listed(fallbacks)
        self.exceptions_to_handle = handled("exceptions_to_handle", exceptions_to_handle)
        self.exception_key = exception_key
        self.name = name
        self._fold, self._many = self._fold_after(None), max(each._many for each in self.runnables)
        self._async_only = lacking_all(self.runnables)

    @property
    def runnables(self) -> list[Any]:
        """All of them, in the order in which they are tried."""
        return [self.runnable, *self.fallbacks]

    def _plan(self, run: Run, kw: Kwargs) -> Generator[Command, Outcome, None]:
        given: Any = ...
        first: Exception | None = None
        if self.exception_key is not None:
            given = (yield Read()).value
            if not isinstance(given, Mapping):
                raise InputError(
                    f"exception_key={self.exception_key!r} puts the failure into the input, which "
                    f"must be a dict for that, and it is {given!r} ({type(given).__name__})."
                )
        for runnable in self.runnables:
            outcome = yield Forward(runnable, None, value=given)
            error = outcome.error
            if error is None:
                return
            if outcome.started or not isinstance(error, self.exceptions_to_handle):
                raise error
            first = first or error
            if self.exception_key is not None:
                given = {**given, self.exception_key: error}
        if first is not None:
            raise first

    def _fold_after(self, fold: Any) -> Any:
        """That of all where they agree; else known when it is known who answers."""
        first, *others = [each._fold_after(fold) for each in self.runnables]
        return first if all(each is first for each in others) else None

    def _typed_by(self, side: schema.Side, config: Any) -> tuple[Any, Any]:
        return self.runnable, config

    def _children(self) -> Sequence[tuple[str | None, Node]]:
        return [("", each) for each in self.runnables]

    def _flow(self) -> Flow:
        return self.runnable._flow()  # type: ignore[no-any-return]

    def __getattr__(self, name: str) -> Any:
        """A method of the runnable; where it makes a runnable, the fallbacks get it as well."""
        if name.startswith("__") or name in ("runnable", "fallbacks"):
            raise AttributeError(name)
        found = getattr(self.runnable, name)
        if not is_method(found):
            return found

        @wraps(found)
        def method(*args: Any, **kwargs: Any) -> Any:
            made = found(*args, **kwargs)
            if not isinstance(made, Runnable):
                return made
            return type(self)(
                runnable=made,
                fallbacks=[getattr(each, name)(*args, **kwargs) for each in self.fallbacks],
                exceptions_to_handle=self.exceptions_to_handle,
                exception_key=self.exception_key,
                name=self.name,
            )

        return method

    def __repr__(self) -> str:
        return called(type(self).__name__, self.runnable, fallbacks=self.fallbacks)


def _listed(fallbacks: Any) -> list[Any]:
    if isinstance(fallbacks, (Runnable, Mapping, str)) or not isinstance(fallbacks, Iterable):
        raise ConfigError(
            f"The fallbacks are {fallbacks!r} ({type(fallbacks).__name__}), which is no list: "
            "write with_fallbacks([…]), with one fallback as well."
        )
    return [
        coerce_to_runnable(each, f"fallback {number}") for number, each in enumerate(fallbacks, 1)
    ]


makers["fallbacks"] = RunnableWithFallbacks
