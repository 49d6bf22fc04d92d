"""`RouterRunnable`: the input names its runnable, which streams."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import pytest

from headrace.errors import AsyncOnlyError, InputError
from headrace.events import RunEnded
from headrace.output_parsers import JsonOutputParser, StrOutputParser
from headrace.runnables import (
    AddableDict,
    ConfigurableField,
    RouterInput,
    RouterRunnable,
    RunnableGenerator,
    RunnableLambda,
    RunnablePassthrough,
)
from laws.colours import ASYNC, both_drivers, every_colour
from laws.events import check_events
from laws.ledger import LEDGER, Recorder


def spell(chunks: Iterator[str]) -> Iterator[str]:
    with LEDGER.body("spell"):
        for chunk in chunks:
            yield from chunk


def router() -> Any:
    return RouterRunnable({"spell": RunnableGenerator(spell), "loud": str.upper})


def to(key: str, value: Any) -> RouterInput:
    return {"key": key, "input": value}


@every_colour
def test_the_named_one_runs_and_streams(colour):
    def body(doors: Any) -> None:
        for step in (router(), RunnablePassthrough() | router()):
            assert doors.invoke(step, to("spell", "abc")) == "abc"
            assert doors.invoke(step, to("loud", "abc")) == "ABC"
            assert doors.stream(step, to("spell", "abc")) == ["a", "b", "c"]
            pieces = [AddableDict(key="spe"), AddableDict(input="ab"), AddableDict(key="ll")]
            assert doors.transform(step, pieces) == ["a", "b"]
            assert doors.batch(step, [to("spell", "ab"), to("loud", "ab")]) == ["ab", "AB"]

    colour.run(body)


@both_drivers
def test_its_first_chunk_comes_before_its_last_is_made(colour):
    def body(doors: Any) -> None:
        stream = doors.open(router(), to("spell", "abc" * 100))
        assert stream.next() == "a"
        assert LEDGER.still_open == ["spell"]
        stream.close()
        assert LEDGER.still_open == []

    colour.run(body)


@both_drivers
def test_an_unknown_key_is_named_with_the_known_ones(colour):
    message = r"no runnable under the key 'x': it has \['spell', 'loud'\]"

    def body(doors: Any) -> None:
        with pytest.raises(InputError, match=message):
            doors.invoke(router(), to("x", "abc"))
        with pytest.raises(ValueError, match=message):
            doors.stream(router(), to("x", "abc"))
        good, bad = doors.batch(router(), [to("loud", "a"), to("x", "a")], return_exceptions=True)
        assert good == "A"
        assert isinstance(bad, InputError)

    colour.run(body)


@pytest.mark.parametrize("given", ["loud", {"key": "loud"}, {"input": "a"}, None, ["key", "input"]])
def test_an_input_of_another_kind_is_refused(given):
    with pytest.raises(InputError, match="A router works on a dict"):
        router().invoke(given)


def test_a_key_that_cannot_be_one_is_unknown():
    with pytest.raises(InputError, match=r"no runnable under the key \['loud'\]"):
        router().invoke({"key": ["loud"], "input": "a"})


async def shout(text: str) -> str:
    return text.upper()


def test_an_async_one_fails_a_sync_call_only_if_it_is_named():
    mixed = RouterRunnable({"sync": str.lower, "async": shout})
    assert mixed.invoke(to("sync", "A")) == "a"
    with pytest.raises(AsyncOnlyError):
        mixed.invoke(to("async", "a"))
    assert ASYNC.run(lambda doors: doors.invoke(mixed, to("async", "a"))) == "A"


@both_drivers
def test_runnables_that_add_up_differently(colour):
    parsers = RouterRunnable({"json": JsonOutputParser(), "text": StrOutputParser()})
    collected = parsers | RunnablePassthrough() | RunnableLambda(lambda value: value)

    def body(doors: Any) -> None:
        for key, value in [("json", [1, 2]), ("text", "[1, 2]")]:
            assert doors.stream(collected, to(key, "[1, 2]")) == [value]
            seen = Recorder()
            doors.stream(parsers, to(key, "[1, 2]"), seen.config)
            check_events(seen.events)
            (end,) = [e for e in seen.events if isinstance(e, RunEnded) and "/" not in e.run.path]
            assert end.output == value

    colour.run(body)


def test_what_is_inside_can_be_configured():
    inside = RunnableLambda(str.upper).configurable_fields(func=ConfigurableField("how"))
    step = RouterRunnable({"a": inside})
    assert step.invoke(to("a", "x"), {"configurable": {"how": str.title}}) == "X"
    assert step.invoke(to("a", "xy"), {"configurable": {"how": len}}) == 2
    assert [spec.id for spec in step.config_specs] == ["how"]


def test_paths_types_equality_and_copies():
    seen = Recorder()
    router().invoke(to("loud", "a"), seen.config)
    assert {event.run.path for event in seen.events} == {
        "RouterRunnable",
        "RouterRunnable/loud:upper",
    }
    step = RouterRunnable({"a": RunnablePassthrough()})
    assert step == RouterRunnable({"a": RunnablePassthrough()})
    assert step != RouterRunnable({"b": RunnablePassthrough()})
    assert repr(step) == "RouterRunnable({'a': RunnablePassthrough()})"
    for twin in (copy.deepcopy(step), pickle.loads(pickle.dumps(step))):
        assert twin == step
        assert twin.invoke(to("a", 1)) == 1
    assert step.InputType is RouterInput
    assert router().explain().steps[0].kind == "source"
    with pytest.raises(TypeError, match="3"):
        RouterRunnable({"a": 3})
