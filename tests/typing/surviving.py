# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
"""What runnables against time and against each other take and give."""

from typing import assert_type

from headrace.resilience import race
from headrace.runnables import Runnable


def limits(chain: Runnable[str, int]) -> None:
    assert_type(chain.with_timeout(total=1), Runnable[str, int])
    assert_type(chain.with_timeout(first_chunk=1, idle=0.5, total=9), Runnable[str, int])


def hedges(chain: Runnable[str, int], other: Runnable[str, bytes]) -> None:
    assert_type(chain.with_hedge(), Runnable[str, int])
    assert_type(chain.with_hedge(after=2), Runnable[str, int])
    assert_type(chain.with_hedge(other, 2), Runnable[str, int | bytes])
    assert_type(chain.with_hedge(other, after=2).invoke("x"), int | bytes)


def races(chain: Runnable[str, int], other: Runnable[str, bytes]) -> None:
    assert_type(race(chain, chain), Runnable[str, int])
    assert_type(race(chain, chain, chain, name="three").invoke("x"), int)
    assert_type(race(chain, other), Runnable[str, int | bytes])
