"""Costs as counts, which a busy machine does not change: Python calls, and bytes asked for.

A quadratic machine shows in one of them: it calls more for each piece, or it joins, slices or
copies what came before. `growth` says by what factor a cost grows where its input doubles.
"""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest

LAW = 2.2


class Calls:
    """What `counted_calls` gives: the number, once the block is left."""

    total = 0


@contextmanager
def counted_calls() -> Iterator[Calls]:
    """Calls of Python functions (generators resumed included), in this thread and in the jobs that
    worker threads are given meanwhile."""
    calls, ticks = Calls(), count()

    def profile(frame: Any, event: str, argument: Any) -> None:
        if event == "call":
            next(ticks)  # one step of the interpreter: no lock needed

    def counting(pool: Any, job: Any, *args: Any, **kwargs: Any) -> Any:
        def profiled() -> Any:
            sys.setprofile(profile)
            try:
                return job(*args, **kwargs)
            finally:
                sys.setprofile(None)

        return submit(pool, profiled)

    submit = ThreadPoolExecutor.submit
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ThreadPoolExecutor, "submit", counting)
        sys.setprofile(profile)
        try:
            yield calls
        finally:
            sys.setprofile(None)
            calls.total = next(ticks)


def growth(cost: Callable[[int], float], n: int) -> float:
    """By what factor a cost grows where the chunks double, apart from what is spent once: what
    2n chunks more cost, from 2n on, to what n more cost, from n on."""
    return (cost(4 * n) - cost(2 * n)) / max(1.0, cost(2 * n) - cost(n))


def bytes_asked(run: Callable[[Iterator[Any]], Any], pieces: Iterable[Any]) -> int:
    """How many bytes more than before each piece made `run` hold at the most, all pieces together:
    a copy of what came before counts each time it is made, though it is soon dropped."""
    asked = 0

    def measured() -> Iterator[Any]:
        nonlocal asked
        for piece in pieces:
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            yield piece
            asked += tracemalloc.get_traced_memory()[1] - before

    tracemalloc.start()
    try:
        run(measured())
    finally:
        tracemalloc.stop()
    return asked


def assert_linear(
    run: Callable[[Iterator[Any]], Any], pieces: Callable[[int], list[Any]], n: int
) -> None:
    """Twice the pieces, at most 2.2 times the calls and the bytes. `run` reads all it is given."""

    def calls(size: int) -> int:
        given = pieces(size)
        with counted_calls() as counter:
            run(iter(given))
        return counter.total

    run(iter(pieces(2)))  # what is made once per process is made now
    for cost in (calls, lambda size: bytes_asked(run, pieces(size))):
        assert growth(cost, n) <= LAW, [cost(size) for size in (n, 2 * n, 4 * n)]
