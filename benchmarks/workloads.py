"""The table of workloads: what is run, in which sizes, what is reported of it, and the aims.

A workload is a name here and a function of that name in `raw.py` and `chains.py` (imports have no
function: `worker.py` starts processes for them). A `Metric` is a row of the report: a number that
the worker gives, with its unit and the aim. Aims compare numbers of the same round.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

STREAM = 2_000  # chunks of one stream
GROWTH = (1_000, 2_000, 4_000, 8_000)
SUM = (1_000, 2_000, 4_000)
DOUBLING = 2.2  # twice the chunks may cost this many times as much


@dataclass(frozen=True)
class Aim:
    """`of` is what the limit is for: `"raw"` (at most so many times the hand-written version),
    `"faster"` (at least so many times faster than langchain-core) or `"value"` (at most)."""

    of: str
    limit: float


@dataclass(frozen=True)
class Metric:
    """A row of the report. `key` is the worker's name for the number; `compared` is False for
    numbers of which a ratio says nothing."""

    key: str
    title: str
    unit: str
    aim: Aim | None = None
    compared: bool = True


@dataclass(frozen=True)
class Workload:
    """`sizes`: how many chunks or calls, each measured by itself. langchain-core gets
    `lc_sizes` and `lc_rounds` where it would take minutes. `result`: in which form the contenders'
    results are compared in the tests. `beside`: a workload that does the same without what this one
    adds; the worker reports the difference."""

    name: str
    metrics: tuple[Metric, ...]
    sizes: tuple[int, ...] = (STREAM,)
    lc_sizes: tuple[int, ...] | None = None
    lc_rounds: int | None = None
    result: str = "whole"  # "whole", "by key" (the order between branches is free) or "last"
    beside: str = ""
    items: int = 1  # what is counted, per chunk: three events for each
    note: str = ""


def raw(limit: float) -> Aim:
    return Aim("raw", limit)


def faster(limit: float) -> Aim:
    return Aim("faster", limit)


def at_most(limit: float) -> Aim:
    return Aim("value", limit)


def per(what: str, title: str, aim: Aim | None) -> tuple[Metric, ...]:
    return (Metric("cpu", title, f"µs/{what}", aim),)


def watched(what: str, title: str, aim: Aim | None, over: Aim) -> tuple[Metric, ...]:
    """A run that is watched, beside the same unwatched."""
    return (
        Metric("cpu", title, f"µs/{what}", aim),
        Metric("over", f"{title}: over the same unwatched", f"µs/{what}", over, False),
    )


def growing(title: str) -> tuple[Metric, ...]:
    return (
        Metric("cpu", title, "µs/chunk"),
        Metric("doubling", f"{title}: twice the chunks cost", "times", at_most(DOUBLING), False),
    )


def added(title: str, aim: Aim) -> tuple[Metric, ...]:
    """A workload beside a bare one: all of it, what it adds in time, and in frames."""
    return (
        Metric("cpu", title, "µs/chunk", aim),
        Metric("over", f"{title}: over the bare chain", "µs/chunk"),
        Metric("frames", f"{title}: frames added", "per chunk", at_most(3), False),
    )


def growing_json() -> Iterator[Workload]:
    """For each size the machine, beside who reads all again for each value; then the parser."""
    for kb in (1, 8, 64, 256):
        sizes, what = (kb * 256,), f"JSON of {kb} KB in pieces of 4 characters"
        yield Workload(
            f"json-{kb}k",
            per("chunk", f"{what}, a value after each", raw(1)),
            sizes=sizes,
            lc_rounds=2,
            result="last",
            note="" if kb > 1 else JITER,
        )
        yield Workload(
            f"json-parser-{kb}k",
            per("chunk", f"{what}, JsonOutputParser", faster(200) if kb == 8 else None),
            sizes=sizes,
            lc_sizes=(min(kb, 8) * 256,),
            lc_rounds=1,
            result="last",
            note=PYDANTIC if kb == 1 else SMALLER if kb > 8 else "",
        )


JITER = (
    "here and for the larger ones, the raw column is `jiter.from_json(partial_mode=...)` and "
    "langchain-core's its `parse_partial_json`, which read all again for each value; the mean over "
    "the stream, from 64 prefixes"
)
PYDANTIC = (
    "here and for the larger ones, the raw column is `pydantic_core.from_json(allow_partial=...)`"
)
SMALLER = "langchain-core with 8 KB; its cost per chunk grows with the text"
EVENTS = (1_250, 2_500, 5_000, 10_000, 20_000)
LOGS = (500, 1_000, 2_000, 4_000)
CHAT = "prompt | fake model | StrOutputParser"
OWN = "branches: two parsers, a user's parser, passthrough"
GENERATORS = "branches: four generator functions"
RETRY = "a function under retry, every third fails once"
POLICIES = "3 steps under retry, a branch and fallbacks"

WORKLOADS = (
    Workload("steps-3", per("chunk", "stream, 3 steps, pre-built chunks", raw(2))),
    Workload("steps-3-async", per("chunk", "astream, 3 steps, pre-built chunks", raw(2.5))),
    Workload("steps-10", per("chunk", "stream, 10 generator steps", raw(2))),
    Workload("steps-10-async", per("chunk", "astream, 10 generator steps", raw(2))),
    Workload("chat", per("chunk", f"stream, {CHAT}", faster(40))),
    Workload("chat-async", per("chunk", f"astream, {CHAT}", faster(150))),
    Workload(
        "parallel",
        per("chunk", f"stream, parallel of 4, {OWN}", faster(10)),
        sizes=(1_000,),
        result="by key",
    ),
    Workload(
        "parallel-async",
        per("chunk", f"astream, parallel of 4, {OWN}", faster(10)),
        sizes=(1_000,),
        result="by key",
    ),
    Workload(
        "parallel-generators",
        per("chunk", f"stream, parallel of 4, {GENERATORS}", faster(10)),
        sizes=(1_000,),
        result="by key",
    ),
    Workload(
        "parallel-generators-async",
        per("chunk", f"astream, parallel of 4, {GENERATORS}", faster(10)),
        sizes=(1_000,),
        result="by key",
    ),
    Workload("invoke-lambdas", per("call", "invoke, 3 lambdas", faster(40)), sizes=(200,)),
    Workload("invoke-chat", per("call", f"invoke, {CHAT}", faster(20)), sizes=(200,)),
    Workload("batch", per("input", f"batch of 1,000, {CHAT}", faster(20)), sizes=(1_000,)),
    Workload("policies", added(f"stream, {POLICIES}", faster(10)), beside="steps-3"),
    Workload("policies-async", added(f"astream, {POLICIES}", faster(10)), beside="steps-3-async"),
    Workload("each", per("item", "map of 1,000, StrOutputParser", faster(10)), sizes=(1_000,)),
    Workload(
        "each-async", per("item", "async map of 1,000, StrOutputParser", faster(10)), sizes=(1_000,)
    ),
    Workload("each-function", per("item", "map of 1,000, a function", faster(10)), sizes=(1_000,)),
    Workload(
        "each-function-async",
        per("item", "async map of 1,000, an async function", faster(10)),
        sizes=(1_000,),
    ),
    Workload(
        "each-blocking-async",
        per("item", "async map of 1,000, a blocking function (threads)", faster(10)),
        sizes=(1_000,),
    ),
    Workload("batch-retry", per("input", f"batch of 1,000, {RETRY}", faster(10)), sizes=(1_000,)),
    Workload(
        "batch-retry-async",
        per("input", f"abatch of 1,000, {RETRY}", faster(10)),
        sizes=(1_000,),
    ),
    Workload(
        "build-chunk", per("chunk", "AIMessageChunk(content=...)", at_most(0.6)), sizes=(5_000,)
    ),
    Workload("add-chunks", per("sum", "a + b, two text chunks", at_most(1.2)), sizes=(5_000,)),
    Workload(
        "add-chunks-read",
        per("sum", "(a + b).content, two text chunks", at_most(1.2)),
        sizes=(5_000,),
    ),
    Workload("sum-text", growing("a + b + c ..., text chunks"), sizes=SUM),
    Workload(
        "sum-tool-calls",
        growing("a + b + c ..., tool-call chunks"),
        sizes=SUM,
        lc_sizes=(250, 500, 1_000),
        lc_rounds=1,
    ),
    Workload(
        "crowd",
        (
            Metric("seconds", "1,000 concurrent astreams of 100 chunks, in all", "s", raw(1.5)),
            Metric("gap", "the same, p99 gap between chunks", "ms", raw(1.5)),
            Metric("cpu", "the same, processor time", "µs/chunk"),
        ),
        sizes=(1_000,),
        lc_sizes=(100,),
        lc_rounds=1,
        note="langchain-core with 100 streams instead of 1,000, once: its seconds and gaps stand "
        "for a tenth of the work",
    ),
    Workload(
        "events",
        watched("event", f"astream_events, {CHAT}, 10,000 chunks", faster(30), at_most(2)),
        sizes=(10_000,),
        lc_sizes=(2_000,),
        lc_rounds=2,
        beside="chat-async",
        items=3,
        note="langchain-core with 2,000 chunks",
    ),
    Workload(
        "events-sync",
        watched("event", f"stream_events, {CHAT}, 10,000 chunks", None, at_most(3)),
        sizes=(10_000,),
        lc_rounds=0,
        beside="chat",
        items=3,
        note="langchain-core has no such thing",
    ),
    Workload(
        "handler",
        watched("token", f"astream, {CHAT}, a handler that counts tokens", faster(10), at_most(1)),
        beside="chat-async",
    ),
    Workload(
        "log",
        per("chunk", f"astream_log, {CHAT}, 4,000 chunks", faster(40)),
        sizes=(4_000,),
        lc_rounds=1,
    ),
    Workload(
        "log-states",
        per("chunk", f"astream_log(diff=False), {CHAT}, 1,000 chunks", faster(40)),
        sizes=(1_000,),
        lc_sizes=(250,),
        lc_rounds=1,
        note="langchain-core with 250 chunks; its cost per chunk grows with their number",
    ),
    Workload(
        "memory-events",
        (
            Metric("peak", "astream_events of 20,000 chunks, peak memory", "KB"),
            Metric("slope", "the same, more for each event more", "bytes", at_most(4), False),
        ),
        sizes=(1_250, 20_000),
        lc_sizes=(1_250, 2_500),
        lc_rounds=1,
        items=3,
        note="for a consumer that keeps no event, in chunks of one letter, so that the letters of "
        "the outputs are what grows; langchain-core with 2,500 chunks",
    ),
    Workload(
        "crowd-events",
        (
            Metric("seconds", "400 concurrent astream_events of 100 chunks, in all", "s", raw(3)),
            Metric("gap", "the same, p99 gap between chunks", "ms"),
            Metric("cpu", "the same, processor time", "µs/chunk"),
            Metric("peak", "the same, memory per stream", "KB", at_most(32)),
        ),
        sizes=(400,),
        lc_sizes=(100,),
        lc_rounds=1,
        note="langchain-core with 100 streams instead of 400, once",
    ),
    Workload(
        "import",
        (
            Metric("ms", "import headrace, over bare Python", "ms", at_most(60), False),
            Metric("modules", "the same, modules loaded", "", None, False),
        ),
        note="the raw column is bare Python",
    ),
    Workload(
        "import-guide",
        (
            Metric("ms", "the guide's imports, over bare Python", "ms", faster(5), False),
            Metric("modules", "the same, modules loaded", "", None, False),
        ),
        note="prompts, parsers, chat model base, runnables; the raw column is bare Python",
    ),
    Workload("grow-stream", growing("growth of stream, 1k to 8k chunks"), sizes=GROWTH),
    Workload(
        "grow-concat",
        growing("growth of message chunks into a function"),
        sizes=GROWTH,
        lc_sizes=(1_000, 2_000),
        lc_rounds=1,
    ),
    Workload(
        "grow-parallel",
        growing("growth of parallel of 4"),
        sizes=GROWTH,
        lc_sizes=(1_000, 2_000),
        lc_rounds=1,
        result="by key",
    ),
    Workload(
        "grow-json",
        growing("growth of JsonOutputParser"),
        sizes=GROWTH,
        lc_sizes=(500, 1_000),
        lc_rounds=1,
        result="last",
    ),
    *growing_json(),
    Workload(
        "grow-json-text",
        growing("growth of JsonStream, 1 KB to 1 MB, a value after each piece"),
        sizes=tuple(256 * 2**doublings for doublings in range(11)),
        lc_sizes=(256, 512, 1024),
        lc_rounds=1,
        result="last",
        note="the raw column is `json.loads` of all of it, once, at the end",
    ),
    Workload(
        "grow-events",
        growing("growth of astream_events, 1k to 20k chunks"),
        sizes=EVENTS,
        lc_sizes=(500, 1_000),
        lc_rounds=1,
    ),
    Workload(
        "grow-log",
        growing("growth of astream_log"),
        sizes=LOGS,
        lc_sizes=(500, 1_000),
        lc_rounds=1,
    ),
    Workload(
        "grow-log-states",
        growing("growth of astream_log(diff=False)"),
        sizes=LOGS,
        lc_sizes=(125, 250),
        lc_rounds=1,
    ),
)
BY_NAME = {workload.name: workload for workload in WORKLOADS}
