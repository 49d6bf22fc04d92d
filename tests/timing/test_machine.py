"""`Timings` over events whose times are set: nothing here waits."""

from __future__ import annotations

from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.events import (
    CustomEvent,
    RunCancelled,
    RunChunk,
    RunEnded,
    RunFailed,
    RunRetried,
    RunStarted,
)
from headrace.timing import Gaps, NoRunError, RunTiming, Timings, table


class FakeRun:
    """What an event tells of its run."""

    run_type = "chain"
    all_tags: list[str] = []  # noqa: RUF012
    metadata: dict[str, str] = {}  # noqa: RUF012

    def __init__(self, name, above=None, step=None):
        self.id, self.name, self.above = uuid4(), name, above
        self.tag = None if step is None else f"seq:step:{step}"
        label = name if step is None else f"{step}:{name}"
        self.path = label if above is None else f"{above.path}/{label}"

    @property
    def parent_ids(self):
        return [] if self.above is None else [*self.above.parent_ids, self.above.id]


class Film:
    """Events at given seconds, 1,000 s after the clock's zero."""

    def __init__(self, **options):
        self.times = Timings(**options)

    def __call__(self, at, kind, run, *what):
        event = kind(run, 0, *what)
        event.time = 1000.0 + at
        assert self.times.feed(event) == ()

    def start(self, at, *runs):
        for run in runs:
            self(at, RunStarted, run, None)

    def chunk(self, at, *runs):
        for run in runs:
            self(at, RunChunk, run, "x")

    def end(self, at, *runs):
        for run in runs:
            self(at, RunEnded, run, None, None)

    def held(self):
        return {run.name: pytest.approx(run.held, abs=1e-9) for run in self.times.runs}


def pipeline():
    root = FakeRun("chain")
    return root, *(
        FakeRun(name, root, n) for n, name in enumerate(("prompt", "model", "parser"), 1)
    )


# ---- the times of one run -----------------------------------------------------------------------


def test_one_stream():
    run, film = FakeRun("model"), Film(idle=0.5)
    film.start(0, run)
    for at in (0.25, 0.35, 0.45, 1.45):
        film.chunk(at, run)
    before = film.times.root
    assert (before.status, before.ended) == ("running", None)
    film.end(1.75, run)
    found = film.times.root
    assert (found.path, found.name, found.run_type) == ("model", "model", "chain")
    assert (found.started, found.first_chunk, found.ended) == (1000.0, 0.25, 1.75)
    assert (found.chunks, found.status) == (4, "ended")
    assert found.rate == pytest.approx(3 / 1.2)
    assert (found.p50, found.p99) == (pytest.approx(0.1), pytest.approx(1.0))
    assert (found.idle, found.idle_total) == (1, pytest.approx(1.0))
    assert found.steps == []
    waits = [(round(wait.at, 6), round(wait.seconds, 6)) for wait in found.longest]
    assert waits[:3] == [(0.45, 1.0), (1.45, 0.3), (0.0, 0.25)]
    assert len(waits) == 5


def test_no_chunk_and_one():
    run, film = FakeRun("value"), Film()
    film.start(0, run)
    film.end(2, run)
    found = film.times.root
    assert (found.first_chunk, found.chunks, found.rate, found.p50, found.p99) == (
        None,
        0,
        *[None] * 3,
    )
    run = FakeRun("one")
    film = Film()
    film.start(0, run)
    film.chunk(1, run)
    film.end(2, run)
    found = film.times.root
    assert (found.first_chunk, found.chunks, found.rate, found.p50) == (1.0, 1, None, None)


@pytest.mark.parametrize(
    ("kind", "what", "status"),
    [(RunFailed, (ValueError(), None), "failed"), (RunCancelled, (None,), "cancelled")],
)
def test_other_ends(kind, what, status):
    run, film = FakeRun("model"), Film()
    film.start(0, run)
    film(1, kind, run, *what)
    assert (film.times.root.status, film.times.root.ended) == (status, 1.0)


def test_events_of_no_interest_and_of_runs_it_has_not_seen_begin():
    run, film = FakeRun("model"), Film()
    film.chunk(0, run)
    film.end(1, run)
    film(1, RunRetried, run, 1, ValueError(), 0.5)
    film(1, CustomEvent, run, "label", None)
    assert film.times.runs == []
    assert film.times.report() is None
    with pytest.raises(NoRunError, match="no run has begun inside the block"):
        film.times.root


def test_nothing_is_kept_of_a_run_that_has_ended():
    film = Film(keep=3)
    for _ in range(10):
        runs = pipeline()
        film.start(0, *runs)
        film.chunk(1, *runs[::-1])
        film.end(2, *runs[::-1])
    assert not film.times._live
    assert not film.times._by_id
    assert [len(root.steps) for root in film.times.roots] == [3, 3, 3]
    assert len(film.times.runs) == 12


# ---- percentiles --------------------------------------------------------------------------------


def exact(gaps, percent):
    ordered = sorted(gaps)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


@given(
    st.lists(st.floats(1e-6, 1e4), min_size=1, max_size=600),
    st.sampled_from([1, 50, 99, 100]),
)
def test_percentiles_are_exact_up_to_256_and_within_2_2_percent_beyond(values, percent):
    gaps = Gaps()
    for value in values:
        gaps.add(value)
    found, right = gaps.percentile(percent), exact(values, percent)
    assert found == (right if len(values) <= 256 else pytest.approx(right, rel=0.0221))
    assert gaps.longest == max(values)
    assert (gaps.count, gaps.total) == (len(values), pytest.approx(sum(values)))


def test_memory_follows_the_spread_of_the_gaps_and_not_their_number():
    gaps = Gaps()
    for n in range(20_000):
        gaps.add(0.001 * (1 + n % 100))
    assert gaps._kept is None
    assert len(gaps._buckets) <= 16 * 7 + 1  # 1 ms to 100 ms are 6.6 octaves
    gaps.add(0.0)
    gaps.add(-1e-3)  # from a clock that two threads read
    assert gaps.percentile(0.0001) == pytest.approx(1e-7, rel=0.05)


# ---- who held the stream up ---------------------------------------------------------------------


def stream(film, runs, model, parser):
    """A pipeline whose model waits so long before each chunk, and whose parser works so long."""
    root, prompt, model_run, parser_run = runs
    film.start(0, root, prompt)
    film.chunk(0, prompt)
    film.end(0, prompt)
    film.start(0, model_run)
    at, begun = 0.0, False
    for waits, works in zip(model, parser, strict=True):
        at += waits
        film.chunk(at, model_run)
        if not begun:
            film.start(at, parser_run)
        begun = True
        at += works
        film.chunk(at, parser_run, root)
    film.end(at, model_run, parser_run, root)
    return at


def test_a_slow_model():
    film, runs = Film(), pipeline()
    stream(film, runs, model=[2.0, 0.5, 3.0], parser=[0.1, 0.1, 0.1])
    assert film.held() == {"chain": 0, "prompt": 0, "model": 5.5, "parser": 0.3}
    root = film.times.root
    assert root.held_by.path == "chain/2:model"
    longest = root.longest[0]
    assert (longest.at, longest.seconds) == (pytest.approx(2.7), pytest.approx(3.1))
    assert (longest.path, longest.share) == ("chain/2:model", pytest.approx(3.0 / 3.1))


def test_a_slow_parser():
    film, runs = Film(), pipeline()
    stream(film, runs, model=[0.1, 0.1, 0.1], parser=[1.0, 2.0, 0.5])
    assert film.held() == {"chain": 0, "prompt": 0, "model": 0.3, "parser": 3.5}
    assert film.times.root.held_by.name == "parser"


def test_a_barrier_is_blamed_for_its_work_and_the_model_for_the_rest():
    root = FakeRun("chain")
    model, lambda_ = FakeRun("model", root, 1), FakeRun("lambda", root, 2)
    film = Film()
    film.start(0, root, model)
    for n in range(1, 11):
        film.chunk(n * 0.1, model)  # 0.1 s apart, and nobody sees them
    film.end(1.0, model)
    film.start(1.0, lambda_)
    film.chunk(1.4, lambda_, root)
    film.end(1.4, lambda_, root)
    assert film.held() == {"chain": 0, "model": 1.0, "lambda": 0.4}
    assert [(w.path, w.seconds) for w in film.times.root.longest] == [
        ("chain/1:model", pytest.approx(1.4))
    ]


def test_the_branch_that_was_waited_for_and_not_the_one_that_was_busy():
    """Both work from 0 on; b gives a chunk every 0.1 s for 2.5 s, a one value after 5 s; the step
    behind them wants both."""
    root = FakeRun("chain")
    both = FakeRun("both", root, 1)
    a, b, join = FakeRun("a", both), FakeRun("b", both), FakeRun("join", root, 2)
    film = Film()
    film.start(0, root, both, a, b)
    for n in range(1, 26):
        film.chunk(n * 0.1, b)
    film.end(2.5, b)
    film.end(5, a, both)
    film.start(5, join)
    film.end(5.25, join, root)
    assert film.held() == {"chain": 0, "both": 0, "a": 5.0, "b": 0, "join": 0.25}


def test_chunks_that_reach_a_branch_through_its_parallel():
    root = FakeRun("chain")
    model, both = FakeRun("model", root, 1), FakeRun("both", root, 2)
    inner = FakeRun("inner", both)
    first, second = FakeRun("first", inner, 1), FakeRun("second", inner, 2)
    film = Film()
    film.start(0, root, model)
    film.chunk(1, model)
    film.start(1, both, inner, first)
    film.chunk(1.25, first)
    film.start(1.25, second)
    film.chunk(1.5, second, inner, both, root)
    film.chunk(4, model)  # 2.5 s, which the first step of the branch has waited, too
    film.chunk(4.25, first)
    film.chunk(4.5, second, inner, both, root)
    film.end(4.5, model, first, second, inner, both, root)
    held = film.held()
    assert {name: held[name] for name in ("model", "first", "second")} == {
        "model": 3.5,
        "first": 0.5,
        "second": 0.5,
    }


def test_a_function_that_calls_runnables():
    """Time before a call, between calls and after them is the function's own."""
    root = FakeRun("function")
    film = Film()
    film.start(0, root)
    for at in (1.0, 5.0):
        inner = FakeRun("inner", root)
        film.start(at, inner)
        film.end(at + 2, inner)
    film.end(7.5, root)
    assert film.times.root.held == pytest.approx(1 + 2 + 0.5)
    assert [step.held for step in film.times.root.steps] == [pytest.approx(2.0)] * 2
    assert film.times.root.held_by.name == "function"


def test_the_wait_between_two_tries_is_the_retrys():
    root = FakeRun("retry")
    film = Film()
    film.start(0, root)
    first, second = FakeRun("try", root), FakeRun("try", root)
    film.start(0, first)
    film(1, RunFailed, first, ValueError(), None)
    film(1, RunRetried, root, 1, ValueError(), 4.0)
    film.start(5, second)
    film.end(5.5, second, root)
    found = film.times.root
    assert (found.retries, found.held) == (1, pytest.approx(4.0))
    assert [(step.status, step.held) for step in found.steps] == [
        ("failed", pytest.approx(1.0)),
        ("ended", pytest.approx(0.5)),
    ]


@given(st.data())
def test_every_second_of_the_outermost_run_belongs_to_one_run(data):
    """Whatever happens in whatever order: `held` adds up, and none is negative."""
    root = FakeRun("root")
    live, ended, film, at = [root], [], Film(), 0.0
    film.start(0, root)
    for _ in range(data.draw(st.integers(0, 40))):
        at += data.draw(st.sampled_from([0.0, 0.25, 1.0]))
        run = data.draw(st.sampled_from(live))
        what = data.draw(st.sampled_from(["start", "chunk", "end", "retry"]))
        if what == "start":
            step = data.draw(st.sampled_from([None, 1, 2, 3]))
            live.append(FakeRun(f"run {len(live) + len(ended)}", run, step))
            film.start(at, live[-1])
        elif what == "end" and run is not root:
            film.end(at, run)
            live.remove(run)
            ended.append(run)
        elif what == "retry":
            film(at, RunRetried, run, 1, ValueError(), 0.0)
        else:
            film.chunk(at, run)
    film.end(at, *live[:0:-1], root)
    shares = [run.held for run in film.times.runs]
    assert min(shares) >= 0
    assert sum(shares) == pytest.approx(at)
    assert sum(wait.seconds for wait in film.times.root.longest) <= at + 1e-9
    assert all(0 < wait.share <= 1 for wait in film.times.root.longest)


def test_what_is_kept_does_not_follow_the_number_of_chunks():
    film, runs = Film(), pipeline()
    root, _, model, parser = runs
    film.start(0, *runs)
    way = 0
    for n in range(5_000):
        film.chunk(n * 0.001, model, parser, root)
    for run in film.times._by_id.values():
        here = run.latest
        while here is not None:
            here, way = here.before, way + 1
    assert way < 40
    film.end(5, *runs[::-1])


def test_what_is_kept_does_not_follow_the_number_of_chunks_before_the_first():
    film, root = Film(), FakeRun("chain")
    model, lambda_ = FakeRun("model", root, 1), FakeRun("generator", root, 2)
    film.start(0, root, model, lambda_)
    for n in range(5_000):
        film.chunk(n * 0.001, model, lambda_)  # the root shows nothing
    way, here = 0, film.times._by_id[root.id].latest
    while here is not None:
        here, way = here.before, way + 1
    assert way < 20
    film.end(5, lambda_, model, root)


# ---- the table ----------------------------------------------------------------------------------


def test_the_table():
    film, runs = Film(idle=0.5), pipeline()
    stream(film, runs, model=[2.0, 0.5, 3.0], parser=[0.1, 0.1, 0.1])
    assert str(film.times) == str(film.times.root)
    assert str(film.times).splitlines() == [
        "            first chunk  chunks  chunks/s  gap p50     p99         idle  in all  held up",
        "chain            2.10 s       3       0.5   600 ms  3.10 s  2 x, 3.70 s  5.80 s     0 µs",
        "  1:prompt         0 µs       1         -        -       -            -    0 µs     0 µs",
        "  2:model        2.00 s       3       0.5   600 ms  3.10 s  2 x, 3.70 s  5.80 s   5.50 s",
        "  3:parser       100 ms       3       0.5   600 ms  3.10 s  2 x, 3.70 s  3.80 s   300 ms",
        "held up by chain/2:model: 5.50 s of 5.80 s (95%)",
        "longest wait: 3.10 s after 2.70 s, for chain/2:model (97%)",
    ]


def test_the_table_of_runs_that_go_on_or_failed():
    film, root = Film(), FakeRun("chain")
    film.start(0, root)
    assert str(film.times).splitlines()[1].split() == ["chain", "(running)", *"-------", "0", "µs"]
    film(1, RunFailed, root, ValueError(), None)
    assert str(film.times).splitlines()[1].startswith("chain (failed)")
    assert str(Timings()) == "no run has begun"


def slow_model():
    film, runs = Film(idle=0.5), pipeline()
    stream(film, runs, model=[2.0, 0.5, 3.0], parser=[0.1, 0.1, 0.1])
    return film.times.root


def test_a_narrow_table_does_without_some_columns():
    assert table([slow_model()], 200) == str(slow_model())
    assert table([slow_model()], 80).splitlines() == [
        "            first chunk  chunks  gap p50     p99         idle  in all  held up",
        "chain            2.10 s       3   600 ms  3.10 s  2 x, 3.70 s  5.80 s     0 µs",
        "  1:prompt         0 µs       1        -       -            -    0 µs     0 µs",
        "  2:model        2.00 s       3   600 ms  3.10 s  2 x, 3.70 s  5.80 s   5.50 s",
        "  3:parser       100 ms       3   600 ms  3.10 s  2 x, 3.70 s  3.80 s   300 ms",
        "held up by chain/2:model: 5.50 s of 5.80 s (95%)",
        "longest wait: 3.10 s after 2.70 s, for chain/2:model (97%)",
    ]
    assert table([slow_model()], 40).splitlines() == [
        "            first chunk  in all  held up",
        "chain            2.10 s  5.80 s     0 µs",
        "  1:prompt         0 µs    0 µs     0 µs",
        "  2:model        2.00 s  5.80 s   5.50 s",
        "  3:parser       100 ms  3.80 s   300 ms",
        "held up by chain/2:model: 5.50 s of 5.80",
        "  s (95%)",
        "longest wait: 3.10 s after 2.70 s, for",
        "  chain/2:model (97%)",
    ]


def test_names_are_cut_where_nothing_else_can_go_and_the_state_stays():
    root = RunTiming("a_name_that_is_long", "", "chain", "cancelled", held=1.0)
    assert table([root], 36).splitlines() == [
        "                             held up",
        "a_name_that_is… (cancelled)   1.00 s",
    ]
    assert table([root], 20).splitlines()[1] == "… (cancelled)   1.00 s"


@pytest.mark.parametrize("width", [40, 60, 79, 80, 100, 120])
def test_no_line_is_wider_than_it_may_be(width):
    root = slow_model()
    root.steps[2].path = f"chain/3:{'long' * 30}"
    lines = table([root], width).splitlines()
    assert width - 25 < max(map(len, lines)) <= width
    assert sum(line.startswith("  3:long") and "…  " in line for line in lines) == 1
