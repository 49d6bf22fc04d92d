"""Small pieces are searched, whole documents found; what is kept survives its process."""

from __future__ import annotations

import asyncio
import pickle

import pytest
from pydantic import ValidationError

from headrace.documents import Document
from headrace.embeddings import DeterministicFakeEmbedding
from headrace.errors import InputError
from headrace.retrievers import MultiVectorRetriever, ParentDocumentRetriever
from headrace.retrievers.multi_vector import SearchType, create_kv_docstore
from headrace.runnables import ConfigurableField
from headrace.stores import InMemoryByteStore, InMemoryStore, LocalFileStore
from headrace.text_splitters import RecursiveCharacterTextSplitter
from headrace.vectorstores import InMemoryVectorStore
from laws.colours import every_colour

from .asked import texts

ONE = Document("harrison worked. at kensho.", {"source": "a", "n": 1})
TWO = Document("bears eat. honey.", {"source": "b"})


class Sentences:
    def split_documents(self, documents):
        return [
            Document(part.strip(), each.metadata)
            for each in documents
            for part in each.page_content.split(".")
            if part.strip()
        ]


def vectors():
    return InMemoryVectorStore(DeterministicFakeEmbedding(size=16))


def parents(**fields):
    given = {"vectorstore": vectors(), "docstore": InMemoryStore(), "child_splitter": Sentences()}
    return ParentDocumentRetriever(**{**given, **fields})


@every_colour
def test_the_document_of_the_best_piece_comes_first_and_once(colour):
    def body(doors):
        retriever = parents()
        retriever.add_documents([ONE, TWO])
        # These embeddings know equal texts only, so the best piece is the one with the text.
        assert doors.invoke(retriever, "honey", k=1) == [TWO]
        assert doors.invoke(retriever, "at kensho", k=1) == [ONE]
        assert doors.invoke(retriever, "honey")[0] == TWO
        assert sorted(texts(doors.invoke(retriever, "honey", k=4))) == sorted(texts([ONE, TWO]))
        assert len(doors.stream(retriever, "honey")) == 1

    colour.run(body)


def test_both_ways_of_adding_keep_the_same():
    for asynchronous in (False, True):
        retriever = parents(child_metadata_fields=["source"])
        ids = ["x", "y"]
        if asynchronous:
            asyncio.run(retriever.aadd_documents([ONE, TWO], ids))
        else:
            retriever.add_documents([ONE, TWO], ids)
        assert retriever.docstore.mget(ids) == [ONE, TWO]
        pieces = retriever.vectorstore.similarity_search("honey", k=9)
        assert sorted(p.page_content for p in pieces) == [
            *("at kensho", "bears eat", "harrison worked", "honey")
        ]
        held = {p.page_content: p.metadata for p in pieces}
        assert held["at kensho"] == {"source": "a", "doc_id": "x"}
        assert held["honey"] == {"source": "b", "doc_id": "y"}
    assert ONE.metadata == {"source": "a", "n": 1}, "the caller's document was changed"


def test_what_is_found_may_itself_be_a_part():
    splitter = RecursiveCharacterTextSplitter(chunk_size=20, chunk_overlap=0, separators=["."])
    retriever = parents(parent_splitter=splitter)
    retriever.add_documents([ONE])
    (document,) = retriever.invoke("at kensho", k=1)
    assert "at kensho" in document.page_content and "worked" not in document.page_content


def test_documents_that_are_there_already_need_their_ids():
    retriever = parents()
    retriever.docstore.mset([("x", ONE)])
    retriever.add_documents([ONE], ["x"], add_to_docstore=False)
    assert retriever.invoke("at kensho", k=1) == [ONE]
    with pytest.raises(InputError, match="already need their ids"):
        retriever.add_documents([ONE], add_to_docstore=False)
    with pytest.raises(InputError, match="2 documents and 1 ids"):
        retriever.add_documents([ONE, TWO], ["x"])


def test_a_document_that_is_gone_is_not_found():
    retriever = parents()
    retriever.add_documents([ONE, TWO], ["x", "y"])
    retriever.docstore.mdelete(["y"])
    assert retriever.invoke("honey") == [ONE]


def test_no_piece_is_there_without_its_document():
    class Full(InMemoryStore):
        def mset(self, key_value_pairs):
            raise OSError("no room")

    retriever = parents(docstore=Full())
    with pytest.raises(OSError, match="no room"):
        retriever.add_documents([ONE])
    assert retriever.vectorstore.similarity_search("at kensho") == []


@pytest.mark.parametrize("search_type", list(SearchType), ids=str)
def test_every_search(search_type):
    kwargs = {"score_threshold": 0.0} if "threshold" in search_type else {}
    retriever = parents(search_type=search_type, search_kwargs={"k": 1, **kwargs})
    retriever.add_documents([ONE, TWO])
    assert retriever.invoke("honey") == [TWO]
    assert asyncio.run(retriever.ainvoke("honey")) == [TWO]


def test_pieces_of_ones_own():
    store, documents = vectors(), InMemoryStore()
    documents.mset([("x", ONE), ("y", TWO)])
    store.add_documents([Document("a summary", {"of": "y"}), Document("no id")])
    retriever = MultiVectorRetriever(vectorstore=store, docstore=documents, id_key="of")
    assert retriever.invoke("a summary") == [TWO]


def test_documents_may_be_kept_as_bytes(tmp_path):
    document = Document("a", {"n": [1, {"é": None}]}, "id")
    for store in (InMemoryByteStore(), LocalFileStore(tmp_path)):
        retriever = parents(docstore=None, byte_store=store)
        retriever.add_documents([document], ["x"])
        assert retriever.invoke("a") == [document]
        assert create_kv_docstore(store).mget(["x", "y"]) == [document, None]
    store.mset([("x", b'{"headrace":1,"value":[1]}')])
    with pytest.raises(InputError, match=r"something else in it: \[1\]"):
        create_kv_docstore(store).mget(["x"])


def test_settings_are_checked():
    with pytest.raises(ValidationError, match=r"docstore of ParentDocument.*or a byte_store"):
        parents(docstore=None)
    with pytest.raises(ValidationError, match=r"vectorstore of Parent.*give a VectorStore"):
        parents(vectorstore=InMemoryVectorStore)
    with pytest.raises(InputError, match="search_type 'best' is unknown"):
        parents(search_type="best").invoke("q")


def test_it_is_configured_and_pickled():
    retriever = parents(docstore=None, byte_store=InMemoryByteStore())
    retriever.add_documents([ONE, TWO])
    chosen = retriever.configurable_fields(search_kwargs=ConfigurableField(id="search"))
    assert chosen.invoke("honey", {"configurable": {"search": {"k": 1}}}) == [TWO]
    assert pickle.loads(pickle.dumps(retriever)).invoke("honey", k=1) == [TWO]


def test_a_parent_retriever_wants_splitters_and_documents():
    stores = {"vectorstore": vectors(), "docstore": InMemoryStore()}
    for wrong in ("x", None, RecursiveCharacterTextSplitter):
        with pytest.raises(ValidationError, match=r"The child_splitter of .* give a text sp"):
            ParentDocumentRetriever(child_splitter=wrong, **stores)
    with pytest.raises(ValidationError, match="The parent_splitter of ParentDocumentRetriever is"):
        ParentDocumentRetriever(child_splitter=Sentences(), parent_splitter=3, **stores)
    retriever = ParentDocumentRetriever(child_splitter=Sentences(), **stores)
    for wrong in (["a"], "a", ONE):
        with pytest.raises(InputError, match=r"add_documents\(\) takes a list of documents"):
            retriever.add_documents(wrong)
        with pytest.raises(InputError, match=r"add_documents\(\) takes a list of documents"):
            asyncio.run(retriever.aadd_documents(wrong))
