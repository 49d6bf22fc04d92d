"""Both libraries under one roof: their names, the ways to call a runnable, what is compared.

`LIBRARIES()` gives langchain-core and Headrace as namespaces with the same names, `outcome` what a
call gives (or raises) without any trace of the library it came from. Below, the user code of the
programs that are written for both.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Iterator
from functools import cache
from types import SimpleNamespace
from typing import Any

NAMES = {
    "runnables": """RunnableAssign RunnableBinding RunnableBranch RunnableGenerator
        RunnableLambda RunnableParallel RunnablePassthrough RunnablePick RunnableSequence
        Runnable""",
    "messages": "AIMessage HumanMessage",
    "prompts": "ChatPromptTemplate PromptTemplate",
    "output_parsers": "BaseTransformOutputParser JsonOutputParser StrOutputParser",
    "language_models": """FakeListChatModel FakeListLLM FakeStreamingListLLM
        GenericFakeChatModel""",
    "documents": "Document",
    "retrievers": "BaseRetriever",
}


def _namespace(package: str) -> Any:
    """The names of all modules of a library in one object."""
    found: dict[str, Any] = {"library": package}
    for module, names in NAMES.items():
        imported = importlib.import_module(f"{package}.{module}")
        found.update({name: getattr(imported, name) for name in names.split()})
    return SimpleNamespace(**found)


# ---- what is compared ---------------------------------------------------------------------------


def plain(value: Any) -> Any:
    """A value without its library: classes by name, no ids made up for a run."""
    if hasattr(value, "to_messages"):
        return ("prompt", [plain(message) for message in value.to_messages()])
    if hasattr(value, "page_content"):
        return ("document", value.page_content, value.metadata)
    if hasattr(value, "content") and hasattr(value, "additional_kwargs"):
        calls = [(c["name"], c["args"], c["id"]) for c in getattr(value, "tool_calls", None) or []]
        # A hidden subclass (a sum not read yet) counts as what it is one of.
        kind = next(c.__name__ for c in type(value).__mro__ if not c.__name__.startswith("_"))
        return (kind, value.content, calls, value.additional_kwargs)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def by_key(chunks: list[Any]) -> dict[str, list[Any]]:
    """Chunks of a parallel, each key's by themselves: how they interleave is free."""
    keys: dict[str, list[Any]] = {}
    for chunk in chunks:
        for key, value in chunk.items():
            if isinstance(value, dict):  # a parallel in a parallel: its keys by themselves, too
                for inner, one in by_key([value]).items():
                    keys.setdefault(f"{key}.{inner}", []).extend(one)
            else:
                keys.setdefault(key, []).append(value)
    return keys


def outcome(call: Callable[[], Any]) -> Any:
    """What a call gives, or the class and text of what it raises."""
    try:
        return plain(call())
    except Exception as error:
        return ("raised", type(error).__name__, str(error))


async def collect(chunks: Any) -> list[Any]:
    return [chunk async for chunk in chunks]


async def feed(pieces: list[Any]) -> Any:
    for piece in pieces:
        yield piece


WAYS: dict[str, Callable[[Any, list[Any]], Any]] = {
    "invoke": lambda r, pieces: r.invoke(_whole(pieces)),
    "stream": lambda r, pieces: list(r.stream(_whole(pieces))),
    "transform": lambda r, pieces: list(r.transform(iter(pieces))),
    "batch": lambda r, pieces: r.batch([_whole(pieces), pieces[0]]),
    "ainvoke": lambda r, pieces: asyncio.run(_awaited(r.ainvoke(_whole(pieces)))),
    "astream": lambda r, pieces: asyncio.run(collect(r.astream(_whole(pieces)))),
    "atransform": lambda r, pieces: asyncio.run(collect(r.atransform(feed(pieces)))),
    "abatch": lambda r, pieces: asyncio.run(_awaited(r.abatch([_whole(pieces), pieces[0]]))),
}


async def _awaited(awaitable: Any) -> Any:
    return await awaitable


def _whole(pieces: list[Any]) -> Any:
    whole = pieces[0]
    for piece in pieces[1:]:
        whole = {**whole, **piece} if isinstance(whole, dict) else whole + piece
    return whole


@cache
def libraries() -> tuple[Any, Any]:
    """langchain-core, Headrace; loaded when a test first asks."""
    return _namespace("langchain_core"), _namespace("headrace")


# ---- user code -----------------------------------------------------------------------------------


def upper(chunks: Iterator[Any]) -> Iterator[Any]:
    for chunk in chunks:
        yield chunk.upper()
    yield "."


async def aupper(chunks: Any) -> Any:
    async for chunk in chunks:
        yield chunk.upper()
    yield "."


def spell(text: str) -> Iterator[str]:
    yield from text


def flaky() -> Callable[[str], str]:
    calls: list[str] = []

    def call(text: str) -> str:
        calls.append(text)
        if calls.count(text) == 1:
            raise ConnectionError("flaky")
        return text + "!"

    return call


def fails(text: Any) -> Any:
    raise ValueError(f"cannot take {text!r}")


def suffixed(text: str, suffix: str = "?") -> str:
    return text + suffix


def with_config(text: str, config: Any) -> str:
    return f"{text} {sorted(config['tags'])} {config['metadata'].get('k')}"


async def aexclaim(text: str) -> str:
    return text + "!"


def gen(m: Any) -> Any:
    return m.RunnableGenerator(upper, aupper)
