"""`index` and `aindex`: what is added, skipped, updated and deleted, and what is refused."""

from __future__ import annotations

import pytest

from headrace.document_loaders import BaseLoader
from headrace.documents import Document
from headrace.errors import AsyncOnlyError, InputError
from headrace.indexing import (
    IndexingException,
    InMemoryDocumentIndex,
    InMemoryRecordManager,
    aindex,
    index,
)
from headrace.vectorstores import InMemoryVectorStore, VectorStore
from indexing.places import FileStore, call, counts, doc, run_index, store, texts
from laws.colours import both_drivers, every_colour


class Words(BaseLoader):
    def __init__(self, *words: str) -> None:
        self.words = words
        self.closed = 0

    def lazy_load(self):
        try:
            for word in self.words:
                yield doc(word, "w")
        finally:
            self.closed += 1


def records() -> InMemoryRecordManager:
    return InMemoryRecordManager("words")


@every_colour
def test_what_is_there_is_neither_embedded_nor_written_again(colour):
    def body(doors):
        manager, place = records(), store()
        given = [doc("a"), doc("b")]
        assert run_index(doors, given, manager, place) == counts(added=2)
        assert run_index(doors, given, manager, place) == counts(skipped=2)
        assert run_index(doors, [doc("c"), *given], manager, place) == counts(added=1, skipped=2)
        assert texts(place) == ["a", "b", "c"]
        assert all(key in place.store for key in manager.list_keys())

    colour.run(body)


@every_colour
def test_full_clean_up_leaves_what_was_given(colour):
    def body(doors):
        manager, place = records(), store()
        run_index(doors, [doc("a"), doc("b"), doc("c")], manager, place)
        result = run_index(
            doors, [doc("b"), doc("d")], manager, place, cleanup="full", cleanup_batch_size=1
        )
        assert result == counts(added=1, skipped=1, deleted=2)
        assert texts(place) == ["b", "d"]
        assert run_index(doors, [], manager, place, cleanup="full") == counts(deleted=2)
        assert texts(place) == [] and manager.list_keys() == []

    colour.run(body)


@pytest.mark.parametrize("cleanup", ["incremental", "scoped_full"])
@every_colour
def test_clean_up_by_source_touches_the_sources_that_were_seen(colour, cleanup):
    def body(doors):
        manager, place = records(), store()
        options = {"cleanup": cleanup, "source_id_key": "source"}
        first = [doc("a1", "a"), doc("a2", "a"), doc("b1", "b")]
        assert run_index(doors, first, manager, place, **options) == counts(added=3)
        changed = [doc("a2", "a"), doc("a3", "a")]
        result = run_index(doors, changed, manager, place, **options)
        assert result == counts(added=1, skipped=1, deleted=1)
        assert texts(place) == ["a2", "a3", "b1"]
        assert run_index(doors, [], manager, place, **options) == counts()

    colour.run(body)


@both_drivers
def test_incremental_clean_up_over_several_batches_ends_right(colour):
    def body(doors):
        manager, place = records(), store()
        options = {"cleanup": "incremental", "source_id_key": "source", "batch_size": 2}
        old = [doc(f"a{n}", "a") for n in range(7)] + [doc("b1", "b")]
        run_index(doors, old, manager, place, **options)
        assert run_index(doors, old, manager, place, **options) == counts(skipped=8)
        result = run_index(doors, [*old[3:7], doc("a9", "a")], manager, place, **options)
        assert result == counts(added=1, skipped=4, deleted=3)
        assert texts(place) == ["a3", "a4", "a5", "a6", "a9", "b1"]

    colour.run(body)


@both_drivers
def test_a_source_is_cleaned_up_after_as_soon_as_a_batch_comes_without_it(colour):
    def body(doors):
        manager, place, told = records(), store(), []
        options = {"cleanup": "incremental", "source_id_key": "source", "batch_size": 2}
        run_index(doors, [doc(f"a{n}", "a") for n in range(4)], manager, place, **options)
        new = [doc("a1", "a"), doc("a2", "a"), doc("b", "b"), doc("c", "c"), doc("d", "d")]
        run_index(
            doors, new, manager, place, **options,
            progress=lambda result: told.append(result["num_deleted"]),
        )  # fmt: skip
        assert told == [0, 2, 2, 2]
        back = [doc("a1", "a"), doc("x", "a"), doc("b", "b"), doc("c", "c"), doc("a2", "a")]
        run_index(doors, back, manager, place, **options)  # a source that comes back
        assert texts(place) == ["a1", "a2", "b", "c", "d", "x"]

    colour.run(body)


@both_drivers
def test_without_clean_up_nothing_is_deleted(colour):
    def body(doors):
        manager, place = records(), store()
        run_index(doors, [doc("a", "s")], manager, place, source_id_key="source")
        result = run_index(doors, [doc("b", "s")], manager, place, source_id_key="source")
        assert result == counts(added=1)
        assert texts(place) == ["a", "b"]

    colour.run(body)


@both_drivers
def test_documents_that_stand_twice_are_written_once(colour):
    def body(doors):
        manager, place = records(), store()
        twice = [doc("a"), doc("a"), doc("b"), doc("a")]
        assert run_index(doors, twice, manager, place) == counts(added=2, skipped=2)
        again = run_index(doors, twice, records(), store(), batch_size=1)
        assert again == counts(added=2, skipped=2)

    colour.run(body)


@both_drivers
def test_metadata_is_part_of_what_a_document_is(colour):
    def body(doors):
        manager, place = records(), store()
        same = [Document("a", {"x": 1, "y": 2}), Document("a", {"y": 2, "x": 1}, id="mine")]
        assert run_index(doors, same, manager, place) == counts(added=1, skipped=1)
        assert run_index(doors, [Document("a", {"x": 2})], manager, place) == counts(added=1)

    colour.run(body)


@both_drivers
def test_force_update_writes_again(colour):
    def body(doors):
        manager, place = records(), store()
        run_index(doors, [doc("a")], manager, place)
        (key,) = place.store
        place.store[key]["vector"] = [9.0, 9.0, 9.0]
        result = run_index(doors, [doc("a"), doc("b")], manager, place, force_update=True)
        assert result == counts(added=1, updated=1)
        assert place.store[key]["vector"] != [9.0, 9.0, 9.0]

    colour.run(body)


@both_drivers
def test_given_documents_stay_as_they_are(colour):
    def body(doors):
        given = Document("a", {"n": 1}, id="mine")
        run_index(doors, [given], records(), store())
        assert given == Document("a", {"n": 1}, id="mine")

    colour.run(body)


@every_colour
def test_a_loader_is_read_batch_by_batch_and_closed(colour):
    def body(doors):
        loader, place = Words("a", "b", "c"), store()
        assert run_index(doors, loader, records(), place, batch_size=2) == counts(added=3)
        assert texts(place) == ["a", "b", "c"]
        assert loader.closed == 1

    colour.run(body)


@every_colour
def test_a_generator_is_closed_when_a_run_fails(colour):
    def body(doors):
        closed = []

        def documents():
            try:
                yield from (doc("a"), doc("b"), doc("c"), "no document", doc("d"))
            finally:
                closed.append(True)

        manager, place, source = records(), store(), documents()
        with pytest.raises(InputError, match="the source gave 'no document' \\(str\\)"):
            run_index(doors, source, manager, place, batch_size=2)
        assert closed == [True]
        assert texts(place) == ["a", "b"]  # the batches before it are in order
        assert manager.exists(list(place.store)) == [True, True]

    colour.run(body)


async def test_documents_come_from_an_async_generator_which_is_closed():
    closed = []

    async def documents():
        try:
            for word in "abc":
                yield doc(word)
        finally:
            closed.append(True)

    place = store()
    assert await aindex(documents(), records(), place, batch_size=2) == counts(added=3)
    assert texts(place) == ["a", "b", "c"] and closed == [True]
    with pytest.raises(InputError, match="Source IDs"):
        await aindex(documents(), records(), place, cleanup="incremental", source_id_key="source")
    assert closed == [True, True]


def test_an_async_source_needs_aindex():
    async def documents():
        yield doc("a")

    source = documents()
    with pytest.raises(AsyncOnlyError, match="use aindex"):
        index(source, records(), store())


@both_drivers
def test_sources_by_a_function(colour):
    def body(doors):
        manager, place = records(), store()
        options = {
            "cleanup": "incremental",
            "source_id_key": lambda document: document.page_content[0],
        }
        run_index(doors, [doc("a1"), doc("b1")], manager, place, **options)
        run_index(doors, [doc("a2")], manager, place, **options)
        assert texts(place) == ["a2", "b1"]

    colour.run(body)


@both_drivers
def test_keys_by_a_function(colour):
    def body(doors):
        place = store()
        run_index(
            doors, [doc("a")], records(), place, key_encoder=lambda d: f"key-{d.page_content}"
        )
        assert list(place.store) == ["key-a"]

    colour.run(body)


@every_colour
def test_into_a_document_index(colour):
    def body(doors):
        manager, place = records(), InMemoryDocumentIndex()
        assert run_index(doors, [doc("a"), doc("b")], manager, place) == counts(added=2)
        result = run_index(doors, [doc("b")], manager, place, cleanup="full")
        assert result == counts(skipped=1, deleted=1)
        assert [each.page_content for each in place.store.values()] == ["b"]

    colour.run(body)


# ---- stores that do not do as they are told ------------------------------------------------------


@both_drivers
def test_a_store_that_does_not_delete_is_an_error_and_the_next_run_deletes(colour):
    class Stubborn(InMemoryVectorStore):
        stubborn = True

        def delete(self, ids=None, **kwargs):
            return False if self.stubborn else super().delete(ids)

        async def adelete(self, ids=None, **kwargs):
            return self.delete(ids)

    def body(doors):
        manager, place = records(), Stubborn(store().embedding)
        run_index(doors, [doc("a")], manager, place)
        with pytest.raises(IndexingException, match="did not delete"):
            run_index(doors, [doc("b")], manager, place, cleanup="full")
        assert texts(place) == ["a", "b"]
        place.stubborn = False
        result = run_index(doors, [doc("b")], manager, place, cleanup="full")
        assert result == counts(skipped=1, deleted=1)
        assert texts(place) == ["b"]

    colour.run(body)


@both_drivers
def test_documents_that_an_index_did_not_take_are_not_on_record(colour):
    class Full(InMemoryDocumentIndex):
        def upsert(self, items, /, **kwargs):
            said = super().upsert(items[:1])
            return {**said, "failed": [each.id for each in items[1:]]}

    def body(doors):
        manager, place = records(), Full()
        with pytest.raises(IndexingException, match="did not take 2 of 3 documents"):
            run_index(doors, [doc("a"), doc("b"), doc("c")], manager, place)
        assert not any(manager.exists(manager.list_keys()))

    colour.run(body)


@both_drivers
def test_records_that_do_not_forget_are_an_error_not_an_endless_loop(colour):
    class Elephant(InMemoryRecordManager):
        def delete_keys(self, keys):
            return

    def body(doors):
        manager, place = Elephant("words"), store()
        run_index(doors, [doc("a")], manager, place)
        with pytest.raises(IndexingException, match="must forget"):
            run_index(doors, [], manager, place, cleanup="full")

    colour.run(body)


# ---- what is refused -----------------------------------------------------------------------------


class NoDelete(FileStore):
    delete = VectorStore.delete


@both_drivers
def test_the_records_are_kept_by_a_manager(colour):
    def body(doors):
        for wrong in (None, InMemoryRecordManager, store()):
            with pytest.raises(InputError, match="remembered by a RecordManager, not"):
                run_index(doors, [doc("a")], wrong, store())

    colour.run(body)


@pytest.mark.parametrize(
    ("given", "options", "said"),
    [
        ([], {"cleanup": "all"}, "cleanup is 'all': give 'incremental', 'full'"),
        ([], {"cleanup": "incremental"}, "give source_id_key"),
        ([], {"cleanup": "scoped_full"}, "give source_id_key"),
        ([], {"batch_size": 0}, "batch_size is 0: give a number of documents"),
        ([], {"cleanup_batch_size": -1}, "cleanup_batch_size is -1"),
        ([], {"source_id_key": 3}, "source_id_key is 3"),
        ([], {"key_encoder": "md5"}, "key_encoder is 'md5': give one of sha256"),
        ([], {"vector_store": object}, "into a VectorStore or a DocumentIndex"),
        ([], {"vector_store": NoDelete("")}, "NoDelete has no delete"),
        ("text", {}, "an iterable of documents, not 'text'"),
        (7, {}, r"an iterable of documents, not 7 \(int\)"),
        ([doc("a")], {"cleanup": "incremental", "source_id_key": "source"},
         "begins with 'a' has no 'source' in its metadata"),
        ([doc("a")], {"cleanup": "scoped_full", "source_id_key": lambda d: None}, "has no source"),
        ([Document("a", {"x": {1, 2}})], {}, "metadata of 'a' is no JSON"),
        ([doc("a")], {"key_encoder": lambda d: None}, "key_encoder gave None"),
    ],
    ids=lambda value: None if not isinstance(value, str) else value.replace(" ", "-")[:30],
)  # fmt: skip
@both_drivers
def test_what_cannot_be_indexed_is_refused_before_anything_is_written(colour, given, options, said):
    def body(doors):
        manager, place = records(), store()
        chosen = {"vector_store": place, **options}
        with pytest.raises(InputError, match=said):
            run_index(doors, given, manager, chosen.pop("vector_store"), **chosen)
        assert place.store == {} and manager.records == {}

    colour.run(body)


# ---- progress ------------------------------------------------------------------------------------


@both_drivers
def test_progress_is_told_after_each_batch(colour):
    def body(doors):
        told = []
        run_index(
            doors, [doc("a"), doc("b"), doc("c")], records(), store(), batch_size=2,
            progress=told.append, cleanup="full",
        )  # fmt: skip
        assert told == [counts(added=2), counts(added=3), counts(added=3)]

    colour.run(body)


@both_drivers
def test_a_progress_bar_on_stderr(colour, capsys):
    def body(doors):
        run_index(doors, [doc("a"), doc("b"), doc("c")], records(), store(), progress=True)
        out, err = capsys.readouterr()
        assert out == ""
        assert "Indexing" in err and "3/3" in err
        run_index(doors, Words("x"), records(), store(), progress=True)
        assert "1/?" in capsys.readouterr().err
        run_index(doors, [doc("a")], records(), store())
        assert capsys.readouterr() == ("", "")

    colour.run(body)


@both_drivers
def test_further_arguments_reach_the_store(colour):
    seen = []

    class Watched(InMemoryVectorStore):
        def add_documents(self, documents, ids=None, **kwargs):
            seen.append(kwargs)
            return super().add_documents(documents, ids)

        async def aadd_documents(self, documents, ids=None, **kwargs):
            return self.add_documents(documents, ids, **kwargs)

    def body(doors):
        place = Watched(store().embedding)
        run_index(doors, [doc("a")], records(), place, batch_size=7, upsert_kwargs={"field": "x"})
        assert seen.pop() == {"batch_size": 7, "field": "x"}

    colour.run(body)


@every_colour
def test_the_in_memory_document_index(colour):
    def body(doors):
        place = InMemoryDocumentIndex(top_k=2)
        given = [Document("b a a", id="1"), Document("a"), Document("c", id="3")]
        said = call(doors, place, "upsert", given)
        assert said["failed"] == [] and said["succeeded"][::2] == ["1", "3"]
        assert given[1].id is None
        assert doors.invoke(place, "a") == [given[0], place.get([said["succeeded"][1]])[0]]
        assert call(doors, place, "get", ["3", "none"]) == [given[2]]
        gone = call(doors, place, "delete", ["1", "none"])
        assert gone == {"succeeded": ["1"], "num_deleted": 1, "failed": [], "num_failed": 0}
        with pytest.raises(InputError, match="give those of the documents to delete"):
            call(doors, place, "delete")

    colour.run(body)
