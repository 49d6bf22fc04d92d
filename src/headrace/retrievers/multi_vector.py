"""`MultiVectorRetriever` and `ParentDocumentRetriever`: small pieces are searched, whole documents
found.

    retriever = ParentDocumentRetriever(
        vectorstore=FAISS(LocalEmbeddings()),
        docstore=InMemoryStore(),
        child_splitter=RecursiveCharacterTextSplitter(chunk_size=400, chunk_overlap=0),
    )
    retriever.add_documents(loader.load())

A small piece has an embedding that says what it is about; a model that is to answer needs what
stands around it. Pieces are in a vector store, each with its document's id in its metadata;
documents are in a key-value store.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, ClassVar
from uuid import uuid4

from pydantic import Field, field_validator, model_validator

from headrace._bridge import call_in_thread
from headrace.documents import Document
from headrace.errors import ConfigError, InputError
from headrace.load import dumps, loads
from headrace.stores import BaseStore, EncoderBackedStore

from .base import BaseRetriever

__all__ = ["MultiVectorRetriever", "ParentDocumentRetriever", "SearchType", "create_kv_docstore"]


class SearchType(StrEnum):
    """How the pieces are searched."""

    similarity = "similarity"
    similarity_score_threshold = "similarity_score_threshold"
    mmr = "mmr"


def create_kv_docstore(store: Any) -> BaseStore[str, Document]:
    """A store of documents, as JSON in a store of bytes; what is read must be a document."""
    return EncoderBackedStore(store, str, _written, _read)


def _written(document: Document) -> bytes:
    return dumps(document).encode()


def _read(kept: bytes) -> Document:
    found = loads(kept.decode())
    if not isinstance(found, Document):
        raise InputError(f"A store of documents has something else in it: {found!r:.120}.")
    return found


class MultiVectorRetriever(BaseRetriever):
    """Searches pieces in `vectorstore`, and gives the documents in `docstore` that they are of, in
    the order of the best piece of each. A piece whose document is gone finds nothing.

    The arguments of a call go to the search: `k` is how many pieces are looked at, 4 by default,
    and the documents are at most as many.

    Args:
        vectorstore: a `VectorStore` of pieces.
        docstore: a `BaseStore` of documents, by id.
        byte_store: in its place, a store of bytes; see `create_kv_docstore`.
        id_key: under which key a piece's metadata has its document's id.
        search_type: "similarity", "mmr" or "similarity_score_threshold".
        search_kwargs: arguments of the search; those of a call add to them.
    """

    vectorstore: Any
    docstore: Any = None
    byte_store: Any = Field(default=None, repr=False)
    id_key: str = "doc_id"
    search_type: str = SearchType.similarity
    search_kwargs: dict[str, Any] = Field(default_factory=dict)

    _methods: ClassVar[Mapping[str, str]] = {"vectorstore": "asearch", "docstore": "amget"}

    @model_validator(mode="after")
    def _has_stores(self) -> MultiVectorRetriever:
        if self.docstore is None and self.byte_store is not None:
            self.docstore = create_kv_docstore(self.byte_store)
        for name, method in self._methods.items():
            given = getattr(self, name)
            if isinstance(given, type) or not hasattr(given, method):
                kind = {"vectorstore": "VectorStore", "docstore": "BaseStore"}[name]
                raise ValueError(
                    f"The {name} of {type(self).__name__} is {given!r:.80}: give a {kind}"
                    f"{', or a byte_store' if name == 'docstore' else ''}."
                )
        return self

    def _get_relevant_documents(
        self, query: str, *, run_manager: Any, **kwargs: Any
    ) -> list[Document]:
        given = {**self.search_kwargs, **kwargs}
        ids = self._ids(self.vectorstore.search(query, self.search_type, **given))
        return _there(self.docstore.mget(ids))

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: Any, **kwargs: Any
    ) -> list[Document]:
        given = {**self.search_kwargs, **kwargs}
        ids = self._ids(await self.vectorstore.asearch(query, self.search_type, **given))
        return _there(await self.docstore.amget(ids))

    def _ids(self, pieces: Iterable[Document]) -> list[str]:
        having = (each.metadata for each in pieces if self.id_key in each.metadata)
        return list(dict.fromkeys(metadata[self.id_key] for metadata in having))


def _there(documents: Iterable[Document | None]) -> list[Document]:
    return [each for each in documents if each is not None]


class ParentDocumentRetriever(MultiVectorRetriever):
    """A `MultiVectorRetriever` that cuts the documents which it is given itself.

    Args:
        child_splitter: cuts documents into the pieces that are searched.
        parent_splitter: cuts them before into those that are found; by default they are found as
            they are.
        child_metadata_fields: what of a document's metadata its pieces have; by default all.
    """

    child_splitter: Any
    parent_splitter: Any = None
    child_metadata_fields: Sequence[str] | None = None

    @field_validator("child_splitter", "parent_splitter")
    @classmethod
    def _splits(cls, given: Any, info: Any) -> Any:
        lacking = isinstance(given, type) or not hasattr(given, "split_documents")
        if lacking and not (given is None and info.field_name == "parent_splitter"):
            raise ConfigError(
                f"The {info.field_name} of {cls.__name__} is {given!r:.80}: give a text splitter, "
                "e.g. RecursiveCharacterTextSplitter(chunk_size=400)."
            )
        return given

    def add_documents(
        self,
        documents: list[Document],
        ids: list[str] | None = None,
        add_to_docstore: bool = True,
        **kwargs: Any,
    ) -> None:
        """Add documents: first to the docstore, then their pieces to the vector store, so that no
        piece is there without its document.

        Args:
            documents: the documents.
            ids: one for each (of those that `parent_splitter` makes, where there is one), in
                order; by default new ones.
            add_to_docstore: False where they are there already; then `ids` are needed.
            **kwargs: further arguments of the vector store's `add_documents`.

        Raises:
            InputError: as many ids as documents are needed, and there are not; something is no
                document.
        """
        pairs, pieces = self._cut(documents, ids, add_to_docstore)
        if add_to_docstore:
            self.docstore.mset(pairs)
        self.vectorstore.add_documents(pieces, **kwargs)

    async def aadd_documents(
        self,
        documents: list[Document],
        ids: list[str] | None = None,
        add_to_docstore: bool = True,
        **kwargs: Any,
    ) -> None:
        """`add_documents`, async."""
        pairs, pieces = await call_in_thread(self._cut, documents, ids, add_to_docstore)
        if add_to_docstore:
            await self.docstore.amset(pairs)
        await self.vectorstore.aadd_documents(pieces, **kwargs)

    def _cut(
        self, documents: list[Document], ids: list[str] | None, new: bool
    ) -> tuple[list[tuple[str, Document]], list[Document]]:
        documents = _documents(documents)
        if self.parent_splitter is not None:
            documents = self.parent_splitter.split_documents(documents)
        if ids is None and not new:
            raise InputError("Documents that are in the docstore already need their ids.")
        if ids is not None and len(ids) != len(documents):
            raise InputError(f"There are {len(documents)} documents and {len(ids)} ids for them.")
        named = [str(uuid4()) for _ in documents] if ids is None else ids
        pairs = list(zip(named, documents, strict=True))
        return pairs, [piece for pair in pairs for piece in self._pieces(*pair)]

    def _pieces(self, id: str, document: Document) -> list[Document]:
        fields = self.child_metadata_fields
        return [
            Document(
                piece.page_content,
                {
                    **{k: v for k, v in piece.metadata.items() if fields is None or k in fields},
                    self.id_key: id,
                },
            )
            for piece in self.child_splitter.split_documents([document])
        ]


def _documents(given: Any) -> list[Document]:
    one = isinstance(given, str) or hasattr(given, "page_content")
    found: list[Any] = [given] if one else list(given)
    wrong = found if one else [each for each in found if not hasattr(each, "page_content")]
    if wrong:
        raise InputError(
            f"add_documents() takes a list of documents, and was given {wrong[0]!r:.120} "
            f"({type(wrong[0]).__name__}): make Document(page_content=…) of a text, and a list of "
            "one document."
        )
    return found
