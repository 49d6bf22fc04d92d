"""Compressors: what is done with found documents, given the question.

| compressor | leaves |
|---|---|
| one of yours | what its `compress_documents` gives: derive from `BaseDocumentCompressor` |
| `DocumentCompressorPipeline` | what several leave, in turn; splitters may be among them |
| `EmbeddingsFilter` | what is like the question |
| `EmbeddingsRedundantFilter` | what does not say the same again; needs no question |
| `LLMChainExtractor` | of each document what a model takes out of it for the question |
| `LLMChainFilter` | what a model says is relevant |
| `LLMListwiseRerank` | what a model puts first, in its order |
"""

from typing import TYPE_CHECKING, Any

from headrace._lazy import later, listed

from .base import BaseDocumentCompressor

if TYPE_CHECKING:
    from .by_embedding import EmbeddingsFilter as EmbeddingsFilter
    from .by_embedding import EmbeddingsRedundantFilter as EmbeddingsRedundantFilter
    from .by_model import LLMChainExtractor as LLMChainExtractor
    from .by_model import LLMChainFilter as LLMChainFilter
    from .by_model import LLMListwiseRerank as LLMListwiseRerank
    from .pipeline import DocumentCompressorPipeline as DocumentCompressorPipeline

_HOMES = {
    "DocumentCompressorPipeline": "pipeline",
    "EmbeddingsFilter": "by_embedding",
    "EmbeddingsRedundantFilter": "by_embedding",
    "LLMChainExtractor": "by_model",
    "LLMChainFilter": "by_model",
    "LLMListwiseRerank": "by_model",
}

__all__ = [
    "BaseDocumentCompressor",
    "DocumentCompressorPipeline",
    "EmbeddingsFilter",
    "EmbeddingsRedundantFilter",
    "LLMChainExtractor",
    "LLMChainFilter",
    "LLMListwiseRerank",
]


def __getattr__(name: str) -> Any:
    return later(__name__, _HOMES, name)


def __dir__() -> list[str]:
    return listed(globals(), __all__)
