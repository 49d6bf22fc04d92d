"""What a workload is to the clock: something prepared unseen, then timed.

`Job.kind` says how `go` is consumed: `"stream"` and `"astream"` return an (async) iterator that is
read to its end in a plain `for`, as a user would; `"value"` returns the result itself; `"crowd"` is
a coroutine that returns a `Gathered`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

CONTENDERS = ("raw", "headrace", "langchain-core")
PACKAGES = {"headrace": "headrace", "langchain-core": "langchain_core"}


@dataclass
class Job:
    """One repetition of a workload."""

    kind: str
    go: Callable[[Any], Any]
    make: Callable[[], Any] = lambda: None  # prepares what `go` is given; not timed


@dataclass
class Gathered:
    """What the consumers of many streams saw: every text, and the seconds between two chunks."""

    texts: list[str] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)


class Library:
    """Headrace or langchain-core by the names that both have; imported as they are touched."""

    def __init__(self, package: str) -> None:
        self._package = package

    def __getattr__(self, module: str) -> Any:
        return import_module(f"{self._package}.{module}")


def job_for(contender: str, workload: str, size: int) -> Job:
    """The job of one contender; raises KeyError for a workload that it does not have."""
    if contender == "raw":
        from .raw import JOBS as RAW

        return RAW[workload](size)
    from .chains import JOBS

    return JOBS[workload](Library(PACKAGES[contender]), size)


def collect(job: Job) -> Any:
    """The result of one repetition: the list of chunks, or the value."""
    given = job.make()
    if job.kind == "stream":
        return list(job.go(given))
    if job.kind == "astream":
        return asyncio.run(_listed(job.go, given))
    if job.kind == "crowd":
        return asyncio.run(job.go(given))
    return job.go(given)


async def _listed(go: Callable[[Any], Any], given: Any) -> list[Any]:
    return [chunk async for chunk in go(given)]
