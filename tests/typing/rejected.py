# pyright: strict, reportUnnecessaryTypeIgnoreComment=true, reportUnusedExpression=false
"""Chains that do not fit, each an error.

`type: ignore` is the mark, and holds for both tools: mypy must report these lines with these codes,
pyright these lines, and neither any other. Both call a mark without an error an error (the first
line asks pyright for it), so a chain that becomes accepted fails the test too.
"""

from collections.abc import AsyncIterator, Iterator

from headrace.language_models import BaseChatModel
from headrace.output_parsers import StrOutputParser
from headrace.prompts import ChatPromptTemplate
from headrace.retrievers import BaseRetriever
from headrace.runnables import (
    Runnable,
    RunnableGenerator,
    RunnableLambda,
    chain,
    each,
)


def half(number: int) -> float:
    return number / 2


async def ahalf(number: int) -> float:
    return number / 2


def halves(numbers: Iterator[int]) -> Iterator[float]:
    for number in numbers:
        yield number / 2


async def ahalves(numbers: AsyncIterator[int]) -> AsyncIterator[float]:
    async for number in numbers:
        yield number / 2


def two(one: str, other: str) -> str:
    return one + other


def after(up: Runnable[str, str], halved: Runnable[int, float]) -> None:
    up | halved  # type: ignore[operator]
    up | half  # type: ignore[operator]
    up | ahalf  # type: ignore[operator]
    up | halves  # type: ignore[operator]
    up | ahalves  # type: ignore[operator]
    up | two  # type: ignore[operator]
    up | 3  # type: ignore[operator]
    up | "text"  # type: ignore[operator]
    up | RunnableLambda(half)  # type: ignore[arg-type]
    up | RunnableGenerator(halves)  # type: ignore[arg-type]
    up | each(half)  # type: ignore[arg-type]
    up | chain(half)  # type: ignore[arg-type]


def before(up: Runnable[str, str]) -> None:
    half | up  # type: ignore[operator]
    ahalf | up  # type: ignore[operator]
    halves | up  # type: ignore[operator]
    ahalves | up  # type: ignore[operator]
    3 | up  # type: ignore[operator]
    {"a": half} | up  # type: ignore[operator]


def dicts(up: Runnable[str, str], halved: Runnable[int, float]) -> None:
    up | {"a": halved}  # type: ignore[dict-item]
    up | {"a": half}  # type: ignore[dict-item]
    up | {"a": halves}  # type: ignore[dict-item]
    up | {"a": 3}  # type: ignore[dict-item]
    up | {1: up}  # type: ignore[dict-item]


def piped(up: Runnable[str, str]) -> None:
    up.pipe(half)  # type: ignore[arg-type]
    up.pipe(halves)  # type: ignore[arg-type]
    up.pipe(half, up)  # type: ignore[arg-type]
    up.pipe()  # type: ignore[call-overload]
    up.pipe(lambda text: text.nowhere())  # type: ignore[attr-defined]


def lambdas(up: Runnable[str, str]) -> None:
    up | (lambda text: text.nowhere())  # type: ignore[attr-defined]


def inputs(halved: Runnable[int, float]) -> None:
    halved.invoke("text")  # type: ignore[arg-type]
    halved.batch(["text"])  # type: ignore[list-item]
    halved.transform(iter(["text"]))  # type: ignore[list-item]
    halved.map().invoke(3)  # type: ignore[arg-type]


def variance(step: Runnable[int, float]) -> None:
    _wider: Runnable[object, float] = step  # type: ignore[assignment]
    _narrower: Runnable[int, int] = step  # type: ignore[assignment]


def derived(halved: Runnable[int, float], up: Runnable[str, str]) -> None:
    halved.with_fallbacks([up])  # type: ignore[list-item]
    halved.with_retry(stop_after=2)  # type: ignore[call-arg]
    halved.with_config({"tag": ["t"]})  # type: ignore[arg-type]


def made(up: Runnable[str, str]) -> None:
    RunnableLambda(3)  # type: ignore[call-overload]
    RunnableGenerator(half)  # type: ignore[arg-type]
    RunnableGenerator(3)  # type: ignore[arg-type]
    each(3)  # type: ignore[arg-type]
    RunnableLambda[str, str](half)  # type: ignore[arg-type]


def components(prompt: ChatPromptTemplate, chat: BaseChatModel, retriever: BaseRetriever) -> None:
    prompt | half  # type: ignore[operator]
    half | chat  # type: ignore[operator]
    chat | retriever  # type: ignore[operator]
    retriever | chat  # type: ignore[operator]
    prompt | StrOutputParser()  # type: ignore[operator]
    prompt.pipe(StrOutputParser())  # type: ignore[arg-type]
    half | StrOutputParser()  # type: ignore[operator]
    retriever | StrOutputParser()  # type: ignore[operator]
    chat.invoke(3)  # type: ignore[arg-type]
    chat.invoke({"question": "what?"})  # type: ignore[arg-type]


def live(size: Runnable[str, int]) -> None:
    with size.open("a") as run:
        run.text.with_policy("drop")  # type: ignore[arg-type]
        run.events(policy="drop")  # type: ignore[arg-type]
        run.output.upper()  # type: ignore[attr-defined]
    for number in size.stream("a"):
        number.upper()  # type: ignore[attr-defined]
