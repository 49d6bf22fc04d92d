# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
"""What the classes and decorators infer from the functions that they are given."""

from collections.abc import AsyncIterator, Iterator
from typing import Any, assert_type

from headrace.runnables import (
    Runnable,
    RunnableAssign,
    RunnableBranch,
    RunnableChunkwise,
    RunnableConfig,
    RunnableGenerator,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
    RunnableSequence,
    chain,
    each,
)


def length(text: str) -> int:
    return len(text)


async def alength(text: str) -> int:
    return len(text)


def tagged(text: str, config: RunnableConfig) -> int:
    return len(config.get("tags") or text)


async def atagged(text: str, config: RunnableConfig) -> int:
    return len(config.get("tags") or text)


def spell(text: str) -> Iterator[int]:
    yield from map(ord, text)


async def aspell(text: str) -> AsyncIterator[int]:
    for character in text:
        yield ord(character)


def lengths(chunks: Iterator[str]) -> Iterator[int]:
    yield from map(len, chunks)


async def alengths(chunks: AsyncIterator[str]) -> AsyncIterator[int]:
    async for chunk in chunks:
        yield len(chunk)


def tags_of(chunks: Iterator[str], config: RunnableConfig) -> Iterator[int]:
    yield len(config.get("tags") or list(chunks))


def choose(text: str) -> Runnable[str, int]:
    return RunnableLambda(length if text else tagged)


def lambdas() -> None:
    assert_type(RunnableLambda(length), RunnableLambda[str, int])
    assert_type(RunnableLambda(length, alength), RunnableLambda[str, int])
    assert_type(RunnableLambda(alength), RunnableLambda[str, int])
    assert_type(RunnableLambda(tagged), RunnableLambda[str, int])
    assert_type(RunnableLambda(atagged), RunnableLambda[str, int])
    # A generator function streams its output; one that returns a runnable has that run.
    assert_type(RunnableLambda(spell), RunnableLambda[str, int])
    assert_type(RunnableLambda(aspell), RunnableLambda[str, int])
    assert_type(RunnableLambda(choose), RunnableLambda[str, int])
    assert_type(RunnableLambda[str, int](lambda text: len(text)), RunnableLambda[str, int])
    assert_type(RunnableLambda(length) | str, Runnable[str, str])


def generators() -> None:
    assert_type(RunnableGenerator(lengths), RunnableGenerator[str, int])
    assert_type(RunnableGenerator(alengths), RunnableGenerator[str, int])
    assert_type(RunnableGenerator(lengths, alengths), RunnableGenerator[str, int])
    assert_type(RunnableGenerator(tags_of), RunnableGenerator[str, int])


def decorators() -> None:
    assert_type(each(length), RunnableChunkwise[str, int])
    assert_type(each(str.upper), RunnableChunkwise[str, str])
    assert_type(chain(length), RunnableLambda[str, int])
    assert_type(chain(alength), RunnableLambda[str, int])
    assert_type(chain(tagged), RunnableLambda[str, int])
    assert_type(chain(spell), RunnableLambda[str, int])
    assert_type(chain(aspell), RunnableLambda[str, int])
    assert_type(chain(choose), RunnableLambda[str, int])


@chain
def decorated(text: str) -> int:
    return len(text)


assert_type(decorated, RunnableLambda[str, int])
assert_type(decorated.invoke("a"), int)


def sequences(up: Runnable[str, str], size: Runnable[str, int], half: Runnable[int, float]) -> None:
    assert_type(RunnableSequence(up, size), RunnableSequence[str, int])
    assert_type(RunnableSequence(up, size, half, name="n"), RunnableSequence[str, float])
    # With functions among the steps, with more of them, or with keywords: use `|` for types.
    assert_type(RunnableSequence(up, length), RunnableSequence[Any, Any])
    assert_type(RunnableSequence(first=up, last=size), RunnableSequence[Any, Any])


def parallels(up: Runnable[str, str], size: Runnable[str, int]) -> None:
    assert_type(RunnableParallel(a=up, b=size), RunnableParallel[str])
    assert_type(RunnableParallel({"a": up, "b": size}), RunnableParallel[str])
    assert_type(RunnableParallel(a=up, b=size).invoke("a"), dict[str, Any])
    # A function may take the value or the stream, so what it says of the input is ambiguous.
    assert_type(RunnableParallel(a=length, b=size), RunnableParallel[Any])


def branches(up: Runnable[str, str], size: Runnable[str, int]) -> None:
    assert_type(RunnableBranch((length, size), length), RunnableBranch[str, int])
    assert_type(RunnableBranch((length, up), (str.isalpha, up), up), RunnableBranch[str, str])


def passing(up: Runnable[str, str]) -> None:
    assert_type(RunnablePassthrough(), RunnablePassthrough[Any])
    assert_type(RunnablePassthrough[str](), RunnablePassthrough[str])
    assert_type(RunnablePassthrough.assign(a=length), RunnableAssign)
    assert_type(RunnablePassthrough.assign(a=length).invoke({}), dict[str, Any])
