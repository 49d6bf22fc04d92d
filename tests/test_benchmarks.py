"""What is measured is the same work: each workload gives one result, whoever does it.

Nothing here looks at a clock; `make bench` does. Sizes are small, the code is the benchmarks' own.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import check_floors

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))  # `python -m pytest` has it there, `pytest` has not

from benchmarks import agents, data, report, retrieval  # noqa: E402
from benchmarks.contenders import CHAINS, CONTENDERS, RAW, job_for  # noqa: E402
from benchmarks.jobs import collect  # noqa: E402
from benchmarks.worker import IMPORTS, best_of, frames_per_chunk, measure  # noqa: E402
from benchmarks.workloads import BY_NAME, WORKLOADS, Aim, Metric, Workload  # noqa: E402

# langchain-core would have its astream_log used no more
pytestmark = pytest.mark.filterwarnings("ignore:astream_log is deprecated:DeprecationWarning")

SIZE = 9
TIMED = [workload.name for workload in WORKLOADS if workload.name not in IMPORTS]


def by_key(chunks: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """What each branch gave, in its order; the order between branches is free."""
    columns: dict[str, list[Any]] = {}
    for chunk in chunks:
        for key, value in chunk.items():
            columns.setdefault(key, []).append(value)
    return columns


def result(contender: str, workload: Workload) -> Any:
    job = job_for(contender, workload.name, SIZE)
    found = collect(job)
    if job.kind == "crowd":
        return found.texts, len(found.gaps)
    if workload.result == "by key":
        return by_key(found)
    return found[-1] if workload.result == "last" else found


@pytest.fixture(autouse=True)
def short_crowd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "CROWD_CHUNKS", 4)
    monkeypatch.setattr(data, "PAUSE", 0)


@pytest.mark.parametrize("name", TIMED)
def test_contenders_give_the_same(name: str) -> None:
    workload = BY_NAME[name]
    by_hand = result("raw", workload)
    assert by_hand
    assert result("headrace", workload) == by_hand
    if workload.lc_rounds != 0:
        assert result("langchain-core", workload) == by_hand


@pytest.mark.parametrize("name", TIMED)
def test_a_job_can_be_repeated(name: str) -> None:
    job = job_for("headrace", name, SIZE)
    first, second = collect(job), collect(job)
    if job.kind == "crowd":
        first, second = first.texts, second.texts
    assert by_key(first) == by_key(second) if "parallel" in name else first == second


def test_json_grows_chunk_by_chunk() -> None:
    """The last value alone would also be right for a parser that waits for the end."""
    seen = {c: collect(job_for(c, "grow-json", 40)) for c in CONTENDERS}
    assert seen["headrace"] == seen["langchain-core"]
    assert len(seen["headrace"]) > 20


@pytest.mark.parametrize("size", [9, 100, 1000])
def test_json_comes_in_pieces_of_four_characters(size: int) -> None:
    pieces = data.json_fours(size)
    assert {len(piece) for piece in pieces} == {4}
    assert len(pieces) == size
    assert list(json.loads("".join(pieces))) == ["countries", "note"]


def test_who_reads_all_again_does_so_for_prefixes_as_far_from_each_other() -> None:
    """What is measured is said of every chunk, so the sample is even and has the end in it."""
    for contender in ("raw", "langchain-core"):
        job = job_for(contender, "json-8k", 2048)
        assert job.sampled == 64
        found = [len(json.dumps(value)) for value in collect(job)]
        steps = [after - before for before, after in pairwise(found)]
        assert all(50 < step < 250 for step in steps), (
            "two 64ths of 8 KB, and what is not shown yet"
        )
        assert found[-1] == 8192


def test_a_sample_is_counted_for_all() -> None:
    """64 of 2,048 chunks take a 32nd of the time of all."""
    workload = Workload("json-8k", BY_NAME["json-8k"].metrics, sizes=(2048,))
    found = measure("raw", workload)
    job = job_for("raw", "json-8k", 2048)
    assert 0.2 < found["cpu"] / (best_of(job, 0.3)[0] / 64 * 1e6) < 5


def test_every_workload_is_there_for_every_contender() -> None:
    assert set(RAW) == set(CHAINS) == set(TIMED)
    assert set(IMPORTS) == {workload.name for workload in WORKLOADS} - set(TIMED)
    assert len(BY_NAME) == len(WORKLOADS)


def test_the_benchmarks_keep_the_rules_of_the_library() -> None:
    """No import cycle, files and functions of the usual size."""
    package = ROOT / "benchmarks"
    names = tuple("" if p.stem == "__init__" else p.stem for p in package.glob("*.py"))
    report_of = check_floors.check(package, check_floors.Rules(floors=(names,), budgets=()))
    assert not report_of.problems


def test_aims_are_the_ones_promised() -> None:
    aims = {(w.name, m.key): (m.aim.of, m.aim.limit) for w in WORKLOADS for m in w.metrics if m.aim}
    assert aims[("steps-3", "cpu")] == ("raw", 2)
    assert aims[("steps-3-async", "cpu")] == ("raw", 2.5)
    assert aims[("steps-10", "cpu")] == aims[("steps-10-async", "cpu")] == ("raw", 2)
    assert aims[("chat", "cpu")] == ("faster", 40)
    assert aims[("chat-async", "cpu")] == ("faster", 150)
    assert {aims[(w, "cpu")] for w in TIMED if w.startswith("parallel")} == {("faster", 10)}
    assert aims[("invoke-lambdas", "cpu")] == ("faster", 40)
    assert aims[("invoke-chat", "cpu")] == aims[("batch", "cpu")] == ("faster", 20)
    combinators = {w for w in TIMED if w.startswith(("policies", "each", "batch-retry"))}
    assert {aims[(w, "cpu")] for w in combinators} == {("faster", 10)}
    assert aims[("policies", "frames")] == aims[("policies-async", "frames")] == ("value", 3)
    assert aims[("build-chunk", "cpu")] == ("value", 0.6)
    assert aims[("add-chunks", "cpu")] == aims[("add-chunks-read", "cpu")] == ("value", 1.2)
    assert {aims[(f"json-{kb}k", "cpu")] for kb in (1, 8, 64, 256)} == {("raw", 1)}
    assert aims[("json-parser-8k", "cpu")] == ("faster", 200)
    assert aims[("crowd", "seconds")] == aims[("crowd", "gap")] == ("raw", 1.5)
    assert aims[("events", "cpu")] == ("faster", 30)
    assert aims[("events", "over")] == ("value", 2)
    assert aims[("handler", "over")] == ("value", 1)
    assert aims[("log", "cpu")] == aims[("log-states", "cpu")] == ("faster", 40)
    assert aims[("crowd-events", "seconds")] == ("raw", 3)
    assert aims[("crowd-events", "peak")] == ("value", 32)
    assert aims[("import", "ms")] == ("value", 60)
    assert aims[("import-guide", "ms")] == ("faster", 5)
    growing = {key for key in aims if key[1] == "doubling"}
    assert {name for name, _ in growing} == {w for w in TIMED if w.startswith(("sum", "grow"))}
    assert {aims[key] for key in growing} == {("value", 2.2)}


# ------------------------------------------------------------------ clock and report


def test_measuring_gives_every_number_that_is_reported() -> None:
    workload = Workload("steps-3", BY_NAME["grow-stream"].metrics, sizes=(10, 20))
    found = measure("headrace", workload)
    assert {metric.key for metric in workload.metrics} <= set(found)
    assert found["doubling"] == found["20/10"]
    assert all(number > 0 for number in found.values())


def test_the_best_repetition_counts_and_each_gets_a_preparation_of_its_own() -> None:
    made: list[int] = []
    job = job_for("raw", "steps-3", 5)
    inner, job.make = job.make, lambda: made.append(len(made)) or inner()  # type: ignore[func-returns-value]
    cpu, wall = best_of(job, budget=0.0)
    assert min(cpu, wall) > 0
    assert made == [0, 1, 2]


@pytest.mark.parametrize("name", ["policies", "policies-async"])
def test_policies_are_measured_beside_the_bare_chain(name: str) -> None:
    """A frame for each of the three, by hand and here; all three are at work."""
    workload = Workload(name, BY_NAME[name].metrics, sizes=(20,), beside=BY_NAME[name].beside)
    for contender in ("raw", "headrace"):
        found = measure(contender, workload)
        assert {metric.key for metric in workload.metrics} <= set(found)
        assert found["frames"] == 3
    bare = result("headrace", BY_NAME[workload.beside])
    assert result("headrace", workload) == bare
    per_chunk = frames_per_chunk("headrace", workload.beside)
    assert per_chunk >= 4, "three steps and the root"


def test_every_third_item_of_a_retried_batch_fails_once() -> None:
    flaky = data.Flaky()
    for contender in CONTENDERS:
        for name in ("batch-retry", "batch-retry-async"):
            found = collect(job_for(contender, name, SIZE))
            assert found == [0, 1, 2, -3, 4, 5, -6, 7, 8]
    with pytest.raises(ConnectionError):
        flaky.call(3)
    assert (flaky.call(3), flaky.call(4)) == (-3, 4)


RATIO = Workload("steps-3", (Metric("cpu", "title", "µs", Aim("raw", 2)),))
FASTER = Workload("chat", (Metric("cpu", "a | b", "µs", Aim("faster", 40)),))


def numbers(*values: float) -> list[dict[str, float]]:
    return [{"cpu": value} for value in values]


def test_a_ratio_is_the_median_of_the_rounds_ratios() -> None:
    found = {"steps-3": {"raw": numbers(1, 10, 1), "headrace": numbers(1.5, 25, 1.9)}}
    (row,) = report.rows(found, [RATIO])
    assert row.times_raw == 1.9
    assert row.met is True
    assert (row.raw, row.headrace, row.langchain) == (1, 1.9, None)


@pytest.mark.parametrize(("theirs", "met"), [(numbers(90), True), (numbers(60), False)])
def test_a_contender_of_fewer_rounds_stands_by_its_median(theirs: Any, met: bool) -> None:
    found = {"chat": {"headrace": numbers(2, 2, 1), "langchain-core": theirs}}
    (row,) = report.rows(found, [FASTER])
    assert row.met is met
    assert row.times_faster == theirs[0]["cpu"] / 2
    assert row.cells()[-1] == ("yes" if met else "NO")


def test_tables_show_every_row_and_keep_their_columns() -> None:
    found = {"chat": {"headrace": numbers(2), "langchain-core": numbers(90), "raw": numbers(0.5)}}
    made = report.rows(found, [RATIO, FASTER])
    text = report.as_text(made, ["a note"])
    assert "a | b" in text and "45x" in text and text.endswith("a note")
    markdown = report.as_markdown(made, {"date": "today"}, [])
    line = next(line for line in markdown.splitlines() if "45x" in line)
    assert line.count("|") == len(report.HEAD) + 1
    assert "- date: today" in markdown


def test_the_page_has_a_row_for_every_metric() -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8").replace("&#124;", "|")
    missing = [m.title for w in WORKLOADS for m in w.metrics if m.title not in page]
    assert not missing, "run `python -m benchmarks --markdown`"


# ------------------------------------------------------------------ agents


@pytest.fixture
def uncollected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Collecting garbage takes long in a process of many tests, and no time is looked at here."""
    for module in (agents, retrieval):
        monkeypatch.setattr(module, "gc", SimpleNamespace(collect=lambda: 0))


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


def plain(thing: Any) -> Any:
    """What a measurement of agents gave, for either library: messages by what they say."""
    if isinstance(thing, (list, tuple)):
        return [plain(each) for each in thing]
    if not hasattr(thing, "type"):
        return {k: plain(v) for k, v in thing.items()} if isinstance(thing, dict) else thing
    calls = [(call["args"], call["id"]) for call in getattr(thing, "tool_calls", ())]
    return (thing.type, thing.content, calls, getattr(thing, "tool_call_id", None))


def in_any_order(found: list[Any]) -> list[str]:
    """Of calls made at once any may be the first."""
    return sorted(repr(plain(each)) for each in found)


AGENT_JOBS = {contender: agents.jobs(contender, 2, 3) for contender in agents.CONTENDERS}


@pytest.mark.parametrize("name", AGENT_JOBS["headrace"])
def test_agents_do_the_same(name: str, runner: asyncio.Runner) -> None:
    ours, theirs = (
        agents.result_of(AGENT_JOBS[contender][name][0], runner) for contender in AGENT_JOBS
    )
    if name.endswith("events"):  # libraries have their own; models and tools are told of by both
        kinds = ("on_tool_start", "on_tool_end", "on_chat_model_end")
        ours, theirs = ([(e["event"], e["name"]) for e in events if e["event"] in kinds
                         and "Streamed" not in e["name"]] for events in (ours, theirs))  # fmt: skip
        assert ("on_tool_end", "add") in ours
    if name.endswith("messages"):  # beside each comes metadata, which each library words its way
        ours, theirs = ([message for message, _ in pairs] for pairs in (ours, theirs))
    assert in_any_order(ours) == in_any_order(theirs)
    assert len(ours) >= 3


@pytest.mark.usefixtures("uncollected")
def test_each_contender_measures_the_same_of_agents() -> None:
    assert list(AGENT_JOBS["headrace"]) == list(AGENT_JOBS["langchain"])
    found = agents.measure(rounds=1, steps=1, calls=2)
    assert list(found) == list(AGENT_JOBS["headrace"])
    assert all(times.keys() >= agents.CONTENDERS.keys() for times in found.values())
    lines = agents.report(found).splitlines()
    assert len(lines) == 1 + len(found) + 1, "a head, and what asyncio takes"


def test_what_is_less_than_ten_times_faster_is_marked() -> None:
    times = {"near": {"headrace": 10.0, "langchain": 99.0},
             "far": {"headrace": 10.0, "langchain": 100.0}}  # fmt: skip
    _, near, far = agents.report(times).splitlines()
    assert near.endswith("9.9x  below 10") and far.endswith("10.0x")


def test_agents_that_do_less_are_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agents, "jobs", lambda *given: {"lazy": (lambda: [1], 2)})
    with pytest.raises(AssertionError, match="2 things were to be done and 1 were"):
        agents.measure(rounds=1, steps=1, calls=1)


# ------------------------------------------------------------------ retrieval

SMALL = retrieval.Sizes(chunks=24, vectors=60, searches=3)


@pytest.mark.usefixtures("uncollected")
def test_retrieval_counts_what_it_does(tmp_path: Path, runner: asyncio.Runner) -> None:
    names: dict[str, set[str]] = {}
    for job in retrieval.jobs(SMALL, tmp_path):
        assert retrieval._timed(job, runner) > 0
        names.setdefault(job.name, set()).add(job.contender)
    assert all("headrace" in contenders for contenders in names.values())
    assert names["index, memory, records in memory"] == {"headrace", "langchain"}
    assert names["in memory, 24"] == {"headrace", "langchain"}
    assert names["FAISS flat, 60"] == names["FAISS hnsw, 60"] == {"headrace", "bare"}
    assert names["BM25, 24"] == {"headrace", "bare"}


def test_stores_that_are_compared_find_the_same() -> None:
    texts, vectors = retrieval.texts_of(SMALL.vectors), retrieval.vectors_of(SMALL.vectors)
    known = retrieval.known_of(texts, vectors)
    found = []
    for core in retrieval.CORES.values():
        model = retrieval.embeddings_of(core, known)
        store = retrieval.import_module(f"{core}.vectorstores").InMemoryVectorStore(model)
        store.add_documents(retrieval.documents_of(core, texts))
        documents = store.as_retriever(search_kwargs={"k": 4}).invoke(texts[7])
        found.append([each.page_content for each in documents])
    assert found[0] == found[1]
    assert found[0][0] == texts[7]


def test_a_search_that_finds_too_little_is_not_measured(runner: asyncio.Runner) -> None:
    job = retrieval.Job("lazy", "headrace", lambda: lambda: 3, 4, "search")
    with pytest.raises(AssertionError, match="lazy by headrace did 3 of 4"):
        retrieval._timed(job, runner)


def test_retrieval_is_told_beside_what_it_is_compared_with() -> None:
    found = {"both": {"headrace": 3.0, "langchain": 6.0, "bare": 2.0}, "alone": {"headrace": 1.0}}
    _, both, alone = retrieval.report(found).splitlines()
    assert both.split()[1:] == ["3.0", "6.0", "(0.50)", "2.0", "(1.50)"]
    assert alone.split() == ["alone", "1.0"]
