"""Tools that are generator functions: what they yield is told as it comes, what they end with is
the result; in every colour, in every view, and closed for real."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, closing
from contextvars import ContextVar, copy_context
from functools import partial
from typing import Annotated, Any

import pytest

from headrace import _async, _sync
from headrace.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from headrace.errors import AsyncOnlyError
from headrace.events import RunCancelled, RunChunk, RunEnded, RunFailed, RunStarted, ToolProgress
from headrace.flow import Once
from headrace.messages import ToolMessage
from headrace.run import BARE, Run, begin
from headrace.runnables import RunnableConfig, RunnableLambda, RunnablePassthrough
from headrace.tools import (
    BaseTool,
    InjectedToolCallId,
    Progress,
    StructuredTool,
    Tool,
    ToolException,
    tool,
)
from headrace.views.codec import from_json, to_json
from headrace.views.subscription import Hold
from laws.colours import ASYNC, SYNC, both_drivers, every_colour
from laws.events import check_events
from laws.ledger import LEDGER, Recorder

PLACE: ContextVar[str] = ContextVar("PLACE", default="nowhere")
CALL = {"type": "tool_call", "id": "c1", "name": "count", "args": {"n": 2}}


def returns(n: int) -> Iterator[Any]:
    """Count, and say so."""
    with LEDGER.body("returns"):
        yield from range(n)
        return "counted"


def lasts(n: int) -> Iterator[Any]:
    """Count."""
    with LEDGER.body("lasts"):
        yield from range(n)


def falsy(n: int) -> Iterator[Any]:
    """A result that is false is a result."""
    yield n
    return 0


def silent(n: int) -> Iterator[Any]:
    """Yield nothing."""
    if n < 0:
        yield n


def only_returns(n: int) -> Iterator[Any]:
    """Yield nothing, and return."""
    if n < 0:
        yield n
    return "r"


async def alasts(n: int) -> AsyncIterator[Any]:
    """Count."""
    with LEDGER.body("alasts"):
        for number in range(n):
            await asyncio.sleep(0)
            yield number


async def asilent(n: int) -> AsyncIterator[Any]:
    """Yield nothing."""
    if n < 0:
        yield n


class Counting(BaseTool):
    name: str = "count"
    description: str = "Count."

    def _run(self, n: int, run_manager: Any = None) -> Any:
        assert run_manager is not None
        yield from range(n)
        return "counted"


class ACounting(BaseTool):
    name: str = "count"
    description: str = "Count."

    async def _arun(self, n: int, run_manager: Any = None) -> Any:
        assert run_manager is not None
        for number in range(n):
            yield number


class Caller:
    """An object that is called."""

    def __call__(self, n: int) -> Iterator[Any]:
        """Count."""
        yield from range(n)


class ACaller:
    """The same, async."""

    async def __call__(self, n: int) -> AsyncIterator[Any]:
        """Count."""
        for number in range(n):
            yield number


MADE: list[tuple[str, Any, list[Any], Any]] = [
    ("returned", lambda: tool(returns), [0, 1], "counted"),
    ("last", lambda: tool(lasts), [0, 1], 1),
    ("false", lambda: tool(falsy), [2], 0),
    ("nothing", lambda: tool(silent), [], None),
    ("returned alone", lambda: tool(only_returns), [], "r"),
    ("class", Counting, [0, 1], "counted"),
    ("object", lambda: tool("count", description="Count.")(Caller()), [0, 1], 1),
    ("partial", lambda: tool("count", description="Count.")(partial(lasts)), [0, 1], 1),
    ("structured", lambda: StructuredTool.from_function(lasts), [0, 1], 1),
    ("one argument", lambda: Tool("count", lasts, "Count."), [0, 1], 1),
    ("both", lambda: StructuredTool.from_function(lasts, alasts), [0, 1], 1),
    ("timed", lambda: tool(timeout=60)(lasts), [0, 1], 1),
]
MADE_ASYNC: list[tuple[str, Any, list[Any], Any]] = [
    ("async", lambda: tool(alasts), [0, 1], 1),
    ("async class", ACounting, [0, 1], 1),
    ("async nothing", lambda: tool(asilent), [], None),
    ("async object", lambda: tool("count", description="Count.")(ACaller()), [0, 1], 1),
    ("async structured", lambda: StructuredTool.from_function(coroutine=alasts), [0, 1], 1),
    ("async timed", lambda: tool(timeout=60)(alasts), [0, 1], 1),
]


def param(cases: list[tuple[str, Any, list[Any], Any]]) -> Any:
    values = [case[1:] for case in cases]
    return pytest.mark.parametrize(
        ("make", "told", "result"), values, ids=[case[0] for case in cases]
    )


# ---- results and events -------------------------------------------------------------------------


def told_by(doors: Any, made: Any, result: Any, progress: list[Any]) -> None:
    recorder = Recorder()
    assert doors.invoke(made, {"n": 2}) == result
    assert doors.invoke(made, {"n": 2}, recorder.config) == result
    check_events(recorder.events)
    kinds = [type(event) for event in recorder.events]
    assert kinds == [RunStarted, *[ToolProgress] * len(progress), RunEnded]
    seen = [event for event in recorder.events if isinstance(event, ToolProgress)]
    assert [(event.value, event.tool_call_id) for event in seen] == [(p, None) for p in progress]
    assert all(event.run is recorder.events[0].run for event in seen)


@every_colour
@param(MADE)
def test_what_it_yields_and_what_it_gives(colour, make, told, result):
    colour.run(lambda doors: told_by(doors, make(), result, told))


@param(MADE_ASYNC)
def test_what_an_async_one_yields_and_gives(make, told, result):
    ASYNC.run(lambda doors: told_by(doors, make(), result, told))


@pytest.mark.parametrize("make", [case[1] for case in MADE_ASYNC], ids=[c[0] for c in MADE_ASYNC])
def test_an_async_one_says_so_in_a_sync_run(make):
    def body(doors: Any) -> None:
        with pytest.raises(AsyncOnlyError) as caught:
            doors.invoke(make(), {"n": 2})
        assert "can only run async" in str(caught.value)

    SYNC.run(body)


@every_colour
def test_a_call_is_answered_by_a_message_and_its_progress_has_its_id(colour):
    def body(doors: Any) -> None:
        recorder = Recorder()
        answer = doors.invoke(tool("count")(returns), CALL, recorder.config)
        assert answer == ToolMessage("counted", name="count", tool_call_id="c1")
        told = [e.tool_call_id for e in recorder.events if isinstance(e, ToolProgress)]
        assert told == ["c1", "c1"]

    colour.run(body)


@every_colour
def test_in_a_chain_it_stays_a_barrier(colour):
    chain = RunnablePassthrough() | tool("count")(returns) | (lambda text: text + "!")

    def body(doors: Any) -> None:
        recorder = Recorder()
        assert doors.stream(chain, {"n": 2}) == ["counted!"]
        assert doors.stream(chain, {"n": 2}, recorder.config) == ["counted!"]
        check_events(recorder.events)
        assert [e.value for e in recorder.events if isinstance(e, ToolProgress)] == [0, 1]
        assert doors.stream(tool(returns), {"n": 2}) == ["counted"]

    colour.run(body)


@every_colour
def test_content_and_artifact(colour):
    @tool(response_format="content_and_artifact")
    def look(n: int) -> Iterator[Any]:
        """Look."""
        yield f"{n} to go"
        return f"{n} found", list(range(n))

    @tool(response_format="content_and_artifact")
    def wrong(n: int) -> Iterator[Any]:
        """Return no pair."""
        yield n

    def body(doors: Any) -> None:
        answer = doors.invoke(look, CALL)
        assert (answer.content, answer.artifact) == ("2 found", [0, 1])
        with pytest.raises(ValueError, match="return a tuple of two"):
            doors.invoke(wrong, CALL)

    colour.run(body)


@every_colour
def test_what_the_run_fills_in(colour):
    @tool
    def filled(
        n: int, config: RunnableConfig, call: Annotated[str, InjectedToolCallId]
    ) -> Iterator[Any]:
        """Take all."""
        yield config["tags"]
        yield call

    def body(doors: Any) -> None:
        recorder = Recorder()
        doors.invoke(filled, CALL, {**recorder.config, "tags": ["t"]})
        told = [e.value for e in recorder.events if isinstance(e, ToolProgress)]
        assert told == [["t"], "c1"]

    colour.run(body)


# ---- as it happens ------------------------------------------------------------------------------


@every_colour
def test_an_event_comes_before_the_body_goes_on(colour):
    """The body waits until its progress has been told: it would wait for ever."""
    heard = threading.Event()

    @tool
    def patient(n: int) -> Iterator[Any]:
        """Wait to be heard."""
        with LEDGER.body("patient"):
            for number in range(n):
                heard.clear()
                yield number
                assert heard.wait(5)

    def body(doors: Any) -> None:
        recorder = Recorder(lambda e: heard.set() if isinstance(e, ToolProgress) else None)
        assert doors.invoke(patient, {"n": 3}, recorder.config) == 2

    colour.run(body)


def test_an_async_one_goes_on_when_its_progress_has_been_told():
    order: list[Any] = []

    @tool
    async def count(n: int) -> AsyncIterator[Any]:
        """Count."""
        for number in range(n):
            order.append(("yields", number))
            yield number

    class Slow(AsyncCallbackHandler):
        async def on_tool_progress(self, value: Any, **kwargs: Any) -> None:
            await asyncio.sleep(0)
            order.append(("told", value))

    def body(doors: Any) -> None:
        doors.invoke(count, {"n": 2}, {"callbacks": [Slow()]})
        assert order == [("yields", 0), ("told", 0), ("yields", 1), ("told", 1)]

    ASYNC.run(body)


@every_colour
def test_a_hook_that_is_awaited_hears_of_it_before_the_body_goes_on(colour):
    heard = threading.Event()

    @tool
    def patient(n: int) -> Iterator[Any]:
        """Wait to be heard."""
        for number in range(n):
            heard.clear()
            yield number
            assert heard.wait(5)

    class Hears(AsyncCallbackHandler):
        async def on_tool_progress(self, value: Any, **kwargs: Any) -> None:
            await asyncio.sleep(0)
            heard.set()

    def body(doors: Any) -> None:
        assert doors.invoke(patient, {"n": 3}, {"callbacks": [Hears()]}) == 2

    colour.run(body)


@every_colour
def test_a_paused_reader_of_events_holds_it(colour, monkeypatch):
    """At the latest where as many events wait as a subscription keeps, and a thread's lead."""
    reached: list[int] = []
    held = Held(monkeypatch)

    @tool
    def endless(n: int) -> Iterator[Any]:
        """Count to a million."""
        with LEDGER.body("endless"):
            for number in range(10**6):
                reached.append(number)
                yield number

    def body(doors: Any) -> None:
        reached.clear()
        if doors.asynchronous:
            doors.wait(_first_of_many_async(endless, held))
        else:
            with closing(endless.stream_events({"n": 1})) as events:
                for _ in range(3):
                    next(events)
                assert held.in_thread.wait(5)
        assert len(reached) < 700

    colour.run(body)


class Held:
    """Knows when a run begins to wait for its reader."""

    def __init__(self, monkeypatch: Any) -> None:
        self.in_thread, self.in_loop = threading.Event(), asyncio.Event()
        wait, room = Hold.wait, Hold.room

        def waits(hold: Hold, run: Any) -> bool:
            self.in_thread.set()
            return wait(hold, run)

        async def awaits(hold: Hold, run: Any) -> bool:
            self.in_loop.set()
            return await room(hold, run)

        monkeypatch.setattr(Hold, "wait", waits)
        monkeypatch.setattr(Hold, "room", awaits)


async def _first_of_many_async(endless: Any, held: Held) -> None:
    async with aclosing(endless.astream_events({"n": 1})) as events:
        for _ in range(3):
            await anext(events)
        async with asyncio.timeout(5):
            await held.in_loop.wait()


# ---- views --------------------------------------------------------------------------------------


def events_of(doors: Any, runnable: Any, given: Any, **options: Any) -> list[Any]:
    if not doors.asynchronous:
        return list(runnable.stream_events(given, **options))

    async def collected() -> list[Any]:
        return [event async for event in runnable.astream_events(given, **options)]

    return doors.wait(collected())


@every_colour
def test_event_dicts(colour):
    count = tool("count")(returns)

    def body(doors: Any) -> None:
        events = events_of(doors, RunnableLambda(lambda _: CALL) | count, "x")
        own = [e for e in events if e["name"] == "count"]
        assert [e["event"] for e in own] == [
            "on_tool_start", "on_tool_progress", "on_tool_progress", "on_tool_end",
        ]  # fmt: skip
        assert [e["data"] for e in own[1:3]] == [
            {"chunk": 0, "tool_call_id": "c1"},
            {"chunk": 1, "tool_call_id": "c1"},
        ]
        shared = [{k: e[k] for k in ("run_id", "parent_ids", "tags", "metadata")} for e in own]
        assert all(each == shared[0] for each in shared)
        assert len(shared[0]["parent_ids"]) == 1
        alone = events_of(doors, count, {"n": 1})
        assert [(e["event"], e["data"]) for e in alone][1] == (
            "on_tool_progress", {"chunk": 0, "tool_call_id": None},
        )  # fmt: skip
        chain = RunnableLambda(lambda _: CALL) | count
        kept = events_of(doors, chain, "x", include_types=["tool"])
        assert [e["event"] for e in kept] == [e["event"] for e in own]
        without = events_of(doors, chain, "x", exclude_types=["tool"])
        assert not any("progress" in e["event"] for e in without)

    colour.run(body)


@every_colour
def test_logs(colour):
    count = tool("count")(returns)
    chain = RunnableLambda(lambda x: x) | count

    def last_of(doors: Any, runnable: Any) -> Any:
        if not doors.asynchronous:
            return list(runnable.stream_log(CALL, diff=False))[-1].state

        async def collected() -> Any:
            return [log async for log in runnable.astream_log(CALL, diff=False)][-1].state

        return doors.wait(collected())

    def body(doors: Any) -> None:
        state = last_of(doors, chain)
        assert state["logs"]["count"]["progress"] == [0, 1]
        assert "progress" not in state
        assert "progress" not in state["logs"]["RunnableLambda"]
        alone = last_of(doors, count)
        assert alone["progress"] == [0, 1]
        assert alone["final_output"].content == "counted"
        assert alone["streamed_output"] == [alone["final_output"]]

    colour.run(body)


@every_colour
def test_handlers(colour):
    class Some(BaseCallbackHandler):
        def __init__(self) -> None:
            self.told: list[Any] = []

        def on_tool_start(self, *args: Any, **kwargs: Any) -> None:
            self.told.append("start")

        def on_custom_event(self, *args: Any, **kwargs: Any) -> None:
            raise AssertionError("progress is no custom event")

    class Hears(Some):
        def on_tool_progress(self, value: Any, *, run_id: Any, **kwargs: Any) -> None:
            self.told.append((value, kwargs["tool_call_id"], kwargs["parent_run_id"]))
            assert run_id.version == 4

    class Deaf(Hears):
        ignore_agent = True

    def body(doors: Any) -> None:
        some, hears, deaf = Some(), Hears(), Deaf()
        doors.invoke(tool(returns), CALL, {"callbacks": [some, hears, deaf]})
        assert some.told == ["start"]
        assert hears.told == ["start", (0, "c1", None), (1, "c1", None)]
        assert deaf.told == []

    colour.run(body)


def test_events_as_json():
    recorder = Recorder()
    tool(returns).invoke(CALL, recorder.config)
    back = [from_json(to_json(event)) for event in recorder.events]
    assert [type(event) for event in back] == [type(event) for event in recorder.events]
    progress = [event for event in back if isinstance(event, ToolProgress)]
    assert [(event.value, event.tool_call_id) for event in progress] == [(0, "c1"), (1, "c1")]
    assert progress[0].kind == "progress"


# ---- threads, context, children -----------------------------------------------------------------


@every_colour
def test_a_sync_body_has_one_thread_and_one_context(colour):
    threads: list[int] = []
    inner = RunnableLambda(lambda x: x).with_config(run_name="inner")

    @tool
    def placed(n: int) -> Iterator[Any]:
        """Look where it is."""
        yield PLACE.get()
        for number in range(n):
            threads.append(threading.get_ident())
            PLACE.set(f"here {number}")
            yield inner.invoke(PLACE.get())
        return PLACE.get()

    def around_sync(config: Any) -> Any:
        PLACE.set("around")
        return placed.invoke({"n": 3}, config)

    async def around(config: Any) -> Any:
        PLACE.set("around")
        result = await placed.ainvoke({"n": 3}, config)
        assert PLACE.get() == "around"  # a thread has a copy
        return result

    def body(doors: Any) -> None:
        threads.clear()
        here, recorder = threading.get_ident(), Recorder()
        if doors.asynchronous:
            assert doors.wait(around(recorder.config)) == "here 2"
        else:
            result = copy_context().run(around_sync, recorder.config)
            assert result == "here 2"
        told = [e.value for e in recorder.events if isinstance(e, ToolProgress)]
        assert told == ["around", "here 0", "here 1", "here 2"]
        assert len(set(threads)) == 1
        assert (threads[0] == here) is not doors.asynchronous
        starts = [e.run for e in recorder.events if isinstance(e, RunStarted)]
        assert [run.path for run in starts] == ["placed", *["placed/inner"] * 3]
        check_events(recorder.events)

    colour.run(body)


def test_what_an_async_one_invokes_is_its_child():
    inner = RunnableLambda(lambda x: x).with_config(run_name="inner")

    @tool
    async def calling(n: int) -> AsyncIterator[Any]:
        """Call."""
        yield await inner.ainvoke(n)
        yield await inner.ainvoke(n + 1)

    def body(doors: Any) -> None:
        recorder = Recorder()
        assert doors.invoke(calling, {"n": 1}, recorder.config) == 2
        paths = [e.path for e in recorder.events if isinstance(e, RunStarted)]
        assert paths == ["calling", "calling/inner", "calling/inner"]
        check_events(recorder.events)

    ASYNC.run(body)


# ---- errors -------------------------------------------------------------------------------------


def failing(n: int) -> Iterator[Any]:
    """Fail."""
    with LEDGER.body("failing"):
        yield "begun"
        raise ToolException("no more", n)


async def afailing(n: int) -> AsyncIterator[Any]:
    """Fail."""
    with LEDGER.body("afailing"):
        yield "begun"
        raise ToolException("no more", n)


@every_colour
def test_an_error_is_as_of_any_tool(colour):
    made = StructuredTool.from_function(failing, afailing, name="failing")
    told = StructuredTool.from_function(failing, afailing, name="f", handle_tool_error=True)

    def body(doors: Any) -> None:
        recorder = Recorder()
        with pytest.raises(ToolException) as caught:
            doors.invoke(RunnablePassthrough() | made, {"n": 3}, recorder.config)
        assert caught.value.args == ("no more", 3)
        assert "failing" in "".join(caught.value.__notes__)
        check_events(recorder.events)
        failed = [e for e in recorder.events if isinstance(e, RunFailed)]
        assert [e.run.name for e in failed] == ["failing", "RunnableSequence"]
        assert all(e.error is caught.value for e in failed)
        answer = doors.invoke(told, CALL)
        assert (answer.content, answer.status) == ("no more", "error")

    colour.run(body)


@every_colour
def test_arguments_are_checked_before_the_body_begins(colour):
    begun: list[int] = []

    @tool(handle_validation_error=True)
    def count(n: int) -> Iterator[Any]:
        """Count."""
        begun.append(n)
        yield n

    def body(doors: Any) -> None:
        assert doors.invoke(count, {"n": "many"}) == "Tool input validation error"
        assert begun == []

    colour.run(body)


# ---- leaving ------------------------------------------------------------------------------------


def waits(n: int) -> Iterator[Any]:
    """Yield, and wait to be left."""
    with LEDGER.body("waits"):
        yield "begun"
        while True:
            yield "more"


async def awaits(n: int) -> AsyncIterator[Any]:
    """Yield, and wait to be left."""
    with LEDGER.body("awaits"):
        yield "begun"
        await asyncio.Event().wait()


@every_colour
def test_who_leaves_the_events_closes_it(colour):
    made = tool("waits")(waits)

    def body(doors: Any) -> None:
        if doors.asynchronous:
            doors.wait(_left(made))
            doors.wait(_left(tool("awaits")(awaits)))
        else:
            with closing(made.stream_events({"n": 1})) as events:
                assert [next(events)["event"] for _ in range(2)][-1] == "on_tool_progress"
                assert LEDGER.still_open
        assert not LEDGER.still_open, "its finally had not run when control came back"

    colour.run(body)


async def _left(made: Any) -> None:
    async with aclosing(made.astream_events({"n": 1})) as events:
        assert [(await anext(events))["event"] for _ in range(2)][-1] == "on_tool_progress"
        assert LEDGER.still_open
    assert not LEDGER.still_open, "its finally had not run when control came back"


@pytest.mark.parametrize("function", [waits, awaits], ids=["thread", "async"])
def test_cancelling_closes_it(function):
    made, recorder = tool(function), Recorder()

    async def cancelled() -> None:
        begun = asyncio.Event()
        loop = asyncio.get_running_loop()
        told = Recorder(lambda e: isinstance(e, ToolProgress) and loop.call_soon(begun.set))
        config = {"callbacks": [told, recorder]}
        task = asyncio.create_task(made.ainvoke({"n": 1}, config))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not LEDGER.still_open, "its finally had not run when control came back"

    ASYNC.run(lambda doors: doors.wait(cancelled()))
    assert isinstance(recorder.events[-1], RunCancelled)
    check_events(recorder.events)


@both_drivers
def test_an_observer_that_raises_closes_it(colour):
    class Strict(BaseCallbackHandler):
        raise_error = True

        def on_tool_progress(self, value: Any, **kwargs: Any) -> None:
            raise ArithmeticError(value)

    def body(doors: Any) -> None:
        for function in (waits, awaits) if doors.asynchronous else (waits,):
            with pytest.raises(ArithmeticError):
                doors.invoke(tool(function), {"n": 1}, {"callbacks": [Strict()]})
            assert not LEDGER.still_open

    colour.run(body)


# ---- the door for agents ------------------------------------------------------------------------


def opened(doors: Any, made: BaseTool, given: Any, run: Run) -> list[Any]:
    if not doors.asynchronous:
        stream = _sync.open_step(made.reporting(), Once(given), run)
        chunks = list(stream)
        _sync.close_streams(run)
        return chunks

    async def collected() -> list[Any]:
        stream = _async.open_step(made.reporting(), Once(given), run)
        chunks = [chunk async for chunk in stream]
        await _async.close_streams(run)
        return chunks

    return doors.wait(collected())


class Doubler(BaseTool):
    """A user's own `invoke`."""

    name: str = "doubler"
    description: str = "Double."

    def _run(self, n: int) -> int:
        return n

    def invoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:
        return input["args"]["n"] * 2


@every_colour
def test_reporting_hands_on_progress_and_the_answer_without_observers(colour):
    def plain(n: int) -> int:
        """Itself."""
        return n

    def body(doors: Any) -> None:
        chunks = opened(doors, tool("count")(returns), CALL, Run(BARE, []))
        message = ToolMessage("counted", name="count", tool_call_id="c1")
        assert chunks == [Progress(0, "c1"), Progress(1, "c1"), message]
        (only,) = opened(doors, tool(plain), CALL, Run(BARE, []))
        assert only.content == "2"
        assert opened(doors, Doubler(), CALL, Run(BARE, [])) == [4]

    colour.run(body)


@every_colour
def test_reporting_is_observed_as_the_tool_itself(colour):
    class Kept(BaseCallbackHandler):
        def __init__(self) -> None:
            self.told: list[Any] = []

        def on_tool_start(self, serialized: Any, input_str: str, **kwargs: Any) -> None:
            self.told.append((serialized, input_str, kwargs["name"], kwargs["tags"]))

        def on_tool_progress(self, value: Any, **kwargs: Any) -> None:
            self.told.append(value)

        def on_tool_end(self, output: Any, **kwargs: Any) -> None:
            self.told.append(output)

    made = StructuredTool.from_function(returns, name="count", tags=["mine"], metadata={"a": 1})

    def seen(events: list[Any]) -> list[Any]:
        return [
            (type(e), e.run.name, e.run.run_type, e.run.all_tags, e.run.metadata)
            for e in events
            if e.run.name == "count" and not isinstance(e, RunChunk)
        ]

    def body(doors: Any) -> None:
        plain, kept, through, kept_too = Recorder(), Kept(), Recorder(), Kept()
        doors.invoke(made, CALL, {"callbacks": [plain, kept]})
        run = begin(RunnablePassthrough(), {"callbacks": [through, kept_too]})
        opened(doors, made, CALL, run)
        assert seen(through.events) == seen(plain.events)
        assert kept_too.told == kept.told
        assert not any(isinstance(e, RunChunk) for e in through.events)
        assert through.events[-1].output == plain.events[-1].output

    colour.run(body)


@both_drivers
def test_reporting_that_is_left_closes_the_body(colour):
    made = tool("waits")(waits)

    def body(doors: Any) -> None:
        run = Run(BARE, [])
        if doors.asynchronous:
            doors.wait(_reporting_left(made, run))
        else:
            stream = _sync.open_step(made.reporting(), Once({"n": 1}), run)
            assert next(stream) == Progress("begun", None)
            assert LEDGER.still_open
            _sync.close_streams(run)
        assert not LEDGER.still_open

    colour.run(body)


async def _reporting_left(made: Any, run: Run) -> None:
    stream = _async.open_step(made.reporting(), Once({"n": 1}), run)
    assert await anext(stream) == Progress("begun", None)
    assert LEDGER.still_open
    await _async.close_streams(run)
    assert not LEDGER.still_open
