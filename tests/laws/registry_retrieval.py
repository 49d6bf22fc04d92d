"""The registry's retrievers that ask others: what several find, queries of a model, compressors."""

from __future__ import annotations

import re
from typing import Any

from headrace.documents import Document
from headrace.embeddings import DeterministicFakeEmbedding
from headrace.language_models import FakeListChatModel
from headrace.retrievers import (
    BaseDocumentCompressor,
    BaseRetriever,
    BM25Retriever,
    ContextualCompressionRetriever,
    DocumentCompressorPipeline,
    EmbeddingsFilter,
    EnsembleRetriever,
    LLMChainExtractor,
    LLMChainFilter,
    MergerRetriever,
    MultiQueryRetriever,
    MultiVectorRetriever,
    ParentDocumentRetriever,
)
from headrace.retrievers.document_compressors.by_model import NoOutputParser
from headrace.retrievers.multi_query import QueriesOutputParser
from headrace.runnables import RunnableLambda
from headrace.stores import InMemoryStore
from headrace.text_splitters import CharacterTextSplitter
from headrace.vectorstores import InMemoryVectorStore
from laws.entry import Entry
from laws.kinds import TEXT
from laws.ledger import LEDGER
from laws.registry_components import LINES, _answers


def found(*texts: str) -> list[Document]:
    return [Document(text) for text in texts]


class Finds(BaseRetriever):
    """The question, once and twice; a body in each colour."""

    def _get_relevant_documents(self, query: str) -> list[Document]:
        with LEDGER.body("finds"):
            return found(query, query * 2)

    async def _aget_relevant_documents(self, query: str) -> list[Document]:
        with LEDGER.body("finds"):
            return found(query, query * 2)


class Backwards(BaseDocumentCompressor):
    def compress_documents(self, documents: Any, query: str, callbacks: Any = None) -> Any:
        return documents[::-1]


def _reversed(query: str) -> list[Document]:
    return found(query * 2, query)


def _model(text: str) -> FakeListChatModel:
    return FakeListChatModel(responses=[text])


def _fused(text: str) -> list[Document]:
    return found(text * 2, text) if text else found("")


def _asked(text: str) -> list[Document]:
    """What the queries find, the question last; nothing twice."""
    queries = [query for query in ("ab", "X") if query != text] + [text]
    return found(*dict.fromkeys(each for query in queries for each in (query, query * 2)))


def _bm25() -> BM25Retriever:
    return BM25Retriever.from_texts(["abXY", "é a", "b abX", "abX"], k=2)


def _by_pieces(kind: Any, **fields: Any) -> Any:
    pieces = InMemoryVectorStore(DeterministicFakeEmbedding(size=4))
    pieces.add_documents([Document(text, {"doc_id": "x"}) for text in ("wh", "ole")])
    documents = InMemoryStore()
    documents.mset([("x", Document("whole"))])
    return kind(vectorstore=pieces, docstore=documents, **fields)


RETRIEVAL = [
    Entry("bm25", _bm25, TEXT, None, view=lambda docs: [doc.page_content for doc in docs]),
    Entry("ensemble", lambda: EnsembleRetriever(
          retrievers=[Finds(), RunnableLambda(_reversed) | list], weights=[1, 2]), TEXT, _fused,
          fans=2),
    Entry("merger", lambda: MergerRetriever(retrievers=[Finds(), _reversed]), TEXT,
          lambda t: found(t, t * 2, t * 2, t), fans=2),
    Entry("multi-query", lambda: MultiQueryRetriever.from_llm(
          Finds(), _model("1. ab\n2. X"), include_original=True), TEXT,
          _asked, fans=8),
    Entry("compression", lambda: ContextualCompressionRetriever(
          base_retriever=Finds(), base_compressor=Backwards()), TEXT, lambda t: found(t * 2, t)),
    Entry("compression-by-models", lambda: ContextualCompressionRetriever(
          base_retriever=Finds(), base_compressor=DocumentCompressorPipeline(transformers=[
              EmbeddingsFilter(embeddings=DeterministicFakeEmbedding(size=4), k=2),
              LLMChainFilter.from_llm(_model("YES")),
              LLMChainExtractor.from_llm(_model("a part"))])), TEXT,
          lambda t: found("a part", "a part") if t else None, fans=2),
    Entry("multi-vector", lambda: _by_pieces(MultiVectorRetriever), TEXT,
          lambda t: found("whole")),
    Entry("parent-document", lambda: _by_pieces(
          ParentDocumentRetriever, child_splitter=CharacterTextSplitter()), TEXT,
          lambda t: found("whole")),
    Entry("queries-parser", QueriesOutputParser, LINES,
          lambda text: re.findall(r"^\S+ (.+)$", text, re.MULTILINE), flows=True),
    Entry("no-output-parser", NoOutputParser, _answers(" a b ", "NO_OUTPUT"),
          lambda text: "" if "NO" in text else text.strip()),
]  # fmt: skip
