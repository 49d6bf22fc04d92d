"""Cosine similarity and maximal marginal relevance; colour-neutral, no I/O.

    Rows(vectors).cosines(query)               similarity of each row to one vector, -1 to 1
    most_relevant(scores, rows, k, weight)     rows that are close to the query and far apart

Large comparisons use numpy where it is installed, small ones and every other installation plain
Python; results differ by rounding only. A vector of zeros has no direction: it is similar to
nothing (0.0).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from functools import cache
from typing import Any, TypeAlias

from headrace.errors import InputError

__all__ = ["Rows", "Vector", "length", "most_relevant"]

Vector: TypeAlias = Sequence[float]

_LARGE = 1 << 16  # multiplications: below, plain Python (some ms) beats importing numpy (100 ms)

_ROUNDING = 1e-12  # ratings this close are equal

if sys.version_info >= (3, 12):
    from math import sumprod as _dot
else:

    def _dot(p: Vector, q: Vector, /) -> float:
        return sum(a * b for a, b in zip(p, q, strict=True))


def length(vector: Vector) -> float:
    """The Euclidean length.

    Raises:
        InputError: the vector is empty, or holds something that is no finite number.
    """
    try:
        size = math.hypot(*vector)
    except TypeError as error:
        raise InputError(
            f"An embedding is a list of numbers, and this one cannot be read as one ({error}): "
            f"{_shown(vector)}."
        ) from error
    if not len(vector) or not math.isfinite(size):
        what = "holds a number that is not finite" if len(vector) else "is empty"
        raise InputError(f"The embedding {_shown(vector)} {what}: check the embedding model.")
    return size


def _shown(vector: Any) -> str:
    text = repr(vector)
    return text if len(text) <= 80 else f"{text[:60]}… ({len(vector)} numbers)"


class Rows:
    """Vectors of one dimension, made ready for being compared with many others.

    Args:
        vectors: `(n, d)`; `length` must accept each.
    """

    def __init__(self, vectors: Sequence[Vector]) -> None:
        sizes = [length(vector) for vector in vectors]
        self.dimension = len(vectors[0]) if vectors else 0
        self._matrix: Any = None
        self._units: list[Vector] = []
        numbers = len(vectors) * self.dimension
        numpy = _numpy() if numbers and numbers >= _LARGE else None
        if numpy is None:
            self._units = [_unit(v, size) for v, size in zip(vectors, sizes, strict=True)]
        else:
            self._matrix = numpy.array(vectors, dtype=float)
            self._matrix /= numpy.array([size or 1.0 for size in sizes])[:, None]

    def __len__(self) -> int:
        return len(self._units if self._matrix is None else self._matrix)

    def __getitem__(self, index: int) -> Vector:
        """Row `index`, of length 1 (or 0)."""
        row: Vector = (self._units if self._matrix is None else self._matrix)[index]
        return row

    def cosines(self, vector: Vector) -> list[float]:
        """The similarity of each row to a vector of the same dimension."""
        if self._matrix is not None:
            unit = _unit([float(x) for x in vector], length(vector))
            found: list[float] = (self._matrix @ unit).clip(-1.0, 1.0).tolist()
            return found
        unit = _unit(vector, length(vector))
        # Rounding may give a little more than 1 for equal directions.
        return [max(-1.0, min(1.0, _dot(row, unit))) for row in self._units]


def _unit(vector: Vector, size: float) -> Vector:
    return [x / size for x in vector] if size else list(vector)


@cache
def _numpy() -> Any:
    """numpy, or None where it is not installed."""
    try:
        import numpy
    except ImportError:
        return None
    return numpy


def most_relevant(scores: Sequence[float], rows: Rows, k: int, weight: float) -> list[int]:
    """Choose rows one by one for maximal marginal relevance (Carbonell and Goldstein, 1998).

    The first is the one most similar to the query. Each next one has the largest
    `weight * similarity to the query - (1 - weight) * largest similarity to one chosen before`.

    Args:
        scores: `(n,)`, the similarity of each row to the query.
        rows: `(n, d)`.
        k: how many; fewer come where there are fewer rows.
        weight: 1 looks at the query only, 0 at diversity only.

    Returns:
        Indices of rows, in the order in which they were chosen; of equals the first.
    """
    left = list(range(len(rows)))
    repeats = [0.0] * len(rows)
    chosen: list[int] = []
    while left and len(chosen) < k:
        of_query = weight if chosen else 1.0
        ratings = [of_query * scores[i] - (1.0 - of_query) * repeats[i] for i in left]
        # A query that is a document's text rates every other document alike at weight 0.5.
        enough = max(ratings) - _ROUNDING
        best = left.pop(next(at for at, rating in enumerate(ratings) if rating >= enough))
        near = rows.cosines(rows[best])
        repeats = list(map(max, repeats, near)) if chosen else near
        chosen.append(best)
    return chosen
