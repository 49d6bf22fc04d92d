"""`Table`: documents and the index of their vectors, by position; the state of a `FAISS` store.

Reading takes no lock but the index's own, and a table that was replaced by a new one stays as it
was, so who still reads it sees one moment. Changes come from one thread at a time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from headrace.documents import Document
from headrace.errors import InputError

from ._faiss_index import IndexSettings, VectorIndex
from ._folder import Write, Writer
from ._shared_lock import SharedLock
from .embedding_store import Nearest, check_dimension
from .similarity import Vector

__all__ = ["Table", "unit", "vectors_of"]

_SLICE = 500  # vectors added while searches wait; an hnsw index takes a millisecond for each
_FEW = 1000  # marked positions that are not worth making a new index


class Table:
    """Documents by position; None at the positions of those that were deleted or replaced.

    Args:
        index: their vectors.
        documents: `index.count` of them.
    """

    __slots__ = ("_lock", "_there", "documents", "index", "positions")

    def __init__(self, index: VectorIndex, documents: list[Document | None]) -> None:
        self.index = index
        self.documents = documents
        self.positions = {
            str(document.id): i for i, document in enumerate(documents) if document is not None
        }
        self._there: Any = None  # which positions may be found, while nothing changes
        self._lock = SharedLock("a FAISS")

    @classmethod
    def of(cls, settings: IndexSettings, documents: Sequence[Document], rows: Any) -> Table:
        """A table of documents and their vectors, `(n, d)` of float32."""
        return cls(VectorIndex.of(settings, rows), list(documents))

    @property
    def count(self) -> int:
        """How many positions there are."""
        return len(self.documents)

    def check_dimension(self, dimension: int) -> None:
        """Refuse vectors that do not go with those in the index."""
        if dimension != self.index.dimension:
            check_dimension([0.0] * dimension, self.index.dimension)

    # ---- changes ---------------------------------------------------------------------------------

    def put(self, documents: Mapping[str, Document], rows: Any) -> None:
        """Add documents by id, in place of those that have these ids; they appear all at once."""
        first = self.count
        for start in range(0, len(rows), _SLICE):
            some = rows[start : start + _SLICE]
            with self._lock.writing():
                self.index.add(some)
                self.documents.extend([None] * len(some))
                self._there = None
        with self._lock.writing():
            self._forget(documents)
            self.positions.update(zip(documents, range(first, self.count), strict=True))
            self.documents[first:] = documents.values()

    def remove(self, ids: Iterable[str]) -> None:
        """Mark what has these ids."""
        with self._lock.writing():
            self._forget(ids)

    def _forget(self, ids: Iterable[str]) -> None:
        for name in ids:
            position = self.positions.pop(name, None)
            if position is not None:
                self.documents[position] = None
        self._there = None

    def outgrown(self, more: int) -> bool:
        """Whether adding so many should make a new table."""
        return self.index.outgrown(len(self.positions) + more)

    @property
    def mostly_gone(self) -> bool:
        """Whether a new table would be much smaller."""
        gone = self.count - len(self.positions)
        return not self.positions or gone > max(_FEW, len(self.positions))

    def anew(self, documents: Mapping[str, Document] | None = None, rows: Any = None) -> Table:
        """A table of what is in this one, and of these, without marks. This one stays as it is."""
        import numpy

        old, vectors = self.snapshot(without=documents or ())
        if documents:
            old |= documents
            vectors = numpy.concatenate([vectors, rows])
        return Table.of(self.index.settings, list(old.values()), vectors)

    def snapshot(self, without: Iterable[str] = ()) -> tuple[dict[str, Document], Any]:
        """The documents by id, in the order of their positions, and their vectors."""
        with self._lock.reading():
            left_out = set(without)
            kept = {
                i: document
                for i, document in enumerate(self.documents)
                if document is not None and document.id not in left_out
            }
            vectors = self.index.vectors(list(kept))
        return {str(document.id): document for document in kept.values()}, vectors

    # ---- reading ---------------------------------------------------------------------------------

    def ids(self) -> dict[int, str]:
        """Ids by position."""
        return {i: str(each.id) for i, each in enumerate(self.documents[:]) if each is not None}

    def get(self, ids: Iterable[str]) -> list[Document]:
        """Copies of the documents with these ids; unknown ids are left out."""
        with self._lock.reading():
            places = [self.positions[name] for name in ids if name in self.positions]
            return [_copy(self.documents[place]) for place in places]

    def search(
        self, query: Any, k: int, allows: Callable[[Any], bool] | None, *, with_vectors: bool
    ) -> Nearest:
        """The `k` documents closest to a vector, `(1, d)` of float32, that the filter allows."""
        # The filter is the user's code: it is asked before the lock is taken.
        passed = None if allows is None else self._passed(allows)
        with self._lock.reading():
            allowed = self._allowed(passed)
            hits = self.index.search(query, k, allowed, exactly=passed is not None)
            places = [place for place, _ in hits]
            return Nearest(
                [_copy(self.documents[place]) for place in places],
                [score for _, score in hits],
                self.index.vectors(places).tolist() if with_vectors and places else (),
            )

    def _passed(self, allows: Callable[[Any], bool]) -> Any:
        import numpy

        documents = self.documents[:]
        passed = (document is not None and allows(document.metadata) for document in documents)
        return numpy.fromiter(map(bool, passed), dtype=bool, count=len(documents))

    def _allowed(self, passed: Any) -> Any:
        """`(n,)` of bool, the positions that may be found; None for all."""
        import numpy

        if passed is None and self.count == len(self.positions):
            return None
        if self._there is None:
            given = (document is not None for document in self.documents)
            self._there = numpy.fromiter(given, dtype=bool, count=self.count)
        if passed is None:
            return self._there
        allowed = self._there.copy()
        allowed[: len(passed)] &= passed
        allowed[len(passed) :] = False  # added after the filter was asked
        return allowed

    # ---- files -----------------------------------------------------------------------------------

    def parts(self) -> dict[str, Writer]:
        """What writes each file, for `save`; nothing may change until that is done."""
        return {"faiss": self.index.write, "jsonl": self._write_documents}

    def _write_documents(self, write: Write) -> None:
        for document in self.documents:
            write(_line(document))


def _copy(document: Document | None) -> Document:
    if document is None:
        raise AssertionError("a position that was let through holds no document")
    return Document(document.page_content, document.metadata, document.id)


def _line(document: Document | None) -> bytes:
    record = document and {
        "id": document.id,
        "text": document.page_content,
        "metadata": document.metadata,
    }
    try:
        text = json.dumps(record, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(
            f"The metadata of the document {record and record['id']!r} cannot be written as JSON "
            f"({error}): keep strings, numbers, lists and dicts in it."
        ) from error
    return f"{text}\n".encode("utf-8", "surrogatepass")


# ---- vectors -------------------------------------------------------------------------------------


def vectors_of(vectors: Sequence[Vector]) -> Any:
    """Vectors as one array, `(n, d)` of float32.

    Raises:
        InputError: they are no vectors of finite numbers of one dimension.
    """
    import numpy

    with numpy.errstate(over="ignore"):
        try:
            rows = numpy.ascontiguousarray(vectors, dtype=numpy.float32)
        except (TypeError, ValueError):
            rows = None
    if rows is None or rows.ndim != 2 or not rows.shape[1] or not numpy.isfinite(rows).all():
        raise _wrong(vectors)
    return rows


def _wrong(vectors: Sequence[Vector]) -> InputError:
    """What is wrong with one of the vectors."""
    for vector in vectors:
        check_dimension(vector, len(vectors[0]))
    return InputError(
        "An embedding holds a number that is larger than 3.4e38, the largest of 32 bits: check the "
        "embedding model."
    )


def unit(rows: Any) -> Any:
    """The rows with length 1; one of zeros stays."""
    import numpy

    sizes = numpy.linalg.norm(rows.astype(numpy.float64), axis=1, keepdims=True)
    return (rows / numpy.where(sizes == 0, 1.0, sizes)).astype(numpy.float32)
