"""The same programs on langchain-core and on Headrace, compared chunk by chunk.

A program is a function of a namespace `m` that has the names of either library. Where the two
differ on purpose, `EXPECTED` says by which row of docs/differences.md (see test_differences.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given

from laws.both import (
    WAYS,
    aexclaim,
    by_key,
    collect,
    fails,
    flaky,
    gen,
    libraries,
    outcome,
    spell,
    suffixed,
    upper,
    with_config,
)
from laws.effort import examples
from laws.kinds import texts
from laws.programs import PORTABLE_LEAVES, build, trees

TEXT = ["ab", "cd", "e"]
DICTS = [{"x": "ab"}, {"y": "cd"}]
LISTS = [["a", "b"], ["c"]]

# name: (program, the input in pieces)
PROGRAMS: dict[str, tuple[Callable[[Any], Any], list[Any]]] = {
    "lambda": (lambda m: m.RunnableLambda(str.upper), TEXT),
    "lambda both": (lambda m: m.RunnableLambda(lambda t: t + "!", aexclaim), TEXT),
    "lambda generator": (lambda m: m.RunnableLambda(spell), TEXT),
    "lambda returns a runnable": (lambda m: m.RunnableLambda(lambda t: gen(m)), TEXT),
    "lambda config": (
        lambda m: m.RunnableLambda(with_config).with_config(tags=["b", "a"], metadata={"k": 1}),
        TEXT,
    ),
    "lambda fails": (lambda m: m.RunnablePassthrough() | fails | gen(m), TEXT),
    "generator": (gen, TEXT),
    "generators in a row": (lambda m: gen(m) | m.RunnablePassthrough() | gen(m), TEXT),
    "generator to lambda": (lambda m: gen(m) | (lambda t: t[::-1]) | gen(m), TEXT),
    "generator coerced": (lambda m: m.RunnablePassthrough() | upper, TEXT),
    "passthrough": (lambda m: m.RunnablePassthrough(), TEXT),
    "passthrough func": (lambda m: m.RunnablePassthrough(lambda t: None), TEXT),
    "parallel": (lambda m: m.RunnableParallel(a=gen(m), b=lambda t: t + "!"), TEXT),
    "parallel of dict": (lambda m: m.RunnablePassthrough() | {"a": gen(m), "b": spell}, TEXT),
    "parallel nested": (
        lambda m: m.RunnableParallel(p={"a": gen(m), "b": str.upper}, q=m.RunnablePassthrough()),
        TEXT,
    ),
    "parallel then pick": (lambda m: m.RunnableParallel(a=gen(m), b=gen(m)).pick("a"), TEXT),
    "parallel then pick many": (
        lambda m: m.RunnableParallel(a=gen(m), b=gen(m), c=gen(m)).pick(["a", "c"]),
        TEXT,
    ),
    "parallel to lambda": (lambda m: m.RunnableParallel(a=gen(m), b=gen(m)) | sorted, TEXT),
    "dict first": (lambda m: {"a": gen(m), "b": spell} | m.RunnableLambda(lambda d: d["a"]), TEXT),
    "pick": (lambda m: m.RunnablePick("x"), DICTS),
    "pick many": (lambda m: m.RunnablePick(["y", "x"]), DICTS),
    "pick missing": (lambda m: m.RunnablePassthrough() | m.RunnablePick("z"), DICTS),
    "assign": (
        lambda m: m.RunnablePassthrough.assign(z=lambda d: d["x"] + d.get("y", "")),
        DICTS,
    ),
    "assign streams": (
        lambda m: m.RunnablePassthrough.assign(z=m.RunnablePick("x") | gen(m)),
        DICTS,
    ),
    "assign over": (lambda m: m.RunnablePassthrough.assign(x=lambda d: d["x"] * 2), DICTS),
    "assign of parallel": (
        lambda m: m.RunnableParallel(a=gen(m)).assign(b=lambda d: d["a"][::-1]),
        TEXT,
    ),
    "each": (lambda m: m.RunnableLambda(str.upper).map() | (lambda items: items), LISTS),
    "each of generators": (lambda m: gen(m).map() | "".join, LISTS),
    "bind": (lambda m: m.RunnableLambda(suffixed).bind(suffix="#"), TEXT),
    "bind twice": (lambda m: m.RunnableLambda(suffixed).bind(suffix="1").bind(suffix="2"), TEXT),
    "with_config": (lambda m: gen(m).with_config(run_name="n", tags=["t"]), TEXT),
    "retry": (
        lambda m: (
            m.RunnableLambda(flaky()).with_retry(wait_exponential_jitter=False) | (lambda t: t)
        ),
        TEXT,
    ),
    "retry in vain": (
        lambda m: m.RunnableLambda(fails).with_retry(
            wait_exponential_jitter=False, stop_after_attempt=2
        ),
        TEXT,
    ),
    "fallbacks": (lambda m: m.RunnableLambda(fails).with_fallbacks([gen(m)]), TEXT),
    "branch": (
        lambda m: m.RunnableBranch((lambda t: "z" in t, gen(m)), m.RunnableLambda(str.title)),
        TEXT,
    ),
    "prompt": (lambda m: m.PromptTemplate.from_template("{x}-{y}"), [{"x": "1", "y": "2"}]),
    "chat prompt": (
        lambda m: m.ChatPromptTemplate.from_messages([("system", "be {x}"), ("human", "{y}")]),
        [{"x": "1", "y": "2"}],
    ),
    "chat model": (lambda m: m.FakeListChatModel(responses=["hello you", "x"]), TEXT),
    "generic chat model": (
        lambda m: m.GenericFakeChatModel(messages=iter(["hello big world"] * 3)),
        TEXT,
    ),
    "llm": (lambda m: m.FakeStreamingListLLM(responses=["hello", "x"]), TEXT),
    "prompt model parser": (
        lambda m: (
            m.ChatPromptTemplate.from_template("{x}")
            | m.FakeListChatModel(responses=["hello", "x"])
            | m.StrOutputParser()
        ),
        [{"x": "1"}],
    ),
    "json": (
        lambda m: (
            m.FakeListChatModel(responses=['{"a": [1, 23], "b": {"c": "d"}}'])
            | m.JsonOutputParser()
        ),
        TEXT,
    ),
    "json in a fence": (
        lambda m: (
            m.FakeListChatModel(responses=['text ```json\n{"a": "b c"}\n``` more'])
            | m.StrOutputParser()
            | m.JsonOutputParser()
        ),
        TEXT,
    ),
}
INTERLEAVING = {
    "parallel", "parallel of dict", "parallel nested", "parallel then pick many", "assign",
    "assign streams", "assign over", "assign of parallel",
}  # fmt: skip

# (program, way): the key of what makes them differ there
EXPECTED: dict[tuple[str, str], str] = {
    **{
        (program, way): "generator-in-async"
        for program in ("generator coerced", "parallel of dict", "dict first")
        for way in ("ainvoke", "astream", "atransform", "abatch")
    },
    **{("lambda generator", way): "generator-in-async" for way in ("astream", "atransform")},
    **{("retry", way): "retry-streams" for way in ("stream", "transform", "astream", "atransform")},
    **{("fallbacks", way): "fallbacks-transform" for way in ("transform", "atransform")},
}


@pytest.mark.allows_leaks(reason="langchain-core leaves tasks and generators; ours are looked at")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("program", PROGRAMS)
def test_both_give_the_same(program, way, nothing_left_running):
    make, pieces = PROGRAMS[program]
    other, this = libraries()
    ours = outcome(lambda: WAYS[way](make(this), pieces))
    assert not nothing_left_running.found
    theirs = outcome(lambda: WAYS[way](make(other), pieces))
    if (program, way) in EXPECTED:
        assert ours != theirs, "no difference any more: take it out of EXPECTED"
        return
    if program in INTERLEAVING and isinstance(theirs, list) and way not in ("batch", "abatch"):
        theirs, ours = by_key(theirs), by_key(ours)
    assert ours == theirs


def batches_of_a_step(m: Any) -> Any:
    """What a user's own `batch` is called with when the step stands in a chain."""
    seen: list[Any] = []

    class Batched(m.RunnableLambda):  # type: ignore[misc, name-defined]
        def batch(self, inputs: Any, config: Any = None, **kwargs: Any) -> Any:
            seen.append(list(inputs))
            return super().batch(inputs, config, **kwargs)

    (Batched(str.upper) | (lambda text: text)).batch(["a", "b"])
    return seen


def test_a_step_s_own_batch_is_used_by_both():
    theirs, ours = (batches_of_a_step(m) for m in libraries())
    assert ours == theirs == [["a", "b"]]


@examples(40)
@given(tree=trees(PORTABLE_LEAVES), text=texts)
def test_random_programs_stream_the_same_chunks(tree, text):
    theirs, ours = (build(tree, m) for m in libraries())
    assert list(ours.stream(text)) == list(theirs.stream(text))


@examples(15)
@given(tree=trees(PORTABLE_LEAVES, numbers=(1, 3)), text=texts)
def test_random_programs_stream_the_same_chunks_async(tree, text):
    """Leaves with odd numbers have a body for each colour, which theirs need."""
    theirs, ours = (build(tree, m) for m in libraries())
    assert asyncio.run(collect(ours.astream(text))) == asyncio.run(collect(theirs.astream(text)))
