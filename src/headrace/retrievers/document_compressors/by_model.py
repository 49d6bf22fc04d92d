"""Compressors that ask a model: `LLMChainExtractor`, `LLMChainFilter`, `LLMListwiseRerank`.

The first two ask once for each document, several at a time (`config["max_concurrency"]` bounds how
many); where one call fails, its error is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

from pydantic import BaseModel, Field, field_validator

from headrace.documents import Document
from headrace.errors import InputError
from headrace.output_parsers import BaseOutputParser, BooleanOutputParser
from headrace.prompts import ChatPromptTemplate, PromptTemplate
from headrace.runnables import RunnableLambda, RunnablePassthrough
from headrace.runnables.coerce import coerce_to_runnable
from headrace.shapes import Node

from .base import BaseDocumentCompressor

__all__ = [
    "LLMChainExtractor",
    "LLMChainFilter",
    "LLMListwiseRerank",
    "NoOutputParser",
    "default_get_input",
]

NOTHING = "NO_OUTPUT"

_EXTRACT = f"""Here are a question and a text. Copy from the text, word for word, the parts that \
help to answer the question. Change and add nothing. If no part of the text helps, write \
{NOTHING} and nothing else.

Question: {{question}}

Text:
\"\"\"
{{context}}
\"\"\"

The parts that help:"""

_FILTER = """Here are a question and a text. Does the text help to answer the question? Write YES \
if it does and NO if it does not, and nothing else.

Question: {question}

Text:
\"\"\"
{context}
\"\"\"

YES or NO:"""

_RANK = """Here are numbered documents:

{context}

Sort their numbers by how much each document helps to answer the question, the most helpful first. \
Leave out the numbers of those that do not help."""


def default_get_input(query: str, doc: Document) -> dict[str, Any]:
    """What a chain is asked with: `question` and `context`, the document's text."""
    return {"question": query, "context": doc.page_content}


class NoOutputParser(BaseOutputParser[str]):
    """The text of an answer; "" where it says that there is nothing.

    Args:
        no_output_str: what says so.
    """

    no_output_str: str = NOTHING

    def parse(self, text: str) -> str:
        """The text without white space around it."""
        text = text.strip()
        return "" if text == self.no_output_str else text

    @property
    def _type(self) -> str:
        return "no_output"


class _OfEach(BaseDocumentCompressor):
    """Asks `llm_chain` about each document, by what `get_input` makes of it."""

    llm_chain: Any
    get_input: Callable[[str, Document], Any] = default_get_input

    @field_validator("llm_chain")
    @classmethod
    def _is_a_chain(cls, given: Any) -> Any:
        return coerce_to_runnable(given, f"the llm_chain of {cls.__name__}")

    def _children(self) -> Sequence[tuple[str | None, Node]]:
        return [("llm_chain", self.llm_chain)]

    def _left(self, documents: Sequence[Document], answers: list[Any]) -> list[Document]:
        raise NotImplementedError

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Any = None
    ) -> Sequence[Document]:
        """What is left by the model's answers, in order."""
        inputs = [self.get_input(query, each) for each in documents]
        return self._left(documents, self.llm_chain.batch(inputs, {"callbacks": callbacks}))

    async def acompress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Any = None
    ) -> Sequence[Document]:
        """`compress_documents`, async."""
        inputs = [self.get_input(query, each) for each in documents]
        return self._left(documents, await self.llm_chain.abatch(inputs, {"callbacks": callbacks}))


class LLMChainExtractor(_OfEach):
    """Cuts documents down to what a model takes out of them; those of which it takes nothing are
    left out. What is left has the document's metadata and no id, as it is another text.

    Args:
        llm_chain: from what `get_input` gives to a text, "" for nothing. `from_llm` makes one.
        get_input: from the question and a document to the chain's input.
    """

    @classmethod
    def from_llm(
        cls,
        llm: Any,
        prompt: Any = None,
        get_input: Callable[[str, Document], Any] | None = None,
        llm_chain_kwargs: Any = None,
    ) -> Self:
        """With a chain of `prompt`, `llm` and a parser.

        Args:
            llm: the model.
            prompt: with the variables that `get_input` gives, `question` and `context`. Its
                `output_parser`, if it has one, reads the answer; else it is the text, and
                "NO_OUTPUT" means nothing.
            get_input: see above.
            llm_chain_kwargs: accepted for programs that give it; means nothing.
        """
        asked = PromptTemplate.from_template(_EXTRACT) if prompt is None else prompt
        parser = getattr(asked, "output_parser", None) or NoOutputParser()
        return cls(llm_chain=asked | llm | parser, get_input=get_input or default_get_input)

    def _left(self, documents: Sequence[Document], answers: list[Any]) -> list[Document]:
        pairs = zip(documents, answers, strict=True)
        return [Document(answer, each.metadata) for each, answer in pairs if answer]


class LLMChainFilter(_OfEach):
    """Leaves out the documents that a model says are not relevant.

    Args:
        llm_chain: from what `get_input` gives to True or False. `from_llm` makes one.
        get_input: from the question and a document to the chain's input.

    Raises:
        InputError: the chain gave something else than True or False.
        OutputParserException: of `from_llm`'s chain: the model said neither YES nor NO, or both.
    """

    @classmethod
    def from_llm(cls, llm: Any, prompt: Any = None, **kwargs: Any) -> Self:
        """With a chain of `prompt`, `llm` and a parser.

        Args:
            llm: the model.
            prompt: with the variables that `get_input` gives, `question` and `context`. Its
                `output_parser`, if it has one, reads the answer; else it is YES or NO.
            **kwargs: further fields.
        """
        asked = PromptTemplate.from_template(_FILTER) if prompt is None else prompt
        parser = getattr(asked, "output_parser", None) or BooleanOutputParser()
        return cls(llm_chain=asked | llm | parser, **kwargs)

    def _left(self, documents: Sequence[Document], answers: list[Any]) -> list[Document]:
        for answer in answers:
            if not isinstance(answer, bool):
                raise InputError(
                    f"The llm_chain of an LLMChainFilter gave {answer!r:.120} "
                    f"({type(answer).__name__}), not True or False: let it end with a "
                    "BooleanOutputParser."
                )
        pairs = zip(documents, answers, strict=True)
        return [each for each, stays in pairs if stays]


class RankDocuments(BaseModel):
    """The numbers of documents, the most helpful first."""

    ranked_document_ids: list[int] = Field(
        description="The numbers of the documents, the one that helps most first."
    )


class LLMListwiseRerank(BaseDocumentCompressor):
    """Leaves what a model puts first when it sees all documents at once (Ma, Zhang, Pradeep and
    Lin: Zero-Shot Listwise Document Reranking with a Large Language Model, 2023).

    Args:
        reranker: from `{"documents": [...], "query": "..."}` to a list of documents. `from_llm`
            makes one: a number that no document has counts for nothing, one that comes again too.
        top_n: how many to leave at most.
    """

    reranker: Any
    top_n: int = Field(default=3, ge=1)

    @field_validator("reranker")
    @classmethod
    def _is_a_chain(cls, given: Any) -> Any:
        return coerce_to_runnable(given, f"the reranker of {cls.__name__}")

    @classmethod
    def from_llm(cls, llm: Any, *, prompt: Any = None, **kwargs: Any) -> Self:
        """With a model that gives structured output.

        Args:
            llm: a chat model.
            prompt: with the variables `query` and `context`, the numbered documents.
            **kwargs: further fields, e.g. `top_n`.
        """
        asked = prompt
        if asked is None:
            asked = ChatPromptTemplate.from_messages([("system", _RANK), ("human", "{query}")])
        ranked = RunnableLambda(_numbered) | asked | llm.with_structured_output(RankDocuments)
        return cls(reranker=RunnablePassthrough.assign(ranking=ranked) | _in_order, **kwargs)

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Any = None
    ) -> Sequence[Document]:
        """The documents that the model puts first."""
        given = {"documents": list(documents), "query": query}
        found: list[Document] = self.reranker.invoke(given, {"callbacks": callbacks})
        return found[: self.top_n]

    async def acompress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Any = None
    ) -> Sequence[Document]:
        """`compress_documents`, async."""
        given = {"documents": list(documents), "query": query}
        found: list[Document] = await self.reranker.ainvoke(given, {"callbacks": callbacks})
        return found[: self.top_n]

    def _children(self) -> Sequence[tuple[str | None, Node]]:
        return [("reranker", self.reranker)]


def _numbered(given: dict[str, Any]) -> dict[str, Any]:
    texts = [f"[{n}]\n{each.page_content}" for n, each in enumerate(given["documents"])]
    return {"query": given["query"], "context": "\n\n".join(texts)}


def _in_order(given: dict[str, Any]) -> list[Document]:
    documents, ranking = given["documents"], given["ranking"]
    numbers = dict.fromkeys(ranking.ranked_document_ids)
    return [documents[number] for number in numbers if 0 <= number < len(documents)]
