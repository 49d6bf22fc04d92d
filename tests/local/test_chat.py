"""`ChatLocal` as its users meet it: on the real model, through the Runnable interface."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from itertools import pairwise

import pytest
from pydantic import ValidationError

from headrace.errors import ContextLengthError, InputError, WeightsError
from headrace.language_models.init import init_chat_model
from headrace.local import ChatLocal
from headrace.local.engine import Engine
from headrace.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage

WITHIN = 2.0  # seconds; generating on would take ten
SKY = "What color is the sky?"
COLORS = {
    "type": "object",
    "properties": {"color": {"enum": ["red", "green", "blue"]}, "sure": {"type": "boolean"}},
    "required": ["color", "sure"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def model(engine: Engine) -> ChatLocal:
    return ChatLocal(max_tokens=16)


def merged(chunks: list[AIMessageChunk]) -> AIMessageChunk:
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole = whole + chunk
    return whole


def same(one: AIMessage, other: AIMessage) -> bool:
    """Equal but for the id, which is another at each call."""
    fields = ("content", "usage_metadata", "response_metadata", "tool_calls")
    return all(getattr(one, field) == getattr(other, field) for field in fields)


def test_it_is_the_default_chat_model():
    assert init_chat_model() == ChatLocal()
    assert init_chat_model("local:some.gguf", n_ctx=64) == ChatLocal(
        model_path="some.gguf", n_ctx=64
    )


def test_it_streams_token_by_token(model: ChatLocal):
    chunks = list(model.stream(SKY))
    assert len([chunk for chunk in chunks if chunk.content]) > 5
    assert {chunk.id for chunk in chunks} == {chunks[0].id}
    last = chunks[-1]
    assert last.chunk_position == "last"
    assert all(chunk.chunk_position is None for chunk in chunks[:-1])
    assert last.response_metadata["finish_reason"] in ("stop", "length")
    assert last.response_metadata["model_name"] == "SmolLM2-135M-Instruct.Q4_1"
    assert [chunk.usage_metadata for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert 5 < last.usage_metadata["output_tokens"] <= 16


async def test_four_ways_to_call_it_agree(model: ChatLocal):
    answer = model.invoke(SKY)
    assert type(answer) is AIMessage and answer.content
    assert same(answer, await model.ainvoke(SKY))
    assert same(answer, merged(list(model.stream(SKY))))
    assert same(answer, merged([chunk async for chunk in model.astream(SKY)]))
    assert answer.usage_metadata["total_tokens"] == (
        answer.usage_metadata["input_tokens"] + answer.usage_metadata["output_tokens"]
    )


def test_tokens_arrive_one_after_the_other(model: ChatLocal):
    times = [time.monotonic() for _ in model.stream(SKY)]
    assert sum(later - earlier > 0.001 for earlier, later in pairwise(times)) > 4


def test_messages_of_every_kind_of_input(model: ChatLocal):
    asked = model.invoke([SystemMessage("You are a poet."), HumanMessage(SKY)])
    assert asked.content
    assert same(asked, model.invoke([("system", "You are a poet."), ("human", SKY)]))
    assert not same(asked, model.invoke(SKY))


def test_parameters_of_the_model_of_a_call_and_bound(model: ChatLocal):
    assert model.invoke(SKY, max_tokens=3).usage_metadata["output_tokens"] == 3
    assert model.bind(max_tokens=4).invoke(SKY).usage_metadata["output_tokens"] == 4
    assert ChatLocal(max_tokens=5).invoke(SKY).usage_metadata["output_tokens"] == 5
    assert model.invoke(SKY, max_tokens=3).response_metadata["finish_reason"] == "length"


def test_stop_texts_end_the_answer_and_add_up(model: ChatLocal):
    whole = model.invoke(SKY).content
    first, second = whole.split()[2], whole.split()[4]
    assert model.invoke(SKY, stop=[second]).content == whole[: whole.index(second)]
    stopping = ChatLocal(max_tokens=16, stop=[first])
    answer = stopping.invoke(SKY, stop=[second])
    assert answer.content == whole[: min(whole.index(first), whole.index(second))]
    assert answer.response_metadata["finish_reason"] == "stop"


def test_seeds_repeat_and_without_one_answers_vary(model: ChatLocal):
    warm = ChatLocal(max_tokens=12, temperature=1.3)
    assert warm.invoke(SKY, seed=5).content == warm.invoke(SKY, seed=5).content
    assert len({warm.invoke(SKY).content for _ in range(4)}) > 1


def test_a_bound_schema_makes_every_answer_valid(model: ChatLocal):
    rule = {"type": "json_schema", "json_schema": {"name": "answer", "schema": COLORS}}
    bound = model.bind(response_format=rule, max_tokens=64, temperature=1.5)
    for seed in range(2):
        value = json.loads(bound.invoke("Sing me a song!", seed=seed).content)
        assert set(value) == {"color", "sure"}
        assert value["color"] in COLORS["properties"]["color"]["enum"]
        assert isinstance(value["sure"], bool)


def test_closing_the_stream_frees_the_slot(model: ChatLocal, engine: Engine):
    stream = model.stream("Tell me a long story.", max_tokens=2000)
    next(stream)
    assert engine.slots.free == 1
    began = time.monotonic()
    stream.close()
    assert time.monotonic() - began < WITHIN
    assert (engine.live, engine.slots.free) == (0, 2)
    assert not any(thread.name == "headrace-local" for thread in threading.enumerate())


async def test_aclosing_the_stream_frees_the_slot(model: ChatLocal, engine: Engine):
    stream = model.astream("Tell me a long story.", max_tokens=2000)
    await anext(stream)
    assert engine.slots.free == 1
    began = time.monotonic()
    await stream.aclose()
    assert time.monotonic() - began < WITHIN
    assert (engine.live, engine.slots.free) == (0, 2)


@pytest.mark.parametrize("way", ["ainvoke", "astream"])
async def test_cancelling_the_task_frees_the_slot(model: ChatLocal, engine: Engine, until, way):
    async def call() -> None:
        if way == "ainvoke":
            await model.ainvoke("Tell me a long story.", max_tokens=2000)
        else:
            async for _ in model.astream("Tell me a long story.", max_tokens=2000):
                continue

    task = asyncio.create_task(call())
    await until(lambda: engine.live)
    await asyncio.sleep(0.05)
    began = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - began < WITHIN
    assert (engine.live, engine.slots.free) == (0, 2)


async def test_a_batch_larger_than_the_slots(model: ChatLocal):
    questions = [f"What is {n} and {n}?" for n in range(4)]
    one_by_one = [model.invoke(question, max_tokens=4).content for question in questions]
    at_once = await model.abatch(questions, max_tokens=4)
    assert [answer.content for answer in at_once] == one_by_one


# ---- errors


async def test_errors_say_what_is_wrong(model: ChatLocal, engine: Engine):
    with pytest.raises(ContextLengthError, match=r"holds 4096") as caught:
        model.invoke("word " * 5000)
    assert caught.value.prompt_tokens > 5000 and caught.value.context_tokens == 4096
    image = [{"type": "image_url", "image_url": {"url": "data:,"}}]
    with pytest.raises(InputError, match="text only"):
        await model.ainvoke([HumanMessage(image)])
    with pytest.raises(InputError, match="lone surrogate"):
        model.invoke("a\ud800")
    with pytest.raises(TypeError, match="takes no 'temprature'"):
        model.invoke(SKY, temprature=1)
    with pytest.raises(InputError, match="temperature=-1"):
        await model.ainvoke(SKY, temperature=-1)
    bad = {"type": "json_schema", "json_schema": {"schema": {"type": "nonsense"}}}
    with pytest.raises(InputError, match="unrecognized type nonsense"):
        model.invoke(SKY, response_format=bad)
    assert (engine.live, engine.slots.free) == (0, 2)


def test_a_model_file_that_is_not_there(tmp_path):
    model = ChatLocal(model_path=tmp_path / "none.gguf")  # nothing is loaded here
    with pytest.raises(WeightsError, match=r"none\.gguf.*headrace pull"):
        model.invoke(SKY)


def test_no_weights_and_no_permission_to_fetch_them(tmp_path, monkeypatch):
    monkeypatch.setenv("HEADRACE_CACHE", str(tmp_path))
    monkeypatch.setenv("HEADRACE_NO_DOWNLOAD", "1")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(WeightsError, match="headrace pull"):
        ChatLocal().invoke(SKY)


def test_unknown_and_impossible_fields_are_refused():
    with pytest.raises(ValidationError):
        ChatLocal(model="gpt-4")  # type: ignore[call-arg]
    for field in ("n_ctx", "n_parallel", "n_threads", "n_batch", "max_tokens"):
        with pytest.raises(ValidationError):
            ChatLocal(**{field: 0})


async def test_the_first_async_call_loads_off_the_loop(weights):
    """Loading holds the interpreter, but the loop's own thread must not wait for the lock."""
    model = ChatLocal(n_ctx=256, n_parallel=1, max_tokens=2)
    answers = await asyncio.gather(model.ainvoke(SKY), model.ainvoke(SKY))
    assert same(*answers)
    (await model._aengine()).close()
