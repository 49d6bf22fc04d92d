"""`ChatModelConformance`: what users expect of every chat model, as tests.

Each test asks the real model, so a class that derives from this says in its attributes what its
model cannot do, and has `make_model` give one that is cheap (few tokens, temperature 0). Nothing is
expected of what a model says, only of how it comes. Async behaviour is tested with an event loop of
the test's own.
"""

from __future__ import annotations

import asyncio
import copy
import pickle
import threading
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, TypedDict

import pytest
from pydantic import BaseModel, ValidationError

from headrace.errors import HeadraceError, InputError
from headrace.language_models import BaseChatModel
from headrace.merge import merge
from headrace.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage, ToolMessage
from headrace.output_parsers.endings import cut_by
from headrace.tools import tool

__all__ = ["ChatModelConformance"]


@tool
def add(a: int, b: int) -> int:
    """The sum of two whole numbers."""
    return a + b


@tool
def now() -> str:
    """The time of day."""
    return "noon"


class City(BaseModel):
    """A city."""

    name: str
    people: int


class CityDict(TypedDict):
    """A city."""

    name: str
    people: int


CITY_SCHEMA = City.model_json_schema()


class ChatModelConformance:
    """Derive from it, and write `make_model`. The attributes say what the model can do.

    streams: it has a stream of its own.
    tells_usage: answers have `usage_metadata`, streamed ones too.
    calls_tools: `bind_tools` works. chooses_tools: `tool_choice` does.
    structured_methods: of `with_structured_output`.
    stops: texts given as `stop` end the answer, and are not part of it.
    reads_images: messages may have images.
    cuts: `max_tokens=1` cuts an answer short, and the answer tells.
    secret: a key that `make_model` uses, which must show nowhere.
    """

    streams: ClassVar[bool] = True
    tells_usage: ClassVar[bool] = True
    calls_tools: ClassVar[bool] = True
    chooses_tools: ClassVar[bool] = True
    structured_methods: ClassVar[tuple[str, ...]] = ("json_schema", "function_calling")
    stops: ClassVar[bool] = True
    reads_images: ClassVar[bool] = False
    cuts: ClassVar[bool] = True
    secret: ClassVar[str | None] = None

    def make_model(self, **settings: Any) -> BaseChatModel:
        """The model under test, with these settings besides."""
        raise NotImplementedError(f"{type(self).__name__} needs a make_model.")

    # ---- answers --------------------------------------------------------------------------------

    def test_it_is_a_chat_model(self) -> None:
        """It derives from `BaseChatModel` and has a name for traces."""
        model = self.make_model()
        assert isinstance(model, BaseChatModel)
        assert model._llm_type
        assert model._get_ls_params()["ls_model_type"] == "chat"

    def test_unknown_settings_are_refused(self) -> None:
        """A misspelt setting is an error when the model is made."""
        with pytest.raises((ValidationError, TypeError)):
            self.make_model(no_such_setting_at_all=1)

    def test_every_way_to_ask_gives_an_answer(self) -> None:
        """`invoke`, `ainvoke` and both streams give a message with text and an id."""
        for way, message in _every_way(self.make_model(), "Say hello."):
            assert isinstance(message, AIMessage), way
            assert message.text, way
            assert isinstance(message.id, str) and message.id, way

    def test_invoke_gives_whole_messages(self) -> None:
        """A chunk is a piece of a stream, and no answer."""
        assert not isinstance(self.make_model().invoke("Say hello."), AIMessageChunk)

    def test_batches_answer_each_input(self) -> None:
        """As many answers as inputs, in sync and async."""
        model = self.make_model()
        asked: list[Any] = ["Say hello.", "Say goodbye."]
        for answers in (model.batch(asked), asyncio.run(model.abatch(asked))):
            assert [type(answer) for answer in answers] == [AIMessage, AIMessage]

    def test_a_conversation_goes_on(self) -> None:
        """System messages, and messages of the model's own, are read."""
        said = [
            SystemMessage("You answer shortly."),
            HumanMessage("My name is Ada."),
            AIMessage("Hello Ada."),
            HumanMessage([{"type": "text", "text": "What is my name?"}]),
        ]
        for way, message in _every_way(self.make_model(), said):
            assert message.text, way

    def test_two_messages_of_one_side(self) -> None:
        """Vendors that want turns to alternate have them merged."""
        said = [HumanMessage("Hello."), HumanMessage("How are you?")]
        assert self.make_model().invoke(said).text

    def test_an_answer_can_be_sent_back(self) -> None:
        """Whatever an answer has in it, it can be a part of the next question."""
        model = self.make_model()
        for _, message in _every_way(model, "Say hello."):
            said = [HumanMessage("Say hello."), message, HumanMessage("And again.")]
            assert model.invoke(said).text

    def test_what_is_no_question_is_refused(self) -> None:
        """Before anything is sent."""
        with pytest.raises(InputError):
            self.make_model().invoke(3)  # type: ignore[arg-type]

    def test_images_are_read(self) -> None:
        """An image in base64, as a standard content block."""
        _unless(self.reads_images, "reads_images")
        image = {"type": "image", "base64": _PNG, "mime_type": "image/png"}
        said = HumanMessage([{"type": "text", "text": "What is this?"}, image])
        assert self.make_model().invoke([said]).text

    # ---- streams --------------------------------------------------------------------------------

    def test_a_stream_has_one_id_and_one_end(self) -> None:
        """All chunks share an id, the last one is marked, and no other."""
        for chunks in _both_streams(self.make_model(), "Say hello."):
            assert all(isinstance(chunk, AIMessageChunk) for chunk in chunks)
            assert len({chunk.id for chunk in chunks}) == 1
            assert [c.chunk_position == "last" for c in chunks] == [False] * (len(chunks) - 1) + [
                True
            ]

    def test_a_stream_comes_in_pieces(self) -> None:
        """More than one chunk has text."""
        _unless(self.streams, "streams")
        for chunks in _both_streams(self.make_model(), "Count from one to ten."):
            assert len([chunk for chunk in chunks if chunk.text]) > 1

    def test_nothing_is_told_twice(self) -> None:
        """Usage, finish reason and model are in one chunk, so that chunks can be added."""
        for chunks in _both_streams(self.make_model(), "Say hello."):
            assert len([chunk for chunk in chunks if chunk.usage_metadata]) <= 1
            for fact in ("finish_reason", "stop_reason", "model_name"):
                assert len([c for c in chunks if fact in c.response_metadata]) <= 1, fact

    def test_how_chunks_are_grouped_does_not_matter(self) -> None:
        """Adding is associative."""
        for chunks in _both_streams(self.make_model(), "Say hello."):
            at = len(chunks) // 2
            if at:
                assert merge([merge(chunks[:at]), merge(chunks[at:])]) == merge(chunks)

    def test_a_stream_can_be_left(self) -> None:
        """Closing after a chunk returns, and leaves no thread and no task behind."""
        model = self.make_model()
        before = set(threading.enumerate())
        stream = model.stream("Count from one to a hundred.")
        assert next(iter(stream)) is not None
        stream.close()
        assert not [thread for thread in threading.enumerate() if _is_left(thread, before)]
        assert asyncio.run(_left_tasks(model)) == []

    def test_streams_side_by_side(self) -> None:
        """Two at once: each with an id and a text of its own."""
        model = self.make_model()
        first, second = asyncio.run(_side_by_side(model))
        assert first.id != second.id
        assert first.text and second.text

    def test_events_show_what_comes_out(self) -> None:
        """One start, the chunks, one end with the whole."""
        events = list(self.make_model().stream_events("Say hello.", version="v2"))
        kinds = [event["event"] for event in events]
        assert kinds[0] == "on_chat_model_start" and kinds[-1] == "on_chat_model_end"
        chunks = [e["data"]["chunk"] for e in events if e["event"] == "on_chat_model_stream"]
        assert merge(chunks).text == events[-1]["data"]["output"].text

    # ---- what is told ---------------------------------------------------------------------------

    def test_answers_tell_their_usage(self) -> None:
        """Tokens read, written, and both."""
        _unless(self.tells_usage, "tells_usage")
        for way, message in _every_way(self.make_model(), "Say hello."):
            usage = message.usage_metadata
            assert usage is not None, way
            assert usage["input_tokens"] > 0 and usage["output_tokens"] > 0, way
            assert usage["total_tokens"] >= usage["input_tokens"] + usage["output_tokens"], way

    def test_answers_tell_their_model(self) -> None:
        """In `response_metadata`, with why they ended."""
        for way, message in _every_way(self.make_model(), "Say hello."):
            told = message.response_metadata
            assert isinstance(told.get("model_name"), str) and told["model_name"], way
            assert told.get("finish_reason") or told.get("stop_reason"), way

    def test_an_answer_that_was_cut_says_so(self) -> None:
        """`max_tokens=1` ends an answer for its length."""
        _unless(self.cuts, "cuts")
        for way, message in _every_way(self.make_model(max_tokens=1), "Tell me a long story."):
            assert cut_by(message), (way, message.response_metadata)

    def test_texts_that_end_an_answer(self) -> None:
        """`stop` of a call; the text itself is no part of the answer."""
        _unless(self.stops, "stops")
        for way, message in _every_way(self.make_model(), "Count from 1 to 20.", stop=["e"]):
            assert "e" not in message.text, way

    def test_tokens_are_counted(self) -> None:
        """Exactly or by an estimate: more for more text."""
        model = self.make_model()
        assert 0 < model.get_num_tokens("hello") < model.get_num_tokens("hello " * 50)
        assert model.get_num_tokens_from_messages([HumanMessage("hello")]) > 0

    def test_the_key_shows_nowhere(self) -> None:
        """Not in the model's repr, its settings, its events or its answers."""
        _unless(self.secret is not None, "secret")
        model = self.make_model()
        shown = [repr(model), str(model), repr(model.asdict()), repr(model.model_dump())]
        shown += [repr(event) for event in model.stream_events("Say hello.", version="v2")]
        assert not [text for text in shown if str(self.secret) in text]

    def test_copies_and_pickles_answer(self) -> None:
        """A model can be copied and sent to another process, connections and all."""
        model = self.make_model()
        model.invoke("Say hello.")
        for again in (copy.copy(model), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            assert again.invoke("Say hello.").text

    # ---- tools ----------------------------------------------------------------------------------

    def test_tools_are_called(self) -> None:
        """The call has the tool's name, arguments of its types, and an id; streamed too."""
        _unless(self.calls_tools and self.chooses_tools, "calls_tools, chooses_tools")
        bound = self.make_model().bind_tools([add], tool_choice="any")
        for way, message in _every_way(bound, "What is 2 plus 3? Use the tool."):
            (call, *_) = message.tool_calls
            assert call["name"] == "add", way
            assert {key: type(value) for key, value in call["args"].items()} == _ADDS, way
            assert isinstance(call["id"], str) and call["id"], way

    def test_the_tool_that_is_chosen_is_called(self) -> None:
        """`tool_choice` with a name, and a tool without arguments."""
        _unless(self.calls_tools and self.chooses_tools, "calls_tools, chooses_tools")
        bound = self.make_model().bind_tools([add, now], tool_choice="now")
        for way, message in _every_way(bound, "What time is it?"):
            assert [(c["name"], c["args"]) for c in message.tool_calls[:1]] == [("now", {})], way

    def test_a_call_streams(self) -> None:
        """The pieces of a call add up to it; one name, one id."""
        _unless(self.calls_tools and self.chooses_tools, "calls_tools, chooses_tools")
        bound: Any = self.make_model().bind_tools([add], tool_choice="any")
        for chunks in _both_streams(bound, "What is 2 plus 3? Use the tool."):
            pieces = [piece for chunk in chunks for piece in chunk.tool_call_chunks]
            assert pieces
            whole = merge(chunks)
            assert [c["name"] for c in whole.tool_call_chunks] == [
                c["name"] for c in whole.tool_calls
            ]
            assert not whole.invalid_tool_calls

    def test_results_of_tools_are_read(self) -> None:
        """A call and its result (as text, as blocks, as an error) can be sent."""
        _unless(self.calls_tools, "calls_tools")
        call = {"name": "add", "args": {"a": 2, "b": 3}, "id": "call_1", "type": "tool_call"}
        results = (
            ToolMessage("5", tool_call_id="call_1"),
            ToolMessage([{"type": "text", "text": "5"}], tool_call_id="call_1"),
            ToolMessage("too hard", tool_call_id="call_1", status="error"),
        )
        model = self.make_model().bind_tools([add])
        for result in results:
            asked = AIMessage("", tool_calls=[call])
            message = model.invoke([HumanMessage("What is 2 plus 3?"), asked, result])
            assert message.text or message.tool_calls

    # ---- structured output ----------------------------------------------------------------------

    def test_answers_with_a_schema(self) -> None:
        """By each method: a pydantic class, a TypedDict, a JSON schema; a stream ends with it."""
        _unless(bool(self.structured_methods), "structured_methods")
        model: Any = self.make_model()
        for method in self.structured_methods:
            for schema, kind in ((City, City), (CityDict, dict), (CITY_SCHEMA, dict)):
                answering = model.with_structured_output(schema, method=method)
                for way, value in _every_way(answering, "Describe Paris."):
                    assert isinstance(value, kind), (method, way, value)
                    people = value.people if isinstance(value, City) else value["people"]
                    assert isinstance(people, int), (method, way, value)

    def test_the_raw_answer_too(self) -> None:
        """`include_raw` gives the message, the value and the error."""
        _unless(bool(self.structured_methods), "structured_methods")
        answering = self.make_model().with_structured_output(City, include_raw=True)
        answer = answering.invoke("Describe Paris.")
        assert set(answer) == {"raw", "parsed", "parsing_error"}
        assert isinstance(answer["raw"], AIMessage)
        assert isinstance(answer["parsed"], City)

    def test_a_method_that_there_is_not(self) -> None:
        """An error says which there are."""
        with pytest.raises(HeadraceError):
            self.make_model().with_structured_output(City, method="by_magic")  # type: ignore[call-overload]


# ---- the ways to ask -----------------------------------------------------------------------------


def _every_way(model: Any, asked: Any, **more: Any) -> Iterator[tuple[str, Any]]:
    """What `invoke`, `ainvoke`, and the folds of both streams give."""
    yield "invoke", model.invoke(asked, **more)
    yield "ainvoke", asyncio.run(model.ainvoke(asked, **more))
    fold: Callable[[list[Any]], Any] = getattr(model, "_fold", None) or merge
    for way, chunks in zip(("stream", "astream"), _both_streams(model, asked, **more), strict=True):
        yield way, fold(chunks)


def _both_streams(model: Any, asked: Any, **more: Any) -> Iterator[list[Any]]:
    async def streamed() -> list[Any]:
        return [chunk async for chunk in model.astream(asked, **more)]

    yield list(model.stream(asked, **more))
    yield asyncio.run(streamed())


async def _left_tasks(model: Any) -> list[Any]:
    before = asyncio.all_tasks()
    stream = model.astream("Count from one to a hundred.")
    assert await anext(aiter(stream)) is not None
    await stream.aclose()
    return [task for task in asyncio.all_tasks() - before if not task.done()]


async def _side_by_side(model: Any) -> list[Any]:
    async def one(asked: str) -> Any:
        return merge([chunk async for chunk in model.astream(asked)])

    return list(await asyncio.gather(one("Say hello."), one("Say goodbye.")))


def _is_left(thread: threading.Thread, before: set[threading.Thread]) -> bool:
    """Whether a thread was started and is at work; pools keep theirs until the program ends."""
    return thread not in before and not thread.daemon and "pool" not in thread.name.lower()


def _unless(can: bool, attribute: str) -> None:
    if not can:
        pytest.skip(f"the class says that its model cannot: {attribute}")


_ADDS = {"a": int, "b": int}
_PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEUlEQVR4nGP4z8CAFWEXHbQSACj/P8Fu7N9hAAAAAElFTkSu"
    "QmCC"
)
