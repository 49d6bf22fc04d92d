"""Batches beside langchain-core's: six inputs that work, fail once, twice, always, or otherwise.

What stands at each place and how often each input was tried must be the same, in both colours, with
and without a bound, whatever policy is around the function.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from differential.cases import FAST
from laws.both import libraries

OTHER = LookupError  # what a policy below does not handle
# input: how often it fails before it works, and with what
FATE: dict[int, tuple[float, type[Exception]]] = {
    0: (0, ValueError),
    1: (1, ValueError),
    2: (float("inf"), ValueError),
    3: (float("inf"), OTHER),
    4: (0, ValueError),
    5: (2, ValueError),
}

PROGRAMS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "bare": lambda m, work, spare: work,
    "chain": lambda m, work, spare: work | spare | spare,
    "retry": lambda m, work, spare: work.with_retry(**FAST),
    "retry of types": lambda m, work, spare: work.with_retry(
        retry_if_exception_type=(ValueError,), **FAST
    ),
    "retry twice": lambda m, work, spare: work.with_retry(stop_after_attempt=2, **FAST),
    "fallbacks": lambda m, work, spare: work.with_fallbacks([spare]),
    "fallbacks of types": lambda m, work, spare: work.with_fallbacks(
        [spare], exceptions_to_handle=(ValueError,)
    ),
    "fallbacks of a retry": lambda m, work, spare: work.with_retry(**FAST).with_fallbacks([spare]),
    "retry in a chain": lambda m, work, spare: spare | work.with_retry(**FAST) | spare,
    "retry of a chain": lambda m, work, spare: (spare | work).with_retry(**FAST) | spare,
    "branch": lambda m, work, spare: m.RunnableBranch((lambda n: n % 2 == 1, work), spare),
    "parallel": lambda m, work, spare: m.RunnableParallel(a=work.with_retry(**FAST), b=spare),
    "map": lambda m, work, spare: (
        m.RunnableLambda(lambda n: [n, 4]) | work.with_retry(**FAST).map()
    ),
    "bound": lambda m, work, spare: work.bind().with_config(tags=["t"]),
}
# The rows of docs/differences.md: what langchain-core tries again though the policy says no; where
# it puts outputs at the place of another input; where it goes on after a failure.
TRIED_MORE = {"retry of types": "retry-batch"}
MISPLACED = {"retry twice": "retry-places"}
GOES_ON = {"map": "batch-stop"}


class Tries:
    """The function under the policies; counts its calls by input."""

    def __init__(self, m: Any) -> None:
        self.seen: Counter[int] = Counter()
        self.work = m.RunnableLambda(self.call, self.acall)
        self.spare = m.RunnableLambda(lambda n: n, _same)

    def call(self, number: int) -> int:
        self.seen[number] += 1
        times, error = FATE[number]
        if self.seen[number] <= times:
            raise error(f"{number} cannot")
        return number

    async def acall(self, number: int) -> int:
        return self.call(number)


def fate(number: int) -> tuple[type[Exception], str]:
    """What stands at the place of an input that failed."""
    return FATE[number][1], f"{number} cannot"


async def _same(number: int) -> int:
    return number


def called(m: Any, program: str, colour: str, config: Any, keep: bool) -> tuple[Any, Counter[int]]:
    tries = Tries(m)
    runnable = PROGRAMS[program](m, tries.work, tries.spare)
    inputs = list(FATE)

    async def abatch() -> Any:
        return await runnable.abatch(inputs, config, return_exceptions=keep)

    try:
        if colour == "sync":
            got = runnable.batch(inputs, config, return_exceptions=keep)
        else:
            got = asyncio.run(abatch())
    except Exception as error:
        return (type(error), str(error)), tries.seen
    return [(type(o), str(o)) if isinstance(o, Exception) else o for o in got], tries.seen


@pytest.mark.parametrize("config", [None, {"max_concurrency": 1}, {"max_concurrency": 3}], ids=str)
@pytest.mark.parametrize("colour", ["sync", "async"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_the_same_stands_at_each_place(program: str, colour: str, config: Any) -> None:
    other, this = libraries()
    ours, tries = called(this, program, colour, config, keep=True)
    theirs, their_tries = called(other, program, colour, config, keep=True)
    if program in MISPLACED:
        assert theirs[2] == 1, "no difference any more"
        assert ours == [0, 1, fate(2), fate(3), 4, fate(5)]
    else:
        assert ours == theirs
    if program in GOES_ON:  # what stood behind a failure in the list may have been begun or not
        del tries[4], their_tries[4]
    if program in TRIED_MORE:
        assert tries[3] == 1 < their_tries[3], "no difference any more"
        del tries[3], their_tries[3]
    assert tries == their_tries


def test_each_difference_has_its_row() -> None:
    page = (Path(__file__).parents[2] / "docs" / "differences.md").read_text(encoding="utf-8")
    for key in {*TRIED_MORE.values(), *MISPLACED.values(), *GOES_ON.values()}:
        assert f'<a id="{key}">' in page


@pytest.mark.allows_leaks(reason="langchain-core goes on with the others when one fails")
@pytest.mark.parametrize("program", PROGRAMS)
def test_the_same_failure_is_raised(program: str) -> None:
    """One at a time, so that which one comes first is not by chance."""
    other, this = libraries()
    config = {"max_concurrency": 1}
    ours, theirs = (called(m, program, "sync", config, keep=False)[0] for m in (this, other))
    assert ours == theirs
