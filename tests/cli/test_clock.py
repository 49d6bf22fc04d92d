"""What is said about times, on a clock that the test moves."""

from __future__ import annotations

import pytest

import headrace.events
from headrace.cli.clock import Clock
from headrace.messages import AIMessageChunk


class Time:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def run(*chunks):
    """A clock after chunks that came at these times."""
    time = Time()
    clock = Clock(time)
    for at, chunk in chunks:
        time.now = 100.0 + at
        clock.tick(chunk)
    return clock, time


def usage(output):
    return {"input_tokens": 5, "output_tokens": output, "total_tokens": 5 + output}


def message(text, output=None):
    return AIMessageChunk(text, usage_metadata=usage(output) if output is not None else None)


def test_chunks():
    clock, time = run((0.25, "a"), (0.35, "b"), (0.45, "c"), (1.25, "d"))
    time.now += 0.5
    assert clock.about_chunks() == (
        "first chunk 250 ms · 4 chunks · 3.0 chunks/s · gaps p50 100 ms, p99 800 ms · 1.75 s in all"
    )
    assert clock.about_tokens() == ""


def test_one_chunk_and_none():
    clock, time = run((0.0000005, {"a": 1}))
    assert clock.about_chunks() == "first chunk 0.5 µs · 1 chunk · 0.5 µs in all"
    clock, time = run()
    time.now += 2
    assert clock.about_chunks() == "no chunk in 2.00 s"


def test_tokens_are_the_models_count_and_their_speed_is_that_of_writing():
    # The last chunk, with the count, comes long after the last text: that is not writing.
    chunks = [(1.0, message("")), (2.0, message("a")), (2.5, message("b")), (9.0, message("", 11))]
    clock, _ = run(*chunks)
    assert clock.about_tokens() == "first token 2.00 s · 11 tokens · 20 tokens/s"


def test_counts_of_several_messages_add_up():
    clock, _ = run((0.1, message("a", 1)), (0.2, message("b", 2)))
    assert clock.about_tokens() == "first token 100 ms · 3 tokens · 20 tokens/s"


def test_what_came_at_once_says_nothing_of_the_speed():
    clock, _ = run((0.1, message("a", 3)), (0.1, message("b", 3)))
    assert clock.about_tokens() == "first token 100 ms · 6 tokens"


def test_one_token_and_no_text():
    assert run((0.1, message("a", 1)))[0].about_tokens() == "first token 100 ms · 1 token"
    assert run((0.1, message("", 0)))[0].about_tokens() == "0 tokens"


# ---- step by step -------------------------------------------------------------------------------

STEPS = """
import headrace.events
from headrace.runnables import RunnableGenerator

class Time:
    now = 0.0
    def __call__(self):
        return self.now
headrace.events.monotonic = time = Time()

def model(chunks):
    for _ in chunks:
        for wait in (2.0, 0.25, 0.25):
            time.now += wait
            yield "word "

def parser(chunks):
    for chunk in chunks:
        time.now += 0.125
        yield chunk

async def amodel(chunks):
    async for chunk in chunks:
        for piece in model([chunk]):
            yield piece

async def aparser(chunks):
    async for chunk in chunks:
        for piece in parser([chunk]):
            yield piece

chain = RunnableGenerator(model, amodel) | RunnableGenerator(parser, aparser)
"""


@pytest.mark.parametrize("colour", [[], ["--async"]], ids=["sync", "async"])
def test_a_runnable_with_steps_is_told_of_step_by_step(folder, here, monkeypatch, colour):
    monkeypatch.setattr(headrace.events, "monotonic", headrace.events.monotonic)
    (folder / "steps.py").write_text(STEPS)
    code, out, err = here("stream", "steps.py:chain", "x", "--timing", *colour)
    assert (code, out) == (0, "word word word \n")
    first, *lines = err.splitlines()
    assert first.startswith("first chunk ")
    assert lines == [
        "                  first chunk  chunks  chunks/s  gap p50     p99  idle  in all  held up",
        "RunnableSequence       2.12 s       3       2.7   375 ms  375 ms     -  2.88 s     0 µs",
        "  1:model              2.00 s       3       2.7   375 ms  375 ms     -  2.88 s   2.50 s",
        "  2:parser             125 ms       3       2.7   375 ms  375 ms     -  875 ms   375 ms",
        "held up by RunnableSequence/1:model: 2.50 s of 2.88 s (87%)",
        "longest wait: 2.12 s after 0 µs, for RunnableSequence/1:model (94%)",
    ]


def test_without_timing_nothing_is_watched(folder, here, monkeypatch):
    monkeypatch.setattr(headrace.events, "monotonic", headrace.events.monotonic)
    (folder / "steps.py").write_text(STEPS + "\nheadrace.events.RunStarted.__init__ = None\n")
    started = headrace.events.RunStarted.__init__
    try:
        assert here("stream", "steps.py:chain", "x") == (0, "word word word \n", "")
    finally:
        headrace.events.RunStarted.__init__ = started
