# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
"""What `|` and `pipe` infer, of every kind of thing that may stand beside them.

Nothing here runs: `test_types.py` has mypy and pyright read it. Where one of them knows less than
the code says, the line says what it infers instead, and why.
"""

from collections.abc import AsyncIterator, Iterator
from typing import Any, assert_type

from headrace.runnables import Runnable, RunnableConfig, RunnableLike, RunnablePassthrough


def length(text: str) -> int:
    return len(text)


async def alength(text: str) -> int:
    return len(text)


def lengths(chunks: Iterator[str]) -> Iterator[int]:
    yield from map(len, chunks)


async def alengths(chunks: AsyncIterator[str]) -> AsyncIterator[int]:
    async for chunk in chunks:
        yield len(chunk)


def tagged(text: str, config: RunnableConfig) -> int:
    return len(config.get("tags") or text)


async def atagged(text: str, config: RunnableConfig) -> int:
    return len(config.get("tags") or text)


def tags_of(chunks: Iterator[str], config: RunnableConfig) -> Iterator[int]:
    yield len(config.get("tags") or list(chunks))


async def atags_of(chunks: AsyncIterator[str], config: RunnableConfig) -> AsyncIterator[int]:
    async for chunk in chunks:
        yield len(config.get("tags") or chunk)


def managed(text: str, run_manager: Any, config: RunnableConfig) -> int:
    return len(text)


def several(text: str, times: int = 1) -> int:
    return len(text) * times


def keyed(given: dict[str, Any]) -> str:
    return str(given["a"])


async def akeyed(given: dict[str, Any]) -> str:
    return str(given["a"])


def parsed(text: str) -> Any:
    return text


def a_runnable_and(
    up: Runnable[str, str], half: Runnable[int, float], json: Runnable[str, Any]
) -> None:
    assert_type(up | up, Runnable[str, str])
    assert_type(up | length | half, Runnable[str, float])
    assert_type(up | alength | half, Runnable[str, float])
    assert_type(up | lengths | half, Runnable[str, float])
    assert_type(up | alengths | half, Runnable[str, float])
    assert_type(up | tagged, Runnable[str, int])
    assert_type(up | atagged, Runnable[str, int])
    assert_type(up | tags_of, Runnable[str, int])
    assert_type(up | atags_of, Runnable[str, int])
    assert_type(up | managed, Runnable[str, int])
    assert_type(up | several, Runnable[str, int])
    assert_type(up | len, Runnable[str, int])
    assert_type(up | int, Runnable[str, int])
    assert_type(up | str.split, Runnable[str, list[str]])
    assert_type(up | parsed, Runnable[str, Any])


def anything_and(json: Runnable[str, Any], half: Runnable[int, float]) -> None:
    assert_type(json | length, Runnable[str, int])
    assert_type(json | alength, Runnable[str, int])
    assert_type(json | lengths, Runnable[str, int])
    assert_type(json | alengths, Runnable[str, int])
    assert_type(json | half, Runnable[str, float])
    assert_type(json | keyed, Runnable[str, str])
    assert_type(json | akeyed, Runnable[str, str])


def a_function_and(half: Runnable[int, float]) -> None:
    assert_type(length | half, Runnable[str, float])
    assert_type(alength | half, Runnable[str, float])
    assert_type(lengths | half, Runnable[str, float])
    assert_type(alengths | half, Runnable[str, float])
    assert_type(tagged | half, Runnable[str, float])
    assert_type(atagged | half, Runnable[str, float])
    assert_type(tags_of | half, Runnable[str, float])
    assert_type(parsed | half, Runnable[str, float])


def a_lambda_and(up: Runnable[str, str], half: Runnable[int, float]) -> None:
    # pyright reads the right side of `|` before it knows what is wanted there, so a lambda's
    # parameter is unknown to it (and its strict mode says so); `pipe` tells it. mypy knows.
    assert_type(up | (lambda text: len(text)), Runnable[str, int])  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    assert_type(up | (lambda text: [1]), Runnable[str, list[int]])  # pyright: ignore[reportUnknownLambdaType]
    assert_type(up | (lambda text: text.split()), Runnable[str, list[str]])  # pyright: ignore[reportUnknownLambdaType, reportUnknownMemberType, reportAssertTypeFailure]
    assert_type(up.pipe(lambda text: text.split()), Runnable[str, list[str]])
    assert_type(up.pipe(lambda text: text), Runnable[str, str])
    # On the left nothing tells either of them.
    assert_type((lambda text: 1) | half, Runnable[Any, float])  # pyright: ignore[reportUnknownLambdaType]


def a_dict_and(
    up: Runnable[str, str], half: Runnable[int, float], of_dict: Runnable[dict[str, Any], int]
) -> None:
    steps = {
        "runnable": up,
        "function": length,
        "coroutine": alength,
        "generator": lengths,
        "agenerator": alengths,
        "config": tagged,
        "dict": {"inner": length},
        "same": RunnablePassthrough[str](),
    }
    assert_type(up | {"a": up, "b": length, "c": alength}, Runnable[str, dict[str, Any]])
    assert_type(up | {"a": lengths, "b": alengths, "c": tagged}, Runnable[str, dict[str, Any]])
    assert_type(
        up | {"a": {"b": length}, "c": RunnablePassthrough()}, Runnable[str, dict[str, Any]]
    )
    assert_type(up | {"a": up} | keyed, Runnable[str, str])
    # What a dict literal wants as input no tool works out: the values' types differ.
    assert_type({"a": length, "b": up} | of_dict, Runnable[Any, int])
    assert_type(steps | of_dict, Runnable[Any, int])


def pipe(up: Runnable[str, str], half: Runnable[int, float]) -> None:
    assert_type(up.pipe(up), Runnable[str, str])
    assert_type(up.pipe(length), Runnable[str, int])
    assert_type(up.pipe(alength), Runnable[str, int])
    assert_type(up.pipe(lengths), Runnable[str, int])
    assert_type(up.pipe(alengths), Runnable[str, int])
    assert_type(up.pipe(tagged, name="tagged"), Runnable[str, int])
    assert_type(up.pipe(atagged), Runnable[str, int])
    assert_type(up.pipe(tags_of), Runnable[str, int])
    assert_type(up.pipe({"a": length}), Runnable[str, dict[str, Any]])
    assert_type(up.pipe(length, half), Runnable[str, float])
    # Of three and more, and of a last one that is no Runnable, the type is not followed.
    assert_type(up.pipe(length, half, half), Runnable[str, Any])
    assert_type(up.pipe(up, length), Runnable[str, Any])


def what_lets_through(up: Runnable[str, str]) -> None:
    # To pyright it is Runnable[str, Any]: as with lambdas, it does not look at the left side.
    assert_type(up | RunnablePassthrough(), Runnable[str, str])  # pyright: ignore[reportAssertTypeFailure]
    assert_type(up | RunnablePassthrough[str](), Runnable[str, str])


def alias() -> None:
    things: list[RunnableLike[str, int]] = [length, alength, lengths, alengths, tagged]
    things.append({"a": length})
