"""`CacheBackedEmbeddings`: an embedding model that embeds each text once, and remembers.

    store = LocalFileStore("cache")
    cached = CacheBackedEmbeddings.from_bytes_store(model, store, namespace=model.model)

Texts that are in the store are read from it; of the others each is embedded once, however often
it stands in the list, `batch_size` at a time. A batch is kept as soon as it has been embedded, so
when a later one fails, what was paid for is not lost. Vectors come in the order of the texts.

A kept vector is: `HRV1`, `f` or `d`, the CRC-32 of the rest (4 bytes), then its numbers as
little-endian floats of 4 or 8 bytes. 4 are taken where they hold every number exactly, so that a
vector from the store always equals the one that was put there. An entry that is something else
(torn by a power failure, or not ours) is logged, embedded again and replaced.
"""

from __future__ import annotations

import hashlib
import json
import logging
import struct
import sys
import zlib
from array import array
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from headrace._progress import bar
from headrace._twins import Call, Plan, arun, run
from headrace.errors import ConfigError, ModelError
from headrace.stores.base import BaseStore, ByteStore
from headrace.stores.encoded import EncoderBackedStore

from .base import Embeddings, checked_model, checked_texts

__all__ = ["CacheBackedEmbeddings", "KeyEncoder"]

Vector: TypeAlias = list[float]
VectorStored: TypeAlias = BaseStore[str, Vector]
KeyEncoder: TypeAlias = Callable[[str], str] | str
"""A function from a text to its key, or the name of a hash: one of `hashlib`'s."""

log = logging.getLogger("headrace")

_MAGIC = b"HRV1"
_HASHES = ("sha256", "sha512", "blake2b", "sha1")


class CacheBackedEmbeddings(Embeddings):
    """An embedding model in front of which stands a store. Usually made by `from_bytes_store`.

    An error of the store is raised, as one of the model is: a cache that cannot be written would
    cost as much as none, unnoticed.

    Args:
        underlying_embeddings: the model.
        document_embedding_store: vectors of documents by their texts.
        batch_size: how many texts the model gets at a time, and are kept together; None: all.
        query_embedding_store: vectors of queries by their texts; None: queries are not kept.
        progress: whether `embed_documents` draws a progress bar over what has to be embedded.

    Raises:
        ConfigError: `batch_size` is no number above 0; kept vectors have another length than the
            model's, so that they are another model's.
        ModelError: the model gave more or fewer vectors than it got texts.
    """

    def __init__(
        self,
        underlying_embeddings: Embeddings,
        document_embedding_store: VectorStored,
        *,
        batch_size: int | None = None,
        query_embedding_store: VectorStored | None = None,
        progress: bool = False,
    ) -> None:
        bound: Any = batch_size
        if bound is not None and (not isinstance(bound, int) or bound < 1):
            raise ConfigError(
                f"batch_size is {batch_size!r}: give the number of texts to embed at a time, or "
                "None for all."
            )
        for store in (document_embedding_store, query_embedding_store):
            _check_store(store)
        self.underlying_embeddings = checked_model(underlying_embeddings, type(self).__name__)
        self.document_embedding_store = document_embedding_store
        self.batch_size = batch_size
        self.query_embedding_store = query_embedding_store
        self.progress = progress

    @classmethod
    def from_bytes_store(
        cls,
        underlying_embeddings: Embeddings,
        document_embedding_cache: ByteStore,
        *,
        namespace: str | None = None,
        batch_size: int | None = None,
        query_embedding_cache: bool | ByteStore = False,
        key_encoder: KeyEncoder = "sha256",
        progress: bool = False,
    ) -> CacheBackedEmbeddings:
        """Vectors kept in a store of bytes, e.g. a `LocalFileStore`.

        Args:
            underlying_embeddings: the model.
            document_embedding_cache: where vectors of documents are kept.
            namespace: whose vectors these are, e.g. the model's name: models that share a store
                must not share one. None: the model's class with its `model` and `dimensions`,
                where it has them.
            batch_size, progress: as of the class.
            query_embedding_cache: where vectors of queries are kept: True: with those of documents
                (under other keys, for a model may embed them in another way); False: nowhere.
            key_encoder: the hash that makes keys of texts, with the namespace in it: "sha256",
                "sha512", "blake2b" or "sha1"; or a function of yours from a text to its key, which
                then is all that tells one model's vectors, or queries and documents, apart.

        Raises:
            ConfigError: the key encoder is something else, or a namespace is given beside a
                function, or True as query_embedding_cache.
        """
        if callable(key_encoder) and (namespace or query_embedding_cache is True):
            what = f"namespace={namespace!r}" if namespace else "query_embedding_cache=True"
            raise ConfigError(
                f"{what} has no effect on the keys that a key_encoder of yours makes: leave it "
                "out, and let your function see to it that keys differ."
            )
        for store in (document_embedding_cache, query_embedding_cache):
            _check_store(None if isinstance(store, bool) else store)
        owner = _owner(underlying_embeddings) if namespace is None else namespace
        documents = document_embedding_cache
        queries = query_embedding_cache
        if isinstance(queries, bool):
            kept = _vectors(documents, key_encoder, owner, "query") if queries else None
        else:
            kept = _vectors(queries, key_encoder, owner, "query")
        return cls(
            underlying_embeddings,
            _vectors(documents, key_encoder, owner, "document"),
            batch_size=batch_size,
            query_embedding_store=kept,
            progress=progress,
        )

    # ---- embedding -------------------------------------------------------------------------------

    def embed_documents(self, texts: list[str]) -> list[Vector]:
        """One vector for each text, in order."""
        return run(self._documents(texts))

    async def aembed_documents(self, texts: list[str]) -> list[Vector]:
        """`embed_documents`, by the async methods of the model and the store."""
        return await arun(self._documents(texts))

    def embed_query(self, text: str) -> Vector:
        """The vector of a text that is searched for; kept where queries are."""
        return run(self._query(text))

    async def aembed_query(self, text: str) -> Vector:
        """`embed_query`, by the async methods of the model and the store."""
        return await arun(self._query(text))

    def _documents(self, texts: Sequence[str]) -> Plan[list[Vector]]:
        texts = checked_texts(texts, type(self).__name__)
        once = list(dict.fromkeys(texts))
        if not once:
            return []
        store = self.document_embedding_store
        kept = yield Call(store, "mget", once)
        known: dict[str, Vector] = {
            text: vector for text, vector in zip(once, kept, strict=True) if vector is not None
        }
        missing = [text for text in once if text not in known]
        size = self.batch_size or max(1, len(missing))
        with bar("Embedding", total=len(missing), shown=self.progress) as step:
            for start in range(0, len(missing), size):
                batch = missing[start : start + size]
                made = yield Call(self.underlying_embeddings, "embed_documents", batch)
                pairs = list(zip(batch, self._right(made, len(batch), known), strict=True))
                yield Call(store, "mset", pairs)
                known.update(pairs)
                step(len(batch))
        return [list(known[text]) for text in texts]

    def _query(self, text: str) -> Plan[Vector]:
        store = self.query_embedding_store
        (text,) = checked_texts([text], type(self).__name__)
        if store is None:
            asked: Vector = yield Call(self.underlying_embeddings, "embed_query", text)
            return asked
        (kept,) = yield Call(store, "mget", [text])
        if kept is not None:
            return list(kept)
        made: Vector = yield Call(self.underlying_embeddings, "embed_query", text)
        yield Call(store, "mset", [(text, made)])
        return made

    def _right(self, made: list[Vector], texts: int, known: dict[str, Vector]) -> list[Vector]:
        """The model's vectors, if they are as many as the texts and as long as those known."""
        name = type(self.underlying_embeddings).__name__
        if len(made) != texts:
            raise ModelError(
                f"{name} gave {len(made)} vectors for {texts} texts: embed_documents must give one "
                "for each."
            )
        old = next(iter(known.values()), None)
        if old is not None and len(old) != len(made[0]):
            raise ConfigError(
                f"The vectors that are kept have {len(old)} numbers, and those of {name} have "
                f"{len(made[0])}, so they are another model's: give each model a namespace."
            )
        return made

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.underlying_embeddings!r})"


# ---- keys ----------------------------------------------------------------------------------------


def _owner(model: Embeddings) -> str:
    """What tells the vectors of this model from those of others."""
    known = [str(getattr(model, name, "")) for name in ("model", "dimensions")]
    return ":".join([type(model).__name__, *(part for part in known if part not in ("", "None"))])


def _encoder(given: KeyEncoder, namespace: str, kind: str) -> Callable[[str], str]:
    if callable(given):
        return given
    if given not in _HASHES:
        raise ConfigError(
            f"key_encoder is {given!r}: give one of {', '.join(_HASHES)}, or a function from a "
            "text to its key."
        )

    def key(text: str) -> str:
        # As JSON, so that no namespace and text look like another namespace and text together.
        whole = json.dumps([namespace, kind, text]).encode("ascii")
        return hashlib.new(given, whole, usedforsecurity=False).hexdigest()

    return key


def _check_store(given: Any) -> None:
    """Refuse what keeps nothing by keys: no `BaseStore`, nor another library's."""
    if given is not None and not hasattr(given, "mget"):
        raise ConfigError(
            f"A store of CacheBackedEmbeddings is {given!r:.200} ({type(given).__name__}): give a "
            "BaseStore, e.g. LocalFileStore(path)."
        )


def _vectors(
    store: ByteStore, encoder: KeyEncoder, namespace: str, kind: str
) -> EncoderBackedStore[str, Vector]:
    return EncoderBackedStore(store, _encoder(encoder, namespace, kind), written, read)


# ---- values --------------------------------------------------------------------------------------


def written(vector: Sequence[float]) -> bytes:
    """A vector as bytes; the head of the file says how."""
    numbers = array("d", vector)
    kind = b"d"
    try:
        short = array("f", numbers)
    except OverflowError:  # not even near a float of 4 bytes
        short = array("f")
    if short == numbers:
        numbers, kind = short, b"f"
    if sys.byteorder == "big":
        numbers.byteswap()
    body = numbers.tobytes()
    return _MAGIC + kind + struct.pack("<I", zlib.crc32(body)) + body


def read(kept: bytes) -> Vector | None:
    """The vector that `written` wrote; None, and a warning in the log, if it is something else."""
    head, kind, body = kept[:4], kept[4:5], kept[9:]
    whole = head == _MAGIC and kind in (b"f", b"d") and len(body) % (4 if kind == b"f" else 8) == 0
    if not whole or struct.pack("<I", zlib.crc32(body)) != kept[5:9] or not body:
        log.warning(
            "A kept embedding of %d bytes is damaged: the text is embedded again", len(kept)
        )
        return None
    numbers = array("f" if kind == b"f" else "d")
    numbers.frombytes(body)
    if sys.byteorder == "big":
        numbers.byteswap()
    return list(numbers)
