"""A branch of a parallel whose chunks add up as the arm does that was taken, in every colour."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from headrace.output_parsers import JsonOutputParser
from headrace.runnables import (
    RunnableBranch,
    RunnableGenerator,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
)
from laws.colours import every_colour


def _pieces(chunks: Iterator[Any]) -> Iterator[str]:
    list(chunks)
    yield from ("[1", ",2", ",3]")


TEXT = RunnableGenerator(_pieces)
JSON = TEXT | JsonOutputParser()  # each of its chunks is the whole so far


def _same(value: Any) -> Any:
    return value


def _arms(cumulative: bool) -> RunnableBranch[Any, Any]:
    return RunnableBranch((lambda _: cumulative, JSON), TEXT)


SHAPES = {
    "parallel": lambda arm: RunnableParallel(a=arm, other=_same),
    "nested": lambda arm: RunnableParallel(a=RunnableParallel(a=arm), other=TEXT),
    "assign": lambda arm: RunnablePassthrough.assign(a=arm, other=TEXT),
    "a function's runnable": lambda arm: RunnableParallel(a=RunnableLambda(lambda _: arm)),
}


@every_colour
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("cumulative", [True, False])
def test_a_function_after_it_gets_the_arm_added_up_its_own_way(shape, cumulative, colour):
    chain = SHAPES[shape](_arms(cumulative)) | _same
    expected: Any = [1, 2, 3] if cumulative else "[1,2,3]"

    def body(doors: Any) -> None:
        (streamed,) = doors.stream(chain, {"x": 1})
        found = streamed["a"]["a"] if shape == "nested" else streamed["a"]
        assert found == expected
        assert doors.invoke(chain, {"x": 1}) == streamed

    colour.run(body)


def test_keys_stand_in_their_order_whichever_branch_is_first():
    second_is_done = threading.Event()

    def first(_: Any) -> int:
        assert second_is_done.wait(10)
        return 1

    def second(_: Any) -> int:
        second_is_done.set()
        return 2

    chain = RunnableParallel(a=first, b=second) | _same
    (streamed,) = chain.stream("x")
    assert list(streamed) == ["a", "b"]
    assert streamed == {"a": 1, "b": 2}
