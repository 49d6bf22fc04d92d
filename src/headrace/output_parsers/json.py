"""`JsonOutputParser`: JSON as it grows, read once by the incremental machine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

from .. import _async, _sync
from ..errors import JsonSyntaxError, OutputParserException
from ..flow import Machine, last
from ..run import Run
from ..shapes import Flow, Kwargs
from .base import BaseOutputParser, text_of

__all__ = ["JsonOutputParser", "SimpleJsonOutputParser"]


class JsonOutputParser(BaseOutputParser[Any]):
    """The JSON in what a model says, bare, in a Markdown fence or in prose.

    Streaming, each chunk is the whole value so far: containers open empty, strings and numbers
    grow as they arrive, and a chunk comes only when the value is another one. So chunks are not
    added up: the last one is the value. Chunks are never changed later; they share what is
    complete, so copy one before changing what is inside it. Text that is no JSON when it has ended
    raises OutputParserException, in a stream as in `invoke`.
    """

    _fold = staticmethod(last)

    def parse(self, text: str) -> Any:
        """The value of `text`."""
        machine = _Growing()
        for _ in machine.feed(text):
            pass
        list(machine.finish())
        return machine.last

    @property
    def _own_words(self) -> bool:
        """Whether a subclass parses in its own way; then only the whole text will do."""
        cls = type(self)
        own = cls.parse is not JsonOutputParser.parse
        return own or cls.parse_result is not BaseOutputParser.parse_result

    def _start(self, fold: Any) -> Machine | None:
        return super()._start(fold) if self._own_words else _Growing()

    def _open(self, source: Any, run: Run, kw: Kwargs) -> Iterator[Any]:
        if self._own_words:
            return super()._open(source, run, kw)
        return _sync.run_machine(self, source, _Growing())

    def _aopen(self, source: Any, run: Run, kw: Kwargs) -> AsyncIterator[Any]:
        if self._own_words:
            return super()._aopen(source, run, kw)
        return _async.run_machine(self, source, _Growing())

    def _flow(self) -> Flow:
        return Flow("barrier" if self._own_words else "streams")

    def get_format_instructions(self) -> str:
        return "Answer with JSON only, without any text before or after it."

    @property
    def _type(self) -> str:
        return "simple_json_output_parser"


SimpleJsonOutputParser = JsonOutputParser


class _Growing:
    """The machine: text pieces in, the value so far out whenever it is another one."""

    __slots__ = ("_stream", "_texts", "last")

    def __init__(self) -> None:
        from ..jsonstream import JsonStream  # a chain that is only made need not wait for it

        self._stream = JsonStream()
        self._texts: list[str] = []
        self.last: Any = None

    def feed(self, chunk: Any) -> Iterable[Any]:
        text = text_of(chunk)
        self._texts.append(text)
        if not self._stream.feed(text):
            return ()
        value = self._stream.value
        if value is None or value is self.last:  # nothing to show of a value that may be null
            return ()
        self.last = value
        return (value,)

    def finish(self) -> Iterable[Any]:
        try:
            value = self._stream.finish()
        except JsonSyntaxError as error:
            text = "".join(self._texts)
            raise OutputParserException(
                f"The model's output is not valid JSON: {error} The output: {text!r}",
                llm_output=text,
            ) from error
        self.last = value
        if self._stream.changed and value is not None:
            yield value
