"""Indexing into the stores that keep files, with records in a file: what a program would run."""

from __future__ import annotations

import pytest

from headrace.embeddings import DeterministicFakeEmbedding
from headrace.indexing import SQLiteRecordManager
from headrace.vectorstores import FAISS, InMemoryVectorStore, SQLiteVec
from indexing.places import counts, doc, run_index
from laws.colours import both_drivers

MAKERS = {
    "memory": lambda model, folder: InMemoryVectorStore(model),
    "faiss": lambda model, folder: FAISS.from_texts([], model),
    "sqlite-vec": lambda model, folder: SQLiteVec(model, folder / "vectors.db"),
}


@pytest.mark.parametrize("kind", MAKERS)
@both_drivers
def test_the_store_follows_its_sources(colour, kind, tmp_path):
    def body(doors):
        place = MAKERS[kind](DeterministicFakeEmbedding(size=6), tmp_path)
        options = {"cleanup": "incremental", "source_id_key": "source", "batch_size": 4}

        def run(documents):
            records = SQLiteRecordManager("n", tmp_path / "records.sql")  # a new one, as each day
            return run_index(doors, documents, records, place, **options)

        first = [doc(f"{source}{n}", source) for source in "ab" for n in range(5)]
        assert run(first) == counts(added=10)
        assert run(first) == counts(skipped=10)
        changed = [each for each in first if each.page_content != "a3"] + [doc("a9", "a")]
        assert run(changed)["num_added"] == 1
        found = place.similarity_search("a9", k=20)
        assert found[0] == doc("a9", "a").model_copy(update={"id": found[0].id})
        assert sorted(each.page_content for each in found) == sorted(
            each.page_content for each in changed
        )
        records = SQLiteRecordManager("n", tmp_path / "records.sql")
        assert sorted(records.list_keys()) == sorted(each.id for each in found)

    colour.run(body)
