"""What a workload is to the clock: something prepared unseen, then timed.

`Job.kind` says how `go` is consumed: `"stream"` and `"astream"` return an (async) iterator that is
read to its end in a plain `for`, as a user would; `"value"` returns the result itself, `"avalue"` a
coroutine that gives it; `"crowd"` is a coroutine that returns a `Gathered`.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any


@dataclass
class Job:
    """One repetition of a workload."""

    kind: str
    go: Callable[[Any], Any]
    make: Callable[[], Any] = lambda: None  # prepares what `go` is given; not timed
    shown: Callable[[Any], Any] = lambda result: result  # of the result, what all must agree on
    sampled: int | None = None  # how many chunks it does, where it does not do all of them


@dataclass
class Gathered:
    """What the consumers of many streams saw: every text, and the seconds between two chunks."""

    texts: list[str] = field(default_factory=list)
    gaps: array[float] = field(default_factory=lambda: array("d"))  # small: memory is measured, too


class Library:
    """Headrace or langchain-core by the names that both have; imported as they are touched."""

    def __init__(self, package: str) -> None:
        self.package = package

    def __getattr__(self, module: str) -> Any:
        return import_module(f"{self.package}.{module}")


def collect(job: Job) -> Any:
    """The result of one repetition as contenders must agree on it: the list of chunks, or the
    value."""
    return job.shown(consume(job, job.make()))


def consume(job: Job, given: Any) -> Any:
    """`collect` with what was prepared."""
    if job.kind == "stream":
        return list(job.go(given))
    if job.kind == "astream":
        return asyncio.run(_listed(job.go, given))
    if job.kind in ("avalue", "crowd"):
        return asyncio.run(job.go(given))
    return job.go(given)


async def _listed(go: Callable[[Any], Any], given: Any) -> list[Any]:
    return [chunk async for chunk in go(given)]
