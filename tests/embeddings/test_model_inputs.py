"""What users get wrong when they make embedding models."""

from __future__ import annotations

import pytest

from headrace.embeddings import CacheBackedEmbeddings, DeterministicFakeEmbedding
from headrace.errors import ConfigError
from headrace.local import LocalEmbeddings
from headrace.stores import InMemoryByteStore

MODEL = DeterministicFakeEmbedding(size=4)


def test_a_cache_needs_a_model_and_stores():
    with pytest.raises(ConfigError, match=r"embedding model of CacheBackedEmbeddings is None"):
        CacheBackedEmbeddings.from_bytes_store(None, InMemoryByteStore(), namespace="a")
    for given in ({"document_embedding_cache": {}}, {"query_embedding_cache": {}}):
        stores = {"document_embedding_cache": InMemoryByteStore(), **given}
        with pytest.raises(ConfigError, match=r"store of .* is \{\} \(dict\): give a BaseStore"):
            CacheBackedEmbeddings.from_bytes_store(MODEL, namespace="a", **stores)
    with pytest.raises(ConfigError, match="give a BaseStore"):
        CacheBackedEmbeddings(MODEL, {})


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: DeterministicFakeEmbedding(sise=3), "did you mean 'size'"),
        (lambda: LocalEmbeddings(batchsize=3), "did you mean 'batch_size'"),
        (lambda: LocalEmbeddings(model_name="all-MiniLM-L6-v2"), "there is one model, .* weights="),
    ],
    ids=["fake", "local", "another model"],
)
def test_a_wrong_name_is_told_with_the_right_one(make, said):
    with pytest.raises(ValueError, match=said) as told:
        make()
    assert "errors.pydantic.dev" not in str(told.value)
