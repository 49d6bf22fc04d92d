"""`RunnableWithFallbacks`: others take over when a step fails: before its first chunk, or as `when`
says."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from functools import wraps
from typing import Any

from ..errors import ConfigError, InputError
from ..flow import Command, Outcome, Read
from ..run import Run
from ..shapes import Node, lacking_all
from . import schema
from ._again import Again, Tries, When
from ._copying import ByValue
from ._handled import handled
from ._methods import is_method
from ._repr import called
from .base import Input, Output, Runnable, makers
from .coerce import coerce_to_runnable


class RunnableWithFallbacks(ByValue, Again, Runnable[Input, Output]):
    """`runnable`, or the first of `fallbacks` that works, on the same input.

    Args:
        exceptions_to_handle: the failures that let the next one take over; others are raised.
        exception_key: the failure is put into the (dict) input of the next one under this key.
        when: what becomes of a stream that fails when chunks are out. "before_first_chunk": the
            failure is raised. "restart": the next one starts over; chunks are held back until one
            has ended well. "continue", of chat models: the next one goes on with the text so far.
            See `headrace.resilience`.
        resets: with "restart", the policy's own reader gets the chunks at once and, where there
            were any, a `Reset` before the next one's.

    When all fail, the first failure is raised, with the others' as notes. An empty stream is no
    failure.
    """

    _layout = "one"

    def __init__(
        self,
        *,
        runnable: Any,
        fallbacks: Sequence[Any],
        exceptions_to_handle: type[BaseException] | tuple[type[BaseException], ...] = (Exception,),
        exception_key: str | None = None,
        when: When = "before_first_chunk",
        resets: bool = False,
        name: str | None = None,
    ) -> None:
        self.runnable = coerce_to_runnable(runnable)
        self.fallbacks = _listed(fallbacks)
        self.exceptions_to_handle = handled("exceptions_to_handle", exceptions_to_handle, self)
        self.exception_key = exception_key
        self.when, self.resets = when, resets
        self.name = name
        self._derive()
        self._fold, self._many = self._fold_after(None), max(each._many for each in self.runnables)
        self._async_only = lacking_all(self.runnables)

    @property
    def runnables(self) -> list[Any]:
        """All of them, in the order in which they are tried."""
        return [self.runnable, *self.fallbacks]

    def _tried(self) -> list[Any]:
        return self.runnables

    def _policy(self, run: Run, tries: Tries) -> Generator[Command, Outcome, None]:
        given: Any = ...
        failed: list[tuple[Any, Exception]] = []
        if self.exception_key is not None:
            given = (yield Read()).value
            if not isinstance(given, Mapping):
                raise InputError(
                    f"exception_key={self.exception_key!r} puts the failure into the input, which "
                    f"must be a dict for that, and it is {given!r} ({type(given).__name__})."
                )
        for attempt, runnable in enumerate(self.runnables, 1):
            outcome = yield from tries.forward(runnable, None, given)
            error = outcome.error
            if error is None:
                return
            if tries.lost(outcome) or not isinstance(error, self.exceptions_to_handle):
                raise error
            failed.append((runnable, error))
            if attempt <= len(self.fallbacks):
                yield from tries.restarted(attempt, error)
            if self.exception_key is not None:
                given = {**given, self.exception_key: error}
        if failed:
            from ..resilience.wrong import first_of

            raise first_of(failed)

    def _fold_after(self, fold: Any) -> Any:
        """That of all where they agree; else known when it is known who answers."""
        first, *others = [each._fold_after(fold) for each in self.runnables]
        return first if all(each is first for each in others) else None

    def _typed_by(self, side: schema.Side, config: Any) -> tuple[Any, Any]:
        return self.runnable, config

    def _children(self) -> Sequence[tuple[str | None, Node]]:
        return [("", each) for each in self.runnables]

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
                when=self.when,
                resets=self.resets,
                name=self.name,
            )

        return method

    def __repr__(self) -> str:
        when = self._when_shown()
        return called(type(self).__name__, self.runnable, fallbacks=self.fallbacks, **when)


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
