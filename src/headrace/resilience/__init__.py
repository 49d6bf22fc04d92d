"""Streams that survive: for any Runnable, in all colours.

Most are methods of `Runnable` as well: `with_timeout`, `with_hedge`, `with_retry`,
`with_fallbacks`. Each name is loaded when it is asked for.
"""

from typing import TYPE_CHECKING, Any

from .._lazy import later, listed
from ..events import Reset

if TYPE_CHECKING:
    from .breaker import CircuitBreaker, RunnableWithCircuitBreaker, circuit_breaker
    from .guarding import Guard, guard
    from .hedge import RunnableWithHedge
    from .limiting import RunnableWithLimit, limited
    from .limits import ConcurrencyLimit, shared_limiter
    from .racing import RunnableRace, race
    from .recover_budget import RetryBudget, retryable
    from .timeout import RunnableWithTimeout

__all__ = [
    "CircuitBreaker",
    "ConcurrencyLimit",
    "Guard",
    "Reset",
    "RetryBudget",
    "RunnableRace",
    "RunnableWithCircuitBreaker",
    "RunnableWithHedge",
    "RunnableWithLimit",
    "RunnableWithTimeout",
    "circuit_breaker",
    "guard",
    "limited",
    "race",
    "retryable",
    "shared_limiter",
]

_HOMES = {
    "CircuitBreaker": "breaker",
    "ConcurrencyLimit": "limits",
    "Guard": "guarding",
    "RetryBudget": "recover_budget",
    "RunnableWithCircuitBreaker": "breaker",
    "circuit_breaker": "breaker",
    "guard": "guarding",
    "limited": "limiting",
    "retryable": "recover_budget",
    "shared_limiter": "limits",
    "RunnableRace": "racing",
    "RunnableWithHedge": "hedge",
    "RunnableWithLimit": "limiting",
    "RunnableWithTimeout": "timeout",
    "race": "racing",
}


def __getattr__(name: str) -> Any:
    return later(__name__, _HOMES, name)


def __dir__() -> list[str]:
    return listed(globals(), __all__)
