"""`BM25Retriever`: the order is that of the formula, in which words count, and what is refused."""

from __future__ import annotations

import asyncio
import math
import os
import pickle
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import bm25s
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import headrace
from headrace.documents import Document
from headrace.errors import InputError, MissingExtraError
from headrace.retrievers import BM25Retriever
from headrace.retrievers.bm25 import default_preprocessing_func
from headrace.runnables import ConfigurableField
from laws.colours import every_colour

from .asked import found, texts

CORPUS = [
    "Harrison worked at Kensho.",
    "Harrison likes spicy food, and Harrison likes it hot.",
    "Bears like honey.",
    "Kensho is a company.",
]
TEXTS = st.lists(st.lists(st.sampled_from("abcde"), max_size=6).map(" ".join), max_size=8)


def scored(corpus, query, k1=1.5, b=0.75):
    """By the formula of Lucene: `log(1 + (N - n + ½) / (n + ½)) · f / (f + k1 (1 - b + b L / L̄))`,
    added up over the question's words."""
    split = [text.split() for text in corpus]
    mean = sum(map(len, split)) / len(split) if split else 0
    scores = {}
    for row, words in enumerate(split):
        parts = []
        for word in query.split():
            having = sum(word in other for other in split)
            idf = math.log(1 + (len(split) - having + 0.5) / (having + 0.5))
            often = words.count(word)
            if often:
                parts.append(idf * often / (often + k1 * (1 - b + b * len(words) / mean)))
        if parts:
            scores[row] = math.fsum(parts)
    return scores


@given(TEXTS, st.lists(st.sampled_from("abcdef"), max_size=4).map(" ".join), st.integers(1, 9))
def test_the_best_by_the_formula(corpus, query, k):
    documents = [Document(text, {"row": row}) for row, text in enumerate(corpus)]
    retriever = BM25Retriever.from_documents(documents, k=k)
    expected = scored(corpus, query)
    rows = [each.metadata["row"] for each in retriever.invoke(query)]
    assert len(rows) == min(k, len(expected)) and set(rows) <= set(expected)
    scores = [expected[row] for row in rows]
    left = [expected[row] for row in set(expected) - set(rows)]
    assert all(a >= b - 1e-5 for a, b in zip(scores, [*scores[1:], *left], strict=False))
    assert not left or min(scores) >= max(left) - 1e-5


def test_of_equals_the_first_come_first():
    retriever = BM25Retriever.from_texts(["a x", "b x", "c x", "b y", "c y"], k=3)
    assert texts(retriever.invoke("x")) == ["a x", "b x", "c x"]
    assert texts(retriever.invoke("x", k=2)) == ["a x", "b x"]
    many = [f"x {n}" if n % 3 else f"x long {n}" for n in range(300)]
    ordered = [text for text in many if "long" not in text] + many[::3]
    assert texts(BM25Retriever.from_texts(many, k=250).invoke("x")) == ordered[:250]
    assert texts(BM25Retriever.from_texts(many, k=999).invoke("x")) == ordered


@every_colour
def test_words_are_compared_without_case_and_punctuation(colour):
    retriever = BM25Retriever.from_texts(CORPUS)

    def body(doors):
        assert texts(doors.invoke(retriever, "where did HARRISON work? at kensho")) == [
            CORPUS[0],
            CORPUS[1],
            CORPUS[3],
        ]
        assert doors.stream(retriever, "honey!") == [found(CORPUS[2])]
        assert doors.invoke(retriever, "nothing of this") == []
        assert doors.invoke(retriever, "?") == doors.invoke(retriever, "") == []

    colour.run(body)


def test_a_word_in_most_documents_counts_little_but_counts():
    # By rank-bm25's formula it would count against a document, and in one of two for nothing.
    two = BM25Retriever.from_texts(["cats sleep", "dogs sleep"])
    assert texts(two.invoke("dogs sleep")) == ["dogs sleep", "cats sleep"]
    assert texts(BM25Retriever.from_texts(["alone"]).invoke("alone")) == ["alone"]


def test_own_words():
    retriever = BM25Retriever.from_texts(["A-B", "A B"], preprocess_func=lambda t: t.split(" "))
    assert texts(retriever.invoke("A-B")) == ["A-B"]
    assert retriever.invoke("a-b") == []
    empty = BM25Retriever.from_texts(["ab", "b"], preprocess_func=lambda text: ["", *text])
    assert texts(empty.invoke("a")) == ["ab"]
    assert default_preprocessing_func("Straße, ÉTÉ_1!") == ["strasse", "été_1"]


def test_metadata_and_ids_stay_with_their_texts():
    retriever = BM25Retriever.from_texts(iter("ab"), iter([{"n": 1}, {"n": 2}]), iter("xy"))
    assert retriever.invoke("b") == [Document("b", {"n": 2}, "y")]
    documents = [Document("b", {"n": 2}, "y")]
    assert BM25Retriever.from_documents(iter(documents)).invoke("b")[0] is documents[0]
    with pytest.raises(InputError, match="got 2 texts and 1 metadatas"):
        BM25Retriever.from_texts(["a", "b"], [{}])
    with pytest.raises(InputError, match="got 2 texts and 3 ids"):
        BM25Retriever.from_texts(["a", "b"], ids="xyz")


@pytest.mark.parametrize("corpus", [[], [""], ["?", "..."]], ids=["none", "empty", "no-words"])
def test_without_words_nothing_is_found(corpus):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert BM25Retriever.from_texts(corpus).invoke("a") == []


@pytest.mark.parametrize("method", ["lucene", "robertson", "atire", "bm25l", "bm25+"])
def test_other_formulas_find_only_what_has_a_word(method):
    params = {"method": method, "k1": 1.2, "b": 0.5, "delta": 0.7}
    retriever = BM25Retriever.from_texts(CORPUS, bm25_params=params)
    assert texts(retriever.invoke("honey")) == [CORPUS[2]]
    assert texts(retriever.invoke("honey kensho"))[0] == CORPUS[2]
    assert len(retriever.invoke("honey kensho")) == 3


def test_parameters_are_those_of_the_formula():
    corpus = ["a a a a", "a b", "a c d e f g h"]
    for k1, b in [(0.5, 0.0), (1.5, 0.75), (3.0, 1.0)]:
        retriever = BM25Retriever.from_texts(corpus, bm25_params={"k1": k1, "b": b})
        scores = scored(corpus, "a", k1, b)
        assert texts(retriever.invoke("a")) == [
            corpus[row] for row in sorted(scores, key=scores.__getitem__, reverse=True)
        ]


def test_what_is_refused():
    with pytest.raises(InputError, match="'epsilon', which bm25s does not: it may hold b, delta"):
        BM25Retriever.from_texts(CORPUS, bm25_params={"epsilon": 0.25})
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        BM25Retriever.from_texts(CORPUS, k=0)
    with pytest.raises(InputError, match="how many documents"):
        BM25Retriever.from_texts(CORPUS).invoke("a", k=0)
    with pytest.raises(InputError, match=r"got \{'question': 'a'\}, a dict.*itemgetter"):
        BM25Retriever.from_texts(CORPUS).invoke({"question": "a"})
    other = BM25Retriever.from_texts(CORPUS).vectorizer
    for wrong in (other, object()):
        with pytest.raises(ValidationError, match=r"over its 1 docs; received .* Without"):
            BM25Retriever(docs=found("a"), vectorizer=wrong)
    with pytest.raises(ValidationError, match=r"one is 'a', a str\. Of texts"):
        BM25Retriever(docs=["a"])
    with pytest.raises(InputError, match=r"one is 'a', a str\. Of texts"):
        BM25Retriever.from_documents(["a"])


def test_an_index_may_be_given_or_left_to_be_made():
    index = bm25s.BM25()
    index.index([["a"], ["b"]], create_empty_token=False, show_progress=False)
    assert texts(BM25Retriever(docs=found("a", "b"), vectorizer=index).invoke("b")) == ["b"]
    assert texts(BM25Retriever(docs=found("a", "b")).invoke("b")) == ["b"]


def test_it_is_pickled_and_configured_without_being_indexed_again():
    asked = []

    def words(text):
        asked.append(text)
        return text.split()

    retriever = BM25Retriever.from_texts(["a b", "b"], preprocess_func=words)
    chosen = retriever.configurable_fields(k=ConfigurableField(id="k"))
    asked.clear()
    assert len(chosen.invoke("b")) == 2
    assert len(chosen.invoke("b", {"configurable": {"k": 1}})) == 1
    assert asked == ["b", "b"]
    again = pickle.loads(pickle.dumps(BM25Retriever.from_texts(CORPUS, k=1)))
    assert texts(again.invoke("honey kensho")) == [CORPUS[2]]


def test_many_threads_may_ask_at_once():
    retriever = BM25Retriever.from_texts([f"text{i} word{i % 7}" for i in range(500)], k=3)
    expected = {f"word{i}": retriever.invoke(f"word{i}") for i in range(7)}
    wrong = []

    def asks():
        for word, documents in expected.items():
            if retriever.invoke(word) != documents:
                wrong.append(word)

    threads = [threading.Thread(target=asks) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


async def test_async_it_works_in_a_thread():
    seen = []

    def words(text):
        seen.append(threading.get_ident())
        return text.split()

    retriever = BM25Retriever.from_texts(["a"], preprocess_func=words)
    seen.clear()
    assert texts(await retriever.ainvoke("a")) == ["a"]
    assert seen and threading.get_ident() not in seen
    assert await asyncio.gather(*(retriever.ainvoke("a") for _ in range(5))) == [found("a")] * 5


def test_without_the_library_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "bm25s", None)
    with pytest.raises(MissingExtraError, match=r'pip install "headrace\[bm25\]"'):
        BM25Retriever.from_texts(CORPUS)


def test_the_package_loads_no_library_before_it_is_named():
    code = (
        "import sys; import headrace.retrievers as r; r.BaseRetriever; "
        "print(sorted({'bm25s', 'numpy', 'headrace.prompts', 'headrace.vectorstores', 'asyncio'}"
        ".intersection(sys.modules))); r.BM25Retriever; print('bm25s' in sys.modules)"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(headrace.__file__).parents[1])}
    shown = subprocess.run(
        [sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, check=True
    )
    assert shown.stdout.split() == [b"[]", b"False"]
