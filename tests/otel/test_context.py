"""`StepContext`: what is current for OpenTelemetry in the code of a step, and in its consumer's."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path

import opentelemetry.context
import pytest
from opentelemetry.trace import get_current_span

from headrace import _otel_context
from headrace.otel import StepContext, instrument
from headrace.runnables import RunnableGenerator, RunnableLambda, RunnableParallel
from laws.colours import every_colour

ROOT = Path(__file__).parents[2]


@pytest.fixture
def stepwise(monkeypatch):
    """As with OTEL_PYTHON_CONTEXT=headrace, which is read once, at the first import."""
    monkeypatch.setattr(StepContext, "used", False)
    monkeypatch.setattr(opentelemetry.context, "_RUNTIME_CONTEXT", StepContext())
    yield
    assert not _otel_context.contexts


def spanning(kept, name, inner=None):
    """A function that opens a span, and calls something in it."""

    def work(x):
        with kept.tracer.start_as_current_span(name):
            return x if inner is None else inner.invoke(x)

    async def awork(x):
        with kept.tracer.start_as_current_span(name):
            await asyncio.sleep(0)
            return x if inner is None else await inner.ainvoke(x)

    return RunnableLambda(work, awork, name=f"step {name}")


@every_colour
def test_a_users_span_is_the_steps_child_and_what_is_called_in_it_its_own(colour, kept, stepwise):
    chain = spanning(kept, "mine", spanning(kept, "deeper")) | spanning(kept, "next")
    kept.watch(colour, lambda doors: doors.invoke(chain, 1))
    assert kept.tree == {
        "RunnableSequence": None,
        "step mine": "RunnableSequence",
        "mine": "step mine",
        "step deeper": "mine",
        "deeper": "step deeper",
        "step next": "RunnableSequence",
        "next": "step next",
    }


@every_colour
def test_in_branches_that_run_at_once(colour, kept, stepwise):
    both = RunnableParallel(a=spanning(kept, "in a"), b=spanning(kept, "in b"))
    kept.watch(colour, lambda doors: doors.invoke(both, 1))
    assert (kept.tree["in a"], kept.tree["in b"]) == ("step in a", "step in b")


@every_colour
def test_a_span_held_open_across_a_yield_is_not_its_consumers(colour, kept, stepwise):
    def pieces(chunks):
        for chunk in chunks:
            with kept.tracer.start_as_current_span("held"):
                yield chunk
                kept.tracer.start_span("still in it").end()

    async def apieces(chunks):
        async for chunk in chunks:
            with kept.tracer.start_as_current_span("held"):
                yield chunk
                kept.tracer.start_span("still in it").end()

    chain = RunnableGenerator(pieces, apieces, name="pieces") | spanning(kept, "later")
    seen = []

    def work(doors):
        stream = doors.open(RunnableGenerator(pieces, apieces, name="pieces"), 1)
        stream.next()
        seen.append(get_current_span().get_span_context().is_valid)
        with kept.tracer.start_as_current_span("the consumer's"):
            assert stream.rest() == []
            kept.tracer.start_span("below it").end()
        seen.append(get_current_span().get_span_context().is_valid)
        doors.invoke(chain, 1)

    kept.watch(colour, work)
    assert seen == [False, False]
    tree = kept.tree
    assert tree["still in it"] == "held"
    assert tree["held"] == "pieces"
    assert tree["the consumer's"] is None
    assert tree["below it"] == "the consumer's"
    assert tree["later"] == "step later"


async def test_in_tasks_and_threads_that_a_step_starts(kept, stepwise):
    def one(name):
        with kept.tracer.start_as_current_span(name):
            return name

    async def starts(x):
        async def task():
            one("in a task")

        await asyncio.gather(task(), asyncio.to_thread(one, "in a thread"))
        with ThreadPoolExecutor(1) as pool:
            pool.submit(copy_context().run, one, "in a pool").result()
        return x

    with kept.tracer.start_as_current_span("caller"), instrument(kept.tracers):
        await RunnableLambda(starts).ainvoke(1)
    assert kept.tree == {
        "caller": None,
        "starts": "caller",
        "in a task": "starts",
        "in a thread": "starts",
        "in a pool": "starts",
    }


def test_a_step_that_is_observed_by_others_only(kept, stepwise):
    class Other:
        def on_event(self, event):
            pass

    with kept.tracer.start_as_current_span("caller"):
        spanning(kept, "mine").invoke(1, {"callbacks": [Other()]})
        spanning(kept, "bare").invoke(1)
    assert kept.tree == {"caller": None, "mine": "caller", "bare": "caller"}


def test_attaching_and_detaching_in_any_order(stepwise):
    def now():
        return opentelemetry.context.get_value("k")

    def attach(value):
        return opentelemetry.context.attach(opentelemetry.context.set_value("k", value))

    a, b, c = attach("a"), attach("b"), attach("c")
    opentelemetry.context.detach(b)
    assert now() == "c"
    copied = copy_context()
    opentelemetry.context.detach(c)
    assert now() == "a"
    assert copied.run(now) == "c"  # a task that was started meanwhile keeps what it got
    opentelemetry.context.detach(a)
    opentelemetry.context.detach(a)
    assert now() is None


def test_without_it_a_users_span_stands_beside_the_chain(kept):
    with kept.tracer.start_as_current_span("caller"), instrument(kept.tracers):
        spanning(kept, "mine", spanning(kept, "deeper")).invoke(1)
    tree = kept.tree
    assert (tree["step mine"], tree["mine"]) == ("caller", "caller")
    assert tree["step deeper"] == "step mine"


PROGRAM = """
from opentelemetry.sdk.trace import TracerProvider
import opentelemetry.context
from opentelemetry.trace import get_current_span
from headrace.otel import instrument
from headrace.runnables import RunnableLambda

def current(x):
    return get_current_span().name
print(type(opentelemetry.context._RUNTIME_CONTEXT).__name__)
with instrument(TracerProvider(shutdown_on_exit=False)):
    print(RunnableLambda(current, name="step").invoke(1))
"""


def test_it_is_loaded_by_opentelemetrys_own_setting(tmp_path):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    points = project["project"]["entry-points"]["opentelemetry_context"]
    assert points == {"headrace": f"{StepContext.__module__}:{StepContext.__qualname__}"}
    installed = tmp_path / "stand_in-1.dist-info"  # as an installed Headrace has it
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: stand-in\nVersion: 1\n")
    (installed / "entry_points.txt").write_text(
        f"[opentelemetry_context]\nheadrace = {points['headrace']}\n"
    )
    paths = os.pathsep.join([str(ROOT / "src"), str(tmp_path)])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "PYTHONPATH": paths, "OTEL_PYTHON_CONTEXT": "headrace"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "StepContext\nstep\n", "")


def test_without_the_package_the_error_names_the_extra():
    program = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "import headrace.runnables\n"
        "try:\n    import headrace.otel\n"
        "except ImportError as error:\n    print(type(error).__name__, error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == (
        "MissingExtraError headrace.otel needs 'opentelemetry-api', which is not installed: "
        'run `pip install "headrace[otel]"`.\n'
    )
