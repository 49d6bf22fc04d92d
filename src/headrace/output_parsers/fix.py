"""`OutputFixingParser`: what another parser cannot read, a model is asked to put right."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, ClassVar, TypeVar

from .._locate import frame_of
from ..errors import InputError, OutputParserException
from ..flow import Fold, Late, Once, fold_of, fold_partial, last
from ..outputs import Generation
from ..run import Run
from ..shapes import Flow, Kwargs, Pieces
from ._asking_again import AskingAgain, arun_attempts, attempts, run_attempts
from .base import BaseLLMOutputParser, T, text_of

__all__ = ["OutputFixingParser"]

P = TypeVar("P")

_PROMPT = """A text was to follow these instructions:

{instructions}

It was this text:

{completion}

It could not be read:

{error}

Write the text again so that it says the same and follows the instructions. Answer with that text \
only."""


class OutputFixingParser(AskingAgain[T]):
    """`parser`, and where it raises OutputParserException, what a model makes of the text instead.

    The model's run is a child of the parser's: it has its callbacks, tags and metadata, and shows
    in its events. When nothing helps, the first error is raised, with the attempts as its notes.

    Streaming: what `parser` makes of the pieces is handed on as it comes. If it fails, the rest of
    the text is read and the whole of it fixed. Then, of a parser whose chunks are the value so far
    (JSON), the fixed value is one more chunk; of one whose chunks add up (lists, XML), the fixed
    text's chunks go on where those that were handed on ended. Where these are others, nothing can
    be taken back: the first error is raised, though `invoke` would give the fixed value.

    Args:
        parser: any output parser.
        retry_chain: from `{"instructions", "completion", "error"}` to a better text: a string or
            a message. `from_llm` makes one.
        max_retries: how often the model may be asked, 1 by default.
    """

    _asks: ClassVar[str] = _PROMPT

    @classmethod
    def from_llm(
        cls, llm: Any, parser: BaseLLMOutputParser[P], prompt: Any = None, max_retries: int = 1
    ) -> OutputFixingParser[P]:
        """With a chain of `prompt`, `llm` and the text of what that says.

        prompt: with the variables that `retry_chain` is given, or some of them.
        """
        return cls._with_llm(llm, parser, prompt, max_retries)  # type: ignore[no-any-return]

    def parse(self, text: str) -> T:
        """The value of `text`, or of what the model makes of it."""
        return self.parse_result([Generation(text=text)])  # type: ignore[no-any-return]

    async def aparse(self, text: str) -> T:
        """The same, awaited."""
        return await self.aparse_result([Generation(text=text)])  # type: ignore[no-any-return]

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        """The value of the best answer, or of what the model makes of its text."""
        return self._fixed(result, partial)[1]

    async def aparse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        """The same, awaited."""
        return (await self._afixed(result, partial))[1]

    def _fixed(self, result: list[Generation], partial: bool = False) -> tuple[str, Any]:
        """The text that can be read, and its value."""
        text = result[0].text
        try:
            return text, self.parser.parse_result(result, partial=partial)
        except OutputParserException as error:
            return run_attempts(self._plan(text, error), self.parser, self.retry_chain)

    async def _afixed(self, result: list[Generation], partial: bool = False) -> tuple[str, Any]:
        text = result[0].text
        try:
            return text, await self.parser.aparse_result(result, partial=partial)
        except OutputParserException as error:
            plan = self._plan(text, error)
        return await arun_attempts(plan, self.parser, self.retry_chain)

    def _plan(self, text: str, error: OutputParserException) -> Any:
        try:
            instructions = str(self.parser.get_format_instructions())
        except (InputError, NotImplementedError, AttributeError):  # it has nothing to say
            instructions = ""
        return attempts(
            text,
            error,
            self.max_retries,
            lambda text, error: {
                "instructions": instructions,
                "completion": text,
                "error": str(error),
            },
        )

    @property
    def _type(self) -> str:
        return "output_fixing"

    # ------------------------------------------------------------- as a step

    @property
    def _fold(self) -> Any:  # type: ignore[override]
        return self.parser._fold

    @property
    def _many(self) -> Pieces:  # type: ignore[override]
        return Pieces.SURE if self._flow().kind == "streams" else Pieces.NONE

    def _reads(self) -> Pieces:
        return self.parser._reads()  # type: ignore[no-any-return]

    def _flow(self) -> Flow:
        return self.parser._flow()  # type: ignore[no-any-return]

    def _shows(self, number: int) -> bool:
        return number == 0  # the model is asked for a whole text

    def _open(self, source: Any, run: Run, kw: Kwargs) -> Iterator[Any]:
        if self._flow().kind != "streams":
            return super()._open(source, run, kw)
        mended = _Mended(self.parser)
        return Late(self._mending(source, run, kw, mended), [mended.fold])

    def _aopen(self, source: Any, run: Run, kw: Kwargs) -> AsyncIterator[Any]:
        if self._flow().kind != "streams":
            return super()._aopen(source, run, kw)
        mended = _Mended(self.parser)
        return Late(self._amending(source, run, kw, mended), [mended.fold])

    def _mending(self, source: Any, run: Run, kw: Kwargs, mended: _Mended) -> Iterator[Any]:
        given = _Heard(source, mended)
        stream = self.parser._in_open(given, run, kw)
        run.streams.append((stream, self.parser, frame_of(stream)))
        mended.opened(stream, source)
        try:
            for chunk in stream:
                mended.note(chunk)
                yield chunk
            return
        except OutputParserException as error:
            mended.failed(error)
        for _ in given:  # the rest of the text
            pass
        text, value = run.call(self._fixed, mended.answer)
        if mended.replaces(value):
            yield value
        else:
            yield from mended.rest(list(self.parser._in_open(Once(text), run, kw)))

    async def _amending(
        self, source: Any, run: Run, kw: Kwargs, mended: _Mended
    ) -> AsyncIterator[Any]:
        given = _Heard(source, mended)
        stream = self.parser._in_aopen(given, run, kw)
        run.streams.append((stream, self.parser, frame_of(stream)))
        mended.opened(stream, source)
        try:
            async for chunk in stream:
                mended.note(chunk)
                yield chunk
            return
        except OutputParserException as error:
            mended.failed(error)
        async for _ in given:
            pass
        text, value = await run.acall(self._afixed, mended.answer)
        if mended.replaces(value):
            yield value
        else:
            again = self.parser._in_aopen(Once(text), run, kw)
            for chunk in mended.rest([chunk async for chunk in again]):
                yield chunk


class _Mended:
    """What a stream that is being fixed has read and handed on; has no colour."""

    def __init__(self, parser: Any) -> None:
        self._parser = parser
        self.texts: list[str] = []
        self.source_failed = False
        self._given: list[Any] = []  # chunks handed on; the last one, where that is the value
        self._of_parser: Fold | None = None
        self._value: list[Any] = []  # the fixed one, if there is one
        self._error: OutputParserException | None = None

    def opened(self, stream: Any, source: Any) -> None:
        """The parser's stream is open: it may know only later how its chunks add up."""
        self._of_parser = fold_of(self._parser, stream, source)

    def note(self, chunk: Any) -> None:
        if self._of_parser is last:
            self._given.clear()
        self._given.append(chunk)

    def failed(self, error: OutputParserException) -> None:
        """The parser's failure; what it reads may have failed instead, which is not for fixing."""
        if self.source_failed:
            raise error
        self._error = error

    @property
    def answer(self) -> list[Generation]:
        """The whole text, as `parse_result` takes it."""
        return [Generation(text="".join(self.texts))]

    def replaces(self, value: Any) -> bool:
        """Keep the fixed value. Whether it is itself the next chunk: nothing was handed on, or what
        was is the value so far."""
        self._value = [value]
        return not self._given or self._of_parser is last

    def rest(self, chunks: list[Any]) -> list[Any]:
        """Of the chunks of the fixed text, those behind the ones that were handed on."""
        n = len(self._given)
        if chunks[:n] == self._given:
            return chunks[n:]
        error = self._error
        assert error is not None
        value = self._value.pop()
        error.add_note(
            f"A model fixed the output, but its value {value!r} does not go on from the "
            f"{n} chunks that were handed on before the failure, which cannot be taken back: use "
            "invoke, which waits for the whole text."
        )
        raise error

    def fold(self, chunks: list[Any]) -> Any:
        """How the whole stream adds up: to the fixed value, where there is one."""
        if self._value:
            return self._value[0]
        return fold_partial(self._of_parser, chunks)


class _Heard:
    """The source of a stream that is being fixed, of either colour: its text is kept, and whether
    it is what failed."""

    def __init__(self, source: Any, mended: _Mended) -> None:
        self._source = source
        self._reader: Any = None
        self._mended = mended

    def __iter__(self) -> Iterator[Any]:
        self._reader = self._reader or iter(self._source)
        return self

    def __next__(self) -> Any:
        try:
            return self._kept(next(self._reader))
        except Exception as error:
            self._failed(error)
            raise

    def __aiter__(self) -> AsyncIterator[Any]:
        self._reader = self._reader or self._source.__aiter__()
        return self

    async def __anext__(self) -> Any:
        try:
            return self._kept(await anext(self._reader))
        except Exception as error:
            self._failed(error)
            raise

    def _kept(self, chunk: Any) -> Any:
        self._mended.texts.append(text_of(chunk))
        return chunk

    def _failed(self, error: Exception) -> None:
        ended = isinstance(error, (StopIteration, StopAsyncIteration))
        self._mended.source_failed = not ended
