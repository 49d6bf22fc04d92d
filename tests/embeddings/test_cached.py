"""`CacheBackedEmbeddings`: each text is embedded once, in order, and what was done is kept."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.embeddings import CacheBackedEmbeddings, DeterministicFakeEmbedding, Embeddings
from headrace.embeddings.cached import read, written
from headrace.errors import ConfigError, InputError, ModelError
from headrace.stores import InMemoryByteStore, InMemoryStore, LocalFileStore
from laws.colours import both_drivers, every_colour


class Counting(Embeddings):
    """Writes down what it was asked; fails at a text "bad"."""

    def __init__(self, model="m", size=3):
        self.model, self.size = model, size
        self.asked, self.queries = [], []

    def vector(self, text):
        return [float(len(text)), 0.1, *([1.0] * (self.size - 2))]

    def embed_documents(self, texts):
        self.asked.append(list(texts))
        if "bad" in texts:
            raise RuntimeError("no")
        return [self.vector(text) for text in texts]

    def embed_query(self, text):
        self.queries.append(text)
        return [-x for x in self.vector(text)]

    async def aembed_documents(self, texts):
        return self.embed_documents(texts)

    async def aembed_query(self, text):
        return self.embed_query(text)


def documents(doors, model, texts):
    if doors.asynchronous:
        return doors.wait(model.aembed_documents(texts))
    return model.embed_documents(texts)


def query(doors, model, text):
    return doors.wait(model.aembed_query(text)) if doors.asynchronous else model.embed_query(text)


def cached(model, store=None, **options):
    return CacheBackedEmbeddings.from_bytes_store(
        model, InMemoryByteStore() if store is None else store, **options
    )


@every_colour
def test_only_what_is_missing_is_embedded_each_once_and_in_order(colour):
    def body(doors):
        model = Counting()
        cache = cached(model)
        expected = [model.vector(text) for text in ("bb", "a", "bb", "ccc")]
        assert documents(doors, cache, ["bb", "a", "bb", "ccc"]) == expected
        assert model.asked == [["bb", "a", "ccc"]]
        assert documents(doors, cache, ["ccc", "dddd", "a"]) == [
            model.vector(text) for text in ("ccc", "dddd", "a")
        ]
        assert model.asked[1:] == [["dddd"]]
        assert documents(doors, cache, []) == [] and len(model.asked) == 2

    colour.run(body)


@every_colour
def test_what_was_embedded_before_a_failure_is_kept(colour):
    def body(doors):
        model = Counting()
        cache = cached(model, batch_size=2)
        with pytest.raises(RuntimeError, match="no"):
            documents(doors, cache, ["a", "b", "c", "d", "bad", "e"])
        assert model.asked == [["a", "b"], ["c", "d"], ["bad", "e"]]
        documents(doors, cache, ["a", "b", "c", "d", "e"])
        assert model.asked[3:] == [["e"]]

    colour.run(body)


@both_drivers
def test_queries_are_kept_where_asked_and_apart_from_documents(colour):
    def body(doors):
        model, store = Counting(), InMemoryByteStore()
        cache = cached(model, store)
        assert query(doors, cache, "a") == query(doors, cache, "a")
        assert model.queries == ["a", "a"] and not store.store
        cache = cached(model, store, query_embedding_cache=True)
        documents(doors, cache, ["a"])
        for _ in range(2):
            assert query(doors, cache, "a") == [-x for x in model.vector("a")]
        assert model.queries == ["a", "a", "a"]
        assert documents(doors, cache, ["a"]) == [model.vector("a")]
        elsewhere = InMemoryByteStore()
        query(doors, cached(model, store, query_embedding_cache=elsewhere), "a")
        assert len(elsewhere.store) == 1 and len(store.store) == 2

    colour.run(body)


@both_drivers
def test_models_that_share_a_store_do_not_share_vectors(colour):
    def body(doors):
        store = InMemoryByteStore()
        first, second = Counting("one"), Counting("two", size=4)
        for model in (first, second, first):
            assert documents(doors, cached(model, store), ["a"]) == [model.vector("a")]
        assert first.asked == second.asked == [["a"]]
        third = Counting("three")
        documents(doors, cached(third, store, namespace="x"), ["a"])
        documents(doors, cached(third, store, namespace="y"), ["a"])
        assert len(third.asked) == 2

    colour.run(body)


@given(
    st.lists(
        st.tuples(st.text(max_size=4), st.text(max_size=4)), min_size=2, max_size=2, unique=True
    )
)
def test_no_two_namespaces_and_texts_have_one_key(pairs):
    store = InMemoryByteStore()
    for namespace, text in pairs:
        cached(Counting(), store, namespace=namespace).embed_documents([text])
    assert len(store.store) == 2


@both_drivers
def test_another_model_under_the_same_name_is_noticed(colour):
    def body(doors):
        store = InMemoryByteStore()
        documents(doors, cached(Counting(), store), ["a"])
        with pytest.raises(ConfigError, match="have 3 numbers, and those of Counting have 5"):
            documents(doors, cached(Counting(size=5), store), ["a", "b"])

    colour.run(body)


@both_drivers
def test_a_model_that_gives_too_few_vectors(colour):
    class Short(Counting):
        def embed_documents(self, texts):
            return super().embed_documents(texts)[1:]

    def body(doors):
        store = InMemoryByteStore()
        with pytest.raises(ModelError, match="gave 1 vectors for 2 texts"):
            documents(doors, cached(Short(), store), ["a", "b"])
        assert not store.store

    colour.run(body)


@pytest.mark.parametrize(
    "damage",
    [
        lambda kept: kept[:-1],
        lambda kept: kept[:20],
        lambda kept: b"",
        lambda kept: kept[:9],
        lambda kept: kept[:-1] + bytes([kept[-1] ^ 1]),
        lambda kept: b"[0.1, 0.2]",
        lambda kept: kept[:4] + b"x" + kept[5:],
    ],
    ids=["torn", "half", "empty", "head", "flipped", "json", "kind"],
)
@both_drivers
def test_a_damaged_entry_is_embedded_again_and_replaced(colour, damage, caplog):
    def body(doors):
        model, store = Counting(), InMemoryByteStore()
        cache = cached(model, store)
        documents(doors, cache, ["a", "b"])
        first = next(iter(store.store))
        good = store.store[first]
        store.store[first] = damage(good)
        assert documents(doors, cache, ["b", "a"]) == [model.vector("b"), model.vector("a")]
        assert model.asked[1:] == [["a"]]
        assert store.store[first] == good
        assert "is damaged: the text is embedded again" in caplog.text

    colour.run(body)


@both_drivers
def test_an_error_of_the_store_is_raised(colour):
    class Full(InMemoryByteStore):
        def mset(self, key_value_pairs):
            raise OSError("the disk is full")

    def body(doors):
        with pytest.raises(OSError, match="the disk is full"):
            documents(doors, cached(Counting(), Full()), ["a"])

    colour.run(body)


@both_drivers
def test_vectors_outlive_the_process_in_files(colour, tmp_path):
    def body(doors):
        model = DeterministicFakeEmbedding(size=5)
        folder = tmp_path / colour.name
        made = documents(doors, cached(model, LocalFileStore(folder), namespace="a/b:c"), ["x", ""])
        assert made == model.embed_documents(["x", ""])

        class Never(Counting):
            def embed_documents(self, texts):
                raise AssertionError

        again = cached(Never(), LocalFileStore(folder), namespace="a/b:c")
        assert documents(doors, again, ["", "x"]) == made[::-1]

    colour.run(body)


@both_drivers
def test_vectors_that_are_handed_out_are_the_callers(colour):
    def body(doors):
        store = InMemoryStore()
        cache = CacheBackedEmbeddings(Counting(), store, query_embedding_store=InMemoryStore())
        documents(doors, cache, ["a"])
        documents(doors, cache, ["a", "a"])[0].clear()
        query(doors, cache, "q")
        query(doors, cache, "q").clear()
        assert documents(doors, cache, ["a"]) == [Counting().vector("a")]
        assert len(query(doors, cache, "q")) == 3

    colour.run(body)


@both_drivers
def test_keys_of_ones_own(colour):
    def body(doors):
        store = InMemoryByteStore()
        documents(doors, cached(Counting(), store, key_encoder=lambda text: f"my-{text}"), ["a"])
        assert list(store.store) == ["my-a"]
        for name in ("sha1", "sha512", "blake2b"):
            documents(doors, cached(Counting(), store, key_encoder=name), ["a"])
        assert len(store.store) == 4

    colour.run(body)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"batch_size": "3"}, "batch_size is '3'"),
        ({"key_encoder": "md5"}, "key_encoder is 'md5': give one of sha256"),
        ({"key_encoder": str, "namespace": "n"}, "namespace='n' has no effect"),
        ({"key_encoder": str, "query_embedding_cache": True}, "query_embedding_cache=True has no"),
    ],
    ids=["no-batch", "text-batch", "hash", "namespace", "queries"],
)
def test_settings_that_cannot_work(options, said):
    with pytest.raises(ConfigError, match=said):
        cached(Counting(), **options)


@pytest.mark.parametrize("texts", ["a text", ["a", 3], [None]], ids=["text", "number", "none"])
@both_drivers
def test_what_is_no_text_is_refused_before_the_model_is_asked(colour, texts):
    def body(doors):
        model = Counting()
        with pytest.raises(InputError):
            documents(doors, cached(model), texts)
        assert not model.asked

    colour.run(body)


@both_drivers
def test_a_progress_bar_over_what_is_missing(colour, capsys):
    def body(doors):
        cache = cached(Counting(), progress=True, batch_size=1)
        documents(doors, cache, ["a", "b", "a"])
        assert "2/2" in capsys.readouterr().err

    colour.run(body)


# ---- how vectors are kept ------------------------------------------------------------------------

FLOATS = st.floats(allow_nan=False)


@given(st.lists(st.one_of(FLOATS, st.floats(width=32, allow_nan=False)), min_size=1))
def test_a_vector_comes_back_exactly(vector):
    again = read(written(vector))
    assert again == vector
    assert [math.copysign(1, x) for x in again] == [math.copysign(1, x) for x in vector]


def test_numbers_of_four_bytes_are_kept_in_four_bytes():
    exact = list(struct.unpack("<2f", struct.pack("<2f", 0.1, -3.5)))
    assert len(written(exact)) == 9 + 2 * 4
    assert len(written([0.1, -3.5])) == 9 + 2 * 8
    # The form is documented, and other programs may read it.
    assert written([1.0])[:5] == b"HRV1f" and written([1.0])[9:] == struct.pack("<f", 1.0)


@given(st.lists(FLOATS, min_size=1, max_size=5), st.integers(0, 200), st.integers(1, 255))
def test_a_flipped_byte_is_always_noticed(vector, place, change):
    kept = bytearray(written(vector))
    kept[place % len(kept)] ^= change
    assert read(bytes(kept)) is None
