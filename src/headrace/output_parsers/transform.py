"""`BaseCumulativeTransformOutputParser`: a parser that looks at the whole answer so far, each time.

What it costs grows with the square of the text: its `parse_result` is called for each piece with
all that has come. Headrace's own parsers of growing values read each piece once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

from .. import _async, _sync
from ..errors import InputError
from ..flow import Late, Machine, last
from ..messages import AIMessageChunk, BaseMessage, BaseMessageChunk
from ..outputs import ChatGenerationChunk, Generation, GenerationChunk
from ..run import Run
from ..shapes import Flow, Kwargs, Pieces
from .base import BaseTransformOutputParser, T, text_of

__all__ = ["BaseCumulativeTransformOutputParser", "BaseTransformOutputParser"]


class BaseCumulativeTransformOutputParser(BaseTransformOutputParser[T]):
    """A parser that streams the value so far: write `parse_result(result, *, partial=False)`.

    It is called for each piece with the answer so far and `partial=True`; None, or the value of
    before, shows nothing. At the end it is called with `partial=False`, as `invoke` calls it: what
    that raises is raised, and what it gives is shown if it is another value.

    diff: show `_diff(previous, next)`, which a class then has, in place of the value itself. A step
        behind that needs the whole value gets the value, and not the sum of the differences.
    """

    diff: bool = False

    def _diff(self, prev: Any, next: Any) -> Any:
        """What has changed from `prev`, None at first, to `next`."""
        raise InputError(
            f"{type(self).__name__} has diff=True and does not say what a difference is: define "
            "_diff(prev, next)."
        )

    @property
    def _fold(self) -> Any:  # type: ignore[override]
        return None if self.diff else last

    @property
    def _many(self) -> Pieces:  # type: ignore[override]
        own = self._own_transform or self._own_atransform
        return Pieces.SURE if self.diff or own else Pieces.NONE

    def _machine(self) -> Machine:
        return _Cumulative(self)

    def _open(self, source: Any, run: Run, kw: Kwargs) -> Iterator[Any]:
        if self._own_transform:
            return super()._open(source, run, kw)
        machine = _Cumulative(self, run)
        stream = _sync.run_machine(self, source, machine)
        return Late(stream, [machine.total]) if self.diff else stream

    def _aopen(self, source: Any, run: Run, kw: Kwargs) -> AsyncIterator[Any]:
        if self._own_transform or self._own_atransform:
            return super()._aopen(source, run, kw)
        machine = _Cumulative(self, run)
        stream = _awaited(machine, source) if self._awaits else None
        if stream is None:
            stream = _async.run_machine(self, source, machine)
        return Late(stream, [machine.total]) if self.diff else stream

    def _start(self, fold: Any) -> Machine | None:
        waits = self._awaits or self._own_transform or self._own_atransform
        return None if waits or self.diff else _Cumulative(self)

    def _reads(self) -> Pieces:
        return Pieces.MAYBE

    def _flow(self) -> Flow:
        return Flow("streams")


class _Cumulative:
    """The machine: pieces of an answer in, values of the answer so far out."""

    __slots__ = ("_parser", "_run", "_shown", "answer")

    def __init__(self, parser: Any, run: Run | None = None) -> None:
        self._parser = parser
        self._run = run  # the user's code is entered through it, where there is one
        self._shown: Any = None
        self.answer: Any = None

    def add(self, chunk: Any) -> list[Generation]:
        """The answer with this piece, as `parse_result` takes it."""
        piece = _piece(chunk)
        self.answer = piece if self.answer is None else self.answer + piece
        return [self.answer]

    def shown(self, value: Any) -> Iterable[Any]:
        if value is None or value == self._shown:
            return ()
        before, self._shown = self._shown, value
        return (self._called(self._parser._diff, before, value) if self._parser.diff else value,)

    def feed(self, chunk: Any) -> Iterable[Any]:
        return self.shown(self._called(self._parser.parse_result, self.add(chunk), partial=True))

    def finish(self) -> Iterable[Any]:
        if self.answer is None:
            return ()
        return self.shown(self._called(self._parser.parse_result, [self.answer]))

    def total(self, chunks: list[Any]) -> Any:
        """The fold of a stream of differences."""
        return self._shown

    def _called(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        if self._run is None:
            return function(*args, **kwargs)
        return self._run.call(function, *args, **kwargs)


async def _awaited(machine: _Cumulative, source: Any) -> AsyncIterator[Any]:
    """The same for a class with an `aparse_result`."""
    parse, run = machine._parser.aparse_result, machine._run
    assert run is not None
    async for chunk in source:
        for out in machine.shown(await run.acall(parse, machine.add(chunk), partial=True)):
            yield out
    if machine.answer is not None:
        for out in machine.shown(await run.acall(parse, [machine.answer])):
            yield out


def _piece(chunk: Any) -> GenerationChunk | ChatGenerationChunk:
    """A piece of an answer."""
    if isinstance(chunk, BaseMessageChunk):
        return ChatGenerationChunk(message=chunk)
    if isinstance(chunk, BaseMessage):
        return ChatGenerationChunk(message=_as_chunk(chunk))
    return GenerationChunk(text=text_of(chunk))


def _as_chunk(message: BaseMessage) -> BaseMessageChunk:
    """A whole message as a piece of the answer, which it is where a model does not stream."""
    fields = {name: value for name, value in message.model_dump().items() if name in _CARRIED}
    return AIMessageChunk(**{name: value for name, value in fields.items() if value is not None})


_CARRIED = frozenset(
    (
        *("content", "additional_kwargs", "response_metadata", "name", "id"),
        *("tool_calls", "invalid_tool_calls", "usage_metadata"),
    )
)
