"""What is said about times, on a clock that the test moves."""

from __future__ import annotations

import pytest

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


def test_one_token_and_no_text():
    assert run((0.1, message("a", 1)))[0].about_tokens() == "first token 100 ms · 1 token"
    assert run((0.1, message("", 0)))[0].about_tokens() == "0 tokens"


@pytest.mark.parametrize(("percent", "value"), [(50, 50), (99, 99), (100, 100), (1, 1)])
def test_percentiles_are_values_that_occurred(percent, value):
    from headrace.cli.clock import _percentile

    assert _percentile(range(1, 101), percent) == value
    assert _percentile([7], percent) == 7
