"""Example selectors: which examples a few-shot prompt shows for an input.

Those that need more than the base are loaded when one of them is asked for.
"""

from typing import TYPE_CHECKING, Any

from .._lazy import later, listed
from .base import BaseExampleSelector

if TYPE_CHECKING:
    from .length_based import LengthBasedExampleSelector
    from .semantic_similarity import (
        MaxMarginalRelevanceExampleSelector,
        SemanticSimilarityExampleSelector,
        sorted_values,
    )

__all__ = [
    "BaseExampleSelector",
    "LengthBasedExampleSelector",
    "MaxMarginalRelevanceExampleSelector",
    "SemanticSimilarityExampleSelector",
    "sorted_values",
]

_LATER = {
    "LengthBasedExampleSelector": "length_based",
    "MaxMarginalRelevanceExampleSelector": "semantic_similarity",
    "SemanticSimilarityExampleSelector": "semantic_similarity",
    "sorted_values": "semantic_similarity",
}


def __getattr__(name: str) -> Any:
    return later(__name__, _LATER, name)


def __dir__() -> list[str]:
    return listed(globals(), __all__)
