"""None is no step: a chain that gets one says so and where, instead of leaving it out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from headrace.errors import ConfigError
from headrace.runnables import RunnableLambda, RunnableSequence
from headrace.runnables.coerce import NotRunnableError

up: Any = RunnableLambda(str.upper)


@pytest.mark.parametrize(
    ("make", "place"),
    [
        (lambda: up | None, "Step 2 of 2"),
        (lambda: None | up, "Step 1 of 2"),
        (lambda: up.pipe(None), "Step 2 of 2"),
        (lambda: up.pipe(up, None, up), "Step 3 of 4"),
        (lambda: RunnableSequence(up, None, up), "Step 2 of 3"),
        (lambda: RunnableSequence(first=up, middle=[None], last=up), "Step 2 of 3"),
    ],
)
def test_none_as_a_step(make: Callable[[], Any], place: str) -> None:
    with pytest.raises(NotRunnableError, match=f"^{place} of a chain is None, which cannot be"):
        make()


def test_first_middle_and_last() -> None:
    assert RunnableSequence(first=up, last=len).steps == (up | len).steps
    assert len(RunnableSequence(first=up, middle=[up, up], last=len).steps) == 4
    with pytest.raises(ConfigError, match="at least two steps and got 1"):
        RunnableSequence(first=up)
