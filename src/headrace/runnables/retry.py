"""`RunnableRetry`: try again when a step fails, in `invoke` and before the first chunk of a stream.

The first policy written as a Plan: it says what to run next and how long to wait; the drivers of
both colours do it. What becomes of a stream that fails after chunks were handed on is said by
`when`; as a rule the failure is raised, because starting over would repeat them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from functools import lru_cache
from inspect import signature
from math import inf
from random import random
from time import monotonic
from types import SimpleNamespace
from typing import Any

from ..errors import ConfigError
from ..flow import Command, Outcome, Sleep
from ..run import Run
from ..shapes import Node
from . import schema
from ._again import Again, Tries, When
from ._copying import ByValue
from ._handled import handled
from ._repr import called
from .base import Input, Output, Runnable, makers
from .coerce import coerce_to_runnable

_JITTER = ("initial", "max", "exp_base", "jitter")
Retryable = Any  # exception classes, a predicate on the exception, or "transient"
PATIENCE = 60.0  # seconds that an error's `retry_after` may ask for where `max_total` says nothing


class RunnableRetry(ByValue, Again, Runnable[Input, Output]):
    """`bound`, tried up to `max_attempt_number` times.

    Args:
        kwargs, config: what goes with every try, as in a `RunnableBinding`.
        retry_exception_types: which exceptions are worth another try.
        retry_if: a predicate on the exception, instead of the types.
        wait_exponential_jitter: wait between tries, longer each time and never quite the same.
        exponential_jitter_params: `initial`, `max`, `exp_base`, `jitter`, in seconds, as tenacity's
            `wait_exponential_jitter` takes them.
        max_attempt_number: tries in all, the first included.
        when: what becomes of a stream that fails when chunks are out. "before_first_chunk": the
            failure is raised. "restart": it starts over; chunks are held back until a try has ended
            well. "continue", of a chat model: it goes on where it stopped.
            See `headrace.resilience`.
        resets: with "restart", the policy's own reader gets the chunks at once and a `Reset`
            before each new try of one that had given chunks.
        retry_budget: a `headrace.resilience.RetryBudget` that bounds the tries of all who share it.
        max_total: no try begins later than so many seconds after the first; what would be waited
            for longer is raised at once.

    An error that has a `retry_after` (seconds) is waited for at least so long. Without `max_total`
    one that asks for more than `PATIENCE` is raised at once.
    """

    _layout = "inside"
    _written = "model.{call}.with_retry(…)"

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
        when: When = "before_first_chunk",
        resets: bool = False,
        retry_budget: Any = None,
        max_total: float | None = None,
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
            "retry_if_exception_type", retry_exception_types, self, instead=", or a predicate"
        )
        self.retry_if = retry_if
        self.wait_exponential_jitter = wait_exponential_jitter
        self.exponential_jitter_params = _jitter(exponential_jitter_params)
        self.max_attempt_number = max_attempt_number
        self.when, self.resets = when, resets
        self.retry_budget = retry_budget
        self.max_total = _checked_total(max_total)
        self.name = name
        self._derive()
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
        **more: Any,
    ) -> RunnableRetry[Any, Any]:
        """What `with_retry` makes. `retry_if_exception_type` may also be a predicate; "transient"
        stands for `headrace.resilience.retryable`."""
        if isinstance(retry_if_exception_type, str):
            from ..resilience.recover_budget import for_word

            retry_if_exception_type = for_word(retry_if_exception_type)
        chosen: dict[str, Any] = {"retry_exception_types": retry_if_exception_type}
        if callable(retry_if_exception_type) and not isinstance(retry_if_exception_type, type):
            chosen = {"retry_if": retry_if_exception_type}
        return cls(
            bound=bound,
            wait_exponential_jitter=wait_exponential_jitter,
            exponential_jitter_params=exponential_jitter_params,
            max_attempt_number=stop_after_attempt,
            **chosen,
            **more,
        )

    def __getattr__(self, name: str) -> Any:
        from ..resilience.wrong import lacking

        raise lacking(self, name)

    def _policy(self, run: Run, tries: Tries) -> Generator[Command, Outcome, None]:
        began = monotonic()
        if self.retry_budget is not None:
            self.retry_budget.called()
        for attempt in range(1, self.max_attempt_number + 1):
            tag = None if attempt == 1 else f"retry:attempt:{attempt}"
            outcome = yield from tries.forward(self.bound, tag)
            error = outcome.error
            if error is None:
                return
            if attempt == self.max_attempt_number or tries.lost(outcome) or not self._worth(error):
                raise error
            delay = self._delay(attempt, error)
            if self._too_late(error, delay, monotonic() - began) or self._spent(error):
                raise error
            if run.observed:
                run.retried(attempt, error, delay)
            yield from tries.restarted(attempt, error)
            if self.wait_exponential_jitter or delay:
                yield Sleep(delay)

    def _worth(self, error: Exception) -> bool:
        if self.retry_if is not None:
            try:
                return self.retry_if(error)
            except Exception as wrong:
                raise wrong from error  # what was asked about stays in sight
        return isinstance(error, self.retry_exception_types)

    def _delay(self, attempt: int, error: Exception) -> float:
        """Seconds until the next try."""
        pause = self._pause(attempt) if self.wait_exponential_jitter else 0.0
        asked = _asked(error)
        if asked is None:
            return pause
        spread = self.exponential_jitter_params.get("jitter", 1.0)  # all were told the same moment
        return max(pause, asked + (random() * spread if self.wait_exponential_jitter else 0.0))

    def _too_late(self, error: Exception, delay: float, elapsed: float) -> bool:
        if self.max_total is not None:
            return elapsed + delay > self.max_total
        return (_asked(error) or 0.0) > PATIENCE

    def _spent(self, error: Exception) -> bool:
        if self.retry_budget is None or self.retry_budget.take():
            return False
        error.add_note(f"Not tried again: {self.retry_budget!r} is used up.")
        return True

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

    def _tried(self) -> list[Any]:
        return [self.bound]

    def _terms_told(self) -> str:
        when = {"max_attempt_number": self.max_attempt_number, **self._when_shown()}
        return ", ".join(f"{key}={value!r}" for key, value in when.items())

    def __repr__(self) -> str:
        when = self._when_shown()
        tries = self.max_attempt_number
        return called(type(self).__name__, self.bound, max_attempt_number=tries, **when)


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


def _checked_total(seconds: Any) -> float | None:
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds < inf:
        raise ConfigError(f"max_total is {seconds!r}: give a number above 0 (seconds), or None.")
    return float(seconds)


def _asked(error: Exception) -> float | None:
    """The seconds that an error asks to wait."""
    asked = getattr(error, "retry_after", None)
    if isinstance(asked, bool) or not isinstance(asked, (int, float)) or not asked >= 0:
        return None
    return float(asked)


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
