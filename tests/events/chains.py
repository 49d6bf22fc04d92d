"""Chains for both libraries, looked at through their event dicts.

A case makes a runnable from a namespace `m` (the names of either library) and says what it is run
with.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from events.pieces import (
    aadding,
    abang,
    adding,
    areporting,
    asks,
    bang,
    batching,
    breaks,
    called,
    calling,
    calling_tool,
    chained,
    chat,
    chosen,
    configured,
    documents,
    failing_tool,
    fails,
    flaky,
    fn,
    gathering,
    generating,
    is_short,
    letters,
    llm,
    lost,
    own_class,
    parser,
    picky,
    prompt,
    reporting,
    reporting_tool,
    retried,
    routed,
    spelled,
    talked,
    telling_llm,
    up,
    whole_model,
    words,
)


class Case(NamedTuple):
    """`make(m)`, what it is run with, and what may differ.

    `free`: events of different runs may interleave as they like (parallel branches; a step that
    ends while the next one works), so they are compared run by run.
    `rows`: anchors in docs/differences.md; the events differ for these reasons.
    `waits`: has a step that is async only, so that it cannot be streamed by a sync door.
    """

    make: Callable[[Any], Any]
    input: Any
    config: Mapping[str, Any] | None = None
    free: bool = False
    rows: tuple[str, ...] = ()
    waits: bool = False


# ---- the chains ----------------------------------------------------------------------------------

MODELS = {
    "model": Case(chat, "hi"),
    "model of letters": Case(spelled, [("human", "hi")]),
    "model that does not stream": Case(whole_model, "hi"),
    "model bound and named": Case(
        lambda m: (
            chat(m).bind(stop=["."]).with_config(run_name="named", tags=["mine"], metadata={"a": 1})
        ),
        "hi",
    ),
    "model with its own tags": Case(lambda m: chat(m, tags=["own"], metadata={"o": 1}), "hi"),
    "model | parser": Case(lambda m: chat(m) | parser(m), "hi"),
    "model that does not stream | parser": Case(lambda m: whole_model(m) | parser(m), "hi"),
    "prompt | model | parser": Case(lambda m: prompt(m) | chat(m) | parser(m), {"q": "hi"}),
    "prompt | model | json": Case(
        lambda m: prompt(m) | chat(m, '{"a": [1, 2]}') | m.JsonOutputParser(), {"q": "hi"}
    ),
    "prompt | model | list": Case(
        lambda m: prompt(m) | chat(m, "a, b, c") | m.CommaSeparatedListOutputParser(), {"q": "hi"}
    ),
    "prompt | model | whole parser": Case(lambda m: prompt(m) | chat(m) | words(m), {"q": "hi"}),
    "prompt | model | lambda": Case(
        lambda m: prompt(m) | chat(m) | fn(m, lambda message: message.content, "text"), {"q": "hi"}
    ),
    "text model": Case(llm, "hi"),
    "prompt | text model": Case(
        lambda m: m.PromptTemplate.from_template("{q}?") | llm(m), {"q": "hi"}
    ),
    "text model that streams": Case(
        lambda m: m.FakeStreamingListLLM(responses=["abc"]), "hi", rows=("events-text-tokens",)
    ),
    "prompt | text model that streams": Case(
        lambda m: prompt(m) | m.FakeStreamingListLLM(responses=["abc"]),
        {"q": "hi"},
        rows=("events-text-tokens",),
    ),
    "text model that tells": Case(telling_llm, "hi"),
    "prompt | text model that tells": Case(lambda m: prompt(m) | telling_llm(m), {"q": "hi"}),
    "text model that tells, asked inside": Case(
        lambda m: fn(m, telling_llm(m).ainvoke, "outer"),
        "hi",
        rows=("events-text-tokens",),
        waits=True,
    ),
    "prompt": Case(prompt, {"q": "hi"}),
    "prompt after a lambda": Case(lambda m: fn(m, lambda t: {"q": t}, "q") | prompt(m), "hi"),
    "parser": Case(parser, "hi"),
}

STEPS = {
    "lambda": Case(lambda m: fn(m, up), "hi"),
    "three lambdas": Case(lambda m: fn(m, up, "1") | fn(m, bang, "2") | fn(m, up, "3"), "hi"),
    "async lambda": Case(lambda m: fn(m, abang) | fn(m, up), "hi", waits=True),
    "lambda that gives None": Case(lambda m: fn(m, lambda text: None, "none"), "hi"),
    "generator": Case(letters, "hi"),
    "generators": Case(lambda m: letters(m) | fn(m, up) | letters(m), "hi"),
    "generators in a row": Case(lambda m: letters(m) | letters(m), "hi"),
    "named chain": Case(
        lambda m: (fn(m, up) | fn(m, bang)).with_config(
            run_name="chain", tags=["mine"], metadata={"a": 1}
        ),
        "hi",
    ),
    "named steps": Case(
        lambda m: (
            fn(m, up).with_config(run_name="one", tags=["t1"])
            | fn(m, bang).with_config(run_name="two", metadata={"k": "v"})
        ),
        "hi",
        {"tags": ["root"], "metadata": {"r": 1}, "run_name": "all"},
    ),
    "bound with arguments": Case(
        lambda m: fn(m, up) | m.RunnableLambda(_suffixed).bind(suffix="?"), "hi"
    ),
    "passthrough": Case(lambda m: m.RunnablePassthrough(), "hi"),
    "passthrough in a row": Case(lambda m: letters(m) | m.RunnablePassthrough(), "hi"),
    "pick": Case(lambda m: m.RunnablePick("a"), {"a": 1, "b": 2}),
    "pick of a parallel": Case(
        lambda m: m.RunnableParallel(a=fn(m, up)).pick("a") | fn(m, bang), "hi"
    ),
    "nested sequences": Case(
        lambda m: (
            fn(m, up)
            | m.RunnablePassthrough()
            | (fn(m, bang) | fn(m, up)).with_config(run_name="inner")
        ),
        "hi",
    ),
    "retriever": Case(documents, "q"),
    "retriever | lambda": Case(
        lambda m: documents(m) | fn(m, lambda docs: docs[0].page_content, "first"), "q"
    ),
    "router": Case(routed, {"key": "up", "input": "hi"}, rows=("router-run",)),
    "configurable": Case(chosen, {"q": "hi"}, {"configurable": {"which": "long"}}),
    "configurable in a row": Case(
        lambda m: chosen(m) | chat(m), {"q": "hi"}, {"configurable": {"which": "long"}}
    ),
    "history": Case(
        talked, {"q": "hi"}, {"configurable": {"session_id": "s"}}, rows=("history-events",)
    ),
}


def _suffixed(text: str, suffix: str) -> str:
    return text + suffix


FANS = {
    "parallel": Case(lambda m: m.RunnableParallel(a=fn(m, up), b=letters(m)), "hi", free=True),
    "parallel in a row": Case(
        lambda m: fn(m, up) | {"a": fn(m, bang), "b": m.RunnablePassthrough()}, "hi", free=True
    ),
    "parallel of models": Case(
        lambda m: m.RunnableParallel(
            a=prompt(m) | chat(m), b=prompt(m) | chat(m, "bye now") | parser(m)
        ),
        {"q": "hi"},
        free=True,
    ),
    "nested parallel": Case(
        lambda m: m.RunnableParallel(a={"b": fn(m, up), "c": fn(m, bang)}, d=fn(m, up)),
        "hi",
        free=True,
    ),
    "assign": Case(
        lambda m: m.RunnablePassthrough.assign(n=fn(m, len, "n")), {"x": "a"}, free=True
    ),
    "assign after a prompt": Case(
        lambda m: m.RunnablePassthrough.assign(answer=prompt(m) | chat(m) | parser(m)).pick(
            "answer"
        ),
        {"q": "hi"},
        free=True,
    ),
    "each": Case(
        lambda m: fn(m, up) | fn(m, list, "list") | fn(m, bang).map(),
        "hi",
        free=True,
        rows=("each-streams",),
    ),
}

TOOLS = {
    "tool": Case(adding, {"a": 1, "b": 2}),
    "async tool": Case(aadding, {"a": 1, "b": 2}, waits=True),
    "tool call": Case(adding, called("add", a=1, b=2)),
    "lambda | tool | lambda": Case(
        lambda m: fn(m, lambda n: {"a": n, "b": n}, "args") | adding(m) | fn(m, str, "text"), 3
    ),
    "tool | lambda": Case(lambda m: adding(m) | fn(m, str, "text"), {"a": 1, "b": 2}),
    "tool that runs a chain": Case(calling_tool, {"text": "hi"}, waits=True),
    "tool that runs a chain, in a row": Case(
        lambda m: fn(m, up) | fn(m, lambda text: {"text": text}, "args") | calling_tool(m),
        "hi",
        waits=True,
    ),
    "tool fails": Case(failing_tool, {"a": 1}),
    "tool call fails": Case(failing_tool, called("fail", a=1)),
    "tool fails in a row": Case(lambda m: fn(m, lambda n: {"a": n}, "args") | failing_tool(m), 3),
    "tool called in a lambda": Case(
        lambda m: fn(m, lambda n: adding(m).invoke({"a": n, "b": n}), "outer"), 3
    ),
}

CHOICES = {
    "branch": Case(lambda m: m.RunnableBranch((fn(m, is_short), fn(m, up)), fn(m, bang)), "hi"),
    "branch default": Case(
        lambda m: m.RunnableBranch((fn(m, is_short), fn(m, up)), fn(m, bang)), "hello"
    ),
    "branch in a row": Case(
        lambda m: (
            fn(m, up) | m.RunnableBranch((fn(m, is_short), letters(m)), fn(m, bang)) | fn(m, bang)
        ),
        "hi",
        rows=("branch-transform",),
    ),
    "fallbacks not needed": Case(lambda m: fn(m, up).with_fallbacks([fn(m, bang)]), "hi"),
    "fallbacks": Case(lambda m: fn(m, fails).with_fallbacks([fn(m, bang)]), "hi"),
    "fallbacks of a model": Case(
        lambda m: (
            prompt(m) | spelled(m, error_on_chunk_number=0).with_fallbacks([chat(m)]) | parser(m)
        ),
        {"q": "hi"},
        rows=("fallbacks-transform",),
    ),
    "fallbacks after a chunk": Case(lambda m: breaks(m).with_fallbacks([fn(m, bang)]), "hi"),
    "fallbacks in vain": Case(lambda m: fn(m, fails).with_fallbacks([fn(m, fails, "again")]), "hi"),
    "retry": Case(lambda m: retried(m, fn(m, up)), "hi", rows=("events-retry",)),
    "retry in a row": Case(
        lambda m: fn(m, up) | retried(m, fn(m, bang)), "hi", rows=("events-retry",)
    ),
    "retry of a model": Case(
        lambda m: prompt(m) | retried(m, chat(m)), {"q": "hi"}, rows=("events-retry",)
    ),
    "retry that works": Case(lambda m: retried(m, flaky(m)), "hi", rows=("retry-streams",)),
}

CALLS = {
    f"lambda {how}": Case(lambda m, how=how: calling(m, how), "hi", waits=how[0] == "a")
    for how in (
        "invokes",
        "invokes_passed",
        "ainvokes",
        "ainvokes_passed",
        "astreams",
        "streams_passed",
        "returns",
    )
}
CALLS |= {
    f"lambda {how} a model": Case(lambda m, how=how: asks(m, how), "hi", waits=how[0] == "a")
    for how in ("invokes", "ainvokes", "astreams")
}
CALLS |= {
    "chain decorator": Case(chained, "hi", waits=True),
    "lambda calls in a row": Case(lambda m: calling(m, "ainvokes") | fn(m, bang), "hi", waits=True),
    "model asked inside a row": Case(
        lambda m: prompt(m) | asks(m, "ainvokes") | parser(m), {"q": "hi"}, waits=True
    ),
}

INSIDE = {
    "custom events": Case(reporting, "hi"),
    "custom events in a row": Case(
        lambda m: fn(m, up) | reporting(m) | fn(m, bang), "hi", rows=("events-custom-tags",)
    ),
    "custom events of an async function": Case(areporting, "hi", waits=True),
    "custom events in a tool": Case(reporting_tool, {"a": 1}, waits=True),
    "generator asks a model": Case(generating, "hi", waits=True),
    "gather": Case(gathering, "hi", waits=True, free=True),
    "batch inside": Case(batching, ["a", "b"], waits=True, free=True),
    "lambda returns a lambda": Case(
        lambda m: fn(m, lambda text: fn(m, lambda text: fn(m, bang), "second"), "first"), "hi"
    ),
    "lambda returns a model": Case(
        lambda m: fn(m, lambda text: chat(m), "first") | parser(m), "hi"
    ),
    "run ids": Case(
        lambda m: fn(m, up) | fn(m, bang), "hi", {"run_id": uuid.UUID(int=7), "run_name": "root"}
    ),
    "own class": Case(own_class, "hi", rows=("start-order",)),
    "own class in a row": Case(lambda m: fn(m, up) | own_class(m), "hi", rows=("start-order",)),
    "configured model": Case(configured, "hi"),
    "prompt | configured model | parser": Case(
        lambda m: prompt(m) | configured(m) | parser(m), {"q": "hi"}
    ),
    "bound parallel": Case(
        lambda m: m.RunnableParallel(a=fn(m, up), b=fn(m, bang)).with_config(
            run_name="both", tags=["t"], metadata={"k": 1}
        ),
        "hi",
        free=True,
    ),
    "listeners": Case(
        lambda m: fn(m, up).with_listeners(on_start=lambda run: None) | fn(m, bang), "hi"
    ),
    "types": Case(lambda m: fn(m, up).with_types(output_type=str) | fn(m, bang), "hi"),
}

FAILURES = {
    "prompt fails": Case(lambda m: prompt(m) | chat(m), {"wrong": "hi"}),
    "model fails at chunk 0": Case(
        lambda m: prompt(m) | spelled(m, error_on_chunk_number=0) | parser(m), {"q": "hi"}
    ),
    "model fails at chunk 1": Case(
        lambda m: prompt(m) | spelled(m, error_on_chunk_number=1) | parser(m), {"q": "hi"}
    ),
    "parser fails": Case(lambda m: prompt(m) | chat(m) | picky(m), {"q": "hi"}),
    "lambda fails": Case(lambda m: fn(m, up) | fn(m, fails) | fn(m, bang), "hi"),
    "lambda fails after a model": Case(lambda m: chat(m) | parser(m) | fn(m, fails), "hi"),
    "generator fails": Case(lambda m: letters(m) | breaks(m) | fn(m, bang), "hi"),
    "retriever fails": Case(lambda m: lost(m) | fn(m, bang), "q"),
    "called chain fails": Case(
        lambda m: fn(m, up) | m.RunnableLambda(lambda text: fn(m, fails, "inner")), "hi"
    ),
}

CASES: dict[str, Case] = MODELS | STEPS | FANS | TOOLS | CHOICES | CALLS | INSIDE | FAILURES
