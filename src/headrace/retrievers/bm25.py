"""`BM25Retriever`: documents by the words that they share with a question, best first.

    retriever = BM25Retriever.from_texts(["harrison worked at kensho", "bears eat honey"], k=1)
    retriever.invoke("Where did Harrison work?")

The index is the library bm25s's (extra `bm25`), in memory: a word's part of each document's score
is worked out when the index is made, so that a question costs additions only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

from pydantic import Field, SkipValidation

from headrace.documents import Document
from headrace.errors import ConfigError, InputError, MissingExtraError

from ._below import at_most
from .base import BaseRetriever, question_of

__all__ = ["BM25Retriever", "default_preprocessing_func"]

_WORD = re.compile(r"\w+")
_PARAMETERS = ("b", "delta", "dtype", "idf_method", "k1", "method")


def default_preprocessing_func(text: str) -> list[str]:
    """The words of a text, in lower case and without punctuation. Of languages that put no space
    between words, give a function of your own."""
    return _WORD.findall(text.casefold())


class BM25Retriever(BaseRetriever):
    """Documents that have words of the question, by BM25 (Robertson and Zaragoza: The Probabilistic
    Relevance Framework, 2009): the more of them, the rarer they are and the shorter the document,
    the better. Documents with none of its words are not found; of equals, the first comes first.

    `from_texts` and `from_documents` make one; `invoke(question, k=…)` asks for another number.

    Args:
        docs: the documents, in the order of the index. They are not to be changed afterwards.
        k: how many documents to give at most.
        preprocess_func: from a text to its words, for documents and questions alike.
        vectorizer: the index, a `bm25s.BM25` over `docs`; without one it is made.

    Raises:
        MissingExtraError: bm25s is not installed.
    """

    docs: SkipValidation[list[Document]] = Field(repr=False)
    k: int = Field(default=4, ge=1)
    preprocess_func: Callable[[str], list[str]] = default_preprocessing_func
    vectorizer: Any = Field(default=None, repr=False)

    def model_post_init(self, context: Any, /) -> None:
        super().model_post_init(context)
        _check(self.docs)
        if self.vectorizer is None:
            texts = [each.page_content for each in self.docs]
            self.vectorizer = _index(texts, self.preprocess_func, {})
        held = (getattr(self.vectorizer, "scores", None) or {}).get("num_docs")
        if held != len(self.docs):
            raise ConfigError(
                f"The vectorizer of a BM25Retriever is a bm25s.BM25 over its "
                f"{len(self.docs)} docs; received {self.vectorizer!r:.80} over {held}. Without "
                "one it is made."
            )

    @classmethod
    def from_texts(
        cls,
        texts: Iterable[str],
        metadatas: Iterable[dict[str, Any]] | None = None,
        ids: Iterable[str | None] | None = None,
        bm25_params: Mapping[str, Any] | None = None,
        preprocess_func: Callable[[str], list[str]] = default_preprocessing_func,
        **kwargs: Any,
    ) -> Self:
        """One of these texts.

        Args:
            texts: the texts.
            metadatas: one for each text, in order.
            ids: one for each text, in order.
            bm25_params: of `bm25s.BM25`: `k1` (1.5), `b` (0.75), and `method` ("lucene";
                "robertson", "atire", "bm25l" or "bm25+", the latter two with `delta`).
            preprocess_func: from a text to its words.
            **kwargs: further fields, e.g. `k`.

        Raises:
            InputError: as many metadatas or ids as texts are needed, and there are not; or
                `bm25_params` has something else in it.
        """
        given: Any = texts
        if isinstance(given, str) or not isinstance(given, Iterable):
            what = "the string " if isinstance(given, str) else ""
            raise InputError(f"texts is {what}{given!r:.200}: give a list of strings.")
        held = list(texts)
        columns = {"metadatas": metadatas, "ids": ids}
        rows = {name: list(column or [None] * len(held)) for name, column in columns.items()}
        for name, row in rows.items():
            if len(row) != len(held):
                raise InputError(f"BM25Retriever got {len(held)} texts and {len(row)} {name}.")
        docs = [Document(t, m, i) for t, m, i in zip(held, *rows.values(), strict=True)]
        return cls.from_documents(
            docs, bm25_params=bm25_params, preprocess_func=preprocess_func, **kwargs
        )

    @classmethod
    def from_documents(
        cls,
        documents: Iterable[Document],
        *,
        bm25_params: Mapping[str, Any] | None = None,
        preprocess_func: Callable[[str], list[str]] = default_preprocessing_func,
        **kwargs: Any,
    ) -> Self:
        """One of these documents; the arguments are those of `from_texts`."""
        docs = list(documents)
        _check(docs)
        texts = [each.page_content for each in docs]
        made = _index(texts, preprocess_func, bm25_params or {})
        return cls(docs=docs, vectorizer=made, preprocess_func=preprocess_func, **kwargs)

    def _get_relevant_documents(
        self, query: str, *, run_manager: Any, k: int | None = None
    ) -> list[Document]:
        question = question_of(self, query)
        most = at_most(k, self.k) or self.k
        words = self.preprocess_func(question)
        return [self.docs[row] for row in _best(self.vectorizer, words, most)]


def _check(docs: Any) -> None:
    # pydantic would do it too, thirty times as slowly, and for each call of a configured retriever
    wrong = next((each for each in docs if not isinstance(each, Document)), None)
    if wrong is not None:
        raise InputError(
            f"The docs of a BM25Retriever are a list of Document; one is {wrong!r:.80}, a "
            f"{type(wrong).__name__}. Of texts, BM25Retriever.from_texts makes one."
        )


def _index(texts: list[str], words: Callable[[str], list[str]], given: Mapping[str, Any]) -> Any:
    try:
        import bm25s
    except ImportError as error:
        raise MissingExtraError("bm25s", extra="bm25", purpose="BM25Retriever") from error
    if not callable(words):
        raise InputError(f"preprocess_func is {words!r:.80}: give a function from a text to words.")
    unknown = sorted(set(given).difference(_PARAMETERS))
    if unknown:
        raise InputError(
            f"bm25_params has {unknown[0]!r}, which bm25s does not: it may hold "
            f"{', '.join(_PARAMETERS)}."
        )
    made: Any = bm25s.BM25(**given)
    split = [[word for word in words(text) if word] for text in texts]
    if any(split):
        made.index(split, create_empty_token=False, show_progress=False)
    else:  # no words at all: bm25s divides by their number
        made.scores, made.vocab_dict = {"num_docs": len(texts)}, {}
    return made


def _best(index: Any, words: list[str], k: int) -> list[int]:
    """The rows of the `k` best documents that have one of the words at least."""
    known = index.get_tokens_ids(words)
    if not known:
        return []
    import numpy

    starts = index.scores["indptr"]
    rows = index.scores["indices"]
    found = numpy.zeros(index.scores["num_docs"], dtype=bool)  # sorting what is found takes longer
    for word in set(known):
        found[rows[starts[word] : starts[word + 1]]] = True
    having = numpy.flatnonzero(found)
    scores = index.get_scores_from_ids(known)[having]
    if len(having) > k:  # of equals at the end, all: the sort below takes the first of them
        least = numpy.partition(scores, -k)[-k]
        having, scores = having[scores >= least], scores[scores >= least]
    best: list[int] = having[numpy.argsort(-scores, kind="stable")[:k]].tolist()
    return best
