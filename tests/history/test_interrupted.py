"""A conversation left in the middle of an answer: the part is kept once, and marked."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from headrace.chat_history import InMemoryChatMessageHistory
from headrace.events import RunCancelled, RunEnded, RunStarted
from headrace.language_models import FakeListChatModel
from headrace.messages import AIMessage, AIMessageChunk, HumanMessage
from headrace.output_parsers import JsonOutputParser, StrOutputParser
from headrace.runnables import RunnableGenerator, RunnableLambda, RunnableWithMessageHistory
from laws.colours import every_colour, sync_colours
from laws.events import check_events
from laws.ledger import Recorder, Source

MARK = {"interrupted": True}


def with_history(answer: Any, history: Any, **keys: Any) -> Any:
    return RunnableWithMessageHistory(answer, lambda: history, **keys)


def letters(chunks: Any) -> Any:
    for _ in chunks:
        pass
    yield from "abc"


@every_colour
@pytest.mark.parametrize("observed", [False, True])
@pytest.mark.parametrize("taken", [1, 2])
def test_closed_in_the_middle(colour, observed, taken):
    def body(doors: Any) -> None:
        history, seen = InMemoryChatMessageHistory(), Recorder()
        chain = with_history(RunnableGenerator(letters), history)
        stream = doors.open(chain, "hi", seen.config if observed else None)
        for _ in range(taken):
            stream.next()
        stream.close()
        assert len(history.messages) == 2
        human, part = history.messages
        assert human == HumanMessage("hi")
        assert type(part) is AIMessage
        assert part.response_metadata == MARK
        # Sync what the consumer had; a thread may be some chunks ahead of an async consumer.
        assert part.content == "abc"[:taken]
        if observed:
            check_events(seen.events)
            last = [e for e in seen.events if e.run.name == "save_history"]
            assert [type(e) for e in last] == [RunStarted, RunEnded]
            assert isinstance(seen.events[-1], RunCancelled)

    colour.run(body)


@every_colour
def test_a_model_in_a_chain_keeps_its_id_and_metadata(colour):
    def body(doors: Any) -> None:
        history = InMemoryChatMessageHistory()
        chain = with_history(FakeListChatModel(responses=["a long answer"]), history)
        stream = doors.open(chain, "hi")
        first, second = stream.next(), stream.next()
        stream.close()
        part = history.messages[-1]
        assert (type(part), part.content) == (AIMessage, first.content + second.content)
        assert part.id == first.id
        assert part.response_metadata["interrupted"] is True

    colour.run(body)


@every_colour
def test_in_the_middle_of_a_longer_chain_and_of_a_transform(colour):
    def body(doors: Any) -> None:
        history = InMemoryChatMessageHistory()
        chain = with_history(FakeListChatModel(responses=["answer"]), history) | StrOutputParser()
        stream = doors.open_transform(chain, Source(["hello ", "you"]))
        assert [stream.next(), stream.next()] == ["a", "n"]
        stream.close()
        assert [m.content for m in history.messages] == ["hello you", "an"]
        assert history.messages[1].response_metadata["interrupted"] is True

    colour.run(body)


@every_colour
def test_nothing_is_stored_if_nothing_had_come(colour):
    def empty_first(chunks: Any) -> Any:
        yield AIMessageChunk(content="", id="1")
        yield AIMessageChunk(content="x", id="1")

    def body(doors: Any) -> None:
        history = InMemoryChatMessageHistory()
        doors.open(with_history(RunnableGenerator(letters), history), "hi").close()
        stream = doors.open(with_history(RunnableGenerator(empty_first), history), "hi")
        assert stream.next().content == ""
        stream.close()
        assert history.messages == []

    colour.run(body)


@every_colour
def test_closed_after_the_last_chunk_before_the_end(colour):
    def body(doors: Any) -> None:
        history = InMemoryChatMessageHistory()
        stream = doors.open(with_history(RunnableGenerator(letters), history), "hi")
        assert [stream.next() for _ in range(3)] == list("abc")
        stream.close()  # nobody knows yet that this was all
        assert [m.content for m in history.messages] == ["hi", "abc"]
        assert history.messages[1].response_metadata == MARK

    colour.run(body)


@every_colour
def test_a_stream_read_to_its_end_and_then_closed_is_stored_once_and_unmarked(colour):
    def body(doors: Any) -> None:
        history = InMemoryChatMessageHistory()
        stream = doors.open(with_history(RunnableGenerator(letters), history), "hi")
        assert stream.rest() == list("abc")
        stream.close()
        assert [m.content for m in history.messages] == ["hi", "abc"]
        assert history.messages[1].response_metadata == {}

    colour.run(body)


@every_colour
def test_outputs_by_key(colour):
    def keyed(chunks: Any) -> Any:
        yield {"sources": ["s"]}
        yield {"answer": "part"}
        yield {"answer": " rest"}

    def body(doors: Any) -> None:
        for taken, stored in [(1, []), (2, ["hi", "part"])]:
            history = InMemoryChatMessageHistory()
            chain = with_history(RunnableGenerator(keyed), history, output_messages_key="answer")
            stream = doors.open(chain, "hi")
            for _ in range(taken):
                stream.next()
            stream.close()
            assert [m.content for m in history.messages] == stored

    colour.run(body)


@every_colour
def test_cumulative_chunks_are_not_added_up(colour):
    def body(doors: Any) -> None:
        history = InMemoryChatMessageHistory()
        answer = FakeListChatModel(responses=['{"output": "some text"}']) | JsonOutputParser()
        stream = doors.open(with_history(answer, history), "hi")
        while stream.next() != {"output": "some"}:
            pass
        stream.close()
        assert history.messages[1].content == "some"

    colour.run(body)


class Full(InMemoryChatMessageHistory):
    def add_messages(self, messages: Any) -> None:
        raise OSError("no space left")


@every_colour
def test_a_part_that_cannot_be_stored_is_not_lost_silently(colour):
    def body(doors: Any) -> None:
        stream = doors.open(with_history(RunnableGenerator(letters), Full()), "hi")
        stream.next()
        with pytest.raises(OSError, match="no space left") as caught:
            stream.close()
        assert any("did not store" in note for note in caught.value.__notes__)

    colour.run(body)


@sync_colours
def test_ctrl_c(colour):
    def pressed(chunks: Any) -> Any:
        yield "a"
        raise KeyboardInterrupt

    def body(doors: Any) -> None:
        history = InMemoryChatMessageHistory()
        with pytest.raises(KeyboardInterrupt):
            doors.stream(with_history(RunnableGenerator(pressed), history), "hi")
        assert [m.content for m in history.messages] == ["hi", "a"]

    colour.run(body)


class Slow(InMemoryChatMessageHistory):
    async def aadd_messages(self, messages: Any) -> None:
        for _ in range(10):
            await asyncio.sleep(0)
        self.messages = [*self.messages, *messages]


async def hanging(chunks: Any) -> Any:
    async for _ in chunks:
        pass
    yield "a"
    await asyncio.sleep(60)


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("observed", [False, True])
async def test_cancelled_in_the_middle(times, observed):
    history, seen, begun = Slow(), Recorder(), asyncio.Event()
    chain = with_history(RunnableGenerator(hanging), history)

    async def job() -> None:
        async with aclosing(chain.astream("hi", seen.config if observed else None)) as stream:
            async for _ in stream:
                begun.set()

    task = asyncio.create_task(job())
    await begun.wait()
    for _ in range(times):
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert [m.content for m in history.messages] == ["hi", "a"]
    assert history.messages[1].response_metadata == MARK
    if observed:
        check_events(seen.events)


async def test_cancelled_before_the_first_chunk_or_in_ainvoke_nothing_is_stored():
    history, begun = Slow(), asyncio.Event()

    async def slow(_: Any) -> str:
        begun.set()
        await asyncio.sleep(60)
        return "never"

    chain = with_history(RunnableLambda(slow), history)
    for job in (chain.ainvoke("hi"), anext(chain.astream("hi")), chain.abatch(["hi"])):
        begun.clear()
        task = asyncio.ensure_future(job)
        await begun.wait()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
    assert history.messages == []


async def test_a_timeout_keeps_the_part():
    history = Slow()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            async for _ in with_history(RunnableGenerator(hanging), history).astream("hi"):
                pass
    assert [m.content for m in history.messages] == ["hi", "a"]


# ---- in the middle of a tool call ---------------------------------------------------------------


def calling(content: Any, **raw: Any) -> Any:
    """A model that says something and then spells out a call, of which half has come."""

    def model(chunks: Any) -> Any:
        for _ in chunks:
            pass
        yield AIMessageChunk(content=content, id="1", additional_kwargs=raw)
        for name, args in (("weather", '{"city": "Par'), (None, 'is"}')):
            piece = {"name": name, "args": args, "id": "c1" if name else None, "index": 0}
            yield AIMessageChunk(content="", id="1", tool_call_chunks=[piece])

    return RunnableGenerator(model)


FUNCTION = {"name": "weather", "arguments": '{"city"'}
RAW = {"tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": FUNCTION}], "x": 1}


@every_colour
def test_half_a_tool_call_is_not_stored(colour):
    def body(doors: Any) -> None:
        history = InMemoryChatMessageHistory()
        stream = doors.open(with_history(calling("Let me see. ", **RAW), history), "hi")
        chunks = [stream.next(), stream.next()]
        assert chunks[1].tool_calls or chunks[1].invalid_tool_calls
        stream.close()
        part = history.messages[1]
        assert (part.content, part.tool_calls, part.invalid_tool_calls) == ("Let me see. ", [], [])
        assert part.additional_kwargs == {"x": 1}
        assert part.response_metadata == MARK

    colour.run(body)


@every_colour
@pytest.mark.parametrize(
    "content",
    [
        "",
        [{"type": "text", "text": "", "index": 0}],
        [{"type": "tool_use", "id": "c1", "name": "weather", "input": {}, "index": 0}],
    ],
    ids=["text", "empty-block", "call-block"],
)
def test_a_message_that_is_only_half_a_call_is_not_stored(colour, content):
    def body(doors: Any) -> None:
        history = InMemoryChatMessageHistory()
        stream = doors.open(with_history(calling(content), history), "hi")
        assert len([stream.next(), stream.next()]) == 2
        stream.close()
        assert history.messages == []

    colour.run(body)


@every_colour
def test_text_beside_a_call_in_blocks_is_kept(colour):
    said = {"type": "text", "text": "Well", "index": 0}
    call = {"type": "tool_use", "id": "c1", "name": "weather", "input": {}, "index": 1}

    def body(doors: Any) -> None:
        history = InMemoryChatMessageHistory()
        stream = doors.open(with_history(calling([said, call]), history), "hi")
        stream.next()
        stream.close()
        assert history.messages[1].content == [said]

    colour.run(body)


@every_colour
def test_a_tool_call_that_came_to_its_end_is_stored(colour):
    def body(doors: Any) -> None:
        history = InMemoryChatMessageHistory()
        doors.stream(with_history(calling(""), history), "hi")
        (call,) = history.messages[1].tool_calls
        assert (call["name"], call["args"]) == ("weather", {"city": "Paris"})

    colour.run(body)
