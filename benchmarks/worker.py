"""One measurement in a fresh process: `python -m benchmarks.worker CONTENDER WORKLOAD`.

Prints one JSON object, metric to number. Times per item are the best of several repetitions, in
processor time of the whole process (so that worker threads count), with the wall beside it. What
was prepared is moved out of the garbage collector's sight first; the collector stays on.
"""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from itertools import count, pairwise
from time import perf_counter, process_time
from typing import Any

from . import data
from .contenders import PACKAGES, job_for
from .jobs import Gathered, Job, consume
from .workloads import BY_NAME, Workload

BUDGET = 0.3  # seconds of repetitions, shared out among the sizes
FEWEST, MOST = 3, 400  # repetitions
FRAMES = 200  # chunks over which frames are counted
LONG = 1.0  # seconds: what takes longer is repeated no more than it must
STARTS = 3  # processes started for each import measured

GUIDE = """
from {0}.prompts import ChatPromptTemplate
from {0}.output_parsers import JsonOutputParser, StrOutputParser
from {0}.language_models import BaseChatModel
from {0}.runnables import RunnableGenerator, RunnableLambda, RunnablePassthrough
"""
IMPORTS = {"import": "import {0}", "import-guide": GUIDE}
COUNT = "import sys; held = len(sys.modules)\n{0}\nprint(len(sys.modules) - held)"

Times = tuple[float, float]  # processor and wall, seconds


# ------------------------------------------------------------------ timing


def _drain(job: Job) -> Callable[[Any], Times]:
    go = job.go

    def stream(given: Any) -> Times:
        wall, cpu = perf_counter(), process_time()
        for _ in go(given):
            pass
        return process_time() - cpu, perf_counter() - wall

    def value(given: Any) -> Times:
        wall, cpu = perf_counter(), process_time()
        go(given)
        return process_time() - cpu, perf_counter() - wall

    return value if job.kind == "value" else stream


async def _adrain(job: Job, given: Any) -> Times:
    wall, cpu = perf_counter(), process_time()
    if job.kind == "avalue":
        await job.go(given)
    else:
        async for _ in job.go(given):
            pass
    return process_time() - cpu, perf_counter() - wall


def best_of(job: Job, budget: float) -> Times:
    """The best processor time and the best wall of as many repetitions as the budget allows."""
    with asyncio.Runner() as runner:
        drain = _drain(job)
        if job.kind in ("astream", "avalue"):

            def drain(given: Any) -> Times:
                return runner.run(_adrain(job, given))

        given = job.make()
        gc.collect()
        gc.freeze()
        taken: list[Times] = []
        while len(taken) < MOST:
            taken.append(drain(given))
            spent = sum(wall for _, wall in taken)
            if spent > LONG or (spent > budget and len(taken) >= FEWEST):
                break
            given = job.make()
        gc.unfreeze()
    return min(cpu for cpu, _ in taken), min(wall for _, wall in taken)


# ------------------------------------------------------------------ what is reported


def measure(contender: str, workload: Workload) -> dict[str, float]:
    """Per item at the largest size, in µs; with several sizes also the worst doubling."""
    sizes = workload.sizes
    if contender == "langchain-core" and workload.lc_sizes:
        sizes = workload.lc_sizes
    times: dict[int, Times] = {}
    count = 0
    for size in sizes:
        job = job_for(contender, workload.name, size)
        cpu, wall = best_of(job, BUDGET / len(sizes))
        count = size * workload.items
        part = 1 if job.sampled is None else count / job.sampled
        times[size] = cpu * part, wall * part
    cpu, wall = times[sizes[-1]]
    found = {"cpu": cpu / count * 1e6, "wall": wall / count * 1e6}
    for small, large in pairwise(sizes):
        found[f"{large}/{small}"] = times[large][0] / times[small][0]
    if len(sizes) > 1:
        found["doubling"] = max(value for key, value in found.items() if "/" in key)
    if workload.beside:
        job = job_for(contender, workload.beside, sizes[-1])
        found["over"] = found["cpu"] - best_of(job, BUDGET)[0] / count * 1e6
    if any(metric.key == "frames" for metric in workload.metrics):
        frames = frames_per_chunk(contender, workload.name)
        found["frames"] = frames - frames_per_chunk(contender, workload.beside)
    return found


def frames_per_chunk(contender: str, name: str) -> float:
    """Python frames entered or resumed in this thread for one chunk more."""

    def frames(size: int) -> int:
        job, ticks = job_for(contender, name, size), count()

        def profile(frame: Any, event: str, argument: Any) -> None:
            if event == "call":
                next(ticks)

        given = job.make()
        sys.setprofile(profile)
        try:
            consume(job, given)
        finally:
            sys.setprofile(None)
        return next(ticks)

    frames(FRAMES)  # what is made once per process is made now
    return (frames(2 * FRAMES) - frames(FRAMES)) / FRAMES


def measure_crowd(contender: str, workload: Workload) -> dict[str, float]:
    """Seconds in all, the gap between two chunks that 99 of 100 stay below, processor time: of each
    the best of a few repetitions."""
    sizes = (workload.lc_sizes if contender == "langchain-core" else None) or workload.sizes
    job = job_for(contender, workload.name, sizes[0])

    async def run() -> tuple[Gathered, float, float]:
        wall, cpu = perf_counter(), process_time()
        seen = await job.go(None)
        return seen, process_time() - cpu, perf_counter() - wall

    chunks = sizes[0] * data.CROWD_CHUNKS
    found: list[dict[str, float]] = []
    for _ in range(FEWEST if sizes is workload.sizes else 1):
        seen, cpu, wall = asyncio.run(run())
        gaps = sorted(seen.gaps)
        gap = gaps[len(gaps) * 99 // 100]
        found.append({"seconds": wall, "gap": gap * 1e3, "cpu": cpu / chunks * 1e6})
    best = {key: min(one[key] for one in found) for key in found[0]}
    if any(metric.key == "peak" for metric in workload.metrics):
        best["peak"] = peak_of(lambda: asyncio.run(run())) / sizes[0] / 1e3
    return best


def measure_memory(contender: str, workload: Workload) -> dict[str, float]:
    """The most memory that was in use at once, in KB at the largest size, and in bytes for each
    thing more than at the smallest. What the job is given, and what is loaded by a first run, is
    there before."""
    sizes = (workload.lc_sizes if contender == "langchain-core" else None) or workload.sizes
    peaks = []
    first = job_for(contender, workload.name, sizes[0])
    asyncio.run(_adrain(first, first.make()))
    for size in sizes:
        job = job_for(contender, workload.name, size)
        given = job.make()
        peaks.append(peak_of(lambda: asyncio.run(_adrain(job, given))) / 1e3)  # noqa: B023
    more = (sizes[-1] - sizes[0]) * workload.items
    return {"peak": peaks[-1], "slope": (peaks[-1] - peaks[0]) * 1e3 / more}


def peak_of(run: Callable[[], object]) -> int:
    """Bytes in use at once, at most, over those in use before."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        run()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def measure_import(contender: str, workload: Workload) -> dict[str, float]:
    """Milliseconds of processor time of a process that imports, less those of one that does not,
    and how many modules it loads; for `raw`, those of bare Python."""
    code = "" if contender == "raw" else IMPORTS[workload.name].format(PACKAGES[contender])
    modules = int(_run(COUNT.format(code))[1])  # also writes the bytecode, unmeasured
    bare, full = [], []
    for _ in range(STARTS):
        bare.append(_run("")[0])
        full.append(_run(code)[0])
    total = min(full) if contender == "raw" else min(full) - min(bare)
    return {"ms": total * 1e3, "modules": modules}


def _run(code: str) -> tuple[float, str]:
    before = _children()
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True
    )
    return _children() - before, done.stdout


def _children() -> float:
    """Seconds of processor time of the processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


HOW = {"crowd": measure_crowd, "import": measure_import, "memory": measure_memory}


def main(contender: str, name: str) -> None:
    workload = BY_NAME[name]
    kind = name.partition("-")[0]
    how = HOW.get(kind, measure)
    json.dump(how(contender, workload), sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
