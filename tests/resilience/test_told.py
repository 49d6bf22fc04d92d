"""What rows of `explain()` say of policies, which have the name of what is in them."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.errors import ConfigError
from headrace.resilience import ConcurrencyLimit, circuit_breaker, limited
from headrace.runnables import RunnableGenerator


def service(chunks: Any) -> Any:
    yield from chunks


STEP = RunnableGenerator(service)
TOLD = [
    (
        STEP.with_timeout(first_chunk=5, total=30),
        "RunnableWithTimeout",
        "first_chunk=5 s, total=30 s",
    ),
    (STEP.with_hedge(after=0.5), "RunnableWithHedge", "after=0.5 s"),
    (STEP.with_retry(), "RunnableRetry", "max_attempt_number=3"),
    (
        STEP.with_retry(when="restart", resets=True),
        "RunnableRetry",
        "max_attempt_number=3, when='restart', resets=True",
    ),
    (
        circuit_breaker(STEP, failures=2, name="search"),
        "RunnableWithCircuitBreaker",
        "search: failures=2, within=30 s, cooldown=10 s",
    ),
    (limited(STEP, ConcurrencyLimit(2)), "RunnableWithLimit", "ConcurrencyLimit(2)"),
]


@pytest.mark.parametrize(("policy", "kind", "terms"), TOLD)
def test_a_row_names_its_policy(policy, kind, terms):
    row, inner = policy.explain()
    assert (row.name, row.policy, row.terms) == ("service", kind, terms)
    assert (inner.name, inner.policy, inner.terms) == ("service", "", "")
    first, second = [line for line in str(policy.explain()).splitlines() if "→" not in line]
    assert first.startswith(f"{kind}(service)  ")
    assert first.endswith(f" ({terms})")
    assert second.startswith("  service  ")


def test_a_name_of_ones_own_stands_in_the_row():
    named = STEP.with_timeout(idle=1).with_config(run_name="zip")
    assert str(named.explain()).startswith("RunnableWithTimeout(zip)  streams (idle=1 s)")


@pytest.mark.parametrize("total", [float("inf"), float("nan"), 0, -1, True, "1"])
def test_the_time_of_all_tries_is_a_finite_number(total):
    with pytest.raises(ConfigError, match="max_total is"):
        STEP.with_retry(max_total=total)
