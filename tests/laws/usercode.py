"""User code of the registry: functions, generators and classes as users write them.

Whatever can be left open writes into the ledger, so that a test sees what was.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from headrace.runnables import Runnable, RunnableGenerator, RunnableLambda, chain
from laws.ledger import LEDGER


def exclaim(text: str) -> str:
    return text + "!"


def failing(text: str) -> str:
    raise ConnectionError("failing")


async def aexclaim(text: str) -> str:
    return text + "!"


def spell(text: str) -> Iterator[str]:
    """A whole text in, its characters out."""
    with LEDGER.body("spell"):
        yield from text


async def aspell(text: str) -> AsyncIterator[str]:
    with LEDGER.body("aspell"):
        for character in text:
            yield character


def swap(chunks: Iterator[str]) -> Iterator[str]:
    """Chunks of text in, chunks out, and a last one of its own."""
    with LEDGER.body("swap"):
        for chunk in chunks:
            yield chunk.swapcase()
        yield "."


async def aswap(chunks: AsyncIterator[str]) -> AsyncIterator[str]:
    with LEDGER.body("aswap"):
        async for chunk in chunks:
            yield chunk.swapcase()
        yield "."


def swapped(text: str) -> str:
    return text.swapcase() + "."


def joined(parts: dict[str, str]) -> str:
    return "|".join(parts[key] for key in sorted(parts))


def relay(chunks: Iterator[Any]) -> Iterator[Any]:
    with LEDGER.body("relay"):
        yield from chunks


async def arelay(chunks: AsyncIterator[Any]) -> AsyncIterator[Any]:
    with LEDGER.body("arelay"):
        async for chunk in chunks:
            yield chunk


def told(_: Any) -> None:
    """What a passthrough with a function calls."""
    with LEDGER.body("told"):
        pass


async def atold(_: Any) -> None:
    told(_)


class OnlyInvoke(Runnable[str, str]):
    def invoke(self, input: str, config: Any = None, **kwargs: Any) -> str:
        return exclaim(input)


class OnlyAinvoke(Runnable[str, str]):
    async def ainvoke(self, input: str, config: Any = None, **kwargs: Any) -> str:
        return exclaim(input)


class OnlyStream(Runnable[str, str]):
    def stream(self, input: str, config: Any = None, **kwargs: Any) -> Iterator[str]:
        yield from spell(input)


class OnlyAstream(Runnable[str, str]):
    async def astream(self, input: str, config: Any = None, **kwargs: Any) -> AsyncIterator[str]:
        with LEDGER.body("astream"):
            for character in input:
                yield character


class OnlyTransform(Runnable[str, str]):
    def transform(self, input: Any, config: Any = None, **kwargs: Any) -> Iterator[str]:
        yield from swap(input)


class OnlyAtransform(Runnable[str, str]):
    async def atransform(self, input: Any, config: Any = None, **kwargs: Any) -> AsyncIterator[str]:
        with LEDGER.body("atransform"):
            async for chunk in input:
                yield chunk.swapcase()
            yield "."


class InvokeAndStream(Runnable[str, str]):
    """The most common override: both by hand."""

    def invoke(self, input: str, config: Any = None, **kwargs: Any) -> str:
        return input

    def stream(self, input: str, config: Any = None, **kwargs: Any) -> Iterator[str]:
        yield from spell(input)


class LoudLambda(RunnableLambda[str, str]):
    """A class of Headrace with one door overridden, calling what it overrides."""

    def invoke(self, input: str, config: Any = None, **kwargs: Any) -> str:
        return super().invoke(input, config, **kwargs).upper()


class LoudStream(RunnableGenerator[str, str]):
    def transform(self, input: Any, config: Any = None, **kwargs: Any) -> Iterator[str]:
        with LEDGER.body("loud"):
            for chunk in super().transform(input, config, **kwargs):
                yield chunk.upper()


@chain
def nested(text: str) -> str:
    """A function that invokes runnables; they are its children."""
    return str((swapper() | exclaim).invoke(text))


@chain
def chosen(text: str) -> Any:
    """A function that returns the runnable to run."""
    return swapper() if len(text) % 2 else RunnableLambda(exclaim)


def deep(text: str) -> Any:
    return RunnableLambda(lambda _: chosen)


def suffixed(text: str, *, suffix: str = "?") -> str:
    return text + suffix


def swapper() -> RunnableGenerator[str, str]:
    return RunnableGenerator(swap, aswap)


def chosen_output(text: str) -> str:
    return swapped(text) if len(text) % 2 else exclaim(text)


class Flaky:
    """Fails at the first call."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, text: str) -> str:
        self.calls += 1
        if self.calls == 1:
            raise ConnectionError("flaky")
        return exclaim(text)
