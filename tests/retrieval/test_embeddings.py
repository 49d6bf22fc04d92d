"""The fakes: right sizes, one vector per text, the same in every process; async by threads."""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
import threading
from pathlib import Path

import numpy
import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding as LangChains
from pydantic import ValidationError

from headrace.embeddings import DeterministicFakeEmbedding, Embeddings, FakeEmbeddings
from headrace.embeddings._normal import normal

SRC = Path(__file__).parents[2] / "src"


@pytest.mark.parametrize("kind", [FakeEmbeddings, DeterministicFakeEmbedding])
async def test_a_fake_gives_one_vector_of_its_size_for_each_text(kind):
    fake = kind(size=7)
    for vectors in (fake.embed_documents(["a", "b"]), await fake.aembed_documents(["a", "b"])):
        assert [len(vector) for vector in vectors] == [7, 7]
        assert all(type(x) is float and math.isfinite(x) for vector in vectors for x in vector)
    assert len(fake.embed_query("a")) == len(await fake.aembed_query("a")) == 7


async def test_the_deterministic_fake_depends_on_the_text_alone():
    fake, other = DeterministicFakeEmbedding(size=5), DeterministicFakeEmbedding(size=5)
    vector = fake.embed_query("a")
    assert vector == other.embed_query("a") == await other.aembed_query("a")
    assert [vector] == fake.embed_documents(["a"]) == await fake.aembed_documents(["a"])
    assert vector != fake.embed_query("b")


def test_the_random_fake_depends_on_nothing():
    fake = FakeEmbeddings(size=5)
    assert fake.embed_query("a") != fake.embed_query("a")


def test_the_vectors_are_the_same_in_every_process_and_python():
    # Written down, so that a change of the numbers, which would break stored vectors, is seen.
    vector = DeterministicFakeEmbedding(size=3).embed_query("héllo \ud800")
    assert vector == pytest.approx(
        [1.1290684266844215, 0.8519759358916615, -1.2641182021708], abs=1e-12
    )
    program = (
        "import json, sys; from headrace.embeddings import DeterministicFakeEmbedding as D;"
        "print(json.dumps(D(size=3).embed_query('h\\xe9llo \\ud800')));"
        "assert 'numpy' not in sys.modules"
    )
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(SRC)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert json.loads(done.stdout) == vector


@pytest.mark.parametrize("seed", [0, 1, 7, 99_999_999, 2**32 - 1])
def test_the_numbers_are_those_of_numpy(seed):
    # So many that each way through the ziggurat is taken, its tail too.
    ours, theirs = normal(seed, 30_000), numpy.random.default_rng(seed).normal(size=30_000)
    assert max(map(abs, ours)) > 3.66
    assert ours == pytest.approx(theirs.tolist(), rel=1e-12)


@pytest.mark.parametrize("text", ["", "foo", "héllo", "a longer text, of some words"])
def test_the_vectors_are_those_of_langchain_core(text):
    theirs = LangChains(size=40).embed_query(text)
    assert DeterministicFakeEmbedding(size=40).embed_query(text) == pytest.approx(theirs, rel=1e-12)


def test_the_components_are_normally_distributed():
    vector = DeterministicFakeEmbedding(size=20_000).embed_query("x")
    assert abs(statistics.fmean(vector)) < 0.03
    assert abs(statistics.pstdev(vector) - 1) < 0.03
    assert 0.66 < sum(abs(x) < 1 for x in vector) / len(vector) < 0.70


@pytest.mark.parametrize("kind", [FakeEmbeddings, DeterministicFakeEmbedding])
@pytest.mark.parametrize("fields", [{}, {"size": 0}, {"size": 3, "dims": 3}])
def test_a_fake_refuses_wrong_fields(kind, fields):
    with pytest.raises(ValidationError):
        kind(**fields)


async def test_without_async_methods_of_its_own_a_model_runs_in_a_thread():
    class Threads(Embeddings):
        def embed_documents(self, texts):
            return [self.embed_query(text) for text in texts]

        def embed_query(self, text):
            return [float(threading.get_ident() != here)]

    here = threading.get_ident()
    model = Threads()
    assert model.embed_query("a") == [0.0]
    assert await model.aembed_query("a") == [1.0]
    assert await model.aembed_documents(["a", "b"]) == [[1.0], [1.0]]


def test_the_base_needs_both_methods():
    class Half(Embeddings):
        def embed_query(self, text):
            return [1.0]

    with pytest.raises(TypeError, match="embed_documents"):
        Half()
