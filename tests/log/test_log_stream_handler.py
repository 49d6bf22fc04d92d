"""`LogStreamCallbackHandler`: the patches of `astream_log`, through a callback."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from headrace.errors import ConfigError
from headrace.language_models.fake import FakeListChatModel
from headrace.output_parsers import StrOutputParser
from headrace.runnables import RunnableLambda
from headrace.tracers import LogStreamCallbackHandler
from laws.colours import every_colour


def chain() -> Any:
    return FakeListChatModel(responses=["abc"]) | StrOutputParser()


def shape(patches: Any) -> list[tuple[str, str]]:
    return [(op["op"], op["path"]) for patch in patches for op in patch.ops]


def state(patches: Any) -> Any:
    first, *rest = patches
    log = first
    for patch in rest:
        log = log + patch
    return log.state


@every_colour
def test_an_invoked_model_streams_into_it(colour):
    def body(doors):
        handler = LogStreamCallbackHandler()
        assert doors.invoke(chain(), "x", {"callbacks": [handler]}) == "abc"
        patches = list(handler)
        assert state(patches)["logs"]["FakeListChatModel"]["streamed_output_str"] == ["a", "b", "c"]
        assert state(patches)["logs"]["FakeListChatModel"]["end_time"] is not None
        doors.invoke(chain(), "x", {"callbacks": [handler]})  # one run is what it keeps
        assert list(handler) == patches

    colour.run(body)


@every_colour
def test_a_stream_gives_it_what_the_log_gives(colour):
    def body(doors):
        handler = LogStreamCallbackHandler(exclude_types=["parser"])
        doors.stream(chain(), "x", {"callbacks": [handler]})
        assert "StrOutputParser" not in state(handler)["logs"]
        assert state(handler)["final_output"] == "abc"

    colour.run(body)
    wanted = shape(chain().stream_log("x", exclude_types=["parser"]))
    handler = LogStreamCallbackHandler(exclude_types=["parser"])
    list(chain().stream("x", {"callbacks": [handler]}))
    assert shape(handler) == wanted


@pytest.mark.parametrize("end", ["ends", "fails", "is cancelled"])
async def test_it_can_be_read_while_the_run_goes_on_until_it_is_over(end):
    handler, reached, go = LogStreamCallbackHandler(), asyncio.Event(), asyncio.Event()

    async def work(value: str) -> str:
        reached.set()
        await go.wait()
        if end == "fails":
            raise OSError("cut")
        return value

    seen: list[Any] = []

    async def read() -> None:
        async for patch in handler:
            seen.append(patch)  # noqa: PERF401 - it is looked at meanwhile

    reader = asyncio.create_task(read())
    run = asyncio.create_task(RunnableLambda(work).ainvoke("x", {"callbacks": [handler]}))
    await reached.wait()
    await asyncio.sleep(0)
    assert shape(seen) == [("replace", "")]
    assert not reader.done()
    go.set()
    if end == "is cancelled":
        run.cancel()
    await asyncio.wait([run])
    await asyncio.wait_for(reader, 5)
    assert seen == list(handler)
    assert run.cancelled() is (end == "is cancelled")
    if not run.cancelled():
        run.exception()


async def test_it_is_woken_from_other_threads():
    handler = LogStreamCallbackHandler()
    go = threading.Event()

    def work() -> None:
        go.wait(5)
        chain().invoke("x", {"callbacks": [handler]})

    thread = threading.Thread(target=work)
    thread.start()

    async def read() -> list[Any]:
        return [patch async for patch in handler]

    reader = asyncio.create_task(read())
    await asyncio.sleep(0)
    go.set()
    assert await asyncio.wait_for(reader, 5) == list(handler) != []
    thread.join()


def test_a_filter_that_is_no_list_is_refused():
    with pytest.raises(ConfigError):
        LogStreamCallbackHandler(include_names="x")  # type: ignore[arg-type]
