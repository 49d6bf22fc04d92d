"""What rows of `explain()` and events say of policies."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.errors import ConfigError
from headrace.resilience import (
    ConcurrencyLimit,
    RunnableWithTimeout,
    circuit_breaker,
    guard,
    limited,
    race,
)
from headrace.runnables import RunnableGenerator, RunnableLambda


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
    # As in LangChain, what tries again has the name of what it tries.
    name = "service" if kind == "RunnableRetry" else f"{kind}<service>"
    assert (row.name, row.policy, row.terms) == (name, kind, terms)
    assert [event["name"] for event in policy.stream_events(["a"])][:2] == [name, "service"]
    assert (inner.name, inner.policy, inner.terms) == ("service", "", "")
    first, second = [line for line in str(policy.explain()).splitlines() if "→" not in line]
    assert first.startswith(f"{kind}<service>  ")
    assert first.endswith(f" ({terms})")
    assert second.startswith("  service  ")


def test_a_name_of_ones_own_stands_in_the_row():
    named = STEP.with_timeout(idle=1).with_config(run_name="zip")
    assert str(named.explain()).startswith("RunnableWithTimeout<zip>  streams (idle=1 s)")


def test_a_tool_has_the_name_of_what_policies_are_around():
    """Providers refuse names with other signs than letters, digits, `_` and `-`."""

    def look_up(word: str) -> str:
        return word

    step = RunnableLambda(look_up)
    for policy in (
        step.with_timeout(total=1).with_hedge(after=1),
        circuit_breaker(limited(step.with_retry(), ConcurrencyLimit(1))),
    ):
        assert policy.as_tool().name == "look_up"
        assert policy.as_tool(name="find").name == "find"
    assert RunnableWithTimeout(bound=step, total=1, name="mine").as_tool().name == "mine"


@pytest.mark.parametrize("total", [float("inf"), float("nan"), 0, -1, True, "1"])
def test_the_time_of_all_tries_is_a_finite_number(total):
    with pytest.raises(ConfigError, match="max_total is"):
        STEP.with_retry(max_total=total)


RESTARTED: dict[str, Any] = {
    "retry": STEP.with_retry(when="restart", resets=True),
    "fallbacks": STEP.with_fallbacks([STEP], when="restart", resets=True),
}


@pytest.mark.parametrize("kind", RESTARTED)
@pytest.mark.parametrize("outermost", [True, False])
def test_graph_and_rows_agree_on_who_holds_back(kind, outermost):
    """Resets go to the reader of the outermost one alone."""
    policy = RESTARTED[kind]
    chain = policy if outermost else policy | STEP
    names = ("RunnableWithFallbacks", "service")
    row = next(row for row in chain.explain() if row.name in names)
    assert row.kind == ("source" if outermost else "barrier")
    drawn = chain.get_graph().draw_mermaid()
    held = ":::barrier" if kind == "fallbacks" else "Retry, held back"
    assert (held in drawn) is not outermost


def test_a_frame_has_the_name_of_the_policy_alone():
    drawn = circuit_breaker(STEP.with_timeout(total=1)).get_graph().draw_mermaid()
    assert "subgraph WithCircuitBreaker\n" in drawn
    assert "subgraph WithTimeout\n" in drawn
    assert "<" not in drawn


def test_rows_of_those_with_names_of_their_own():
    rows = {
        "RunnableWithFallbacks  streams": STEP.with_fallbacks([STEP]),
        "RunnableWithFallbacks  waits for its whole input (when='restart')": STEP.with_fallbacks(
            [STEP], when="restart"
        ),
        "RunnableRace<service,service>  waits for its whole input, then streams": race(STEP, STEP),
        "RunnableRace<both>  waits for its whole input, then streams": race(
            STEP, STEP, name="both"
        ),
        "Guard  streams (lookahead=3)": guard(str.upper, lookahead=3),
    }
    assert [str(policy.explain()).splitlines()[0] for policy in rows.values()] == [*rows]
