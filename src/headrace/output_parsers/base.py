"""Output parsers: what a model said, as a value. Every parser derives from a class of this file.

A parser that needs the whole text writes `parse(text)`; one that works piece by piece derives from
`BaseTransformOutputParser`; one that wants the whole answer, tool calls and all, writes
`parse_result` (and may then derive from `BaseGenerationOutputParser`). Parsers compute and never
wait; in async runs a user's `parse` runs in the event loop unless the class has `aparse` or
`aparse_result`.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar

from .. import _async, _sync
from .._bridge import stream_in_thread
from ..errors import InputError
from ..flow import Machine, Stepped, Whole
from ..messages import BaseMessage
from ..outputs import ChatGeneration, Generation
from ..prompt_values import PromptValue
from ..run import Run
from ..runnables import schema
from ..runnables.serializable import RunnableSerializable
from ..shapes import Flow, Kwargs, Leaf, Pieces

__all__ = [
    "BaseGenerationOutputParser",
    "BaseLLMOutputParser",
    "BaseOutputParser",
    "BaseTransformOutputParser",
    "T",
    "generation_of",
    "text_of",
]

T = TypeVar("T", covariant=True)  # noqa: PLC0105 - as in Runnable


def text_of(value: Any) -> str:
    """The text of what a model gave: a string, a message or its chunk, a generation."""
    if isinstance(value, str):
        return value
    if isinstance(value, BaseMessage):
        content = value.content
        return content if isinstance(content, str) else value.text
    if isinstance(value, Generation):
        return value.text
    raise InputError(
        f"An output parser got {value!r} ({type(value).__name__}): it takes a string or a message, "
        "so put it after a model."
    )


def generation_of(value: Any) -> Generation:
    """What a model gave, as `parse_result` takes it."""
    if isinstance(value, BaseMessage):
        return ChatGeneration(message=value)
    return value if isinstance(value, Generation) else Generation(text=text_of(value))


ParserInput: TypeAlias = str | BaseMessage


class BaseLLMOutputParser(ABC, Generic[T]):
    """What can parse a model's candidate answers: write `parse_result`. It is no runnable yet."""

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        """The value of a list of candidate answers, best first.

        partial: the answer may still grow; a parser that cannot tell anything yet gives None.
        """
        raise InputError(f"{type(self).__name__} does not say how to parse: define parse_result.")

    async def aparse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        """The same, awaited; by default `parse_result`, at once."""
        return self.parse_result(result, partial=partial)


class _ParserStep(BaseLLMOutputParser[T], Leaf, RunnableSerializable[ParserInput, T]):
    """A parser as a step of a chain: takes the whole answer, gives its value."""

    _run_type: ClassVar[str] = "parser"
    _awaits: ClassVar[bool] = False  # it has an async body of the user's
    _at_once: ClassVar[bool] = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        base = _ParserStep
        cls._at_once = cls._open is base._open and cls._aopen is base._aopen
        cls._awaits = cls.aparse_result is not BaseLLMOutputParser.aparse_result

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        # A class may name its type parameter as it likes: see `RunnableSerializable`.
        cls.__pydantic_generic_metadata__["parameters"] = ()

    def _data(self, side: schema.Side, config: Any = None) -> schema.Data:
        if side == "input":
            return schema.Plain(schema.title(self, side), ParserInput)
        return super()._data(side)

    def asdict(self, **kwargs: Any) -> dict[str, Any]:
        """The settings, by pydantic's `model_dump(**kwargs)`, and `_type` if the class has one."""
        kind = {} if type(self)._type is _ParserStep._type else {"_type": self._type}
        return {**self.model_dump(**kwargs), **kind}

    @property
    def _type(self) -> str:
        return type(self).__name__

    # ------------------------------------------------------------- as a step

    def _apply(self, value: Any) -> Any:
        return self.parse_result([generation_of(value)])

    def _value(self, value: Any, run: Run, kw: Kwargs) -> Any:
        return run.call(self._apply, value)

    async def _avalue(self, value: Any, run: Run, kw: Kwargs) -> Any:
        if self._awaits:
            return await run.acall(self.aparse_result, [generation_of(value)])
        return run.call(self._apply, value)

    def _open(self, source: Any, run: Run, kw: Kwargs) -> Iterator[Any]:
        yield self._value(_sync.fold_source(source), run, kw)

    async def _aopen(self, source: Any, run: Run, kw: Kwargs) -> AsyncIterator[Any]:
        yield await self._avalue(await _async.fold_source(source), run, kw)

    def _start(self, fold: Any) -> Machine | None:
        return None if self._awaits else Whole(self._apply, fold)

    def _flow(self) -> Flow:
        return Flow("barrier", "use a parser that streams, such as JsonOutputParser")


class BaseGenerationOutputParser(_ParserStep[T]):
    """A parser of the whole answer: write `parse_result`, and `aparse_result` if it has to wait."""


class BaseOutputParser(_ParserStep[T]):
    """A parser of the whole text: write `parse(text)`, and `aparse` if that has to wait."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        base = BaseOutputParser
        cls._awaits = cls.aparse is not base.aparse or cls.aparse_result is not base.aparse_result

    def parse(self, text: str) -> Any:
        """The value of `text`; raises OutputParserException where there is none."""
        raise InputError(f"{type(self).__name__} does not say how to parse: define parse(text).")

    async def aparse(self, text: str) -> Any:
        """The same, awaited; by default `parse`, at once."""
        return self.parse(text)

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        """The value of a list of candidate answers: by default of the first one's text."""
        return self.parse(result[0].text)

    async def aparse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        """The same, awaited: by `aparse` where a class has one of its own."""
        if type(self).aparse is not BaseOutputParser.aparse:
            return await self.aparse(result[0].text)
        return self.parse_result(result, partial=partial)

    def parse_with_prompt(self, completion: str, prompt: PromptValue) -> Any:
        """The value of `completion`, for parsers that want to see the prompt too."""
        return self.parse(completion)

    def get_format_instructions(self) -> str:
        """What to tell the model about the format."""
        raise InputError(f"{type(self).__name__} has no format instructions.")


class BaseTransformOutputParser(BaseOutputParser[T]):
    """A parser whose `parse` works on each piece of text by itself.

    Where the pieces have to know of each other, write `_transform(input)`, a generator over the
    pieces (strings or messages), and `_atransform` for async; with only the first one, async runs
    have it in a worker thread.
    """

    _own_transform: ClassVar[bool] = False
    _own_atransform: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        base = BaseTransformOutputParser
        cls._own_transform = cls._transform is not base._transform
        cls._own_atransform = cls._atransform is not base._atransform
        if cls._own_transform or cls._own_atransform:
            cls._many = Pieces.SURE

    def _transform(self, input: Iterator[Any]) -> Iterator[Any]:
        """The values of a stream of pieces."""
        machine = self._machine()
        for chunk in input:
            yield from machine.feed(chunk)
        yield from machine.finish()

    async def _atransform(self, input: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """The same for async runs."""
        machine = self._machine()
        async for chunk in input:
            for out in machine.feed(chunk):
                yield out
        for out in machine.finish():
            yield out

    def _machine(self) -> Machine:
        return Stepped(self._step)

    def _step(self, chunk: Any) -> Any:
        return self.parse_result([generation_of(chunk)])

    def _open(self, source: Any, run: Run, kw: Kwargs) -> Iterator[Any]:
        if self._own_transform:
            return self._own_stream(source, run)
        return _sync.run_each(self, source, self._stepper(run))

    def _aopen(self, source: Any, run: Run, kw: Kwargs) -> AsyncIterator[Any]:
        if self._own_atransform:
            return self._own_astream(source, run)
        if self._own_transform:
            return stream_in_thread(self, lambda pieces: self._own_stream(pieces, run), source)
        return _async.run_each(self, source, self._stepper(run))

    def _own_stream(self, source: Any, run: Run) -> Iterator[Any]:
        stream = run.call(self._transform, iter(source))
        yield from _sync.entered(iter(stream), run)

    async def _own_astream(self, source: Any, run: Run) -> AsyncIterator[Any]:
        stream = run.call(self._atransform, source.__aiter__())
        entered = _async.entered(stream.__aiter__(), run)
        run.holds(entered, self)
        async for chunk in entered:
            yield chunk

    def _stepper(self, run: Run) -> Callable[[Any], Any]:
        return self._step

    def _start(self, fold: Any) -> Machine | None:
        own = self._own_transform or self._own_atransform
        return None if own else Stepped(self._step)

    def _reads(self) -> Pieces:
        return Pieces.SURE  # `parse` sees how its input is cut

    def _flow(self) -> Flow:
        return Flow("streams")
