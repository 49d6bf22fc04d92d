"""`SQLiteVec`: documents and vectors in a table of an SQLite file, for threads and processes.

    store = SQLiteVec(LocalEmbeddings(), "documents.db")
    store.add_texts(["harrison worked at kensho"])
    store.similarity_search("where did harrison work?", k=1)

Nothing is kept in this process: what one process adds, the next search of another finds. Adding
and deleting are transactions, on the disk when the call returns. A search computes each distance
(sqlite-vec's functions do, in C), so it is exact and takes some tenths of a second with 100,000
documents.

    TABLE documents          row, id, text, metadata (JSON)
    TABLE documents_vectors  row, embedding (32-bit numbers)
"""

from __future__ import annotations

import json
import os
from array import array
from collections.abc import Callable, Sequence
from operator import index
from pathlib import Path
from typing import Any, Self

from headrace.documents import Document
from headrace.embeddings import Embeddings
from headrace.errors import InputError
from headrace.runnables.configs import run_in_executor

from ._sql_filters import where
from ._sqlite_file import SQLiteFile
from .base import is_number, listed_ids
from .distances import DistanceStrategy, as_good, relevance, strategy
from .embedding_store import EmbeddingStore, Nearest, check_dimension
from .filters import Filter, parsed, predicate
from .similarity import Vector

__all__ = ["SQLiteVec"]

_LARGEST = 3.4e38  # of 32 bits
_MOST = 2**62  # rows; SQLite counts so far

_SCHEMA = """
CREATE TABLE IF NOT EXISTS {table} (
    row INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, text TEXT NOT NULL, metadata TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS {vectors} (row INTEGER PRIMARY KEY, embedding BLOB NOT NULL)
"""

_PUT = """
INSERT INTO {table} (id, text, metadata) VALUES (?1, ?2, ?3)
ON CONFLICT (id) DO UPDATE SET text = ?2, metadata = ?3
RETURNING row
"""

_KEEP = "INSERT OR REPLACE INTO {vectors} (row, embedding) VALUES (?, ?)"

_DELETE = (
    "DELETE FROM {vectors} WHERE row = (SELECT row FROM {table} WHERE id = ?)",
    "DELETE FROM {table} WHERE id = ?",
)

_GET = """
SELECT kept.id, text, metadata FROM json_each(?) AS asked JOIN {table} AS kept
ON kept.id = asked.value ORDER BY asked.key
"""

_NEAREST = """
WITH near AS (
    SELECT row, {score} AS score, embedding FROM {vectors} {which}
    ORDER BY score {order}, row LIMIT ?
)
SELECT id, text, metadata, score, embedding FROM near JOIN {table} USING (row)
ORDER BY score {order}, row
"""

_WHICH = "WHERE row IN (SELECT row FROM {table} WHERE {condition})"

_SCORES = {  # the score, and its order; a vector of zeros has no angle to others
    DistanceStrategy.EUCLIDEAN_DISTANCE: ("vec_distance_L2(embedding, ?1)", "ASC"),
    DistanceStrategy.COSINE: ("1 - ifnull(vec_distance_cosine(embedding, ?1), 1)", "DESC"),
}


class SQLiteVec(EmbeddingStore):
    """A vector store in an SQLite database. Safe to use from many threads, tasks and processes.

    The score of a search is the Euclidean distance ("l2": less is nearer) or the cosine (more is
    nearer). A `filter` is a dict (see `filters`), which SQLite evaluates itself, or a function of a
    document's metadata. `score_threshold` leaves out what has a worse score, or, where relevances
    are asked for, a smaller relevance.

    Args:
        embedding: the model that makes the vectors.
        db_file: the file; it is made at the first use, in a folder that is there. ":memory:" is a
            database of this object's own, gone with it.
        table: the name of the store in the file, which may hold several: letters, digits and
            underscores.
        distance_strategy: "l2" or "cosine"; vectors are kept as they are, so it may be another the
            next time.
        timeout: seconds to wait while others write.

    Raises:
        InputError: one of these is no good.
        MissingExtraError: (at the first use) apsw or sqlite-vec is not installed.
        StoreFileError: (at any use) the file cannot be opened, read or written.
    """

    def __init__(
        self,
        embedding: Embeddings,
        db_file: str | Path,
        *,
        table: str = "documents",
        distance_strategy: DistanceStrategy | str = "l2",
        timeout: float = 30.0,
    ) -> None:
        super().__init__(embedding)
        if not (str(table).isidentifier() and str(table).isascii()):
            raise InputError(f"table is {table!r}: give letters, digits and underscores.")
        file: Any = db_file
        if not isinstance(file, (str, os.PathLike)) or not str(file):
            raise InputError(f"db_file is {db_file!r}: give the path of a file, or ':memory:'.")
        if not is_number(timeout) or timeout < 0:
            raise InputError(f"timeout is {timeout!r}: give a number of seconds, 0 or more.")
        self.distance_strategy = strategy(distance_strategy)
        if self.distance_strategy not in _SCORES:
            raise InputError(
                f"distance_strategy is {distance_strategy!r}, which sqlite-vec does not have: use "
                "'l2' or 'cosine'; of vectors 1 long, 'cosine' is the inner product."
            )
        self.table = table
        self._file = SQLiteFile(
            str(db_file), patience=timeout, table=f"{table}_vectors", schema=self._sql(_SCHEMA)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        self._file.close()

    async def aclose(self) -> None:
        """`close`, in a thread."""
        await run_in_executor(None, self.close)

    def _sql(self, text: str, **parts: str) -> str:
        return text.format(table=f'"{self.table}"', vectors=f'"{self.table}_vectors"', **parts)

    # ---- what is in it ---------------------------------------------------------------------------

    def _put(
        self, names: list[str], documents: Sequence[Document], vectors: Sequence[Vector]
    ) -> None:
        rows = [_row(name, each) for name, each in zip(names, documents, strict=True)]
        blobs = _blobs(vectors)
        with self._file.writing() as connection:
            check_dimension(vectors[0], self._dimension(connection))
            put, keep = self._sql(_PUT), self._sql(_KEEP)
            for row, blob in zip(rows, blobs, strict=True):
                (place,) = connection.execute(put, row).fetchone()
                connection.execute(keep, (place, blob))

    def _dimension(self, connection: Any) -> int | None:
        """That of the vectors in the table, if there are any."""
        found = connection.execute(
            self._sql("SELECT length(embedding) / 4 FROM {vectors} LIMIT 1")
        ).fetchone()
        return found[0] if found else None

    def delete(self, ids: Sequence[str] | None = None, **kwargs: Any) -> bool:
        """Remove the documents with these ids; unknown ones are no error.

        Raises:
            InputError: no ids are given.
        """
        ids = listed_ids(ids, "delete")
        with self._file.writing() as connection:
            for statement in _DELETE:
                connection.executemany(self._sql(statement), [(_sayable(each),) for each in ids])
        return True

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """The documents with these ids, in their order; unknown ids are left out."""
        ids = listed_ids(ids, "get_by_ids")
        with self._file.reading() as connection:
            found = connection.execute(self._sql(_GET), (json.dumps(list(ids)),)).fetchall()
        return [_document(*each) for each in found]

    # ---- searching -------------------------------------------------------------------------------

    def _nearest(
        self, vector: Vector, k: int, *, filter: Filter | None = None, vectors: bool = False
    ) -> Nearest:
        if filter is None:
            return self._found(vector, k, "", [], vectors=vectors)
        said = None if callable(filter) else where(parsed(filter))
        if said is not None:
            return self._found(vector, k, *said, vectors=vectors)
        with self._file.calling(_of_json(filter)) as call:
            return self._found(vector, k, call.format("metadata"), [], vectors=vectors)

    def _found(
        self, vector: Vector, k: int, condition: str, parameters: list[Any], *, vectors: bool
    ) -> Nearest:
        (query,) = _blobs([vector])
        score, order = _SCORES[self.distance_strategy]
        which = self._sql(_WHICH, condition=condition) if condition else ""
        sql = self._sql(_NEAREST, score=score, order=order, which=which)
        with self._file.reading() as connection:
            dimension = self._dimension(connection)
            if dimension is None:
                return Nearest([], [])
            size = check_dimension(vector, dimension)
            if not size and self.distance_strategy is DistanceStrategy.COSINE:
                raise InputError(
                    "The query's embedding is all zeros, so it is similar to nothing: check the "
                    "embedding model and the query."
                )
            given = (query, *parameters, min(index(k), _MOST))
            rows = connection.execute(sql, given).fetchall()
        return Nearest(
            [_document(*row[:3]) for row in rows],
            [self._score(row[3]) for row in rows],
            [array("f", row[4]) for row in rows] if vectors else (),
        )

    def _check_filter(self, filter: Any) -> None:
        if filter is not None:
            predicate(filter)

    def _reaches(self, score: float, threshold: float) -> bool:
        return as_good(self.distance_strategy, score, threshold)

    def _score(self, score: float) -> float:
        """Rounding gives a little more than 1 for equal directions."""
        if self.distance_strategy is DistanceStrategy.COSINE:
            return max(-1.0, min(1.0, score))
        return score

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        distance = self.distance_strategy
        return lambda score: relevance(distance, score, squared=False)


# ---- filters -------------------------------------------------------------------------------------


def _of_json(filter: Filter) -> Callable[[str], bool]:
    """The filter as a function of the JSON of a document's metadata."""
    allows = predicate(filter)
    return lambda text: bool(allows(json.loads(text)))


# ---- rows ----------------------------------------------------------------------------------------


def _row(name: str, document: Document) -> tuple[str, str, str]:
    try:
        metadata = json.dumps(document.metadata, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(
            f"The metadata of the document {name!r} cannot be written as JSON ({error}): keep "
            "strings, finite numbers, lists and dicts in it."
        ) from error
    return _sayable(name), _sayable(document.page_content), metadata


def _sayable(text: str) -> str:
    """The text, if it is one that can be written in UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"A text or id cannot be stored ({error}): take the halves of surrogate pairs out, for "
            "example with text.encode('utf-8', 'replace').decode()."
        ) from error
    return text


def _document(name: str, text: str, metadata: str) -> Document:
    return Document(text, json.loads(metadata), name)


def _blobs(vectors: Sequence[Vector]) -> list[bytes]:
    """The vectors as sqlite-vec reads them; all are of one dimension, and of finite numbers."""
    for vector in vectors:
        if check_dimension(vector, len(vectors[0])) > _LARGEST:
            raise InputError(
                "An embedding holds a number that is larger than 3.4e38, the largest of 32 bits: "
                "check the embedding model."
            )
    return [array("f", vector).tobytes() for vector in vectors]
