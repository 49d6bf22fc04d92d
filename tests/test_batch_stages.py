"""A step with a `batch` of its own gets all inputs of a chain's batch in one call."""

from __future__ import annotations

import asyncio

import pytest

from headrace.runnables import Runnable, RunnableLambda


class Negated(Runnable):
    def __init__(self, seen: list) -> None:
        self.seen = seen

    def invoke(self, input, config=None, **kwargs):
        return -input

    def batch(self, inputs, config=None, *, return_exceptions=False, **kwargs):
        self.seen.append(list(inputs))
        return [-value for value in inputs]

    async def abatch(self, inputs, config=None, *, return_exceptions=False, **kwargs):
        return self.batch(inputs)


def below_three(value: int) -> int:
    if value >= 3:
        raise ValueError(value)
    return value + 1


def chain(seen: list) -> Runnable:
    return RunnableLambda(below_three) | Negated(seen).with_config(tags=["t"]) | (lambda x: x * 10)


@pytest.mark.parametrize("door", ["batch", "abatch"])
def test_all_inputs_come_in_one_call_and_failures_keep_their_place(door):
    def call(*args, **kwargs):
        result = getattr(chain(seen), door)(*args, **kwargs)
        return asyncio.run(result) if door == "abatch" else result

    seen: list = []
    assert call([1, 2]) == [-20, -30]
    assert seen == [[2, 3]]
    seen.clear()
    first, failed, last = call([1, 3, 2], return_exceptions=True)
    assert (first, last) == (-20, -30)
    assert isinstance(failed, ValueError)
    assert seen == [[2, 3]]
    with pytest.raises(ValueError) as info:
        call([3, 1])
    assert info.value.__notes__ == ["In step RunnableSequence/1:below_three"]
    assert call([]) == []
