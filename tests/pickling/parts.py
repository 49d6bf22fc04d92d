"""What is pickled here: the registry, and chains of module-level parts for those of its classes
that it only has with a lambda. What is at module level is found by name, in any process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from types import FunctionType
from typing import Any

from headrace.agents import ReActSingleInputOutputParser
from headrace.chat_history import InMemoryChatMessageHistory
from headrace.errors import AsyncOnlyError
from headrace.language_models import FakeListChatModel, GenericFakeChatModel, ParrotFakeChatModel
from headrace.messages import AIMessage
from headrace.output_parsers import JsonOutputParser
from headrace.prompts import ChatPromptTemplate
from headrace.runnables import (
    RouterRunnable,
    RunnableBranch,
    RunnableGenerator,
    RunnableLambda,
    RunnablePassthrough,
    RunnablePick,
    RunnableWithMessageHistory,
    chain,
)
from laws.entry import Entry
from laws.kinds import TEXT
from laws.registry import ENTRIES
from laws.registry_components import seen
from laws.usercode import exclaim, joined, swapper


def is_odd(text: str) -> bool:
    return len(text) % 2 == 1


def session(session_id: str) -> InMemoryChatMessageHistory:
    return InMemoryChatMessageHistory()


def routed(text: str) -> dict[str, str]:
    return {"key": "a", "input": text}


def acting(text: str) -> str:
    return f"Action: search\nAction Input: {text}"


@RunnableLambda
def wrapped(text: str) -> str:
    return text + "?"


@RunnableGenerator
def wrapped_stream(chunks: Iterator[str]) -> Iterator[str]:
    for chunk in chunks:
        yield chunk + "?"


@chain
def quoting(text: str) -> str:
    return f"'{text}'"


def remembered() -> Any:
    return RunnableWithMessageHistory(ParrotFakeChatModel(), session).with_config(
        configurable={"session_id": "s"}
    )


def long_chain() -> Any:
    """Most of what there is: a fan-out, a prompt, policies, partial JSON with a fold of its own."""
    model = FakeListChatModel(responses=['{"a": [1, 2]}'])
    return (
        {"x": RunnablePassthrough(), "y": swapper() | exclaim}
        | RunnablePassthrough.assign(z=joined)
        | ChatPromptTemplate.from_messages([("human", "{x} {y} {z}")])
        | model.with_retry().with_fallbacks([model])
        | JsonOutputParser()
        | RunnablePick("a")
    )


MORE = [
    Entry("react-action-named", lambda: RunnableLambda(acting) | ReActSingleInputOutputParser(),
          TEXT, None),
    Entry("branch-named", lambda: RunnableBranch((is_odd, swapper()), exclaim), TEXT, None),
    Entry("history-named", remembered, TEXT, None, view=seen),
    Entry("router-named", lambda: RunnableLambda(routed) | RouterRunnable(
        {"a": swapper(), "b": RunnableLambda(exclaim)}), TEXT, None),
    Entry("decorated", lambda: wrapped | wrapped_stream | quoting, TEXT, None),
    Entry("fake-generic-list", lambda: GenericFakeChatModel(messages=iter([AIMessage("a b")] * 4)),
          TEXT, None, view=seen),
    Entry("long", long_chain, TEXT, None),
    Entry("partial", lambda: RunnableLambda(partial(str.replace, "a-b", "-")) | exclaim, TEXT,
          None),
]  # fmt: skip
# Python gives up copying what itertools makes (3.12 warns, 3.14 refuses).
CASES = [*(entry for entry in ENTRIES if entry.name != "fake-generic"), *MORE]


def nameless(runnable: Any) -> bool:
    """Whether there is a function without a name of its own at module level, anywhere inside."""
    own = [vars(node) for node in runnable._walk()]
    derived = [name for node in runnable._walk() for name in node._derived]
    return any(
        _nameless(value) for each in own for name, value in each.items() if name not in derived
    )


def _nameless(value: Any) -> bool:
    if isinstance(value, FunctionType):
        return "<" in value.__qualname__
    if isinstance(value, dict):
        return any(map(_nameless, value.values()))
    return isinstance(value, (list, tuple)) and any(map(_nameless, value))


def outcome(entry: Entry, runnable: Any) -> Any:
    """What comes out: the value, the chunks, the same async; a sync call's refusal for one that
    only runs async."""
    value = entry.kind.sample(3)

    async def stream() -> list[Any]:
        return [entry.view(chunk) async for chunk in runnable.astream(value)]

    found: list[Any] = [entry.view(asyncio.run(runnable.ainvoke(value)))]
    found.append(sums(entry, asyncio.run(stream())))
    try:
        found.append(entry.view(runnable.invoke(value)))
        found.append(sums(entry, [entry.view(chunk) for chunk in runnable.stream(value)]))
    except AsyncOnlyError as error:
        found.append(str(error))
    return found


def sums(entry: Entry, chunks: list[Any]) -> Any:
    """The chunks; in any order where branches race."""
    return sorted(map(repr, chunks)) if entry.fans else chunks
