"""Parsers that are machines: text in pieces of any size in, values out as each is known.

A class writes `_machine()`, and `parse(text)` for a whole text (`through` runs a machine over one).
Whoever derives from it and parses in his own way (`parse`, `parse_result` or their async twins) is
heard in streams, too: then only the whole text will do, and the step is a barrier.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, ClassVar, Literal, TypeAlias

from .. import _async, _sync
from ..flow import Late, Machine
from ..run import Run
from ..shapes import Flow, Kwargs, Pieces
from .base import BaseOutputParser, BaseTransformOutputParser, T

__all__ = ["MachineOutputParser", "Way", "through"]

_WHOLE = ("parse", "parse_result", "aparse", "aparse_result")


def through(machine: Machine, text: str) -> list[Any]:
    """All that a machine makes of a whole text, in pieces."""
    return [*machine.feed(text), *machine.finish()]


def _parses_by_itself(cls: type, streaming: tuple[str, ...]) -> bool:
    """Whether what a class says of parsing whole texts is newer than what it says of streams."""
    for ancestor in cls.__mro__:
        if any(word in vars(ancestor) for word in streaming):
            return False
        if any(word in vars(ancestor) for word in _WHOLE):
            return True
    return False


Way: TypeAlias = Literal["machine", "pieces", "text"]


class MachineOutputParser(BaseTransformOutputParser[T]):
    """Base of the parsers that stream through a machine; see the module's head.

    The pieces of one text add up, with `+` or by the class's `_fold`, to what `parse` gives for it,
    however the text was cut.
    """

    # The methods that say how it streams.
    _streaming: ClassVar[tuple[str, ...]] = ("_machine", "_transform", "_atransform")
    _own_words: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._own_words = _parses_by_itself(cls, cls._streaming)

    def _machine(self) -> Machine:
        """A new machine for one text."""
        raise NotImplementedError

    @property
    def _way(self) -> Way:
        """Who parses while it streams, as this one is set up: the machine, or a subclass in its own
        way, piece by piece (as the class before this one has it) or the whole text only."""
        return "text" if self._own_words else "machine"

    @property
    def _late(self) -> bool:
        """Whether chunks do not add up to the value: `total` of the machine is their fold. Only an
        opened stream can bring one."""
        return False

    @property
    def _own_stream_body(self) -> bool:
        return self._own_transform or self._own_atransform

    def _start(self, fold: Any) -> Machine | None:
        if self._own_stream_body or self._way == "pieces":
            return super()._start(fold)
        if self._way == "text":
            return BaseOutputParser._start(self, fold)
        return None if self._late else self._machine()

    def _open(self, source: Any, run: Run, kw: Kwargs) -> Iterator[Any]:
        if self._own_transform or self._way == "pieces":
            return super()._open(source, run, kw)
        if self._way == "text":
            return BaseOutputParser._open(self, source, run, kw)
        machine: Any = self._machine()
        stream = _sync.run_machine(self, source, machine)
        return Late(stream, [machine.total]) if self._late else stream

    def _aopen(self, source: Any, run: Run, kw: Kwargs) -> AsyncIterator[Any]:
        if self._own_stream_body or self._way == "pieces":
            return super()._aopen(source, run, kw)
        if self._way == "text":
            return BaseOutputParser._aopen(self, source, run, kw)
        machine: Any = self._machine()
        stream = _async.run_machine(self, source, machine)
        return Late(stream, [machine.total]) if self._late else stream

    @property
    def _many(self) -> Pieces:  # type: ignore[override]
        return Pieces.NONE if self._way == "text" else Pieces.SURE

    def _reads(self) -> Pieces:
        if self._own_stream_body:
            return Pieces.SURE
        return Pieces.NONE if self._way == "text" else Pieces.MAYBE

    def _flow(self) -> Flow:
        return BaseOutputParser._flow(self) if self._way == "text" else Flow("streams")
