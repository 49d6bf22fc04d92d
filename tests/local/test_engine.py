"""The engine with the real model: streams, closing, errors, sharing."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import threading
import time
from collections.abc import Callable
from contextlib import aclosing, closing
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import pytest

from headrace.errors import (
    ContextLengthError,
    InputError,
    MissingExtraError,
    ModelError,
    WeightsError,
)
from headrace.local import engine as engine_module
from headrace.local.engine import Engine, load, loaded

# Generating on would take several seconds. (It closes in about 10 ms; `make bench` times things.)
WITHIN = 1.5
LONG = 2000  # tokens: far more than any test waits for


def ask(text: str, **parameters: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], "temperature": 0, **parameters}


STORY = "Tell me a long story about a river."
ON_AND_ON = {"logit_bias": [[2, False]]}  # the end of turn is forbidden: max_tokens decides
ENDLESS = ask(STORY, max_tokens=LONG, temperature=1.0, **ON_AND_ON)
PAGES = ask("The quick brown fox jumps over the lazy dog. " * 250, max_tokens=1)  # 2,500 tokens


def texts(chunks: list[Any]) -> list[str]:
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    return [delta["content"] for delta in deltas if delta.get("content")]


def workers() -> int:
    return sum(thread.name == "headrace-local" for thread in threading.enumerate())


# ---- streams


def test_a_stream_comes_in_pieces_and_ends_with_usage(engine: Engine):
    chunks = list(engine.stream(ask("What color is the sky?", max_tokens=12)))
    assert len(texts(chunks)) == 12
    assert chunks[-1]["usage"]["completion_tokens"] == 12
    assert chunks[-1]["model"] == "SmolLM2-135M-Instruct.Q4_1"
    assert [c["finish_reason"] for c in chunks[-2]["choices"]] == ["length"]


async def test_every_colour_gives_the_same(engine: Engine):
    request = ask("What color is the sky?", max_tokens=12)
    sync = texts(list(engine.stream(request)))
    asynchronous = texts([chunk async for chunk in engine.astream(request)])
    assert sync == asynchronous
    assert engine.complete(request)["content"] == "".join(sync)


def test_chunks_come_while_the_model_still_generates(engine: Engine):
    with closing(engine.stream(ENDLESS)) as stream:
        times = [time.monotonic() for chunk in islice(stream, 12)]
    assert sum(later - earlier > 0.001 for earlier, later in pairwise(times)) > 5


def test_nothing_runs_before_the_first_next(engine: Engine):
    stream = engine.stream({"messages": object()})
    assert (engine.live, engine.slots.free, workers()) == (0, 2, 0)
    stream.close()
    assert workers() == 0


def test_a_seed_repeats_and_another_does_not(engine: Engine):
    def draw(seed: int) -> str:
        return engine.complete(ask(STORY, max_tokens=16, temperature=1.2, seed=seed))["content"]

    first = draw(7)
    engine.complete(ask("Something else entirely", max_tokens=2))
    assert draw(7) == first
    assert draw(8) != first


def test_an_answer_depends_on_nothing_but_its_request(engine: Engine):
    """Not on what the slots have cached, and not on who generates beside it."""

    def draw() -> str:
        request = ask("hello", max_tokens=10, temperature=1.2, seed=7)
        return str(engine.complete(request)["content"])

    for number in range(2):  # both slots forget
        engine.complete(ask(f"{number} of something else", max_tokens=1))
    cold = draw()
    assert draw() == cold, "the prompt was cached"
    with closing(engine.stream(ENDLESS)) as other:
        next(other)
        assert draw() == cold, "another answer was generated beside it"


def test_a_schema_is_enforced(engine: Engine):
    schema = {
        "type": "object",
        "properties": {"color": {"enum": ["red", "blue"]}, "n": {"type": "integer", "maximum": 9}},
        "required": ["color", "n"],
        "additionalProperties": False,
    }
    rule = {"type": "json_schema", "json_schema": {"name": "c", "schema": schema}}
    for seed in range(2):
        request = ask("Sing!", max_tokens=64, temperature=1.5, seed=seed, response_format=rule)
        value = json.loads(engine.complete(request)["content"])
        assert set(value) == {"color", "n"} and value["color"] in ("red", "blue")
        assert isinstance(value["n"], int) and value["n"] <= 9


# ---- several at once


def test_two_threads_interleave(engine: Engine):
    log: list[str] = []
    note = log.append

    def read(name: str) -> None:
        for _ in engine.stream(ask(f"Tell me about {name}", max_tokens=24)):
            note(name)

    threads = [threading.Thread(target=read, args=(name,)) for name in ("salt", "snow")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert log.count("salt") > 20 and log.count("snow") > 20
    assert log.index("snow") < len(log) - 1 - log[::-1].index("salt")
    assert log.index("salt") < len(log) - 1 - log[::-1].index("snow")


async def test_more_tasks_than_slots_all_finish(engine: Engine):
    async def read(number: int) -> int:
        request = ask(f"{number}, please", max_tokens=6, **ON_AND_ON)
        chunks = [chunk async for chunk in engine.astream(request)]
        return int(chunks[-1]["usage"]["completion_tokens"])

    assert await asyncio.gather(*map(read, range(5))) == [6] * 5
    assert (engine.live, engine.slots.free) == (0, 2)


def test_more_streams_than_slots_in_one_thread_do_not_deadlock(engine: Engine):
    request = ask(STORY, max_tokens=70, **ON_AND_ON)
    streams = [engine.stream(request) for _ in range(3)]
    rows = list(zip(*streams, strict=True))
    assert len(rows) == 73  # role, tokens, reason, usage


# ---- closing


def test_closing_stops_generation_and_frees_the_slot(narrow: Engine):
    for _ in range(3):
        stream = narrow.stream({**ENDLESS, "max_tokens": 400})
        list(islice(stream, 3))
        began = time.monotonic()
        stream.close()
        assert time.monotonic() - began < WITHIN
        assert (narrow.live, narrow.slots.free, workers()) == (0, 1, 0)
    # The only slot is free in llama.cpp too: 400 tokens would have taken seconds.
    began = time.monotonic()
    assert narrow.complete(ask("Hi", max_tokens=1))["usage"]["completion_tokens"] == 1
    assert time.monotonic() - began < WITHIN


async def test_aclosing_stops_generation_and_frees_the_slot(narrow: Engine):
    for _ in range(3):
        stream = narrow.astream({**ENDLESS, "max_tokens": 400})
        for _ in range(3):
            await anext(stream)
        began = time.monotonic()
        await stream.aclose()
        assert time.monotonic() - began < WITHIN
        assert (narrow.live, narrow.slots.free, workers()) == (0, 1, 0)
    began = time.monotonic()
    async with aclosing(narrow.astream(ask("Hi", max_tokens=1))) as stream:
        await anext(stream)
    assert time.monotonic() - began < WITHIN


async def test_cancelling_a_task_ends_its_stream(engine: Engine):
    got = asyncio.Event()

    async def read() -> None:
        async for _ in engine.astream(ENDLESS):
            got.set()

    task = asyncio.create_task(read())
    await got.wait()
    began = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - began < WITHIN
    assert (engine.live, engine.slots.free, workers()) == (0, 2, 0)


async def test_cancelling_in_the_queue_takes_no_slot(narrow: Engine, until):
    first = narrow.astream({**ENDLESS, "max_tokens": 400})
    await anext(first)
    queued = asyncio.create_task(anext(narrow.astream(ask("Hi"))))
    await until(lambda: narrow.slots.waiting)
    assert workers() == 1  # those who wait have no thread
    queued.cancel()
    with pytest.raises(asyncio.CancelledError):
        await queued
    assert narrow.slots.waiting == 0
    await first.aclose()
    assert narrow.slots.free == 1


async def test_a_prompt_is_given_up_between_two_batches(engine: Engine, until):
    """Evaluating it takes 10 s on one core; a batch of 32 tokens takes 0.15 s."""
    task = asyncio.create_task(anext(engine.astream(PAGES)))
    await until(lambda: engine.live)
    await asyncio.sleep(0.1)
    began = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - began < 5.0
    assert (engine.live, engine.slots.free) == (0, 2)


def test_an_abandoned_stream_is_closed_by_the_garbage_collector(engine: Engine):
    stream = engine.stream(ENDLESS)
    next(stream)
    cycle: list[Any] = [stream]
    cycle.append(cycle)
    del stream, cycle
    gc.collect()
    assert (engine.live, engine.slots.free, workers()) == (0, 2, 0)


class Boom(Exception):
    pass


def explode(chunk: Any) -> None:
    raise Boom


@pytest.mark.parametrize(
    ("chunk", "put", "kind"),
    [
        ({"choices": []}, explode, Boom),
        ({"error": {"type": "server_error", "message": "out of it"}}, explode, ModelError),
    ],
)
def test_what_llama_cpp_swallows_or_passes_on_is_kept(chunk: Any, put: Any, kind: type):
    """It ignores an exception in its callback, and hands some of its errors to it."""
    answers: list[bool] = []

    class Server:
        def handle_chat_completions(self, request: Any, callback: Callable[[Any], bool]) -> None:
            answers.append(callback(chunk))

    work = engine_module._Work({}, put, list)
    work.run(Server())
    assert isinstance(work.failure, kind)
    assert answers == [True], "it was not told to stop"


# ---- errors


def test_a_prompt_beyond_the_context_names_both_sizes(narrow: Engine):
    with pytest.raises(ContextLengthError, match=r"\b[67]\d\d tokens.*holds 512") as caught:
        narrow.complete(ask("word " * 600))
    assert caught.value.context_tokens == 512
    assert 600 < caught.value.prompt_tokens < 700
    assert narrow.slots.free == 1


def test_an_answer_that_fills_the_context_ends_with_length(weights: Path):
    small = load(weights, n_ctx=256, n_parallel=1)
    answer = small.complete({**ENDLESS, "messages": ask("word " * 190)["messages"]})
    assert answer["finish_reason"] == "length"
    assert answer["usage"]["total_tokens"] == 256
    small.close()


BAD_REQUESTS = {
    "schema": {
        "response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "nonsense"}}}
    },
    "surrogate": {"messages": [{"role": "user", "content": "a\ud800"}]},
    "image": {
        "messages": [
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}
        ]
    },
    "no content": {"messages": [{"role": "user"}]},
    "wrong type": {"temperature": "hot"},
    "not JSON": {"stop": object()},
}


@pytest.mark.parametrize("fault", BAD_REQUESTS)
async def test_a_bad_request_is_an_input_error(engine: Engine, fault: str):
    request = ask("Hi", max_tokens=1) | BAD_REQUESTS[fault]
    with pytest.raises(InputError, match=r"llama\.cpp refused the request: ."):
        engine.complete(request)
    with pytest.raises(InputError, match=r"llama\.cpp refused the request: ."):
        await anext(engine.astream(request))
    assert (engine.live, engine.slots.free) == (0, 2)


def test_files_that_are_no_model(tmp_path: Path):
    with pytest.raises(WeightsError, match=r"missing\.gguf.*headrace pull") as caught:
        load(tmp_path / "missing.gguf")
    assert isinstance(caught.value, OSError)
    (tmp_path / "text.gguf").write_text("hello")
    with pytest.raises(WeightsError, match="is not a GGUF file"):
        load(tmp_path / "text.gguf")
    (tmp_path / "torn.gguf").write_bytes(b"GGUF" + bytes(1000))
    with pytest.raises(WeightsError, match="cannot load"):
        load(tmp_path / "torn.gguf")
    with pytest.raises(WeightsError, match="cannot be read"):
        load(tmp_path)


def test_a_missing_extra_names_the_install(weights: Path, monkeypatch):
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(MissingExtraError, match=r'pip install "headrace\[local\]"'):
        load(weights, n_ctx=333)
    assert loaded(weights, n_ctx=333) is None


# ---- one engine


def test_eight_threads_load_once(weights: Path, monkeypatch):
    starts: list[Any] = []
    start = engine_module.start
    monkeypatch.setattr(engine_module, "start", lambda s: starts.append(s) or start(s))
    engines: list[Engine] = []
    gate = threading.Barrier(8)

    def work() -> None:
        gate.wait()
        engines.append(load(weights, n_ctx=128, n_parallel=1))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(starts) == 1 and len(set(map(id, engines))) == 1
    engines[0].close()


def test_a_failed_load_is_tried_again(weights: Path, monkeypatch):
    def fail(settings: Any) -> None:
        raise WeightsError("not now")

    with monkeypatch.context() as patch:
        patch.setattr(engine_module, "start", fail)
        with pytest.raises(WeightsError):
            load(weights, n_ctx=192, n_parallel=1)
    load(weights, n_ctx=192, n_parallel=1).close()


def test_names_of_one_file_share_an_engine(engine: Engine, weights: Path, tmp_path: Path):
    (tmp_path / "link.gguf").symlink_to(weights)
    assert load(tmp_path / "link.gguf") is engine
    assert loaded(str(weights)) is engine


def test_closing_an_engine_ends_its_streams_and_its_queue(weights: Path):
    engine = load(weights, n_ctx=512, n_parallel=1)
    stream = engine.stream({**ENDLESS, "max_tokens": 400})
    next(stream)
    waiting: list[BaseException] = []

    def wait() -> None:
        try:
            engine.complete(ask("Hi"))
        except ModelError as error:
            waiting.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    while not engine.slots.waiting:
        time.sleep(0.001)
    engine.close()
    thread.join(5)
    assert "closed" in str(waiting[0])
    with pytest.raises(ModelError, match="closed"):
        list(stream)
    again = load(weights, n_ctx=512, n_parallel=1)
    assert again is not engine
    assert again.complete(ask("Hi", max_tokens=1))["content"]
    again.close()


def test_nobody_can_connect(engine: Engine, tmp_path: Path, python: Callable[[str], Any]):
    """The server that llama.cpp insists on has no port and no socket file."""
    done = python(
        "import os, pathlib, tempfile\n"
        f"tempfile.tempdir = {str(tmp_path)!r}\n"
        "def ports():\n"
        "    own = {os.readlink(f'/proc/self/fd/{n}') for n in os.listdir('/proc/self/fd')\n"
        "           if os.path.islink(f'/proc/self/fd/{n}')}\n"
        "    rows = [line.split() for table in pathlib.Path('/proc/net').glob('tcp*')\n"
        "            for line in table.read_text().splitlines()[1:]]\n"
        "    return [r[1] for r in rows if r[3] == '0A' and f'socket:[{r[9]}]' in own]\n"
        "from headrace.local.engine import load\n"
        "engine = load(W, n_ctx=256, n_parallel=1)\n"
        "print(ports(), os.listdir(tempfile.tempdir))\n"
    )
    out, err = done.communicate(timeout=60)
    assert (out, err, done.returncode) == ("[] []\n", "", 0)
