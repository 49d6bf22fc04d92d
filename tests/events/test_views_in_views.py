"""Events of a chain that is watched otherwise, too: by handlers, or from inside another one."""

from __future__ import annotations

from typing import Any

import pytest

from events.pieces import bang, chat, fn, libraries, parser, prompt, up
from events.watched import astreamed, numbered, streamed
from headrace.callbacks import AsyncCallbackHandler, BaseCallbackHandler

ROOT = "RunnableSequence"


class Counting(BaseCallbackHandler):
    def __init__(self) -> None:
        self.tokens = 0

    def on_llm_new_token(self, token: Any, **kwargs: Any) -> None:
        self.tokens += 1


class Waiting(AsyncCallbackHandler):
    def __init__(self) -> None:
        self.tokens = 0

    async def on_llm_new_token(self, token: Any, **kwargs: Any) -> None:
        self.tokens += 1


def chain(m: Any) -> Any:
    return prompt(m) | chat(m) | parser(m) | fn(m, bang)


@pytest.mark.parametrize("watch", [astreamed, streamed])
@pytest.mark.parametrize("handlers", [[Counting], [Waiting], [Waiting, Counting]])
def test_handlers_change_no_event(watch, handlers):
    _, m = libraries()
    alone, _ = watch(chain(m), {"q": "hi"})
    given = [handler() for handler in handlers]
    beside, error = watch(chain(m), {"q": "hi"}, {"callbacks": given})
    assert error is None
    assert numbered(beside) == numbered(alone)
    assert [handler.tokens for handler in given] == [5] * len(given)


def inner(m: Any) -> Any:
    return fn(m, up) | fn(m, bang)


def nested(m: Any, seen: list[Any]) -> Any:
    async def outer(text: str) -> str:
        seen.extend([dict(event) async for event in inner(m).astream_events(text, version="v2")])
        return text

    return fn(m, outer)


def test_events_asked_for_inside_a_function_that_is_watched():
    """events-nested"""
    found = []
    for m in libraries():
        inside: list[Any] = []
        outside, error = astreamed(nested(m, inside), "hi")
        assert error is None
        alone, _ = astreamed(inner(m), "hi")
        found.append([[(e["event"], e["name"], e["data"]) for e in numbered(seen)]
                      for seen in (inside, alone, outside)])  # fmt: skip
        assert inside[0]["parent_ids"] == [outside[0]["run_id"]]
    (their_inside, alone, their_outside), (inside, our_alone, outside) = found
    assert inside == our_alone == alone
    assert their_inside == [e for e in alone if not e[0].endswith("_stream") or e[1] == ROOT]
    assert outside == their_outside


def test_each_call_is_a_run_of_its_own():
    _, m = libraries()
    first, _ = astreamed(chain(m), {"q": "hi"})
    second, _ = astreamed(chain(m), {"q": "hi"})
    assert {event["run_id"] for event in first}.isdisjoint(event["run_id"] for event in second)
    assert numbered(first) == numbered(second)
