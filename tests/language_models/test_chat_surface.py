"""What chat models have besides answering: when they stream, blocks in `content`, profiles."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from headrace.callbacks import BaseCallbackHandler
from headrace.language_models import (
    BaseChatModel,
    FakeChatModel,
    GenericFakeChatModel,
    ParrotFakeChatModel,
)
from headrace.messages import AIMessage, AIMessageChunk
from headrace.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from language_models.scripted import call_pieces, library
from laws.colours import every_colour

TOOLS = [{"type": "function", "function": {"name": "f"}}]


class Both(BaseChatModel):
    """Says whether it was asked at once or as a stream."""

    streaming: bool = False

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        return ChatResult(generations=[ChatGeneration(message=AIMessage("invoke"))])

    def _stream(self, messages, stop=None, run_manager=None, **kwargs):
        yield ChatGenerationChunk(message=AIMessageChunk("str"))
        yield ChatGenerationChunk(message=AIMessageChunk("eam"))


class Tokens(BaseCallbackHandler):
    """Wants to see the tokens of models that are invoked."""

    streams_models = True


def said(chunks: list[Any]) -> str:
    return "".join(chunk.content for chunk in chunks)


@every_colour
@pytest.mark.parametrize("off", [False, True, "tool_calling"])
@pytest.mark.parametrize("tools", [None, TOOLS])
def test_disable_streaming_in_every_door(colour, off, tools):
    model = Both(disable_streaming=off)
    bound = model.bind(tools=tools) if tools else model
    streams = off is False or (off == "tool_calling" and not tools)

    def body(doors: Any) -> None:
        way = "stream" if streams else "invoke"
        assert doors.invoke(bound, "x").content == "invoke"
        assert said(doors.stream(bound, "x")) == way
        assert said(doors.transform(bound, ["x"])) == way
        assert doors.batch(bound, ["x", "y"])[1].content == "invoke"
        assert doors.invoke(bound, "x", {"callbacks": [Tokens()]}).content == way
        assert len(doors.stream(bound, "x")) == (3 if streams else 1)

    colour.run(body)


def test_disable_streaming_is_one_of_three():
    with pytest.raises(ValueError, match="tool_calling"):
        Both(disable_streaming="tools")


@every_colour
def test_a_call_or_the_model_may_say_whether_to_stream(colour):
    def body(doors: Any) -> None:
        assert doors.invoke(Both(), "x", stream=True).content == "stream"
        assert doors.invoke(Both(streaming=True), "x").content == "stream"
        assert doors.invoke(Both(streaming=True), "x", stream=False).content == "invoke"
        assert doors.invoke(Both(disable_streaming=True), "x", stream=True).content == "invoke"
        assert said(doors.stream(Both().bind(stream=False), "x")) == "invoke"
        assert said(doors.stream(Both(streaming=False), "x")) == "invoke"
        told = {"callbacks": [Tokens()]}
        assert doors.invoke(Both(streaming=False), "x", told).content == "invoke"

    colour.run(body)


@every_colour
def test_stop_goes_to_the_author_in_every_door(colour):
    seen: list[Any] = []

    class Stopped(Both):
        def _generate(self, messages, stop=None, run_manager=None, **kwargs):
            seen.append(stop)
            return super()._generate(messages)

        def _stream(self, messages, stop=None, run_manager=None, **kwargs):
            seen.append(stop)
            return super()._stream(messages)

    model = Stopped().bind(stop=["."])

    def body(doors: Any) -> None:
        doors.invoke(model, "x")
        doors.stream(model, "x")
        doors.batch(model, ["x", "y"])
        doors.invoke(Stopped(), "x", stop=["."])

    colour.run(body)
    assert seen == [["."]] * 5


# ---- output_version -----------------------------------------------------------------------------

REASONING = {"reasoning_content": "hm"}
CHUNKS = [
    {"content": "", "additional_kwargs": {"reasoning_content": "h"}},
    {"content": "", "additional_kwargs": {"reasoning_content": "m"}},
    {"content": "so "},
    {"content": "it is"},
]
BLOCKS = [{"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": "so it is"}]


class Thinking(BaseChatModel):
    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        message = AIMessage("so it is", additional_kwargs=REASONING)
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(self, messages, stop=None, run_manager=None, **kwargs):
        for chunk in CHUNKS:
            yield ChatGenerationChunk(message=AIMessageChunk(**chunk))


def unnumbered(blocks: Any) -> list[Any]:
    return [{k: v for k, v in block.items() if k != "index"} for block in blocks]


@every_colour
@pytest.mark.parametrize("how", ["field", "environment"])
def test_v1_puts_blocks_into_content(colour, how, monkeypatch):
    if how == "environment":
        monkeypatch.setenv("LC_OUTPUT_VERSION", "v1")
    model = Thinking(output_version="v1") if how == "field" else Thinking()

    def body(doors: Any) -> None:
        whole = doors.invoke(model, "x")
        assert whole.content == whole.content_blocks == BLOCKS
        assert whole.response_metadata == {"output_version": "v1"}
        chunks = doors.stream(model, "x")
        assert all(isinstance(chunk.content, list) for chunk in chunks if chunk.content)
        total = chunks[0]
        for chunk in chunks[1:]:
            total = total + chunk
        assert unnumbered(total.content) == BLOCKS
        assert [block["index"] for block in total.content] == [0, 1]
        assert total.response_metadata == {"output_version": "v1"}
        assert total.text == "so it is"
        assert unnumbered(doors.invoke(model, "x", stream=True).content) == BLOCKS

    colour.run(body)


@every_colour
def test_v0_leaves_content_as_it_is(colour, monkeypatch):
    monkeypatch.setenv("LC_OUTPUT_VERSION", "v1")
    model = Thinking(output_version="v0")

    def body(doors: Any) -> None:
        assert doors.invoke(model, "x").content == "so it is"
        assert said(doors.stream(model, "x")) == "so it is"

    colour.run(body)


@every_colour
def test_v1_with_tool_calls(colour):
    pieces = call_pieces("f", '{"a": 12, "b": "xyz"}', range(25))
    model = library("headrace").Scripted(
        pieces=[{"content": "Let us "}, {"content": "see."}, *pieces], output_version="v1"
    )
    call = {"type": "tool_call", "name": "f", "args": {"a": 12, "b": "xyz"}, "id": "call_1"}
    expected = [{"type": "text", "text": "Let us see."}, call]

    def body(doors: Any) -> None:
        assert unnumbered(doors.invoke(model, "x").content) == expected
        streamed = doors.invoke(model, "x", stream=True)
        assert unnumbered(streamed.content) == expected
        assert streamed.tool_calls == [call]
        total = doors.stream(model, "x")[0]
        for chunk in doors.stream(model, "x")[1:]:
            total = total + chunk
        assert total.tool_calls == [call]
        assert [block["type"] for block in total.content] == ["text", "tool_call_chunk"]
        chain = model.with_structured_output({"title": "f", "type": "object"})
        assert doors.stream(chain, "x")[-1] == doors.invoke(chain, "x") == call["args"]

    colour.run(body)


def test_messages_of_the_user_are_not_changed():
    mine = AIMessage("hello")
    model = GenericFakeChatModel(messages=iter([mine]), output_version="v1")
    assert model.invoke("x").content == [{"type": "text", "text": "hello"}]
    assert mine.content == "hello"


# ---- profiles and the like ----------------------------------------------------------------------


class Profiled(FakeChatModel):
    def _resolve_model_profile(self):
        return {"max_input_tokens": 500}


class Broken(FakeChatModel):
    def _resolve_model_profile(self):
        raise OSError("no such file")


def test_a_profile_is_given_or_looked_up(caplog):
    assert FakeChatModel().profile is None
    assert FakeChatModel(profile={"max_input_tokens": 1}).profile == {"max_input_tokens": 1}
    assert Profiled().profile == {"max_input_tokens": 500}
    assert Profiled(profile={"name": "x"}).profile == {"name": "x"}
    assert "profile" not in Profiled().model_dump()
    with caplog.at_level(logging.WARNING):
        assert Broken().profile is None
    assert "Broken has no profile" in caplog.text


def test_unknown_keys_of_a_profile_are_kept_with_a_warning():
    with pytest.warns(UserWarning, match=r"FakeChatModel.*\['fast'\]"):
        model = FakeChatModel(profile={"fast": True, "name": "x"})
    assert model.profile == {"fast": True, "name": "x"}


def test_asdict_tells_the_model_apart():
    assert FakeChatModel().asdict() == {"key": "fake", "_type": "fake-chat-model"}


def test_fakes_take_what_langchains_take():
    common: dict[str, Any] = {
        "cache": None,
        "custom_get_token_ids": None,
        "disable_streaming": False,
        "metadata": {"a": 1},
        "name": "n",
        "output_version": "v0",
        "profile": None,
        "rate_limiter": None,
        "tags": ["t"],
    }
    assert GenericFakeChatModel(messages=iter(["a"]), **common).invoke("x").content == "a"
    assert ParrotFakeChatModel(**common).invoke("x").content == "x"
    assert asyncio.run(FakeChatModel(**common).ainvoke("x")).content == "fake response"
