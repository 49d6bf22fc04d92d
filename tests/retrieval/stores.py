"""Embeddings that tests choose the vectors of, and stores of the kinds that users write."""

from __future__ import annotations

from headrace.documents import Document
from headrace.embeddings import Embeddings
from headrace.vectorstores import VectorStore


class Table(Embeddings):
    """The vector of each text is looked up."""

    def __init__(self, **vectors):
        self.vectors = vectors

    def embed_documents(self, texts):
        return [self.vectors[text] for text in texts]

    def embed_query(self, text):
        return self.vectors[text]


class Smallest(VectorStore):
    """The least that a store has to write; finds texts that hold the query."""

    def __init__(self):
        self.documents = {}

    @classmethod
    def from_texts(cls, texts, embedding, metadatas=None, **kwargs):
        store = cls()
        store.add_texts(texts, metadatas, **kwargs)
        return store

    def similarity_search(self, query, k=4, **kwargs):
        return [d for d in self.documents.values() if query in d.page_content][:k]

    def _keep(self, document, id):
        name = str(id or document.id or len(self.documents) + 1)
        self.documents[name] = Document(document.page_content, document.metadata, name)
        return name


class WithTexts(Smallest):
    def add_texts(self, texts, metadatas=None, *, ids=None, **kwargs):
        texts = list(texts)
        documents = list(map(Document, texts, metadatas or [{}] * len(texts)))
        return list(map(self._keep, documents, ids or [None] * len(texts)))


class WithDocuments(Smallest):
    def add_documents(self, documents, *, ids=None, **kwargs):
        return list(map(self._keep, documents, ids or [None] * len(documents)))


class WithAsync(WithDocuments):
    """Has async methods of its own, which must be taken."""

    def __init__(self):
        super().__init__()
        self.called = []

    async def aadd_documents(self, documents, *, ids=None, **kwargs):
        self.called.append("aadd_documents")
        return self.add_documents(documents, ids=ids)

    async def asimilarity_search(self, query, k=4, **kwargs):
        self.called.append("asimilarity_search")
        return self.similarity_search(query, k, **kwargs)
