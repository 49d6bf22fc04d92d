"""Compressors: what each leaves, by embeddings and by models, alone and in a pipeline."""

from __future__ import annotations

import asyncio
import pickle
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from headrace.documents import Document
from headrace.embeddings import Embeddings
from headrace.errors import InputError, OutputParserException
from headrace.events import RunFailed, RunStarted
from headrace.language_models import FakeListChatModel
from headrace.prompts import PromptTemplate
from headrace.retrievers import (
    BaseDocumentCompressor,
    ContextualCompressionRetriever,
    DocumentCompressorPipeline,
    EmbeddingsFilter,
    EmbeddingsRedundantFilter,
    LLMChainExtractor,
    LLMChainFilter,
    LLMListwiseRerank,
)
from headrace.runnables import RunnableLambda
from laws.colours import every_colour

from .asked import LIMIT, Fails, Given, Log, found, texts


class Angles(Embeddings):
    """A text is a number of degrees; its embedding, that direction. Notes what it embeds."""

    def __init__(self):
        self.embedded = []

    def embed_documents(self, texts):
        self.embedded += texts
        return [self.direction(text) for text in texts]

    def embed_query(self, text):
        return self.direction(text)

    @staticmethod
    def direction(text):
        from math import cos, radians, sin

        return [cos(radians(float(text))), sin(radians(float(text)))]


class Says(RunnableLambda):
    """A model that answers by what is in the prompt."""

    def __init__(self, answers):
        super().__init__(self.answer, name="says")
        self.answers = answers
        self.prompts = []

    def answer(self, prompt):
        text = prompt.to_string()
        self.prompts.append(text)
        return next(answer for mark, answer in self.answers.items() if mark in text)


def compress(doors, compressor, documents, query):
    """What is left, through a retriever, in the doors' colour."""
    base = RunnableLambda(lambda _: documents)
    retriever = ContextualCompressionRetriever(base_retriever=base, base_compressor=compressor)
    return doors.invoke(retriever, query)


# ---- by embeddings -------------------------------------------------------------------------------


@every_colour
def test_the_documents_most_like_the_question_are_left(colour):
    documents = found("90", "10", "50", "170", "0")

    def body(doors):
        def left(**fields):
            kept = EmbeddingsFilter(embeddings=Angles(), **fields)
            return texts(compress(doors, kept, documents, "5"))

        assert left() == ["10", "0", "50", "90", "170"]
        assert left(k=2) == ["10", "0"]
        assert left(k=4, similarity_threshold=0.5) == ["10", "0", "50"]
        assert left(k=None, similarity_threshold=0.5) == ["10", "50", "0"]
        assert left(k=1, similarity_threshold=1.0) == []

    colour.run(body)


def test_documents_come_out_as_they_went_in():
    documents = [Document("10", {"a": [1]}, "x"), Document("90")]
    left = EmbeddingsFilter(embeddings=Angles(), k=1).compress_documents(documents, "0")
    assert left[0] is documents[0]
    assert EmbeddingsFilter(embeddings=Angles()).compress_documents([], "0") == []


def test_a_similarity_of_ones_own():
    def first_number(some, others):
        return [[other[0] for other in others] for _ in some]

    kept = EmbeddingsFilter(embeddings=Angles(), k=1, similarity_fn=first_number)
    assert texts(kept.compress_documents(found("80", "20", "60"), "90")) == ["20"]
    alike = EmbeddingsFilter(
        embeddings=Angles(),
        similarity_threshold=0.5,
        similarity_fn=lambda some, others: [[0.5, 0.6]],
    )
    assert texts(alike.compress_documents(found("1", "2"), "3")) == ["2"]
    with pytest.raises(ValidationError, match="k, similarity_threshold, or both"):
        EmbeddingsFilter(embeddings=Angles(), k=None)


@given(st.lists(st.integers(0, 180), max_size=8), st.sampled_from([0.5, 0.95, 1.0]))
def test_of_redundant_documents_the_first_is_left(angles, threshold):
    documents = found(*map(str, angles))
    differ = EmbeddingsRedundantFilter(embeddings=Angles(), similarity_threshold=threshold)
    left = differ.transform_documents(documents)
    assert asyncio.run(differ.atransform_documents(documents)) == left
    directions = [Angles.direction(each.page_content) for each in documents]
    alike = [
        [min(1.0, a[0] * b[0] + a[1] * b[1]) > threshold for b in directions] for a in directions
    ]
    kept = []
    for row in range(len(documents)):
        if not any(alike[row][other] for other in kept):
            kept.append(row)
    assert [each for each in left] == [documents[row] for row in kept]  # noqa: C416


# ---- by models -----------------------------------------------------------------------------------


@every_colour
def test_a_model_says_what_is_relevant(colour):
    def body(doors):
        model = Says({"bears": "YES.", "cats": "No", "": "yes"})
        documents = [Document("bears eat", {"n": 1}), *found("cats sleep", "what else")]
        assert compress(doors, LLMChainFilter.from_llm(model), documents, "food?") == [
            documents[0],
            documents[2],
        ]
        assert len(model.prompts) == 3
        assert all("food?" in prompt for prompt in model.prompts)

    colour.run(body)


@every_colour
def test_what_a_filter_cannot_read_is_an_error(colour):
    def body(doors):
        unsure = LLMChainFilter.from_llm(Says({"": "perhaps"}))
        with pytest.raises(OutputParserException, match="'perhaps' says neither"):
            compress(doors, unsure, found("a"), "q")
        words = LLMChainFilter(llm_chain=RunnableLambda(lambda _: "YES"))
        with pytest.raises(InputError, match=r"gave 'YES' \(str\).*BooleanOutputParser"):
            compress(doors, words, found("a"), "q")

    colour.run(body)


@every_colour
def test_a_model_takes_out_what_helps(colour):
    def body(doors):
        model = Says({"bears": " eat honey\n", "cats": "NO_OUTPUT", "": ""})
        documents = [Document("bears eat honey", {"n": 1}, "x"), *found("cats", "else")]
        left = compress(doors, LLMChainExtractor.from_llm(model), documents, "food?")
        assert left == [Document("eat honey", {"n": 1})]

    colour.run(body)


def test_prompts_and_inputs_of_ones_own():
    def inputs(query, document):
        return {"what": f"{query} in {document.page_content}"}

    own = PromptTemplate.from_template("Find {what}")
    model = Says({"Find q in a": "YES", "": "NO"})
    kept = LLMChainFilter.from_llm(model, own, get_input=inputs)
    assert texts(kept.compress_documents(found("a", "b"), "q")) == ["a"]
    taken = LLMChainExtractor.from_llm(model, own, inputs, llm_chain_kwargs={})
    assert texts(taken.compress_documents(found("a", "b"), "q")) == ["YES", "NO"]


def test_documents_are_judged_at_once():
    place = threading.Barrier(3)

    def waits(prompt):
        place.wait(LIMIT)
        return "YES"

    kept = LLMChainFilter.from_llm(RunnableLambda(waits))
    assert texts(kept.compress_documents(found("a", "b", "c"), "q")) == ["a", "b", "c"]


@every_colour
def test_a_model_ranks(colour):
    def ranks(text, **fields):
        return LLMListwiseRerank.from_llm(FakeListChatModel(responses=[text]), **fields)

    def body(doors):
        documents = found("a", "b", "c", "d")
        best = ranks('{"ranked_document_ids": [2, 0, 3]}', top_n=2)
        assert texts(compress(doors, best, documents, "q")) == ["c", "a"]
        # Numbers that no document has, or that come again, count for nothing.
        odd = ranks('{"ranked_document_ids": [9, 1, 1, -1, 3]}')
        assert texts(compress(doors, odd, documents, "q")) == ["b", "d"]

    colour.run(body)


def test_a_ranking_model_sees_all_documents():
    seen = []

    def rank(given):
        seen.append((texts(given["documents"]), given["query"]))
        return given["documents"][::-1]

    best = LLMListwiseRerank(reranker=rank, top_n=1)
    assert texts(best.compress_documents(found("a", "b"), "q")) == ["b"]
    assert seen == [(["a", "b"], "q")]


# ---- pipelines -----------------------------------------------------------------------------------


class Cuts:
    """A transformer that is nobody's subclass: each document in two."""

    def transform_documents(self, documents, **kwargs):
        return [Document(part) for each in documents for part in each.page_content.split()]

    async def atransform_documents(self, documents, **kwargs):
        return self.transform_documents(documents)


@every_colour
def test_parts_work_one_after_the_other_and_embed_once(colour):
    def body(doors):
        embeddings = Angles()
        pipeline = DocumentCompressorPipeline(
            transformers=[
                Cuts(),
                EmbeddingsRedundantFilter(embeddings=embeddings),
                EmbeddingsFilter(embeddings=embeddings, k=2),
                LLMChainFilter.from_llm(Says({"": "YES"})),
            ]
        )
        left = compress(doors, pipeline, found("90 0", "1 40"), "30")
        assert texts(left) == ["40", "0"]
        assert embeddings.embedded == ["90", "0", "1", "40"]
        compress(doors, pipeline, found("90"), "30")
        assert embeddings.embedded[4:] == ["90"], "kept beyond one call"

    colour.run(body)


def test_behind_a_pipeline_nothing_is_remembered():
    embeddings = Angles()
    alone = EmbeddingsFilter(embeddings=embeddings)
    pipeline = DocumentCompressorPipeline(transformers=[alone])
    pipeline.compress_documents(found("1"), "2")
    alone.compress_documents(found("1"), "2")
    assert embeddings.embedded == ["1", "1"]


def test_what_is_no_part_of_a_pipeline_is_refused():
    for wrong in (3, EmbeddingsFilter, str.upper):
        with pytest.raises(ValidationError, match=r"transformers\[0\] of DocumentCompressorPipe"):
            DocumentCompressorPipeline(transformers=[wrong])


# ---- compressors of one's own --------------------------------------------------------------------


class First(BaseDocumentCompressor):
    many: int = 1

    def compress_documents(self, documents, query, callbacks=None):
        return documents[: self.many]


class NoCallbacks(BaseDocumentCompressor):
    def compress_documents(self, documents, query):
        return documents[::-1]


class OwnAsync(First):
    async def acompress_documents(self, documents, query, callbacks=None):
        await asyncio.sleep(0)
        return found(f"{len(documents)} for {query}")


@every_colour
def test_signatures_that_users_write(colour):
    def body(doors):
        documents = found("a", "b")
        assert texts(compress(doors, First(), documents, "q")) == ["a"]
        assert texts(compress(doors, NoCallbacks(), documents, "q")) == ["b", "a"]
        both = DocumentCompressorPipeline(transformers=[NoCallbacks(), First()])
        assert texts(compress(doors, both, documents, "q")) == ["b"]
        own = texts(compress(doors, OwnAsync(), documents, "q"))
        assert own == (["2 for q"] if doors.asynchronous else ["a"])

    colour.run(body)
    with pytest.raises(ValidationError, match="Extra inputs"):
        First(few=1)


@every_colour
def test_callbacks_reach_those_that_take_them(colour):
    seen = []

    class Keeps(BaseDocumentCompressor):
        def compress_documents(self, documents, query, callbacks=None):
            seen.append(callbacks)
            return documents

    class KeepsAll(BaseDocumentCompressor):
        def compress_documents(self, documents, query, **kwargs):
            seen.append(kwargs["callbacks"])
            return documents

    def body(doors):
        seen.clear()
        pipeline = DocumentCompressorPipeline(transformers=[Keeps(), KeepsAll()])
        compress(doors, pipeline, found("a"), "q")
        compress(doors, Keeps(), found("a"), "q")
        assert len(seen) == 3 and all(each is not None for each in seen)

    colour.run(body)


async def test_without_an_async_method_the_sync_one_runs_in_a_thread():
    here = threading.get_ident()

    class Threads(BaseDocumentCompressor):
        def compress_documents(self, documents, query, callbacks=None):
            return found(str(threading.get_ident() != here))

    assert texts(await Threads().acompress_documents(found("a"), "q")) == ["True"]


# ---- the retriever -------------------------------------------------------------------------------


@every_colour
def test_arguments_go_to_the_retriever_and_nothing_found_is_nothing_asked(colour):
    class Never(BaseDocumentCompressor):
        def compress_documents(self, documents, query, callbacks=None):
            raise AssertionError("asked")

    def body(doors):
        base = Given(texts={"q": "abc", "none": ""})
        retriever = ContextualCompressionRetriever(
            base_retriever=base, base_compressor=First(many=2)
        )
        assert texts(doors.invoke(retriever, "q")) == ["a", "b"]
        assert texts(doors.invoke(retriever, "q", k=1)) == ["a"]
        never = ContextualCompressionRetriever(base_retriever=base, base_compressor=Never())
        assert doors.invoke(never, "none") == []

    colour.run(body)


@every_colour
def test_models_and_the_retriever_are_runs_below(colour):
    def body(doors):
        pipeline = DocumentCompressorPipeline(
            transformers=[LLMChainFilter.from_llm(FakeListChatModel(responses=["YES"]))]
        )
        retriever = ContextualCompressionRetriever(
            base_retriever=Given(texts="ab"), base_compressor=pipeline
        )
        log = Log()
        doors.invoke(retriever, "q", {"callbacks": [log], "run_name": "Docs"})
        root, *below = log.runs(RunStarted)
        assert root.name == "Docs"
        direct = [run.name for run in below if run.parent_ids == [root.id]]
        assert direct == ["Given", "RunnableSequence", "RunnableSequence"]
        assert [run.name for run in below].count("FakeListChatModel") == 2
        assert all(run.parent_ids[0] == root.id for run in below)

    colour.run(body)


@every_colour
def test_errors_come_out_as_they_are(colour):
    def body(doors):
        error = LookupError("no index")
        kept = LLMChainFilter.from_llm(RunnableLambda(lambda _: 1 / 0))
        log = Log()
        for base, raised in [
            (Fails(error=error), LookupError),
            (Given(texts="a"), ZeroDivisionError),
        ]:
            retriever = ContextualCompressionRetriever(base_retriever=base, base_compressor=kept)
            with pytest.raises(raised):
                doors.invoke(retriever, "q", {"callbacks": [log]})
            assert log.names(RunFailed)[-1] == "ContextualCompressionRetriever"
        assert any("/base_retriever:Fails" in note for note in error.__notes__)

    colour.run(body)


def test_settings_are_checked():
    with pytest.raises(ValidationError, match="base_compressor"):
        ContextualCompressionRetriever(base_retriever=Given(texts=""), base_compressor=3)
    with pytest.raises(ValidationError, match="the base_retriever of Contextual"):
        ContextualCompressionRetriever(base_retriever=3, base_compressor=First())
    with pytest.raises(ValidationError, match="the llm_chain of LLMChainFilter"):
        LLMChainFilter(llm_chain=3)


def test_it_is_pickled_and_explained():
    retriever = ContextualCompressionRetriever(
        base_retriever=Given(texts="ab"),
        base_compressor=LLMChainFilter.from_llm(FakeListChatModel(responses=["YES"])),
    )
    assert texts(pickle.loads(pickle.dumps(retriever)).invoke("q")) == ["a", "b"]
    names = [step.name for step in retriever.explain()]
    assert names[:2] == ["ContextualCompressionRetriever", "Given"]
    assert "BooleanOutputParser" in names


@pytest.mark.parametrize("kind", [EmbeddingsFilter, EmbeddingsRedundantFilter])
@pytest.mark.parametrize("threshold", [5, -1.5, float("nan")], ids=repr)
def test_a_threshold_is_a_cosine(kind, threshold):
    with pytest.raises(ValueError, match=f"similarity_threshold of {kind.__name__} is .* -1 to 1"):
        kind(embeddings=Angles(), similarity_threshold=threshold)
    own = kind(embeddings=Angles(), similarity_threshold=5, similarity_fn=lambda a, b: [[9]])
    assert own.similarity_threshold == 5
