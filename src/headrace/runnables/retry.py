"""`RunnableRetry`: try again when a step fails, in `invoke` and before the first chunk of a stream.

The first policy written as a Plan: it says what to run next and how long to wait; the drivers of
both colours do it. After a chunk has been handed on, starting over would repeat it, so the failure
is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from functools import lru_cache
from inspect import signature
from types import SimpleNamespace
from typing import Any

from ..errors import ConfigError
from ..flow import Command, Forward, Outcome, Sleep
from ..run import Run
from ..shapes import Flow, Kwargs, Node, Plan
from . import schema
from ._copying import ByValue
from ._handled import handled
from ._repr import called
from .base import Input, Output, Runnable, makers
from .coerce import coerce_to_runnable

_JITTER = ("initial", "max", "exp_base", "jitter")
Retryable = Any  # exception classes, or a predicate on the exception


class RunnableRetry(ByValue, Plan, Runnable[Input, Output]):
    """`bound`, tried up to `max_attempt_number` times.

    Args:
        kwargs, config: what goes with every try, as in a `RunnableBinding`.
        retry_exception_types: which exceptions are worth another try.
        retry_if: a predicate on the exception, instead of the types.
        wait_exponential_jitter: wait between tries, longer each time and never quite the same.
        exponential_jitter_params: `initial`, `max`, `exp_base`, `jitter`, in seconds, as tenacity's
            `wait_exponential_jitter` takes them.
        max_attempt_number: tries in all, the first included.
    """

    _restarts = True
    _layout = "inside"

    def __init__(
        self,
        *,
        bound: Any,
        kwargs: Mapping[str, Any] | None = None,
        config: Mapping[str, Any] | None = None,
        retry_exception_types: Sequence[Any] = (Exception,),
        retry_if: Callable[[BaseException], bool] | None = None,
        wait_exponential_jitter: bool = True,
        exponential_jitter_params: Mapping[str, float] | None = None,
        max_attempt_number: int = 3,
        name: str | None = None,
    ) -> None:
        _check_attempts(max_attempt_number)
        if retry_if is not None and not callable(retry_if):
            raise ConfigError(
                f"retry_if is {retry_if!r}: give a function from the exception to whether it is "
                "worth another try."
            )
        if kwargs or config:
            bound = makers["binding"](bound=bound, kwargs=kwargs, config=config)
        self.bound = coerce_to_runnable(bound)
        self.retry_exception_types = handled(
            "retry_if_exception_type", retry_exception_types, instead=", or a predicate"
        )
        self.retry_if = retry_if
        self.wait_exponential_jitter = wait_exponential_jitter
        self.exponential_jitter_params = _jitter(exponential_jitter_params)
        self.max_attempt_number = max_attempt_number
        self.name = name
        self._fold, self._many = self.bound._fold, self.bound._many
        self._async_only = self.bound._async_only

    @classmethod
    def of(
        cls,
        bound: Any,
        *,
        retry_if_exception_type: Retryable = (Exception,),
        wait_exponential_jitter: bool = True,
        exponential_jitter_params: Mapping[str, float] | None = None,
        stop_after_attempt: int = 3,
    ) -> RunnableRetry[Any, Any]:
        """What `with_retry` makes. `retry_if_exception_type` may also be a predicate."""
        chosen: dict[str, Any] = {"retry_exception_types": retry_if_exception_type}
        if callable(retry_if_exception_type) and not isinstance(retry_if_exception_type, type):
            chosen = {"retry_if": retry_if_exception_type}
        return cls(
            bound=bound,
            wait_exponential_jitter=wait_exponential_jitter,
            exponential_jitter_params=exponential_jitter_params,
            max_attempt_number=stop_after_attempt,
            **chosen,
        )

    def _plan(self, run: Run, kw: Kwargs) -> Generator[Command, Outcome, None]:
        for attempt in range(1, self.max_attempt_number + 1):
            tag = None if attempt == 1 else f"retry:attempt:{attempt}"
            outcome = yield Forward(self.bound, tag)
            if outcome.error is None:
                return
            if outcome.started or attempt == self.max_attempt_number:
                raise outcome.error
            if not self._worth(outcome.error):
                raise outcome.error
            delay = self._pause(attempt) if self.wait_exponential_jitter else 0.0
            if run.observed:
                run.retried(attempt, outcome.error, delay)
            if self.wait_exponential_jitter:
                yield Sleep(delay)

    def _worth(self, error: Exception) -> bool:
        if self.retry_if is not None:
            try:
                return self.retry_if(error)
            except Exception as wrong:
                raise wrong from error  # what was asked about stays in sight
        return isinstance(error, self.retry_exception_types)

    def _pause(self, attempt: int) -> float:
        wait = _waiter(tuple(sorted(self.exponential_jitter_params.items())))
        return float(wait(SimpleNamespace(attempt_number=attempt)))

    def _kind_name(self) -> str:
        return self.bound.get_name()  # type: ignore[no-any-return]

    def _fold_after(self, fold: Any) -> Any:
        return self.bound._fold_after(fold)

    def _typed_by(self, side: schema.Side, config: Any) -> tuple[Any, Any]:
        return self.bound, config

    def _children(self) -> Sequence[tuple[str | None, Node]]:
        return [("", self.bound)]

    def _flow(self) -> Flow:
        return self.bound._flow()  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        tries = self.max_attempt_number
        return called(type(self).__name__, self.bound, max_attempt_number=tries)


def _check_attempts(number: Any) -> None:
    if isinstance(number, bool) or not hasattr(number, "__index__"):
        raise ConfigError(
            f"stop_after_attempt is {number!r} ({type(number).__name__}): give a whole number, the "
            "tries in all."
        )
    if number < 1:
        raise ConfigError(
            f"Retry was asked for {number} attempts: give at least 1 (the first try counts)."
        )


def _jitter(params: Any) -> dict[str, float]:
    if params is None:
        return {}
    if not isinstance(params, Mapping):
        raise ConfigError(
            f"exponential_jitter_params is {params!r}: give a dict with any of "
            f"{', '.join(_JITTER)}, in seconds."
        )
    strangers = [key for key in params if key not in _JITTER]
    if strangers:
        raise ConfigError(
            f"exponential_jitter_params has {strangers}, which mean nothing: give any of "
            f"{', '.join(_JITTER)}, in seconds."
        )
    for key, value in params.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
            raise ConfigError(
                f"exponential_jitter_params[{key!r}] is {value!r}: give a number of 0 or more "
                "(seconds; for exp_base a factor)."
            )
    return dict(params)


@lru_cache(maxsize=32)
def _waiter(params: tuple[tuple[str, float], ...]) -> Any:
    import tenacity  # only a chain that has failed needs its arithmetic

    given = dict(params)
    if (
        "initial" in given
        and "multiplier" in signature(tenacity.wait_exponential_jitter).parameters
    ):
        given["multiplier"] = given.pop("initial")  # its name since tenacity 9.2
    return tenacity.wait_exponential_jitter(**given)


makers["retry"] = RunnableRetry.of
