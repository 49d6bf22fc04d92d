"""Several retrievers asked at once: the order of the fused list, both colours, failures, events."""

from __future__ import annotations

import asyncio
import pickle
import threading
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from headrace.documents import Document
from headrace.errors import HeadraceError, InputError
from headrace.events import RunCancelled, RunEnded, RunFailed, RunStarted
from headrace.retrievers import EnsembleRetriever, MergerRetriever
from headrace.runnables import ConfigurableField, RunnableLambda, RunnablePassthrough
from laws.colours import every_colour

from .asked import AsyncMeets, Fails, Given, Hangs, Log, Meets, found, texts

LISTS = st.lists(
    st.lists(st.sampled_from("abcdefg"), unique=True, max_size=5), min_size=1, max_size=4
)


def exact_scores(lists, weights, c):
    scores = {}
    for ranking, weight in zip(lists, weights, strict=True):
        for rank, text in enumerate(ranking, start=1):
            scores[text] = scores.get(text, 0) + Fraction(weight) / (c + rank)
    return scores


# ---- reciprocal rank fusion ----------------------------------------------------------------------


@given(LISTS, st.lists(st.integers(1, 9), min_size=4, max_size=4), st.integers(0, 80))
def test_the_fused_order_is_that_of_exact_fractions(lists, weights, c):
    weights = weights[: len(lists)]
    retrievers = [Given(texts=ranking) for ranking in lists]
    ensemble = EnsembleRetriever(retrievers=retrievers, weights=weights, c=c)
    exact = exact_scores(lists, weights, c)
    fused = texts(ensemble.invoke("q"))
    assert sorted(fused) == sorted(exact)
    # Floats may order two that are equal as fractions.
    assert [exact[text] for text in fused] == sorted(exact.values(), reverse=True)


@every_colour
def test_what_both_find_comes_first(colour):
    ensemble = EnsembleRetriever(retrievers=[Given(texts="abc"), Given(texts="dcb")])
    assert ensemble.weights == [0.5, 0.5]

    def body(doors):
        assert texts(doors.invoke(ensemble, "q")) == ["b", "c", "a", "d"]
        assert [texts(chunk) for chunk in doors.stream(ensemble, "q")] == [["b", "c", "a", "d"]]

    colour.run(body)


def test_weights_and_c_count():
    retrievers = [Given(texts="ab"), Given(texts="cd")]
    first = EnsembleRetriever(retrievers=retrievers, weights=[0.9, 0.1])
    assert texts(first.invoke("q")) == ["a", "b", "c", "d"]
    second = EnsembleRetriever(retrievers=retrievers, weights=[0.4, 0.6], c=1)
    assert texts(second.invoke("q")) == ["c", "a", "d", "b"]
    only = EnsembleRetriever(retrievers=retrievers, weights=[0, 1])
    assert texts(only.invoke("q")) == ["c", "d", "a", "b"]


def test_documents_are_told_apart_by_text_or_by_a_key():
    one = RunnableLambda(lambda _: [Document("x", {"id": 1}), Document("y", {"id": 2})])
    two = RunnableLambda(lambda _: [Document("z", {"id": 2}), Document("x", {"id": 3})])
    by_text = EnsembleRetriever(retrievers=[one, two]).invoke("q")
    assert [(d.page_content, d.metadata["id"]) for d in by_text] == [("x", 1), ("z", 2), ("y", 2)]
    by_key = EnsembleRetriever(retrievers=[one, two], id_key="id").invoke("q")
    assert [(d.page_content, d.metadata["id"]) for d in by_key] == [("y", 2), ("x", 1), ("x", 3)]
    missing = EnsembleRetriever(retrievers=[one], id_key="source")
    with pytest.raises(InputError, match=r"id_key='source'.*'x' have only \['id'\]"):
        missing.invoke("q")


def test_lists_can_be_fused_by_hand():
    ensemble = EnsembleRetriever(retrievers=[Given(texts=""), Given(texts="")])
    assert texts(ensemble.weighted_reciprocal_rank([found("a"), found("b", "a")])) == ["a", "b"]
    with pytest.raises(InputError, match="1 lists to fuse and 2 weights"):
        ensemble.weighted_reciprocal_rank([found("a")])


def test_merging_takes_turns():
    merged = MergerRetriever(retrievers=[Given(texts="abc"), Given(texts=""), Given(texts="da")])
    assert texts(merged.invoke("q")) == ["a", "d", "b", "a", "c"]
    assert texts(merged.invoke("q", k=2)) == ["a", "d"]


# ---- how many -----------------------------------------------------------------------------------


@every_colour
def test_k_bounds_what_comes_out_and_other_arguments_go_to_the_retrievers(colour):
    def anything(query, **kwargs):
        return [f"{query} {sorted(kwargs)}"]

    ensemble = EnsembleRetriever(retrievers=[Given(texts="abc"), RunnableLambda(anything)])
    bounded = EnsembleRetriever(retrievers=[Given(texts="abc")], k=2)

    def body(doors):
        assert texts(doors.invoke(ensemble, "q", k=3)) == ["a", "q []", "b"]
        assert texts(doors.invoke(ensemble, "q", fetch=3, k=2)) == ["a", "q ['fetch']"]
        assert texts(doors.invoke(bounded, "q")) == ["a", "b"]
        assert texts(doors.invoke(bounded, "q", k=3)) == ["a", "b", "c"]
        for wrong in (0, -1, "2", True):
            with pytest.raises(InputError, match="how many documents"):
                doors.invoke(bounded, "q", k=wrong)

    colour.run(body)


# ---- what it is made of --------------------------------------------------------------------------


def test_anything_from_a_text_to_documents_is_a_retriever():
    chain = RunnablePassthrough() | (lambda query: found(query + "!"))
    ensemble = EnsembleRetriever(retrievers=[chain, lambda query: ["text"], Given(texts="a")])
    assert texts(ensemble.invoke("q")) == ["q!", "text", "a"]


def test_what_finds_no_documents_is_named():
    for gives, what in [(3, r"3 \(int\)"), ("text", r"'text' \(str\)"), ([1], r"a list with 1")]:
        named = RunnableLambda(lambda _, gives=gives: gives, name="mine")
        with pytest.raises(InputError, match=f"mine was asked for documents and gave {what}"):
            EnsembleRetriever(retrievers=[Given(texts="a"), named]).invoke("q")


def test_settings_are_checked():
    one = Given(texts="a")
    with pytest.raises(ValidationError, match="no retriever to ask"):
        EnsembleRetriever(retrievers=[])
    with pytest.raises(ValidationError, match="1 weights for 2 retrievers"):
        EnsembleRetriever(retrievers=[one, one], weights=[1])
    for weights in ([0, 0], [1, float("nan")], [1, float("inf")], [-1, 0]):
        with pytest.raises(ValidationError, match="finite numbers, one of them above 0"):
            EnsembleRetriever(retrievers=[one, one], weights=weights)
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        EnsembleRetriever(retrievers=[one], c=-1)
    with pytest.raises(ValidationError, match=r"retrievers\[1\] of EnsembleRetriever"):
        EnsembleRetriever(retrievers=[one, 3])
    with pytest.raises(ValidationError, match=r"retrievers\[0\] of .* is the class Given: give an"):
        EnsembleRetriever(retrievers=[Given])
    with pytest.raises(ValidationError, match="no setting 'weight'; did you mean 'weights'"):
        EnsembleRetriever(retrievers=[one], weight=[1])


def test_it_is_pickled_configured_and_explained():
    ensemble = EnsembleRetriever(
        retrievers=[
            Given(texts="ab"),
            Given(texts="cd").configurable_fields(texts=ConfigurableField(id="texts")),
        ]
    )
    assert texts(pickle.loads(pickle.dumps(ensemble)).invoke("q")) == ["a", "c", "b", "d"]
    config = {"configurable": {"texts": "x"}}
    assert texts(ensemble.invoke("q", config)) == ["a", "x", "b"]
    assert [spec.id for spec in ensemble.config_specs] == ["texts"]
    chosen = ensemble.configurable_fields(k=ConfigurableField(id="k"))
    assert texts(chosen.with_config(configurable={"k": 1}).invoke("q")) == ["a"]
    shown = {(step.name, step.kind) for step in ensemble.explain()}
    assert shown == {("EnsembleRetriever", "barrier"), ("Given", "barrier")}
    assert [node.name for node in ensemble.get_graph().nodes.values()][1] == "EnsembleRetriever"


# ---- at once ------------------------------------------------------------------------------------


def test_they_are_asked_at_once_in_threads():
    place = threading.Barrier(3)
    ensemble = EnsembleRetriever(retrievers=[Meets(place=place, text=t) for t in "abc"])
    assert texts(ensemble.invoke("q")) == ["a", "b", "c"]


async def test_they_are_asked_at_once_in_tasks():
    place = asyncio.Barrier(3)
    ensemble = EnsembleRetriever(retrievers=[AsyncMeets(place=place, text=t) for t in "abc"])
    assert texts(await ensemble.ainvoke("q")) == ["a", "b", "c"]


@every_colour
def test_max_concurrency_bounds_them(colour):
    lock, at_work, most = threading.Lock(), [0], [0]

    def counts(query):
        with lock:
            at_work[0] += 1
            most[0] = max(most[0], at_work[0])
        with lock:
            at_work[0] -= 1
        return found(query)

    inner = EnsembleRetriever(retrievers=[counts] * 3)
    ensemble = EnsembleRetriever(retrievers=[inner, inner, counts])

    def body(doors):
        assert texts(doors.invoke(ensemble, "q", {"max_concurrency": 1})) == ["q"]

    colour.run(body)
    assert most == [1]


# ---- failures ------------------------------------------------------------------------------------


@every_colour
def test_an_error_comes_out_as_it_is_with_the_place(colour):
    def body(doors):
        error = LookupError("no index")
        failing = Fails(error=error).with_config(run_name="broken")
        ensemble = EnsembleRetriever(retrievers=[Given(texts="a"), failing])
        log = Log()
        with pytest.raises(LookupError) as caught:
            doors.invoke(ensemble | len, "q", {"callbacks": [log]})
        assert caught.value is error
        assert any("EnsembleRetriever/retriever_2:" in note for note in error.__notes__)
        assert log.names(RunFailed) == ["broken", "EnsembleRetriever", "RunnableSequence"]
        with pytest.raises(LookupError):
            doors.invoke(ensemble, "q")

    colour.run(body)


def test_one_that_may_fail_has_a_fallback():
    may_fail = Fails(error=LookupError()).with_fallbacks([RunnableLambda(lambda query: [])])
    assert texts(EnsembleRetriever(retrievers=[Given(texts="a"), may_fail]).invoke("q")) == ["a"]


async def test_where_one_fails_the_others_are_cancelled_and_awaited():
    begun, over, error = asyncio.Event(), [], LookupError("no")

    async def fails(query):
        await begun.wait()
        raise error

    hangs = Hangs(begun=begun, over=over)
    log = Log()
    with pytest.raises(LookupError) as caught:
        ensemble = EnsembleRetriever(retrievers=[hangs, fails])
        await ensemble.ainvoke("q", {"callbacks": [log]})
    assert caught.value is error
    assert over == ["q"]
    assert log.names(RunCancelled) == ["Hangs"]


async def test_cancelled_it_has_ended_when_control_returns():
    begun, over, log = asyncio.Event(), [], Log()
    ensemble = EnsembleRetriever(
        retrievers=[Hangs(begun=begun, over=over), Hangs(begun=asyncio.Event(), over=over)]
    )
    task = asyncio.create_task(ensemble.ainvoke("q", {"callbacks": [log]}))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert over == ["q", "q"]
    assert log.names(RunCancelled) == ["Hangs", "Hangs", "EnsembleRetriever"]


def test_what_has_no_sync_body_says_so_before_anything_is_asked():
    async def only_async(query):
        return found(query)

    given = Given(texts="a")
    ensemble = EnsembleRetriever(retrievers=[given, only_async])
    with pytest.raises(HeadraceError, match="only_async"):
        ensemble.invoke("q")
    assert given.asked == []
    assert texts(asyncio.run(ensemble.ainvoke("q"))) == ["a", "q"]


# ---- events --------------------------------------------------------------------------------------


@every_colour
def test_each_is_a_run_below_with_its_documents(colour):
    ensemble = EnsembleRetriever(
        retrievers=[Given(texts="ab"), Given(texts="b").with_config(run_name="other")]
    )

    def body(doors):
        log = Log()
        doors.invoke(ensemble, "q", {"callbacks": [log], "run_name": "Docs", "tags": ["t"]})
        first, *below = log.of(RunStarted)
        assert (first.run.name, first.run.run_type, first.input) == ("Docs", "retriever", "q")
        shown = {(e.run.name, e.run.run_type, e.run.tag, e.input) for e in below}
        assert shown == {
            ("Given", "retriever", "retriever_1", "q"),
            ("other", "retriever", "retriever_2", "q"),
        }
        assert all(each.run.parent_ids == [first.run.id] for each in below)
        assert all("t" in each.run.all_tags for each in below)
        ends = {each.run.name: texts(each.output) for each in log.of(RunEnded)}
        assert ends == {"Given": ["a", "b"], "other": ["b"], "Docs": ["b", "a"]}
        assert log.names(RunEnded)[-1] == "Docs"

    colour.run(body)


async def test_event_dicts_have_the_documents():
    ensemble = EnsembleRetriever(retrievers=[Given(texts="ab")])
    events = [each async for each in ensemble.astream_events("q")]
    assert [(e["event"], e["name"]) for e in events] == [
        ("on_retriever_start", "EnsembleRetriever"),
        ("on_retriever_start", "Given"),
        ("on_retriever_end", "Given"),
        ("on_retriever_end", "EnsembleRetriever"),
    ]
    assert texts(events[2]["data"]["output"]) == texts(events[3]["data"]["output"]) == ["a", "b"]
    assert events[1]["tags"] == ["retriever_1"]
