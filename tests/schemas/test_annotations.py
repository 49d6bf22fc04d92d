"""What classes and functions say of their types."""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterable, Iterator
from operator import itemgetter
from typing import Any, Generic, TypedDict, TypeVar

import pytest

from headrace.runnables import (
    Runnable,
    RunnableGenerator,
    RunnableLambda,
    RunnableSerializable,
    each,
)
from headrace.runnables.annotations import keys_read
from headrace.runnables.schema import TypeUnknownError

T = TypeVar("T")
N = TypeVar("N", bound=int)


class Base(Runnable[str, list[T]], Generic[T]):
    def invoke(self, input: str, config: Any = None, **kwargs: Any) -> list[T]:
        return []


class Numbers(Base[int]): ...


class Further(Numbers): ...


class Swapped(Runnable[T, N], Generic[N, T]):
    def invoke(self, input: T, config: Any = None, **kwargs: Any) -> Any: ...


class Model(RunnableSerializable[str, dict[str, T]], Generic[T]): ...


class IntModel(Model[int]): ...


class Silent(Runnable):  # type: ignore[type-arg]
    def invoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:
        return input


class Later(Runnable["Asked", "list[Asked]"]):
    def invoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:
        return input


class Asked(TypedDict):
    question: str


@pytest.mark.parametrize(
    ("runnable", "taken", "given"),
    [
        (Numbers(), str, list[int]),
        (Further(), str, list[int]),
        (Base(), str, list[Any]),
        (Swapped(), Any, int),
        (Swapped[bool, str](), str, bool),
        (IntModel(), str, dict[str, int]),
        (Later(), Asked, list[Asked]),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Runnable) else "",
)
def test_class_lines(runnable: Any, taken: Any, given: Any) -> None:
    assert runnable.InputType == taken
    assert _without_variables(runnable.OutputType) == given


def _without_variables(annotation: Any) -> Any:
    return list[Any] if getattr(annotation, "__parameters__", ()) else annotation


def test_a_class_that_does_not_say() -> None:
    with pytest.raises(TypeUnknownError, match=r"InputType of Silent.*with_types"):
        _ = Silent().InputType
    with pytest.raises(TypeError, match="OutputType"):
        Silent().get_output_schema()
    chain = Silent() | RunnableLambda(lambda x: 1).with_types(output_type=int)
    assert chain.OutputType is int
    with pytest.raises(TypeUnknownError):
        chain.get_input_jsonschema()
    assert (chain | {"a": Silent()}).get_output_jsonschema()["properties"] == {"a": {"title": "A"}}
    said = Silent().with_types(input_type=int, output_type=str)
    assert (said.InputType, said.OutputType) == (int, str)


def plain(x: int, y: str = "") -> str:
    return y


async def aplain(x: int) -> str:
    return ""


def gen(x: int) -> Generator[str, None, None]:
    yield ""


async def agen(x: int) -> AsyncGenerator[str, None]:
    yield ""


def iterable(x: int) -> Iterable[str]:
    yield ""


def no_stream(x: int) -> list[str]:
    return []


def returns_runnable(x: int) -> Runnable[int, str]:
    return RunnableLambda(str)


def unresolved(x: Missing) -> Missing: ...  # type: ignore[name-defined]  # noqa: F821


class Called:
    def __call__(self, x: int) -> str:
        return ""

    def method(self, x: int) -> str:
        return ""


@functools.wraps(plain)
def wrapped(*args: Any, **kwargs: Any) -> Any: ...


@pytest.mark.parametrize(
    ("function", "taken", "given"),
    [
        (plain, int, str),
        (aplain, int, str),
        (gen, int, str),
        (agen, int, str),
        (iterable, int, str),
        (no_stream, int, list[str]),
        (returns_runnable, int, str),
        (unresolved, Any, Any),
        (functools.partial(plain, y="a"), int, str),
        (functools.partial(plain, 1), str, str),
        (wrapped, int, str),
        (Called(), int, str),
        (Called().method, int, str),
        (str, Any, str),
        (len, Any, Any),
        (lambda x: x, Any, Any),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_functions(function: Any, taken: Any, given: Any) -> None:
    runnable = RunnableLambda(function)
    assert (runnable.InputType, runnable.OutputType) == (taken, given)


def test_annotations_of_local_names() -> None:
    class Local:
        pass

    def function(x: Local) -> list[Local]:
        return [Local()]

    runnable = RunnableLambda(function)
    assert (runnable.InputType, runnable.OutputType) == (Local, list[Local])
    assert runnable.get_input_jsonschema() == {"title": "function_input"}
    assert runnable.input_schema.model_validate(Local()).root is not None
    with pytest.raises(ValueError, match="Local"):
        runnable.input_schema.model_validate(1)


def numbers(texts: Iterator[str]) -> Iterator[int]:
    yield 1


async def anumbers(texts: AsyncIterator[str]) -> AsyncIterator[int]:
    yield 1


def test_generators_and_chunkwise() -> None:
    for runnable in (RunnableGenerator(numbers), RunnableGenerator(anumbers)):
        assert (runnable.InputType, runnable.OutputType) == (str, int)
    bare = RunnableGenerator[str, int](lambda chunks: chunks)
    assert (bare.InputType, bare.OutputType) == (str, int)
    assert (each(plain).InputType, each(plain).OutputType) == (int, str)
    assert each(lambda x: x["a"]).get_input_jsonschema()["required"] == ["a"]


# fmt: off
PAIR = [lambda x: x["a"], lambda x: x["b"]]
NESTED = lambda x: (lambda y: y["inner"] + x["outer"])  # noqa: E731
# fmt: on


def decorator(function: Any) -> Any:
    return function


@decorator
def decorated(value, more):  # type: ignore[no-untyped-def]
    value["written"] = more["other"]
    return value["read"], value.get("asked", 1), value.get(more), value[0], value.pop("popped")


def no_parameters():  # type: ignore[no-untyped-def]
    return {}["a"]


@pytest.mark.parametrize(
    ("function", "keys"),
    [
        (PAIR[0], ["a"]),
        (PAIR[1], ["b"]),
        (NESTED, ["outer"]),
        (NESTED(None), ["inner"]),
        (decorated, ["asked", "read"]),
        (no_parameters, []),
        (itemgetter("b", "a"), ["b", "a"]),
        (itemgetter(0), []),
        (len, []),
        (eval("lambda x: x['a']"), []),
    ],
)
def test_keys_read(function: Any, keys: list[str]) -> None:
    assert keys_read(function) == keys
