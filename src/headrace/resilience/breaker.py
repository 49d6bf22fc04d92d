"""Circuit breakers: what has failed too often of late is not asked for a while.

| state | a call |
|---|---|
| `"closed"` | is made; `failures` failures within `within` seconds open the circuit |
| `"open"` | raises `CircuitOpenError(retry_after=…)`, for `cooldown` seconds |
| `"half_open"` | is a probe, at most `probes` of them. When all end well the circuit is closed; one
  that fails opens it again |

One `CircuitBreaker` is shared by all runs of all chains that it is given to, in threads and tasks.
A call that ends well counts as good, a stream not before its end; one that fails at any time, with
an error that `counts`, as a failure. One that is left or cancelled says nothing, and neither does
an error that does not count; a probe's place is free again then.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from inspect import signature
from typing import Any, Literal

from ..errors import CircuitOpenError, ConfigError
from ..flow import Command, Forward, Outcome
from ..run import Run
from ..runnables import schema
from ..runnables._construction import nearest
from ..runnables._copying import ByValue
from ..runnables._handled import handled
from ..runnables._repr import called, shown
from ..runnables.base import Input, Output, Runnable
from ..runnables.coerce import coerce_to_runnable
from ..shapes import Flow, Kwargs, Node, Plan
from ._numbers import check_number, check_whole
from .recover_budget import retryable
from .wrong import Enclosing

__all__ = ["CircuitBreaker", "RunnableWithCircuitBreaker", "circuit_breaker"]

State = Literal["closed", "open", "half_open"]


class CircuitBreaker:
    """What the calls of one service have in common; see the file's head.

    Args:
        failures: how many open the circuit, at least 1.
        within: seconds in which these must have come.
        cooldown: seconds for which the circuit stays open.
        probes: calls at a time that try whether it may be closed, and that must go well for it.
        counts: the failures that count: exception classes, or a predicate on the exception. The
            default is `retryable`: what says that the service is in trouble and not the request.
        name: of the service, for errors.
        clock: seconds, for tests.
    """

    def __init__(
        self,
        failures: int = 5,
        *,
        within: float = 30.0,
        cooldown: float = 10.0,
        probes: int = 1,
        counts: Any = retryable,
        name: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        check_whole(failures=failures, probes=probes)
        check_number(None, " (seconds)", within=within, cooldown=cooldown)
        self.failures, self.within = failures, within
        self.cooldown, self.probes = cooldown, probes
        predicate = callable(counts) and not isinstance(counts, type)
        self.counts = counts if predicate else handled("counts", counts, instead=", or a predicate")
        self.name = name
        self._clock = clock
        self._lock = threading.Lock()
        self._failed: deque[float] = deque(maxlen=failures)  # when, the latest last
        self._opened: float | None = None  # since when; None: closed
        self._probing = 0  # probes under way
        self._good = 0  # probes that went well since it was opened
        self._era = 0  # how often it was opened or closed: calls that began before have no say

    @property
    def state(self) -> State:
        """Of this moment."""
        with self._lock:
            if self._opened is None:
                return "closed"
            return "half_open" if self._remaining() <= 0 else "open"

    def _remaining(self) -> float:
        return 0.0 if self._opened is None else self._opened + self.cooldown - self._clock()

    def call(self) -> _Call:
        """A call begins; it is to be told how that went. Raises CircuitOpenError."""
        with self._lock:
            if self._opened is None:
                return _Call(self, self._era, probe=False)
            remaining = self._remaining()
            if remaining > 0:
                raise self._refusal(remaining)
            if self._probing + self._good >= self.probes:
                raise self._refusal(self.cooldown)  # if the probes fail
            self._probing += 1
            return _Call(self, self._era, probe=True)

    def _refusal(self, seconds: float) -> CircuitOpenError:
        who = f" of {self.name}" if self.name else ""
        return CircuitOpenError(
            f"The circuit{who} is open: {self.failures} calls failed within {self.within:g} s. "
            f"Call again in {seconds:.3g} s, or give a fallback: "
            "with_fallbacks([…], exceptions_to_handle=(CircuitOpenError,)).",
            retry_after=seconds,
        )

    def _ended(self, call: _Call, good: bool | None) -> None:
        """`good`: None where it says nothing."""
        with self._lock:
            if call.era != self._era:
                return
            if call.probe:
                self._probing -= 1
                self._good += good is True
                if good is False:
                    self._turn(self._clock())
                elif self._good >= self.probes:
                    self._turn(None)
            elif good is False:
                now = self._clock()
                self._failed.append(now)
                full = len(self._failed) == self.failures
                if full and now - self._failed[0] <= self.within:
                    self._turn(now)

    def _turn(self, opened: float | None) -> None:
        self._opened = opened
        self._era += 1
        self._probing = self._good = 0
        self._failed.clear()

    def _does_count(self, error: Exception) -> bool:
        if isinstance(self.counts, tuple):
            return isinstance(error, self.counts)
        return bool(self.counts(error))

    def __copy__(self) -> CircuitBreaker:
        return self

    def __deepcopy__(self, memo: Any) -> CircuitBreaker:
        """Itself: a copy of a chain asks the same service."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """In another process a closed one with the same numbers."""
        settings = ("failures", "within", "cooldown", "probes", "counts", "name")
        return _rebuilt, (type(self), {key: getattr(self, key) for key in settings})

    def __repr__(self) -> str:
        named = {"name": self.name} if self.name else {}
        numbers = {"within": self.within, "cooldown": self.cooldown, "probes": self.probes}
        counts = {} if self.counts is retryable else {"counts": self.counts}
        return called(type(self).__name__, self.failures, **numbers, **counts, **named)


def _rebuilt(kind: Any, settings: dict[str, Any]) -> Any:
    return kind(**settings)


class _Call:
    """A call that a breaker let through."""

    __slots__ = ("_breaker", "_open", "era", "probe")

    def __init__(self, breaker: CircuitBreaker, era: int, *, probe: bool) -> None:
        self._breaker, self.era, self.probe = breaker, era, probe
        self._open = True

    def ended(self, good: bool | None) -> None:
        """To be told once; the first time counts."""
        if self._open:
            self._open = False
            self._breaker._ended(self, good)


class RunnableWithCircuitBreaker(ByValue, Enclosing, Plan, Runnable[Input, Output]):
    """`bound`, called only while `breaker` lets it.

    Raises:
        CircuitOpenError: it does not; `retry_after` says when it may.
    """

    _layout = "inside"
    _written = "model.{call}.with_circuit_breaker(…)"
    _passes = True  # its chunks are those of `bound`

    def __init__(self, *, bound: Any, breaker: CircuitBreaker, name: str | None = None) -> None:
        if not isinstance(breaker, CircuitBreaker):
            raise ConfigError(
                f"The breaker is {breaker!r} ({type(breaker).__name__}): give a CircuitBreaker, "
                "one for all that call the same service."
            )
        self.bound = coerce_to_runnable(bound)
        self.breaker = breaker
        self.name = name
        self._fold, self._many = self.bound._fold, self.bound._many
        self._async_only = self.bound._async_only

    def _plan(self, run: Run, kw: Kwargs) -> Generator[Command, Outcome, None]:
        call = self.breaker.call()
        try:
            outcome = yield Forward(self.bound)
            error = outcome.error
            if error is not None:
                call.ended(False if self.breaker._does_count(error) else None)
                raise error
            call.ended(None if outcome.left is not None else True)
        finally:
            call.ended(None)  # the driver failed, or its consumer left

    def _fold_after(self, fold: Any) -> Any:
        return self.bound._fold_after(fold)

    def _typed_by(self, side: schema.Side, config: Any) -> tuple[Any, Any]:
        return self.bound, config

    def _children(self) -> Sequence[tuple[str | None, Node]]:
        return [("", self.bound)]

    def _flow(self) -> Flow:
        return self.bound._flow()  # type: ignore[no-any-return]

    def _terms_told(self) -> str:
        of = self.breaker
        numbers = f"failures={of.failures}, within={of.within:g} s, cooldown={of.cooldown:g} s"
        return f"{of.name}: {numbers}" if of.name else numbers

    def __repr__(self) -> str:
        return f"circuit_breaker({shown(self.bound)}, {self.breaker!r})"


def circuit_breaker(
    runnable: Runnable[Input, Output], breaker: CircuitBreaker | None = None, **settings: Any
) -> RunnableWithCircuitBreaker[Input, Output]:
    """`runnable` behind a circuit breaker: one that is shared, or one of its own made with
    `settings` (see `CircuitBreaker`)."""
    if breaker is not None and settings:
        raise ConfigError(
            f"circuit_breaker() got a breaker and {sorted(settings)}: settings are those of the "
            "breaker. Give one or the other."
        )
    known = [*signature(CircuitBreaker).parameters]
    for name in settings:
        if name not in known:
            meant = nearest(name, known)
            hint = f"did you mean {meant}?" if meant else f"give any of {', '.join(known)}."
            raise TypeError(f"circuit_breaker() knows no {name!r}: {hint}")
    return RunnableWithCircuitBreaker(bound=runnable, breaker=breaker or CircuitBreaker(**settings))
