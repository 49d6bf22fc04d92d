"""What "similar" means to a store: the distances, their names, and the relevance each stands for.

    name            score                                  better  relevance
    l2              Euclidean distance (FAISS: squared)    less    1 - distance² / 2
    cosine          cosine of the angle, -1 to 1           more    the cosine
    inner_product   inner product                          more    the inner product

Relevances are cut to 0 … 1. For vectors of length 1, which most models give, all three relevances
are the same number: the cosine. For others only that of "cosine" means anything.
"""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import Any

from headrace.errors import InputError

__all__ = ["DistanceStrategy", "as_good", "relevance", "strategy"]


class DistanceStrategy(StrEnum):
    """How vectors are compared. Where one is asked for, its short name will do."""

    EUCLIDEAN_DISTANCE = "EUCLIDEAN_DISTANCE"
    MAX_INNER_PRODUCT = "MAX_INNER_PRODUCT"
    COSINE = "COSINE"


_NAMES = {
    "l2": DistanceStrategy.EUCLIDEAN_DISTANCE,
    "cosine": DistanceStrategy.COSINE,
    "inner_product": DistanceStrategy.MAX_INNER_PRODUCT,
}
_OTHERS = {  # as other libraries spell them
    "euclidean_distance": "l2",
    "euclidean": "l2",
    "max_inner_product": "inner_product",
    "dot_product": "inner_product",
}


def strategy(given: Any) -> DistanceStrategy:
    """The distance of that name.

    Raises:
        InputError: there is none.
    """
    name = str(given.value if isinstance(given, Enum) else given).lower()
    known = _NAMES.get(_OTHERS.get(name, name))
    if known is None:
        raise InputError(
            f"distance_strategy {given!r} is unknown: use one of "
            f"{', '.join(repr(name) for name in _NAMES)}."
        )
    return known


def relevance(distance: DistanceStrategy, score: float, *, squared: bool) -> float:
    """How relevant a document with that score is, 0 to 1.

    Args:
        distance: what the score is.
        score: as the store gives it.
        squared: whether a Euclidean distance is squared.
    """
    if distance is DistanceStrategy.EUCLIDEAN_DISTANCE:
        score = 1.0 - (score if squared else score * score) / 2.0
    return min(1.0, max(0.0, score))


def as_good(distance: DistanceStrategy, score: float, threshold: float) -> bool:
    """Whether a score is as good as another, in the direction of its distance."""
    less = distance is DistanceStrategy.EUCLIDEAN_DISTANCE
    return score <= threshold if less else score >= threshold
