"""The same programs on langchain-core and on Headrace, compared chunk by chunk.

A program is a function of a namespace: `m` has the names of both libraries' modules. What differs
on purpose is in `DIFFERENCES`, each with a program that shows both behaviours; its key must be the
anchor of a row in docs/differences.md.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings

from laws.kinds import texts
from laws.programs import PORTABLE_LEAVES, build, trees

MODULES = ("runnables", "messages", "prompts", "output_parsers", "language_models", "documents",
           "embeddings", "vectorstores", "retrievers", "outputs")  # fmt: skip


def _namespace(package: str) -> Any:
    found: dict[str, Any] = {"library": package}
    for name in MODULES:
        module = importlib.import_module(f"{package}.{name}")
        for public in module.__all__:
            found[public] = getattr(module, public)
    extra = importlib.import_module(
        f"{package}.language_models" + ("" if package == "headrace" else ".fake_chat_models")
    )
    for public in ("FakeListChatModel", "GenericFakeChatModel"):
        found[public] = getattr(extra, public)
    for public in ("FakeListLLM", "FakeStreamingListLLM"):
        found[public] = getattr(importlib.import_module(f"{package}.language_models"), public)
    return SimpleNamespace(**found)


@pytest.fixture(scope="module")
def libraries() -> tuple[Any, Any]:
    return _namespace("langchain_core"), _namespace("headrace")


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
            keys.setdefault(key, []).append(value)
    return keys


def _outcome(call: Callable[[], Any]) -> Any:
    """What a call gives, or the class and text of what it raises."""
    try:
        return plain(call())
    except Exception as error:
        return ("raised", type(error).__name__, str(error))


async def _collect(chunks: Any) -> list[Any]:
    return [chunk async for chunk in chunks]


async def _feed(pieces: list[Any]) -> Any:
    for piece in pieces:
        yield piece


WAYS: dict[str, Callable[[Any, list[Any]], Any]] = {
    "invoke": lambda r, pieces: r.invoke(_whole(pieces)),
    "stream": lambda r, pieces: list(r.stream(_whole(pieces))),
    "transform": lambda r, pieces: list(r.transform(iter(pieces))),
    "batch": lambda r, pieces: r.batch([_whole(pieces), pieces[0]]),
    "ainvoke": lambda r, pieces: asyncio.run(_awaited(r.ainvoke(_whole(pieces)))),
    "astream": lambda r, pieces: asyncio.run(_collect(r.astream(_whole(pieces)))),
    "atransform": lambda r, pieces: asyncio.run(_collect(r.atransform(_feed(pieces)))),
    "abatch": lambda r, pieces: asyncio.run(_awaited(r.abatch([_whole(pieces), pieces[0]]))),
}


async def _awaited(awaitable: Any) -> Any:
    return await awaitable


def _whole(pieces: list[Any]) -> Any:
    whole = pieces[0]
    for piece in pieces[1:]:
        whole = {**whole, **piece} if isinstance(whole, dict) else whole + piece
    return whole


# ---- programs -----------------------------------------------------------------------------------


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


TEXT = ["ab", "cd", "e"]
DICTS = [{"x": "ab"}, {"y": "cd"}]
LISTS = [["a", "b"], ["c"]]

# name: (program, the input in pieces)
PROGRAMS: dict[str, tuple[Callable[[Any], Any], list[Any]]] = {
    "lambda": (lambda m: m.RunnableLambda(str.upper), TEXT),
    "lambda both": (lambda m: m.RunnableLambda(lambda t: t + "!", aexclaim), TEXT),
    "lambda generator": (lambda m: m.RunnableLambda(spell), TEXT),
    "lambda returns a runnable": (lambda m: m.RunnableLambda(lambda t: gen(m)), TEXT),
    "lambda config": (
        lambda m: m.RunnableLambda(with_config).with_config(tags=["b", "a"], metadata={"k": 1}),
        TEXT,
    ),
    "lambda fails": (lambda m: m.RunnablePassthrough() | fails | gen(m), TEXT),
    "generator": (gen, TEXT),
    "generators in a row": (lambda m: gen(m) | m.RunnablePassthrough() | gen(m), TEXT),
    "generator to lambda": (lambda m: gen(m) | (lambda t: t[::-1]) | gen(m), TEXT),
    "generator coerced": (lambda m: m.RunnablePassthrough() | upper, TEXT),
    "passthrough": (lambda m: m.RunnablePassthrough(), TEXT),
    "passthrough func": (lambda m: m.RunnablePassthrough(lambda t: None), TEXT),
    "parallel": (lambda m: m.RunnableParallel(a=gen(m), b=lambda t: t + "!"), TEXT),
    "parallel of dict": (lambda m: m.RunnablePassthrough() | {"a": gen(m), "b": spell}, TEXT),
    "parallel nested": (
        lambda m: m.RunnableParallel(p={"a": gen(m), "b": str.upper}, q=m.RunnablePassthrough()),
        TEXT,
    ),
    "parallel then pick": (lambda m: m.RunnableParallel(a=gen(m), b=gen(m)).pick("a"), TEXT),
    "parallel then pick many": (
        lambda m: m.RunnableParallel(a=gen(m), b=gen(m), c=gen(m)).pick(["a", "c"]),
        TEXT,
    ),
    "parallel to lambda": (lambda m: m.RunnableParallel(a=gen(m), b=gen(m)) | sorted, TEXT),
    "dict first": (lambda m: {"a": gen(m), "b": spell} | m.RunnableLambda(lambda d: d["a"]), TEXT),
    "pick": (lambda m: m.RunnablePick("x"), DICTS),
    "pick many": (lambda m: m.RunnablePick(["y", "x"]), DICTS),
    "pick missing": (lambda m: m.RunnablePassthrough() | m.RunnablePick("z"), DICTS),
    "assign": (
        lambda m: m.RunnablePassthrough.assign(z=lambda d: d["x"] + d.get("y", "")),
        DICTS,
    ),
    "assign streams": (
        lambda m: m.RunnablePassthrough.assign(z=m.RunnablePick("x") | gen(m)),
        DICTS,
    ),
    "assign over": (lambda m: m.RunnablePassthrough.assign(x=lambda d: d["x"] * 2), DICTS),
    "assign of parallel": (
        lambda m: m.RunnableParallel(a=gen(m)).assign(b=lambda d: d["a"][::-1]),
        TEXT,
    ),
    "each": (lambda m: m.RunnableLambda(str.upper).map() | (lambda items: items), LISTS),
    "each of generators": (lambda m: gen(m).map() | "".join, LISTS),
    "bind": (lambda m: m.RunnableLambda(suffixed).bind(suffix="#"), TEXT),
    "bind twice": (lambda m: m.RunnableLambda(suffixed).bind(suffix="1").bind(suffix="2"), TEXT),
    "with_config": (lambda m: gen(m).with_config(run_name="n", tags=["t"]), TEXT),
    "retry": (
        lambda m: (
            m.RunnableLambda(flaky()).with_retry(wait_exponential_jitter=False) | (lambda t: t)
        ),
        TEXT,
    ),
    "retry in vain": (
        lambda m: m.RunnableLambda(fails).with_retry(
            wait_exponential_jitter=False, stop_after_attempt=2
        ),
        TEXT,
    ),
    "fallbacks": (lambda m: m.RunnableLambda(fails).with_fallbacks([gen(m)]), TEXT),
    "branch": (
        lambda m: m.RunnableBranch((lambda t: "z" in t, gen(m)), m.RunnableLambda(str.title)),
        TEXT,
    ),
    "prompt": (lambda m: m.PromptTemplate.from_template("{x}-{y}"), [{"x": "1", "y": "2"}]),
    "chat prompt": (
        lambda m: m.ChatPromptTemplate.from_messages([("system", "be {x}"), ("human", "{y}")]),
        [{"x": "1", "y": "2"}],
    ),
    "chat model": (lambda m: m.FakeListChatModel(responses=["hello you", "x"]), TEXT),
    "generic chat model": (
        lambda m: m.GenericFakeChatModel(messages=iter(["hello big world"] * 3)),
        TEXT,
    ),
    "llm": (lambda m: m.FakeStreamingListLLM(responses=["hello", "x"]), TEXT),
    "prompt model parser": (
        lambda m: (
            m.ChatPromptTemplate.from_template("{x}")
            | m.FakeListChatModel(responses=["hello", "x"])
            | m.StrOutputParser()
        ),
        [{"x": "1"}],
    ),
    "json": (
        lambda m: (
            m.FakeListChatModel(responses=['{"a": [1, 23], "b": {"c": "d"}}'])
            | m.JsonOutputParser()
        ),
        TEXT,
    ),
    "json in a fence": (
        lambda m: (
            m.FakeListChatModel(responses=['text ```json\n{"a": "b c"}\n``` more'])
            | m.StrOutputParser()
            | m.JsonOutputParser()
        ),
        TEXT,
    ),
}
INTERLEAVING = {
    "parallel", "parallel of dict", "parallel nested", "parallel then pick many", "assign",
    "assign streams", "assign over", "assign of parallel",
}  # fmt: skip

# (program, way): the key in DIFFERENCES of what makes them differ
EXPECTED: dict[tuple[str, str], str] = {
    **{("generators in a row", way): "generators-agree" for way in ("invoke", "ainvoke")},
    **{("generators in a row", way): "generators-agree" for way in ("batch", "abatch")},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("program", PROGRAMS)
def test_both_give_the_same(program, way, libraries):
    make, pieces = PROGRAMS[program]
    theirs, ours = (_outcome(lambda m=m: WAYS[way](make(m), pieces)) for m in libraries)
    if (program, way) in EXPECTED:
        assert ours != theirs, "no difference any more: take it out of EXPECTED"
        return
    if program in INTERLEAVING and isinstance(theirs, list) and way not in ("batch", "abatch"):
        theirs, ours = by_key(theirs), by_key(ours)
    assert ours == theirs


@settings(max_examples=40)
@given(tree=trees(PORTABLE_LEAVES), text=texts)
def test_random_programs_stream_the_same_chunks(tree, text, libraries):
    theirs, ours = (build(tree, m) for m in libraries)
    assert list(ours.stream(text)) == list(theirs.stream(text))


@settings(max_examples=15)
@given(tree=trees(PORTABLE_LEAVES), text=texts)
def test_random_programs_stream_the_same_chunks_async(tree, text, libraries):
    theirs, ours = (build(tree, m) for m in libraries)
    assert asyncio.run(_collect(ours.astream(text))) == asyncio.run(_collect(theirs.astream(text)))
