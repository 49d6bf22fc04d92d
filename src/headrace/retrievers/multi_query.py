"""`MultiQueryRetriever`: what a model's versions of a question find, each asked when it is written.

    retriever = MultiQueryRetriever.from_llm(store.as_retriever(), init_chat_model())
    retriever.invoke("where did harrison work?")

The model's answer is read as it streams, in every run. A line that is complete is a query: it is
told as a custom event, `"multi_query"` with `{"number": 1, "query": "…"}`, and the retriever is
asked at once, while the model goes on writing. The model's run and those of the retriever are below
this one's.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self

from pydantic import Field, field_validator

from headrace import _async, _async_fan, _sync, _sync_fan
from headrace.documents import Document
from headrace.errors import ConfigError, InputError
from headrace.flow import Branch, Once
from headrace.output_parsers.list import LineListOutputParser, _Usual
from headrace.prompts import BasePromptTemplate, PromptTemplate
from headrace.run import BARE, Run
from headrace.runnables.coerce import coerce_to_runnable
from headrace.scope import Scope
from headrace.shapes import Kwargs, Leaf, Node

from ._below import Asking, as_retriever, documents_of
from .base import BaseRetriever

__all__ = ["DEFAULT_QUERY_PROMPT", "MultiQueryRetriever", "QueriesOutputParser"]

EVENT = "multi_query"
_LANES = 8  # queries that are asked at a time, at most
_ORIGINAL = 1 << 30  # its number: behind all others

DEFAULT_QUERY_PROMPT = PromptTemplate.from_template(
    "A question is looked up in a collection of documents by its meaning and by its words. Write "
    "three other versions of it that may find what the question itself misses: other words for the "
    "same, a wider and a narrower one. Write each on a line of its own, and nothing else.\n\n"
    "Question: {question}"
)

_MARK = r"(?:\d{1,2}[.)]|[-*•])"  # before an item of a list
_LINE = rf"^[^\S\n]*+(?!{_MARK}[^\S\n]*$)(?:{_MARK}[^\S\n]+)?(\S[^\n]*)"


class QueriesOutputParser(LineListOutputParser):
    """Lines to a list of strings, without empty ones and without a number or bullet before them.

    Streaming, a line comes with its end.
    """

    pattern: str = _LINE

    _usual: ClassVar[_Usual] = _Usual(_LINE, re.compile(_LINE, re.MULTILINE), re.compile(r"(?!)"))
    _flags: ClassVar[re.RegexFlag] = re.MULTILINE

    def get_format_instructions(self) -> str:
        return "Answer with one query on each line, and nothing else."

    @property
    def _type(self) -> str:
        return "queries"


class MultiQueryRetriever(Asking):
    """What `retriever` finds for each query that `llm_chain` writes for the question: each document
    once, those of the first query first. Up to eight queries are asked at a time; keyword
    arguments of a call, `k` too, go to the retriever each time.

    A model that writes nothing finds nothing, unless `include_original` is set.

    Args:
        retriever: what to ask: a retriever, or another runnable from a text to documents.
        llm_chain: from `{"question": "…"}` to a list of queries. `from_llm` makes one; one of your
            own streams where its last step does, like `QueriesOutputParser`.
        include_original: whether the question itself is asked, too. That begins at once; what it
            finds comes last.
        max_queries: when so many are written, the model is stopped; by default never.

    Raises:
        InputError: on a call: `llm_chain` gave no list of strings, or a part no documents.
    """

    _advice: ClassVar[Mapping[str, str]] = {
        "verbose": "the queries are events, named 'multi_query'; see astream_events.",
        "parser_key": "it means nothing any more.",
    }

    retriever: Any
    llm_chain: Any
    include_original: bool = False
    max_queries: int | None = Field(default=None, ge=1)

    @field_validator("retriever")
    @classmethod
    def _can_be_asked(cls, given: Any) -> Any:
        return as_retriever(given, f"the retriever of {cls.__name__}")

    @field_validator("llm_chain")
    @classmethod
    def _is_a_chain(cls, given: Any) -> Any:
        return coerce_to_runnable(given, f"the llm_chain of {cls.__name__}")

    @classmethod
    def from_llm(
        cls,
        retriever: Any,
        llm: Any,
        prompt: Any = None,
        parser_key: str | None = None,
        include_original: bool = False,
        **kwargs: Any,
    ) -> Self:
        """With a chain of `prompt`, `llm` and a parser of lines.

        Args:
            retriever: what to ask.
            llm: the model.
            prompt: with the variable `question`; by default `DEFAULT_QUERY_PROMPT`.
            parser_key: accepted for programs that give it; means nothing.
            include_original: whether the question itself is asked, too.
            **kwargs: further fields.

        Raises:
            ConfigError: the model is where the retriever belongs; the prompt lacks `question`.
        """
        if isinstance(llm, BaseRetriever) or hasattr(retriever, "get_num_tokens"):
            raise ConfigError(
                f"{cls.__name__}.from_llm was given {type(retriever).__name__} as its retriever "
                f"and {type(llm).__name__} as its llm: write from_llm(retriever=…, llm=…)."
            )
        asked = DEFAULT_QUERY_PROMPT if prompt is None else prompt
        _check_prompt(asked)
        chain = asked | llm | QueriesOutputParser()
        return cls(
            retriever=retriever, llm_chain=chain, include_original=include_original, **kwargs
        )

    def unique_union(self, documents: list[Document]) -> list[Document]:
        """Each document once, in order. Those with the same text and metadata are the same, unless
        they have different ids."""
        by_text: dict[str, list[Document]] = {}
        left = []
        for document in documents:
            alike = by_text.setdefault(document.page_content, [])
            if not any(_same_document(document, other) for other in alike):
                alike.append(document)
                left.append(document)
        return left

    def _children(self) -> Sequence[tuple[str | None, Node]]:
        return [("llm_chain", self.llm_chain), ("retriever", self.retriever)]

    def _get_relevant_documents(
        self, query: str, *, run_manager: Any, **kwargs: Any
    ) -> list[Document]:
        run = run_manager.run
        asking = _Asking(self, query, run, kwargs)
        inner = asking.inner
        try:
            given = Once({"question": query})
            written = _sync.open_step(self.llm_chain, given, asking.below, tag="llm_chain")
            queries = asking.queries(written)
            lanes = _sync_fan.fan_out(self, asking.lanes(), queries, _around(inner))
            inner.streams += [(queries, None, None), (lanes, None, None)]
            found = dict(lanes)
            _sync.close_streams(inner)
            _sync.close_streams(asking.below)
        except BaseException as error:
            try:
                _sync.abandon(error, inner, run.streams)
            finally:
                _sync.abandon(error, asking.below, run.streams)
            raise
        return self._united(found)

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: Any, **kwargs: Any
    ) -> list[Document]:
        run = run_manager.run
        asking = _Asking(self, query, run, kwargs)
        inner = asking.inner
        try:
            given = Once({"question": query})
            written = _async.open_step(self.llm_chain, given, asking.below, tag="llm_chain")
            queries = asking.aqueries(written)
            lanes: Any = _async_fan.fan_out(self, asking.lanes(), queries, _around(inner))
            inner.streams += [(queries, None, None), (lanes, None, None)]
            found = {number: documents async for number, documents in lanes}
            await _async.close_streams(inner)
            await _async.close_streams(asking.below)
        except BaseException as error:
            try:
                await _async.abandon(error, inner, run.streams)
            finally:
                await _async.abandon(error, asking.below, run.streams)
            raise
        return self._united(found)

    def _united(self, found: dict[int, list[Document]]) -> list[Document]:
        return self.unique_union([each for number in sorted(found) for each in found[number]])


def _check_prompt(prompt: Any) -> None:
    if isinstance(prompt, str):
        raise ConfigError(
            f"The prompt of a MultiQueryRetriever is the string {prompt!r:.120}: give "
            "PromptTemplate.from_template(…) of it, with {question} in it."
        )
    if isinstance(prompt, BasePromptTemplate) and "question" not in prompt.input_variables:
        raise ConfigError(
            f"The prompt of a MultiQueryRetriever has the variables {prompt.input_variables}, and "
            "is given the question: write {question} where it belongs."
        )


_Numbered = tuple[int, str]  # a query and its place


class _Asking:
    """One question under way: the queries that are written, and who asks which."""

    def __init__(self, of: MultiQueryRetriever, question: str, run: Run, kw: Kwargs) -> None:
        self.of, self.question, self.run, self.kw = of, question, run, kw
        self.below = run.fork()  # holds what the model's chain opens
        self.inner = run.fork()  # and this, what reads it
        self._taken: dict[int, Any] = {}
        self._seen: set[str] = set()
        self._enough = False

    def lanes(self) -> list[Branch]:
        """As many as may be at work; each asks with what no other one has taken. One more than
        there are queries reads on, and so stops the model."""
        most = self.of.max_queries
        width = _LANES if most is None else min(_LANES, most + self.of.include_original + 1)
        return [Branch(None, _same, _Lane(self)) for _ in range(width)]

    def takes(self, number: int, lane: Any) -> bool:
        return self._taken.setdefault(number, lane) is lane  # one step, whatever thread it is

    # ------------------------------------------------------------- queries

    def queries(self, written: Iterator[Any]) -> Iterator[list[_Numbered]]:
        """New queries, for each chunk that the model's chain writes; told as events (coroutine
        hooks are awaited when the first of them is asked). Also where there are none: a lane that
        reads then sees whether anybody still waits for it."""
        yield self._original()
        for chunk in written:
            yield [self._told(each) for each in self._new(chunk)]
            if self._enough:
                _sync.close_streams(self.below)
                return

    async def aqueries(self, written: AsyncIterator[Any]) -> AsyncIterator[list[_Numbered]]:
        """`queries`, async."""
        yield self._original()
        async for chunk in written:
            yield [self._told(each) for each in self._new(chunk)]
            if self._enough:
                await _async.close_streams(self.below)
                return

    def _original(self) -> list[_Numbered]:
        if not self.of.include_original:
            return []
        self._seen.add(self.question)
        return [(_ORIGINAL, self.question)]

    def _new(self, chunk: Any) -> Iterator[_Numbered]:
        if not isinstance(chunk, (list, tuple)) or not all(isinstance(q, str) for q in chunk):
            raise InputError(
                f"The llm_chain of a MultiQueryRetriever gave {chunk!r:.120} "
                f"({type(chunk).__name__}), no list of strings: let it end with a "
                "QueriesOutputParser."
            )
        for query in map(str.strip, chunk):
            if not query or query in self._seen or self._enough:
                continue
            self._seen.add(query)
            number = len(self._seen) - self.of.include_original
            self._enough = number == self.of.max_queries
            yield number, query

    def _told(self, numbered: _Numbered) -> _Numbered:
        if self.run.observed:
            number, query = numbered
            self.run.custom(EVENT, {"number": number, "query": query})
        return numbered


class _Lane(Leaf):
    """Asks with one query after the other, as long as there are any."""

    def __init__(self, asking: _Asking) -> None:
        self._asking = asking

    def get_name(self) -> str:
        return "queries"

    def _open(self, source: Any, run: Run, kw: Kwargs) -> Iterator[Any]:
        asking = self._asking
        asked = asking.of.retriever
        for numbered in source:
            for number, query in numbered:
                if asking.takes(number, self):
                    found = _sync.value_step(asked, query, asking.run, asking.kw, "retriever")
                    yield number, documents_of(found, asked)

    async def _aopen(self, source: Any, run: Run, kw: Kwargs) -> AsyncIterator[Any]:
        asking = self._asking
        asked = asking.of.retriever
        async for numbered in source:
            for number, query in numbered:
                if asking.takes(number, self):
                    step = _async.value_step(asked, query, asking.run, asking.kw, "retriever")
                    yield number, documents_of(await step, asked)

    _in_open, _in_aopen = _open, _aopen


def _around(run: Run) -> Run:
    """For the fan-out, whose lanes are no runs of their own: what they ask is below `run`'s."""
    gate = run.gate
    return Run(BARE if gate is None else Scope(max_concurrency=gate), run.streams)


def _same_document(one: Document, other: Document) -> bool:
    """Of two with the same text. Not every retriever knows the ids that a store has given."""
    ids = {one.id, other.id} - {None}
    return len(ids) < 2 and one.metadata == other.metadata


def _same(item: Any) -> Any:
    return item
