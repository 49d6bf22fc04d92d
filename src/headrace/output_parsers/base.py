"""Output parsers: what a model said, as a value.

A parser that needs the whole text writes `parse(text)`; one that works piece by piece derives from
`BaseTransformOutputParser`; `parse_result` gives access to the whole generation. Parsers compute
and never wait; in async runs a user's `parse` runs in the event loop unless the class has `aparse`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, ClassVar, TypeAlias, TypeVar

from .. import _async, _sync
from ..errors import InputError
from ..flow import Machine, Stepped, Whole
from ..messages import BaseMessage
from ..outputs import ChatGeneration, Generation
from ..prompt_values import PromptValue
from ..run import Run
from ..runnables import schema
from ..runnables.serializable import RunnableSerializable
from ..shapes import Flow, Kwargs, Leaf, Pieces

__all__ = ["BaseOutputParser", "BaseTransformOutputParser", "text_of"]

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


def _generation(value: Any) -> Generation:
    if isinstance(value, BaseMessage):
        return ChatGeneration(message=value)
    return value if isinstance(value, Generation) else Generation(text=text_of(value))


ParserInput: TypeAlias = str | BaseMessage


class BaseOutputParser(Leaf, RunnableSerializable[ParserInput, T]):
    """A parser of the whole text: write `parse(text)`, and `aparse` if that has to wait."""

    _run_type: ClassVar[str] = "parser"
    _awaits: ClassVar[bool] = False
    _at_once: ClassVar[bool] = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        base = BaseOutputParser
        cls._at_once = cls._open is base._open and cls._aopen is base._aopen
        cls._awaits = cls.aparse is not base.aparse or cls.aparse_result is not base.aparse_result

    def parse(self, text: str) -> Any:
        """The value of `text`; raises OutputParserException where there is none."""
        raise InputError(f"{type(self).__name__} does not say how to parse: define parse(text).")

    async def aparse(self, text: str) -> Any:
        return self.parse(text)

    def parse_result(self, result: list[Any], *, partial: bool = False) -> Any:
        """The value of a list of candidate generations: by default of the first one's text."""
        return self.parse(result[0].text)

    async def aparse_result(self, result: list[Any], *, partial: bool = False) -> Any:
        if type(self).aparse is not BaseOutputParser.aparse:
            return await self.aparse(result[0].text)
        return self.parse_result(result, partial=partial)

    def parse_with_prompt(self, completion: str, prompt: PromptValue) -> Any:
        """The value of `completion`, for parsers that want to see the prompt too."""
        return self.parse(completion)

    def get_format_instructions(self) -> str:
        """What to tell the model about the format."""
        raise InputError(f"{type(self).__name__} has no format instructions.")

    @property
    def _type(self) -> str:
        return type(self).__name__

    def _data(self, side: schema.Side, config: Any = None) -> schema.Data:
        if side == "input":
            return schema.Plain(schema.title(self, side), ParserInput)
        return super()._data(side)

    # ------------------------------------------------------------- as a step

    def _apply(self, value: Any) -> Any:
        return self.parse_result([_generation(value)])

    def _value(self, value: Any, run: Run, kw: Kwargs) -> Any:
        return run.call(self._apply, value)

    async def _avalue(self, value: Any, run: Run, kw: Kwargs) -> Any:
        if self._awaits:
            return await run.acall(self.aparse_result, [_generation(value)])
        return run.call(self._apply, value)

    def _open(self, source: Any, run: Run, kw: Kwargs) -> Iterator[Any]:
        yield self._value(_sync.fold_source(source), run, kw)

    async def _aopen(self, source: Any, run: Run, kw: Kwargs) -> AsyncIterator[Any]:
        yield await self._avalue(await _async.fold_source(source), run, kw)

    def _start(self, fold: Any) -> Machine | None:
        return None if self._awaits else Whole(self._apply, fold)

    def _flow(self) -> Flow:
        return Flow("barrier", "use a parser that streams, such as JsonOutputParser")


class BaseTransformOutputParser(BaseOutputParser[T]):
    """A parser whose `parse` works on each piece of text by itself."""

    def _step(self, chunk: Any) -> Any:
        return self.parse_result([_generation(chunk)])

    def _open(self, source: Any, run: Run, kw: Kwargs) -> Iterator[Any]:
        return _sync.run_each(self, source, self._stepper(run))

    def _aopen(self, source: Any, run: Run, kw: Kwargs) -> AsyncIterator[Any]:
        return _async.run_each(self, source, self._stepper(run))

    def _stepper(self, run: Run) -> Callable[[Any], Any]:
        return self._step

    def _start(self, fold: Any) -> Machine | None:
        return Stepped(self._step)

    def _reads(self) -> Pieces:
        return Pieces.SURE  # `parse` sees how its input is cut

    def _flow(self) -> Flow:
        return Flow("streams")
