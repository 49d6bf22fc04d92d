"""Tools of every kind that may go wrong, and what an agent's run comes to, made comparable.

`made(kind, name, act)` makes the tool `name(x: int)` with a body of one of four kinds: "sync",
"async" (which has a sync body too), "generator", "async_generator" (the same). `act(x)` is what
each of them does; it may raise. Bodies are in the ledger while they are open, so that a test sees
whose `finally` has not run.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from pydantic import ConfigDict

from headrace.messages import AIMessage, BaseMessage, ToolMessage
from headrace.tools import BaseTool
from laws.ledger import LEDGER

KINDS = ["sync", "async", "generator", "async_generator"]
Act = Callable[[int], Any]


class _Faulty(BaseTool):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    description: str = "Does something with a number."
    act: Any = None


class Plain(_Faulty):
    def _run(self, x: int) -> Any:
        with LEDGER.body(self.name):
            return self.act(x)


class Waiting(Plain):
    async def _arun(self, x: int) -> Any:
        with LEDGER.body(self.name):
            await asyncio.sleep(0)
            return self.act(x)


class Reporting(_Faulty):
    def _run(self, x: int) -> Iterator[Any]:
        with LEDGER.body(self.name):
            yield f"{self.name} {x} begins"
            result = self.act(x)
            yield f"{self.name} {x} ends"
            return result


class ReportingBoth(Reporting):
    async def _arun(self, x: int) -> AsyncIterator[Any]:
        with LEDGER.body(self.name):
            yield f"{self.name} {x} begins"
            await asyncio.sleep(0)
            result = self.act(x)
            yield f"{self.name} {x} ends"
            yield result


CLASSES = dict(zip(KINDS, [Plain, Waiting, Reporting, ReportingBoth], strict=True))


def made(kind: str, name: str, act: Act, **fields: Any) -> BaseTool:
    return CLASSES[kind](name=name, act=act, **fields)


def told(message: BaseMessage) -> tuple[Any, ...]:
    """What of a message is the same in every run: everything but ids that were made up."""
    if isinstance(message, AIMessage):
        calls = [(c["name"], repr(c["args"]), c["id"]) for c in message.tool_calls]
        bad = [(c["name"], c["args"], c["id"]) for c in message.invalid_tool_calls]
        return ("ai", repr(message.content), tuple(calls), tuple(bad), repr(message.usage_metadata))
    if isinstance(message, ToolMessage):
        return ("tool", repr(message.content), message.tool_call_id, message.status, message.name)
    return (message.type, repr(message.content))


def transcript(messages: Any) -> list[tuple[Any, ...]]:
    return [told(message) for message in messages]
