"""One faiss index of vectors by position: what faiss leaves to its caller is done here, once.

    kind    exact   what it is
    flat    yes     every vector is compared with the query
    ivf     no      vectors in `nlist` cells, of which the `nprobe` closest are searched; flat
                    until there are enough vectors to find the cells by (39 for each)
    hnsw    no      a graph of neighbours; `M` links for each vector

Facts about faiss 1.15 that this file is made of: a wrong dimension is a bare AssertionError; what
is missing of `k` comes as position -1; a search with one query runs slower in many OpenMP threads
than in one; an hnsw index cannot forget a vector; and an hnsw or ivf search among few of many
vectors finds too few or none, so what is filtered is searched exactly.

Source: https://github.com/facebookresearch/faiss/wiki
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import asdict, dataclass
from math import isqrt
from typing import Any

from headrace.errors import InputError, MissingExtraError

from .distances import DistanceStrategy

__all__ = ["KINDS", "IndexSettings", "VectorIndex", "faiss_module"]

KINDS = ("flat", "ivf", "hnsw")

_POINTS_PER_CELL = 39  # fewer make poor cells; faiss warns below it
_SAMPLE = 64  # vectors for each cell that it is trained with, at most; faiss takes 256
_PROBES = 16  # cells that are searched at least, unless `nprobe` is given
_OUTGROWN = 4  # an ivf index with so many times the vectors it was trained with is trained anew


def faiss_module(purpose: str = "FAISS") -> Any:
    """faiss, which takes a quarter of a second to import."""
    try:
        import faiss
    except ImportError as error:
        raise MissingExtraError("faiss-cpu", extra="faiss", purpose=purpose) from error
    return faiss


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """What an index is made by; `FAISS` explains each.

    Raises:
        InputError: one of them is no good.
    """

    kind: str = "flat"
    distance: DistanceStrategy = DistanceStrategy.EUCLIDEAN_DISTANCE
    normalized: bool = False
    nlist: int | None = None
    nprobe: int | None = None
    M: int = 32
    ef_construction: int = 200
    ef_search: int = 64

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"index is {self.kind!r}: use one of {', '.join(map(repr, KINDS))}.")
        least = {"nlist": 1, "nprobe": 1, "M": 2, "ef_construction": 1, "ef_search": 1}
        for name, value in asdict(self).items():
            if name in least and value is not None:
                whole = isinstance(value, int) and not isinstance(value, bool)
                if not whole or value < least[name]:
                    raise InputError(
                        f"{name} is {value!r}: give a whole number, {least[name]} or more."
                    )

    @property
    def of_unit_vectors(self) -> bool:
        """Whether vectors are made 1 long before they are compared."""
        return self.normalized or self.distance is DistanceStrategy.COSINE

    def cells(self, count: int) -> int:
        """How many cells an ivf index of so many vectors has; 0 where there are too few."""
        cells = min(self.nlist or isqrt(count), count)
        return cells if count >= cells * _POINTS_PER_CELL else 0


class VectorIndex:
    """Vectors by position, 0 and up; none is ever taken out. Not for several threads at once,
    unless all of them search.

    Args:
        settings: what it is made by.
        index: the index of faiss.
        trained: with how many vectors; 0 for an index that is not trained.
    """

    __slots__ = ("_faiss", "index", "settings", "trained")

    def __init__(self, settings: IndexSettings, index: Any, trained: int = 0) -> None:
        self._faiss = faiss_module()
        self.settings = settings
        self.index = index
        self.trained = trained

    @classmethod
    def of(cls, settings: IndexSettings, vectors: Any) -> VectorIndex:
        """An index of these vectors, `(n, d)` of float32; it is trained where that is needed."""
        faiss = faiss_module()
        count, dimension = vectors.shape
        inner = settings.distance is not DistanceStrategy.EUCLIDEAN_DISTANCE
        metric = faiss.METRIC_INNER_PRODUCT if inner else faiss.METRIC_L2
        cells = settings.cells(count) if settings.kind == "ivf" else 0
        if settings.kind == "hnsw":
            index = faiss.IndexHNSWFlat(dimension, settings.M, metric)
            index.hnsw.efConstruction = settings.ef_construction
        elif cells:
            flat = faiss.IndexFlat(dimension, metric)
            index = faiss.IndexIVFFlat(flat, dimension, cells, metric)
            index.cp.max_points_per_centroid = _SAMPLE
            index.train(vectors)
            index.make_direct_map(True)  # so that vectors are found by position
        else:
            index = faiss.IndexFlat(dimension, metric)
        index.add(vectors)
        return cls(settings, index, count if cells else 0)

    @property
    def count(self) -> int:
        """How many vectors."""
        return int(self.index.ntotal)

    @property
    def dimension(self) -> int:
        """How many numbers each vector has."""
        return int(self.index.d)

    def outgrown(self, count: int) -> bool:
        """Whether an index of so many vectors should be made anew, not added to."""
        if self.settings.kind != "ivf":
            return False
        if not self.trained:
            return self.settings.cells(count) > 0
        return self.settings.nlist is None and count >= self.trained * _OUTGROWN

    def add(self, vectors: Any) -> None:
        """Add vectors, `(n, d)` of float32, at the next positions."""
        self.index.add(vectors)

    def vectors(self, positions: Any) -> Any:
        """The vectors at these positions, `(n, d)`."""
        numbers = self._numpy_positions(positions)
        return self.index.reconstruct_batch(numbers)

    def _numpy_positions(self, positions: Any) -> Any:
        import numpy

        return numpy.asarray(positions, dtype=numpy.int64)

    # ---- searching -------------------------------------------------------------------------------

    def search(
        self, vector: Any, k: int, allowed: Any, *, exactly: bool = False
    ) -> list[tuple[int, float]]:
        """Positions and scores of the `k` vectors closest to one, best first.

        Args:
            vector: `(1, d)` of float32.
            k: how many; fewer come only where fewer are allowed.
            allowed: `(n,)` of bool, the positions that may be found; None for all.
            exactly: compare every vector that is allowed, whatever the index is.
        """
        there = self.count if allowed is None else int(allowed.sum())
        k = min(operator.index(k), there)
        if not k:
            return []
        hits = self._hits(vector, k, allowed, exactly=exactly)
        if len(hits) < k:  # cells or neighbours ran out before there were enough
            hits = self._hits(vector, k, allowed, exactly=True)
        if self.settings.distance is DistanceStrategy.COSINE:  # rounding gives a little more than 1
            hits = [(position, max(-1.0, min(1.0, score))) for position, score in hits]
        less = self.settings.distance is DistanceStrategy.EUCLIDEAN_DISTANCE
        hits.sort(key=lambda hit: (hit[1] if less else -hit[1], hit[0]))
        return hits

    def _hits(self, vector: Any, k: int, allowed: Any, *, exactly: bool) -> list[tuple[int, float]]:
        selector = None
        if allowed is not None:
            import numpy

            selector = self._faiss.IDSelectorBitmap(numpy.packbits(allowed, bitorder="little"))
        index, parameters = self._way(selector, exactly=exactly)
        with _OneThread(self._faiss):
            scores, positions = index.search(vector, k, params=parameters)
        found = zip(positions[0].tolist(), scores[0].tolist(), strict=True)
        return [(position, score) for position, score in found if position >= 0]

    def _way(self, selector: Any, *, exactly: bool) -> tuple[Any, Any]:
        """The index to ask, and the parameters to ask it with."""
        faiss, settings = self._faiss, self.settings
        chosen = {} if selector is None else {"sel": selector}
        if self.trained:
            cells = self.index.nlist
            probes = settings.nprobe or max(_PROBES, cells // 8)
            chosen["nprobe"] = cells if exactly else min(probes, cells)
            return self.index, faiss.SearchParametersIVF(**chosen)
        if settings.kind == "hnsw" and not exactly:
            return self.index, faiss.SearchParametersHNSW(efSearch=settings.ef_search, **chosen)
        index = _storage(faiss, self.index) if settings.kind == "hnsw" else self.index
        return index, faiss.SearchParameters(**chosen) if chosen else None

    # ---- files -----------------------------------------------------------------------------------

    def write(self, write: Callable[[bytes], int]) -> None:
        """Hand the index to a function piece by piece, in faiss's own format."""
        self._faiss.write_index(self.index, self._faiss.PyCallbackIOWriter(write))

    @classmethod
    def read(cls, settings: IndexSettings, read: Callable[[int], bytes]) -> VectorIndex:
        """An index that `write` gave.

        Raises:
            ValueError: it is another kind of index, or of another distance, or none.
        """
        faiss = faiss_module()
        try:
            index = faiss.read_index(faiss.PyCallbackIOReader(read))
        except RuntimeError as error:
            raise ValueError(f"faiss cannot read it ({error})") from error
        kinds = {
            "flat": (faiss.IndexFlat,),
            "ivf": (faiss.IndexFlat, faiss.IndexIVFFlat),
            "hnsw": (faiss.IndexHNSWFlat,),
        }
        less = settings.distance is DistanceStrategy.EUCLIDEAN_DISTANCE
        metric = faiss.METRIC_L2 if less else faiss.METRIC_INNER_PRODUCT
        if not isinstance(index, kinds[settings.kind]) or index.metric_type != metric:
            raise ValueError(f"it holds a {type(index).__name__}, and the settings say otherwise")
        if settings.kind == "hnsw" and not isinstance(_storage(faiss, index), faiss.IndexFlat):
            raise ValueError("its vectors are not kept as they are")
        return cls(settings, index, index.ntotal if isinstance(index, faiss.IndexIVFFlat) else 0)


def _storage(faiss: Any, index: Any) -> Any:
    """The flat index in which an hnsw index keeps the vectors."""
    return faiss.downcast_index(index.storage)


class _OneThread:
    """Searches of one query are over before OpenMP has handed them round; many at once, from many
    threads, would each start a team. The number belongs to the calling thread and is put back."""

    __slots__ = ("_before", "_faiss")

    def __init__(self, faiss: Any) -> None:
        self._faiss = faiss
        self._before = 1

    def __enter__(self) -> None:
        self._before = self._faiss.omp_get_max_threads()
        self._faiss.omp_set_num_threads(1)

    def __exit__(self, *_: object) -> None:
        self._faiss.omp_set_num_threads(self._before)
