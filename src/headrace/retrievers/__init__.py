"""Retrievers: from a question to the documents that may hold its answer.

| retriever | finds |
|---|---|
| one of yours | what its `_get_relevant_documents` gives: derive from `BaseRetriever` |
| `store.as_retriever()` | what is like the question by its embedding; see `headrace.vectorstores` |
| `BM25Retriever` | what has the question's words |
| `EnsembleRetriever`, `MergerRetriever` | what several find, in one order |
| `MultiQueryRetriever` | what a model's versions of the question find |
| `ContextualCompressionRetriever` | what another finds, filtered, cut or sorted by a compressor |
| `MultiVectorRetriever`, `ParentDocumentRetriever` | the whole of what a small piece was found of |

Each gives its documents at once, as one chunk, and is a run with its own events; what it asks on
its way (retrievers, models) are runs below it. All but `BaseRetriever` are loaded when first named.
"""

from typing import TYPE_CHECKING, Any

from headrace._lazy import later, listed

from .base import (
    BaseRetriever,
    RetrieverInput,
    RetrieverLike,
    RetrieverOutput,
    RetrieverRunManager,
)

if TYPE_CHECKING:
    from .bm25 import BM25Retriever as BM25Retriever
    from .contextual_compression import (
        ContextualCompressionRetriever as ContextualCompressionRetriever,
    )
    from .document_compressors import BaseDocumentCompressor as BaseDocumentCompressor
    from .document_compressors import DocumentCompressorPipeline as DocumentCompressorPipeline
    from .document_compressors import EmbeddingsFilter as EmbeddingsFilter
    from .document_compressors import EmbeddingsRedundantFilter as EmbeddingsRedundantFilter
    from .document_compressors import LLMChainExtractor as LLMChainExtractor
    from .document_compressors import LLMChainFilter as LLMChainFilter
    from .document_compressors import LLMListwiseRerank as LLMListwiseRerank
    from .ensemble import EnsembleRetriever as EnsembleRetriever
    from .ensemble import MergerRetriever as MergerRetriever
    from .multi_query import MultiQueryRetriever as MultiQueryRetriever
    from .multi_vector import MultiVectorRetriever as MultiVectorRetriever
    from .multi_vector import ParentDocumentRetriever as ParentDocumentRetriever

_HOMES = {
    "BM25Retriever": "bm25",
    "BaseDocumentCompressor": "document_compressors",
    "ContextualCompressionRetriever": "contextual_compression",
    "DocumentCompressorPipeline": "document_compressors",
    "EmbeddingsFilter": "document_compressors",
    "EmbeddingsRedundantFilter": "document_compressors",
    "EnsembleRetriever": "ensemble",
    "LLMChainExtractor": "document_compressors",
    "LLMChainFilter": "document_compressors",
    "LLMListwiseRerank": "document_compressors",
    "MergerRetriever": "ensemble",
    "MultiQueryRetriever": "multi_query",
    "MultiVectorRetriever": "multi_vector",
    "ParentDocumentRetriever": "multi_vector",
}

__all__ = [
    "BM25Retriever",
    "BaseDocumentCompressor",
    "BaseRetriever",
    "ContextualCompressionRetriever",
    "DocumentCompressorPipeline",
    "EmbeddingsFilter",
    "EmbeddingsRedundantFilter",
    "EnsembleRetriever",
    "LLMChainExtractor",
    "LLMChainFilter",
    "LLMListwiseRerank",
    "MergerRetriever",
    "MultiQueryRetriever",
    "MultiVectorRetriever",
    "ParentDocumentRetriever",
    "RetrieverInput",
    "RetrieverLike",
    "RetrieverOutput",
    "RetrieverRunManager",
]


def __getattr__(name: str) -> Any:
    return later(__name__, _HOMES, name)


def __dir__() -> list[str]:
    return listed(globals(), __all__)
