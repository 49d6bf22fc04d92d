"""What a log tells, and when; filters, failures, leaving; `astream_log` and `stream_log` alike."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from itertools import pairwise
from typing import Any

import jsonpatch
import pytest

from headrace.errors import ConfigError
from headrace.language_models import FakeListChatModel, GenericFakeChatModel
from headrace.messages import AIMessage, AIMessageChunk
from headrace.output_parsers import JsonOutputParser, StrOutputParser
from headrace.prompts import ChatPromptTemplate
from headrace.runnables import RunnableGenerator, RunnableLambda, RunnableParallel
from headrace.tracers import RunLog, RunLogPatch
from headrace.views.log import LONG, STEP
from log.logged import alogged, logged, plain, refereed

both = pytest.mark.parametrize("logs", [alogged, logged], ids=["async", "sync"])


def chat(text: str) -> Any:
    return GenericFakeChatModel(messages=iter([AIMessage(text)] * 9))


def pieces(*chunks: Any) -> Any:
    """A runnable that gives these chunks, whatever comes in."""

    def stream(source: Iterator[Any]) -> Iterator[Any]:
        for _ in source:
            yield from chunks

    async def astream(source: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for _ in source:
            for chunk in chunks:
                yield chunk

    return RunnableGenerator(stream, astream, name="pieces")


def told(patches: list[Any]) -> list[str]:
    """Operations in short, `;` between patches."""
    return [" ".join(f"{op['op']} {op['path']}" for op in patch.ops) for patch in patches]


def totals(patches: list[Any]) -> list[Any]:
    """`final_output` after each patch that changes it, by the referee."""
    return [
        refereed(patches[: number + 1])["final_output"]
        for number, patch in enumerate(patches)
        if any(op["path"].startswith("/final_output") for op in patch.ops)
    ]


# ---- what is told --------------------------------------------------------------------------------


@both
def test_patch_by_patch(logs: Any) -> None:
    chain = ChatPromptTemplate.from_template("{q}") | chat("hi you") | StrOutputParser()
    patches, error = logs(chain, {"q": "x"})
    assert error is None
    assert all(type(patch) is RunLogPatch for patch in patches)
    model, parser = "/logs/GenericFakeChatModel", "/logs/StrOutputParser"
    token = f"add {model}/streamed_output_str/- add {model}/streamed_output/-"
    out = "add /streamed_output/- replace /final_output"
    assert told(patches) == [
        "replace ",
        "add /logs/ChatPromptTemplate",
        "add /logs/ChatPromptTemplate/final_output add /logs/ChatPromptTemplate/end_time",
        f"add {model}", token, f"add {parser}", f"add {parser}/streamed_output/-", out,
        token, f"add {parser}/streamed_output/-", out,
        token, f"add {parser}/streamed_output/-", out,
        f"add {model}/final_output add {model}/end_time",
        f"add {parser}/final_output add {parser}/end_time",
    ]  # fmt: skip
    state = refereed(patches)
    assert state["final_output"] == "hi you"
    assert state["streamed_output"] == ["hi", " ", "you"]
    assert state["logs"]["GenericFakeChatModel"]["streamed_output_str"] == ["hi", " ", "you"]
    assert state["logs"]["GenericFakeChatModel"]["type"] == "llm"
    assert [type(c) for c in state["logs"]["GenericFakeChatModel"]["streamed_output"]] == [
        AIMessageChunk
    ] * 3


@both
def test_without_diff_each_is_the_log_so_far(logs: Any) -> None:
    chain = chat("hi you") | StrOutputParser()
    seen, _ = logs(chain, "x", diff=False)
    assert all(type(log) is RunLog for log in seen)
    lengths = [len(log.ops) for log in seen]
    assert lengths == sorted(set(lengths)), "each has more than the one before"
    for log in reversed(seen):
        assert plain(log.state) == plain(refereed([log]))
    assert seen[-1].state["final_output"] == "hi you"


def test_what_a_consumer_does_with_a_log_is_not_in_the_next_ones() -> None:
    seen = pieces("a", "b").stream_log("x", diff=False)
    first = next(seen)
    first.state["name"] = "mine"
    more = first + RunLogPatch({"op": "add", "path": "/streamed_output/-", "value": "mine"})
    rest = list(seen)
    assert more.state["streamed_output"] == ["mine"]
    assert rest[-1].state["streamed_output"] == ["a", "b"]
    assert rest[-1].state["name"] == "pieces"
    assert len(rest[-1].ops) == 5


@both
def test_without_the_list_of_chunks(logs: Any) -> None:
    patches, _ = logs(pieces("a", "b"), "x", with_streamed_output_list=False)
    assert told(patches) == ["replace ", "replace /final_output", "replace /final_output"]
    assert refereed(patches)["streamed_output"] == []


@both
def test_keyword_arguments_go_to_the_runnable(logs: Any) -> None:
    def ended(text: str, end: str) -> str:
        return text + end

    patches, _ = logs(RunnableLambda(ended), "a", end="!")
    assert refereed(patches)["final_output"] == "a!"


@both
def test_names_in_paths_are_escaped(logs: Any) -> None:
    chain = RunnableLambda(str.upper, name="a/b~c") | RunnableLambda(str.lower)
    patches, _ = logs(chain, "X")
    assert told(patches)[1] == "add /logs/a~1b~0c"
    assert refereed(patches)["logs"]["a/b~c"]["streamed_output"] == ["X"]


@both
def test_each_run_has_a_key_of_its_own(logs: Any) -> None:
    names = ["f", "f:2", "f", "f", "f:2"]
    first, *rest = [RunnableLambda(str.upper, name=name) for name in names]
    chain: Any = first
    for step in rest:
        chain = chain | step
    state = refereed(logs(chain, "x")[0])
    assert {key: entry["name"] for key, entry in state["logs"].items()} == {
        "f": "f", "f:2": "f:2", "f:3": "f", "f:4": "f", "f:2:2": "f:2",
    }  # fmt: skip


# ---- what the chunks add up to -------------------------------------------------------------------


@both
@pytest.mark.parametrize(
    ("chunks", "ops", "expected"),
    [
        (["a", "b"], "replace /final_output", "ab"),
        ([["a"], ["b", "c"]], "add /final_output/1 add /final_output/2", ["a", "b", "c"]),
        ([{"a": 1}, {"b": 2}], "replace /final_output", {"b": 2}),
        ([None, "a"], "replace /final_output", "a"),
        ([1, 2], "replace /final_output", 3),
        (["a", 1], "replace /final_output", 1),
        ([(1,), (2,)], "replace /final_output", (1, 2)),
    ],
)
def test_sums(logs: Any, chunks: list[Any], ops: str, expected: Any) -> None:
    patches, _ = logs(pieces(*chunks), "x")
    assert told(patches)[-1] == f"add /streamed_output/- {ops}"
    assert refereed(patches)["final_output"] == expected
    assert refereed(patches)["streamed_output"] == chunks
    assert chunks == eval(repr(chunks)), "the chunks are as they were"
    state = jsonpatch.apply_patch(None, [op for patch in patches for op in patch.ops])
    assert state["streamed_output"] == chunks, "no value stands in two places that grow"
    assert state["final_output"] == expected


@both
def test_sums_by_key(logs: Any) -> None:
    chain = RunnableParallel(
        {"t": pieces("a", "b"), "l": pieces(["x"], ["y"]), "d/e": RunnableParallel(n=pieces("c"))}
    )
    patches, _ = logs(chain, "x")
    state = refereed(patches)
    assert state["final_output"] == {"t": "ab", "l": ["x", "y"], "d/e": {"n": "c"}}
    paths = {op["path"] for patch in patches for op in patch.ops}
    assert {path for path in paths if path.startswith("/final_output/")} <= {
        "/final_output/t", "/final_output/l", "/final_output/l/1", "/final_output/d~1e",
        "/final_output/d~1e/n",
    }  # fmt: skip
    assert len(totals(patches)) == 5


@both
def test_the_total_is_right_at_each_moment(logs: Any) -> None:
    assert totals(logs(pieces("ab", "c", "d"), "x")[0]) == ["ab", "abc", "abcd"]
    messages = totals(logs(chat("a b"), "x")[0])
    assert [message.content for message in messages] == ["a", "a ", "a b"]


@both
def test_partial_json_replaces_what_came_before(logs: Any) -> None:
    chain = FakeListChatModel(responses=['["a", ["b"]]']) | JsonOutputParser()
    patches, _ = logs(chain, "x")
    seen = totals(patches)
    assert seen[-1] == chain.invoke("x") == ["a", ["b"]]
    assert seen == refereed(patches)["streamed_output"]
    assert len(seen) > 3
    chunk, total = next(p for p in patches[::-1] if p.ops[0]["path"] == "/streamed_output/-").ops
    assert total["value"] is chunk["value"], "what is replaced as a whole is not copied"
    by_key = RunnableParallel(j=chain, t=pieces("x", "y"))
    patches, _ = logs(by_key, "x")
    assert refereed(patches)["final_output"] == by_key.invoke("x") == {"j": ["a", ["b"]], "t": "xy"}


class Lost(Exception):
    pass


def breaking(*chunks: Any) -> Any:
    def stream(source: Iterator[Any]) -> Iterator[Any]:
        yield from chunks
        raise Lost

    async def astream(source: AsyncIterator[Any]) -> AsyncIterator[Any]:
        for chunk in chunks:
            yield chunk
        raise Lost

    return RunnableGenerator(stream, astream)


@both
@pytest.mark.parametrize("make", [str, lambda text: AIMessageChunk(text)], ids=["text", "message"])
def test_what_came_of_a_long_text_is_told_before_the_failure(logs: Any, make: Any) -> None:
    chunks = [make("x" * 1000)] * 100
    patches, error = logs(breaking(*chunks), "x")
    assert type(error) is Lost
    state = refereed(patches)
    total = state["final_output"]
    assert len(getattr(total, "content", total)) == 100_000
    told = [op for patch in patches for op in patch.ops if op["path"] == "/final_output"]
    assert 33 < len(told) < 100


@both
def test_a_long_text_is_told_in_steps_and_whole_at_the_end(logs: Any) -> None:
    size = 100
    patches, _ = logs(pieces(*["x" * size] * 1000), "x")
    ops = [op for patch in patches for op in patch.ops]
    told_at = [len(op["value"]) for op in ops if op["path"] == "/final_output"]
    exact = [length for length in told_at if length <= LONG]
    assert exact == list(range(size, LONG + 1, size)), "short: each time"
    later = told_at[len(exact) :]
    assert len(later) > 10
    for one, other in pairwise(later[:-1]):
        assert one / STEP <= other - one <= one / STEP + 2 * size
    assert told_at[-1] == 1000 * size
    assert sum(told_at) < 2 * LONG * LONG / size + 2 * STEP * 1000 * size
    assert len(refereed(patches)["streamed_output"]) == 1000


# ---- filters -------------------------------------------------------------------------------------

CHAIN_NAMES = {"ChatPromptTemplate", "GenericFakeChatModel", "StrOutputParser"}


@both
@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({"include_names": ["StrOutputParser"]}, {"StrOutputParser"}),
        ({"include_types": ["llm"]}, {"GenericFakeChatModel"}),
        ({"include_types": ["chat_model"]}, {"GenericFakeChatModel"}),
        ({"exclude_types": ["llm", "prompt"]}, {"StrOutputParser"}),
        ({"exclude_names": ["StrOutputParser"]}, CHAIN_NAMES - {"StrOutputParser"}),
        ({"include_tags": ["mine"]}, {"StrOutputParser"}),
        ({"exclude_tags": ["mine"]}, CHAIN_NAMES - {"StrOutputParser"}),
        ({}, CHAIN_NAMES),
    ],
)
def test_filters_choose_the_entries_and_leave_the_root(
    logs: Any, chosen: dict[str, Any], expected: set[str]
) -> None:
    parser = StrOutputParser().with_config(tags=["mine"])
    chain = ChatPromptTemplate.from_template("{q}") | chat("hi you") | parser
    state = refereed(logs(chain, {"q": "x"}, **chosen)[0])
    assert set(state["logs"]) == expected
    assert all(entry["end_time"] for entry in state["logs"].values())
    assert state["final_output"] == "hi you"


def test_a_filter_is_no_string() -> None:
    step = RunnableLambda(str.upper)
    with pytest.raises(ConfigError, match="include_types is the string 'llm'"):
        step.stream_log("x", include_types="llm")
    with pytest.raises(ConfigError, match="exclude_names is the string"):
        step.astream_log("x", exclude_names="llm")


# ---- failing and leaving -------------------------------------------------------------------------


@both
@pytest.mark.parametrize("diff", [True, False])
def test_a_failure_comes_after_what_led_to_it(logs: Any, diff: bool) -> None:
    failure = ValueError("no")

    def fails(text: str) -> str:
        raise failure

    seen, error = logs(chat("hi you") | StrOutputParser() | fails, "x", diff=diff)
    assert error is failure
    state = refereed(seen if diff else seen[-1:])
    assert state["final_output"] is None
    assert state["logs"]["fails"]["final_output"] == {}
    assert state["logs"]["StrOutputParser"]["final_output"] == {"output": "hi you"}
    assert all(entry["end_time"] for entry in state["logs"].values())


class Endless:
    """A step that gives chunks until it is closed."""

    def __init__(self) -> None:
        self.given, self.closed = 0, False

    def stream(self, source: Iterator[Any]) -> Iterator[str]:
        try:
            for _ in source:
                while True:
                    self.given += 1
                    yield "x"
        finally:
            self.closed = True

    async def astream(self, source: AsyncIterator[Any]) -> AsyncIterator[str]:
        try:
            async for _ in source:
                while True:
                    self.given += 1
                    yield "x"
                    await asyncio.sleep(0)
        finally:
            self.closed = True

    def chain(self) -> Any:
        step = RunnableGenerator(self.stream, self.astream)
        return step | RunnableGenerator(lambda s: s, lambda s: s)


@pytest.mark.parametrize("diff", [True, False])
def test_leaving_ends_the_run(diff: bool) -> None:
    endless = Endless()
    seen = endless.chain().stream_log("x", diff=diff)
    for _ in range(10):
        next(seen)
    seen.close()
    assert endless.closed
    assert endless.given < 600


@pytest.mark.parametrize("diff", [True, False])
def test_leaving_ends_the_run_in_async(diff: bool) -> None:
    endless = Endless()

    async def main() -> None:
        seen = endless.chain().astream_log("x", diff=diff)
        for _ in range(10):
            await anext(seen)
        await seen.aclose()
        assert endless.closed
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
    assert endless.given < 600


@pytest.mark.parametrize("diff", [True, False])
def test_cancelling_ends_the_run(diff: bool) -> None:
    endless, under_way = Endless(), asyncio.Event()

    async def read() -> None:
        number = 0
        async with aclosing(endless.chain().astream_log("x", diff=diff)) as seen:
            async for _ in seen:
                number += 1
                if number == 20:
                    under_way.set()
                await asyncio.sleep(0)

    async def main() -> None:
        task = asyncio.create_task(read())
        await under_way.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert endless.closed
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_branches_in_threads_each_have_their_entries() -> None:
    branches = {f"k{number}": RunnableLambda(str.upper, name="f") for number in range(20)}
    for _ in range(5):
        state = refereed(logged(RunnableParallel(branches), "x")[0])
        assert len(state["logs"]) == 20
        assert set(state["logs"]) == {"f", *(f"f:{number}" for number in range(2, 21))}


def test_states_without_messages_are_json() -> None:
    seen, _ = logged(pieces("a", "b") | pieces("c", "d"), "x", diff=False)
    assert json.loads(json.dumps(seen[-1].state)) == seen[-1].state
