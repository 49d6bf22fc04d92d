"""The same sequences of runs here and in langchain-core: the same numbers, the same store, the same
keys; and where it is meant to differ, that it does (docs/differences.md)."""

from __future__ import annotations

import hypothesis.strategies as st
import langchain_core.documents as lc_documents
import langchain_core.embeddings as lc_embeddings
import langchain_core.indexing as lc
import langchain_core.vectorstores as lc_vectorstores
import pytest
from hypothesis import given
from langchain_core.indexing.api import _get_document_with_hash

from headrace.documents import Document
from headrace.indexing import InMemoryRecordManager, index
from headrace.indexing.keys import key_maker
from indexing.places import counts, doc, run_index, store, texts
from laws.colours import ASYNC, SYNC

RUNS = st.lists(
    st.tuples(
        st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 3)), max_size=8),
        st.sampled_from([None, "full", "incremental", "scoped_full"]),
        st.booleans(),
        st.integers(1, 4),
    ),
    min_size=1,
    max_size=5,
)


def theirs():
    embedding = lc_embeddings.DeterministicFakeEmbedding(size=3)
    return lc.InMemoryRecordManager("n"), lc_vectorstores.InMemoryVectorStore(embedding)


@pytest.mark.parametrize("colour", [SYNC, ASYNC], ids=repr)
@given(runs=RUNS)
def test_the_same_runs_do_the_same(colour, runs):
    def body(doors):
        ours, our_store = InMemoryRecordManager("n"), store()
        their_records, their_store = theirs()
        for pairs, cleanup, force, size in runs:
            options = {
                "cleanup": cleanup,
                "source_id_key": "source",
                "force_update": force,
                "batch_size": size,
                "key_encoder": "sha256",
            }
            mine = [doc(str(n), source) for source, n in pairs]
            other = [
                lc_documents.Document(page_content=d.page_content, metadata=d.metadata)
                for d in mine
            ]
            result = run_index(doors, mine, ours, our_store, **options)
            if doors.asynchronous:
                expected = doors.wait(lc.aindex(other, their_records, their_store, **options))
            else:
                expected = lc.index(other, their_records, their_store, **options)
            if cleanup != "incremental" or len(pairs) <= size:
                assert result == expected
            else:  # there, documents of a source that goes on in the next batch are written anew
                assert result["num_added"] <= expected["num_added"]
                assert result["num_deleted"] <= expected["num_deleted"]
            assert set(our_store.store) == set(their_store.store)
            assert texts(our_store) == sorted(r["text"] for r in their_store.store.values())
            assert set(ours.list_keys()) == set(their_records.list_keys())

    colour.run(body)


@pytest.mark.filterwarnings("ignore:Using SHA-1")
@pytest.mark.parametrize("name", ["sha1", "sha256", "sha512", "blake2b"])
@given(
    text=st.text(st.characters(exclude_categories=["Cs"])),
    metadata=st.dictionaries(st.text(max_size=3), st.one_of(st.integers(), st.text(max_size=3))),
)
def test_the_same_keys(name, text, metadata):
    other = lc_documents.Document(page_content=text, metadata=metadata)
    expected = _get_document_with_hash(other, key_encoder=name).id
    assert key_maker(name)(Document(text, metadata)) == expected


def test_a_text_that_is_no_unicode_has_a_key_too():
    assert key_maker("sha256")(Document("\ud800")) != key_maker("sha256")(Document("\udfff"))


def test_a_source_in_two_batches_is_left_alone_where_it_is_unchanged():
    """There, half of it is taken out and written anew, by every run."""
    options = {
        "cleanup": "incremental",
        "source_id_key": "source",
        "batch_size": 2,
        "key_encoder": "sha256",
    }
    mine = [doc(str(n), "s") for n in range(4)]
    other = [lc_documents.Document(page_content=d.page_content, metadata=d.metadata) for d in mine]
    ours, their = (InMemoryRecordManager("n"), store()), theirs()
    for _ in range(2):
        result, expected = index(mine, *ours, **options), lc.index(other, *their, **options)
    assert result == counts(skipped=4)
    assert expected == counts(added=2, skipped=2, deleted=2)


class _Dies(Exception):
    pass


def test_documents_that_come_back_after_an_interrupted_deletion():
    """There, a document that was deleted when the run died, and is given again, is lost."""

    def dying(kind):
        class Dying(kind):
            dies = True

            def delete_keys(self, keys):
                if self.dies:
                    raise _Dies
                super().delete_keys(keys)

        return Dying("n")

    options = {"cleanup": "full", "key_encoder": "sha256"}

    def run(index, document, records, place):
        index([document("a")], records, place, **options)
        with pytest.raises(_Dies):
            index([], records, place, **options)
        records.dies = False
        index([document("a")], records, place, **options)
        return [record["text"] for record in place.store.values()]

    assert run(index, doc, dying(InMemoryRecordManager), store()) == ["a"]
    _, place = theirs()
    lost = run(
        lc.index,
        lambda text: lc_documents.Document(page_content=text),
        dying(lc.InMemoryRecordManager),
        place,
    )
    assert lost == []
