"""Ids that Headrace gives to messages: one for each answer, the same in all chunks of it."""

from __future__ import annotations

import asyncio

import pytest

from headrace.language_models import FakeListChatModel
from headrace.runnables import RunnableParallel


class Recorder:
    def on_event(self, event):
        assert event.run.id


def pair():
    return RunnableParallel(
        a=FakeListChatModel(responses=["xy"]), b=FakeListChatModel(responses=["xy"])
    )


@pytest.mark.parametrize("config", [None, {"callbacks": [Recorder()]}, {"tags": ["t"]}])
def test_two_models_of_one_chain_give_two_ids(config):
    both = pair().invoke("hi", config)
    assert both["a"].id != both["b"].id
    both = asyncio.run(pair().ainvoke("hi", config))
    assert both["a"].id != both["b"].id
    ids = {"a": set(), "b": set()}
    for chunk in pair().stream("hi", config):
        for key, message in chunk.items():
            ids[key].add(message.id)
    assert [len(found) for found in ids.values()] == [1, 1]
    assert not ids["a"] & ids["b"]
