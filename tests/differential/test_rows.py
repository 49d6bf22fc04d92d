"""Rows of docs/differences.md about callbacks, parsers and what is chosen per call: a program for
each, run in both libraries, that shows both behaviours.

The key of each must be the anchor of a row, which gives the reason. tests/laws/test_differences.py
has the programs about streams.
"""

from __future__ import annotations

import asyncio
import importlib
import re
import threading
import warnings
from contextlib import suppress
from contextvars import ContextVar
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from laws.both import outcome
from laws.test_differences import Difference, _matches, _raises

NAMES = {
    "runnables": """ConfigurableField Runnable RouterRunnable RunnableBranch RunnableGenerator
        RunnableLambda RunnablePassthrough""",
    "callbacks": "AsyncCallbackHandler BaseCallbackHandler CallbackManager dispatch_custom_event",
    "language_models": "FakeListChatModel",
    "messages": "AIMessageChunk",
    "output_parsers": "CommaSeparatedListOutputParser JsonOutputParser StrOutputParser",
    "prompts": "PromptTemplate",
    "chat_history": "InMemoryChatMessageHistory",
    "runnables.history": "RunnableWithMessageHistory",
    "tracers": "BaseTracer",
}


@cache
def libraries() -> tuple[Any, Any]:
    """langchain-core, Headrace."""
    return _library("langchain_core"), _library("headrace")


def _library(package: str) -> Any:
    found: dict[str, Any] = {}
    for module, names in NAMES.items():
        imported = importlib.import_module(f"{package}.{module}")
        found.update({name: getattr(imported, name) for name in names.split()})
    return SimpleNamespace(**found)


# ---- callbacks ----------------------------------------------------------------------------------


def told(m: Any) -> tuple[list[list[Any]], Any]:
    """What a handler is told of chains and models, and the handler."""
    calls: list[list[Any]] = []

    class Handler(m.BaseCallbackHandler):  # type: ignore[misc, name-defined]
        def on_chain_start(self, serialized: Any, inputs: Any, **kwargs: Any) -> None:
            calls.append(["start", inputs])

        def on_chain_end(self, outputs: Any, **kwargs: Any) -> None:
            calls.append(["end", outputs])

        def on_chain_error(self, error: Any, **kwargs: Any) -> None:
            calls.append(["error", type(error).__name__])

        def on_chat_model_start(self, serialized: Any, messages: Any, **kwargs: Any) -> None:
            calls.append(["model", sorted(serialized)])

        def on_llm_error(self, error: Any, **kwargs: Any) -> None:
            calls.append(["model error", type(error).__name__])

    return calls, Handler()


def letters(text: str) -> Any:
    yield from text


def word(chunks: Any) -> Any:
    yield "a"
    yield "b"


def closed(m: Any, runnable: Any) -> list[list[Any]]:
    """What is told behind the start of a run that is closed after its first chunk."""
    calls, handler = told(m)
    stream = runnable.stream("x", {"callbacks": [handler]})
    next(stream)
    stream.close()
    return calls[1:]


def cancelled(m: Any) -> list[list[Any]]:
    calls, handler = told(m)

    async def main() -> None:
        begun = asyncio.Event()

        async def wait(value: Any) -> None:
            begun.set()
            await asyncio.Event().wait()

        call = m.RunnableLambda(wait).ainvoke("x", {"callbacks": [handler]})
        task = asyncio.create_task(call)
        await begun.wait()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(main())
    return calls[1:]


def left_listener(m: Any) -> list[str]:
    calls: list[str] = []
    step = m.RunnableGenerator(word).with_listeners(
        on_end=lambda run: calls.append("end"), on_error=lambda run: calls.append("error")
    )
    stream = step.stream("x")
    next(stream)
    stream.close()
    return calls


def runs_heard(m: Any) -> int:
    calls, handler = told(m)
    manager = m.CallbackManager(handlers=[])
    manager.add_handler(handler, inherit=False)
    (m.RunnableLambda(str) | m.RunnableLambda(str)).invoke("x", {"callbacks": manager})
    return [name for name, _ in calls].count("start")


def streamed_input(m: Any) -> Any:
    calls, handler = told(m)
    list(m.RunnableLambda(str).stream("x", {"callbacks": [handler]}))
    list(m.RunnableLambda(str).transform(iter(["x"]), {"callbacks": [handler]}))
    return [inputs for name, inputs in calls if name == "start"]


def collected(m: Any, runnable: Any) -> Any:
    runs: list[Any] = []

    class Tracer(m.BaseTracer):  # type: ignore[misc, name-defined]
        def _persist_run(self, run: Any) -> None:
            runs.append(run)

    runnable.invoke("x", {"callbacks": [Tracer()]})
    return runs[0]


def serialized_of(m: Any) -> Any:
    run = collected(m, m.PromptTemplate.from_template("{x}") | m.FakeListChatModel(responses=["a"]))
    return [child.serialized and sorted(child.serialized) for child in run.child_runs]


def traced_message(m: Any) -> str:
    run = collected(m, m.FakeListChatModel(responses=["a"]))
    return type(run.outputs["generations"][0][0]["message"]).__name__


def hook_is_in_the_callers_thread(m: Any, inside_loop: bool) -> bool:
    seen: list[threading.Thread] = []

    class Handler(m.AsyncCallbackHandler):  # type: ignore[misc, name-defined]
        async def on_chain_start(self, *args: Any, **kwargs: Any) -> None:
            seen.append(threading.current_thread())

    def call() -> None:
        m.RunnableLambda(str).invoke("x", {"callbacks": [Handler()]})

    async def main() -> None:
        call()

    if inside_loop:
        asyncio.run(main())
    else:
        call()
    return seen == [threading.current_thread()]


# ---- parsers, sums, choices ---------------------------------------------------------------------


def usage(m: Any) -> Any:
    def chunk(tokens: float) -> Any:
        numbers = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
        details = {"input_token_details": {"priced": tokens}}
        return m.AIMessageChunk(content="", usage_metadata={**numbers, **details})

    return (chunk(1.5) + chunk(1.5)).usage_metadata["input_token_details"]


def elements(m: Any, text: str) -> Any:
    return list(m.CommaSeparatedListOutputParser().transform(iter([text])))


def after_a_branch(m: Any) -> Any:
    def speak(chunks: Any) -> Any:
        yield from ["[1,", "2]"]

    growing = m.RunnableGenerator(speak) | m.JsonOutputParser()
    branch = m.RunnableBranch((lambda text: True, growing), m.RunnablePassthrough())
    return list((branch | (lambda value: value)).stream("x"))


def unknown_choice(m: Any) -> Any:
    """Steps that ran before the one whose choice is unknown."""
    ran: list[str] = []
    model = m.FakeListChatModel(responses=["a"])
    step = model.configurable_alternatives(m.ConfigurableField(id="which"), other=model)
    with pytest.raises(ValueError, match="nobody"):
        (m.RunnableLambda(ran.append) | step).invoke("x", {"configurable": {"which": "nobody"}})
    return ran


def routed(m: Any) -> Any:
    names: list[str] = []

    class Handler(m.BaseCallbackHandler):  # type: ignore[misc, name-defined]
        def on_chain_start(self, *args: Any, name: str, **kwargs: Any) -> None:
            names.append(name)

    router = m.RouterRunnable({"word": m.RunnableGenerator(word)})
    router.invoke({"key": "word", "input": "x"}, {"callbacks": [Handler()]})
    return names


def failing_store(m: Any) -> Any:
    class Full(m.InMemoryChatMessageHistory):  # type: ignore[misc, name-defined]
        def add_messages(self, messages: Any) -> None:
            raise OSError("the disk is full")

    chain = m.RunnableWithMessageHistory(m.RunnableLambda(lambda past: "hi"), lambda: Full())
    return chain.invoke("x")


def left_conversation(m: Any) -> Any:
    history = m.InMemoryChatMessageHistory()
    chain = m.RunnableWithMessageHistory(m.RunnableGenerator(word), lambda: history)
    stream = chain.stream("x")
    next(stream)
    stream.close()
    return [message.content for message in history.messages]


def outside(m: Any) -> Any:
    """The categories of the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        m.dispatch_custom_event("x", 1)
    return [one.category.__name__ for one in caught]


def retries_told(m: Any) -> Any:
    attempts: list[int] = []

    class Handler(m.BaseCallbackHandler):  # type: ignore[misc, name-defined]
        def on_retry(self, retry_state: Any, **kwargs: Any) -> None:
            attempts.append(retry_state.attempt_number)

    def fails_once(value: Any) -> Any:
        failed.append(value)
        if len(failed) == 1:
            raise OSError("busy")
        return value

    failed: list[Any] = []
    step = m.RunnableLambda(fails_once).with_retry(wait_exponential_jitter=False)
    step.invoke("x", {"callbacks": [Handler()]})
    return attempts


def set_by_a_hook(m: Any) -> Any:
    """What a step finds in the context that an async hook has changed."""
    mark: ContextVar[str] = ContextVar("mark", default="untouched")

    class Handler(m.AsyncCallbackHandler):  # type: ignore[misc, name-defined]
        async def on_chain_start(self, *args: Any, **kwargs: Any) -> None:
            mark.set("touched")

    async def look(value: Any) -> str:
        return mark.get()

    return asyncio.run(m.RunnableLambda(look).ainvoke("x", {"callbacks": [Handler()]}))


LEFT = [["error", "RunCancelledError"]]
DIFFERENCES = [
    Difference("hooks-left", lambda m: closed(m, m.RunnableGenerator(word)), [["end", None]], LEFT),
    Difference(
        "hooks-left",
        lambda m: closed(m, m.FakeListChatModel(responses=["ab"])),
        [["model error", "GeneratorExit"]],
        [["model error", "RunCancelledError"]],
    ),
    Difference("hooks-left", cancelled, [["error", "CancelledError"]], LEFT),
    Difference("hooks-left", left_listener, ["end"], ["error"]),
    Difference("hooks-inherit", runs_heard, 1, 3),
    Difference("hooks-input", streamed_input, [{"input": ""}, {"input": ""}], ["x", {"input": ""}]),
    Difference(
        "hooks-serialized",
        serialized_of,
        [["id", "kwargs", "lc", "name", "type"], ["id", "lc", "name", "repr", "type"]],
        [None, ["id", "lc", "name", "type"]],
    ),
    Difference("tracer-messages", traced_message, "dict", "AIMessage"),
    Difference("hooks-colours", lambda m: hook_is_in_the_callers_thread(m, False), True, False),
    Difference("custom-outside", outside, _raises("RuntimeError"), ["NoRunWarning"]),
    Difference("hooks-retry", retries_told, [], [1]),
    Difference("hooks-inline", set_by_a_hook, "untouched", "touched"),
    Difference("usage-floats", usage, _raises("ValueError"), {"priced": 3.0}),
    Difference("comma-end", lambda m: elements(m, "a,"), [["a"]], [["a"], [""]]),
    Difference("comma-end", lambda m: elements(m, ""), [], [[]]),
    Difference("branch-folds", after_a_branch, [[1, 1, 2]], [[1, 2]]),
    Difference("unknown-choice", unknown_choice, ["x"], []),
    Difference("router-run", routed, ["word"], ["RouterRunnable", "word"]),
    Difference("history-fails", failing_store, "hi", _raises("OSError")),
    Difference("history-left", left_conversation, [], ["x", "a"]),
]


@pytest.mark.filterwarnings(
    "ignore:(RunnableWithMessageHistory|The class `InMemory):DeprecationWarning"
)
@pytest.mark.allows_leaks(reason="what langchain-core leaves open is what some of them show")
@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda d: f"{d.key}:{d.program.__name__}")
def test_a_difference_is_what_it_is_said_to_be(difference: Difference) -> None:
    theirs, ours = (outcome(partial(difference.program, m)) for m in libraries())
    assert _matches(ours, difference.ours), f"ours: {ours!r}"
    assert _matches(theirs, difference.theirs), f"theirs: {theirs!r}"


@pytest.mark.allows_leaks(reason="langchain-core leaves its thread")
def test_hooks_run_in_the_callers_thread_in_neither_library_inside_a_loop() -> None:
    for m in libraries():
        assert not hook_is_in_the_callers_thread(m, True)


def test_each_difference_has_its_row() -> None:
    page = Path(__file__).parents[2] / "docs" / "differences.md"
    rows = set(re.findall(r'^\| <a id="([\w-]+)">', page.read_text(encoding="utf-8"), re.MULTILINE))
    assert not {difference.key for difference in DIFFERENCES} - rows
