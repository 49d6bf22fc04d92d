"""`StrOutputParser`: the text of what a model gives, chunk by chunk."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from .. import _async, _sync
from ..messages import BaseMessage
from ..run import Run
from ..shapes import Kwargs, Pieces
from .base import BaseTransformOutputParser, text_of

__all__ = ["StrOutputParser"]


def _text(chunk: Any) -> str:
    """`text_of`, with the chunk that nearly always comes first."""
    if isinstance(chunk, BaseMessage):
        content = chunk.content
        if isinstance(content, str):
            return content
    return text_of(chunk)


class StrOutputParser(BaseTransformOutputParser[str]):
    """Messages to their text; strings stay as they are. Streams."""

    def parse(self, text: str) -> str:
        """The text itself."""
        return text

    def _step(self, chunk: Any) -> str:
        return _text(chunk)

    def _apply(self, value: Any) -> str:
        return _text(value)

    def _open(self, source: Any, run: Run, kw: Kwargs) -> Iterator[Any]:
        return _sync.run_each(self, source, _text if type(self) is StrOutputParser else self._step)

    def _aopen(self, source: Any, run: Run, kw: Kwargs) -> AsyncIterator[Any]:
        step = _text if type(self) is StrOutputParser else self._step
        return _async.run_each(self, source, step)

    def _reads(self) -> Pieces:
        return Pieces.MAYBE if type(self) is StrOutputParser else super()._reads()

    @property
    def _type(self) -> str:
        return "default"
