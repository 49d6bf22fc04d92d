"""LangChain's models as Headrace's: answers, streams, events, tools, schemas, closing."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.language_models import FakeListLLM
from langchain_core.messages import AIMessage as TheirAnswer
from langchain_core.messages import AIMessageChunk as TheirChunk
from langchain_core.messages import HumanMessage as TheirQuestion
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import BaseModel, Field

from headrace.caches import InMemoryCache
from headrace.langchain import as_langchain, from_langchain
from headrace.language_models import BaseChatModel
from headrace.language_models.llms import BaseLLM
from headrace.merge import merge
from headrace.messages import AIMessage, AIMessageChunk
from headrace.output_parsers import StrOutputParser
from headrace.prompts import ChatPromptTemplate
from headrace.tools import tool
from langchain_bridge.parts import KINDS, USAGE, Heard, Scripted, Streaming, SyncStream, Text
from laws.colours import both_drivers, every_colour

every_kind = pytest.mark.parametrize("kind", KINDS)


@every_colour
@every_kind
def test_answers(colour: Any, kind: Any) -> None:
    def body(doors: Any) -> None:
        model = from_langchain(kind())
        assert isinstance(model, BaseChatModel)
        answer = doors.invoke(model, "hello", stop=["x"], temperature=2)
        assert type(answer) is AIMessage
        assert answer.content == "one two three"
        assert answer.usage_metadata == USAGE
        assert answer.response_metadata["model_name"] == "scripted-1"
        assert model.langchain.asked == [[TheirQuestion("hello")]]
        assert model.langchain.given == [{"stop": ["x"], "temperature": 2}]

    colour.run(body)


@every_colour
@every_kind
def test_streams(colour: Any, kind: Any) -> None:
    def body(doors: Any) -> None:
        model = from_langchain(kind())
        chunks = doors.stream(model, "hello")
        if kind is Scripted:
            assert [type(c) for c in chunks] == [AIMessage]
        else:
            assert [c.content for c in chunks[:3]] == ["one ", "two ", "three"]
            assert {type(c) for c in chunks} == {AIMessageChunk}
            assert len({c.id for c in chunks}) == 1
            assert [c.chunk_position for c in chunks].count("last") == 1
        whole: Any = merge(chunks)
        assert (whole.content, whole.usage_metadata) == ("one two three", USAGE)
        assert len(model.langchain.asked) == 1

    colour.run(body)


@every_colour
def test_in_a_chain(colour: Any) -> None:
    def body(doors: Any) -> None:
        prompt = ChatPromptTemplate.from_template("say {x}")
        chain = prompt | from_langchain(Streaming()) | StrOutputParser()
        assert doors.stream(chain, {"x": 1})[:3] == ["one ", "two ", "three"]
        assert doors.invoke(chain, {"x": 1}) == "one two three"
        assert doors.batch(chain, [{"x": 1}, {"x": 2}]) == ["one two three"] * 2

    colour.run(body)


@every_colour
@pytest.mark.parametrize("kind", [SyncStream, Streaming])
def test_closing(colour: Any, kind: Any) -> None:
    def body(doors: Any) -> None:
        model = from_langchain(kind())
        stream = doors.open(model | StrOutputParser(), "x")
        assert stream.next() == "one "
        stream.close()
        assert len(model.langchain.closed) == 1

    colour.run(body)


@every_colour
@every_kind
@pytest.mark.parametrize("at", [0, 2])
def test_errors_are_the_same_object(colour: Any, kind: Any, at: int) -> None:
    error = ValueError("the vendor is down")

    def body(doors: Any) -> None:
        model = from_langchain(kind(error=error, fails_at=at))
        stream = doors.open(model | StrOutputParser(), "x")
        with pytest.raises(ValueError) as caught:
            stream.rest()
        assert caught.value is error
        with pytest.raises(ValueError) as caught:
            doors.invoke(model, "x")
        assert caught.value is error

    colour.run(body)


class Recorder:
    """An observer that writes down what it is told, and leaves calls as they are."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def on_event(self, event: Any) -> None:
        self.events.append((event.kind, event.run.run_type, event.run.name))


@every_colour
@every_kind
def test_a_call_is_one_run(colour: Any, kind: Any) -> None:
    def body(doors: Any) -> None:
        for door in ("invoke", "stream"):
            seen = Recorder()
            own = Heard()
            model = from_langchain(kind(callbacks=[own], tags=["mine"]))
            getattr(doors, door)(model, "x", {"callbacks": [seen], "tags": ["t"]})
            kinds = [event[0] for event in seen.events]
            assert kinds.count("start") == 1 and kinds.count("end") == 1
            assert {event[1:] for event in seen.events} == {("chat_model", kind.__name__)}
            assert own.starts == [("chat_model", kind.__name__)]  # LangChain's own handler, too
            assert set(own.told[kind.__name__]["tags"]) == {"t", "mine"}
            if door == "invoke":
                assert "chunk" not in kinds  # observing changes nothing about the call

    colour.run(body)


@every_kind
async def test_events(kind: Any) -> None:
    chain = ChatPromptTemplate.from_template("{x}") | from_langchain(kind()) | StrOutputParser()
    events = [e async for e in chain.astream_events({"x": "y"}, version="v2")]
    model = [e for e in events if e["name"] == kind.__name__]
    names = [e["event"] for e in model]
    assert names[0] == "on_chat_model_start" and names[-1] == "on_chat_model_end"
    streamed = names.count("on_chat_model_stream")
    assert streamed == (0 if kind is Scripted else 5)
    assert model[0]["metadata"]["ls_model_type"] == "chat"
    assert model[-1]["data"]["output"].content == "one two three"
    assert len({e["run_id"] for e in model}) == 1
    assert [e["event"] for e in events].count("on_chat_model_start") == 1


async def test_invoked_inside_a_view_of_tokens() -> None:
    model = from_langchain(Streaming())

    async def step(x: str) -> str:
        return (await model.ainvoke(x)).content  # type: ignore[return-value]

    from headrace.runnables import RunnableLambda

    events = [e async for e in RunnableLambda(step).astream_events("x", version="v2")]
    names = [e["event"] for e in events]
    assert names.count("on_chat_model_stream") == 5
    assert names.count("on_chat_model_start") == 1


@both_drivers
def test_all_candidates(colour: Any) -> None:
    class Several(Scripted):
        def _generate(self, messages: Any, *args: Any, **kwargs: Any) -> ChatResult:
            made = [ChatGeneration(message=TheirAnswer(text)) for text in ("a", "b")]
            return ChatResult(generations=made, llm_output={"model": "m"})

    def body(doors: Any) -> None:
        model = from_langchain(Several())
        made = doors.wait(model.agenerate(["x"])) if doors.asynchronous else model.generate(["x"])
        result: Any = made
        assert [g.text for g in result.generations[0]] == ["a", "b"]

    colour.run(body)


def test_headraces_cache() -> None:
    model = from_langchain(Streaming())
    model.cache = InMemoryCache()
    assert model.invoke("x").content == model.invoke("x").content
    assert len(model.langchain.asked) == 1


# ------------------------------------------------------------------ tools and schemas


class Speaker(Scripted):
    """Calls the tool it is bound to, in pieces."""

    args: list[str] = Field(default=['{"name": "Sp', 'ain", "people"', ": 48}"])

    def bind_tools(self, tools: Any, *, tool_choice: Any = None, **kwargs: Any) -> Any:
        from langchain_core.utils.function_calling import convert_to_openai_tool

        described = [convert_to_openai_tool(tool) for tool in tools]
        return self.bind(tools=described, vendors_choice=tool_choice, **kwargs)

    def _stream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Any:
        from langchain_core.outputs import ChatGenerationChunk

        self._note(messages, stop, kwargs)
        name = kwargs["tools"][0]["function"]["name"]
        for n, piece in enumerate(self.args):
            call = {
                "name": None if n else name,
                "args": piece,
                "id": None if n else "c1",
                "index": 0,
                "type": "tool_call_chunk",
            }
            yield ChatGenerationChunk(message=TheirChunk("", tool_call_chunks=[call]))

    def _generate(self, messages: Any, stop: Any = None, *a: Any, **kwargs: Any) -> ChatResult:
        import json

        name = kwargs["tools"][0]["function"]["name"]
        call = {"name": name, "args": json.loads("".join(self.args)), "id": "c1"}
        message = TheirAnswer("", tool_calls=[call])
        return ChatResult(generations=[ChatGeneration(message=message)])


class Country(BaseModel):
    """A country."""

    name: str
    people: int


@tool
def country(name: str, people: int) -> str:
    """Note a country."""
    return f"{name}: {people}"


@every_colour
@pytest.mark.parametrize("given", [country, Country, "theirs"])
def test_tools(colour: Any, given: Any) -> None:
    def body(doors: Any) -> None:
        thing = as_langchain(country) if given == "theirs" else given
        model = from_langchain(Speaker()).bind_tools([thing], tool_choice="any")
        name = "Country" if given is Country else "country"
        expected = {"name": name, "args": {"name": "Spain", "people": 48}, "id": "c1"}
        for answer in (doors.invoke(model, "x"), merge(doors.stream(model, "x"))):
            assert answer.tool_calls == [{**expected, "type": "tool_call"}]
        (told,) = model.bound.langchain.given
        assert told["vendors_choice"] == "any"
        assert set(told["tools"][0]["function"]["parameters"]["properties"]) == {"name", "people"}

    colour.run(body)


@every_colour
@pytest.mark.parametrize("method", [None, "function_calling"])
def test_structured_output(colour: Any, method: Any) -> None:
    def body(doors: Any) -> None:
        model = from_langchain(Speaker())
        chain = model.with_structured_output(Country)
        assert doors.invoke(chain, "x") == Country(name="Spain", people=48)
        grown = doors.stream(chain, "x")
        assert grown[-1] == Country(name="Spain", people=48)
        assert len(grown) > 1  # values grow, as Headrace's do
        raw = model.with_structured_output(Country, include_raw=True)
        answer = doors.invoke(raw, "x")
        assert answer["parsed"] == Country(name="Spain", people=48)
        assert type(answer["raw"]) is AIMessage

    colour.run(body)


def test_a_schema_that_langchain_does_not_know() -> None:
    chain: Any = from_langchain(Speaker()).with_structured_output(list[int])
    described = chain.steps[0].kwargs["tools"][0]["function"]["parameters"]["properties"]
    (key,) = described
    model = from_langchain(Speaker(args=[f'{{"{key}": [', "1, 2", "]}"]))
    assert model.with_structured_output(list[int]).invoke("x") == [1, 2]


def test_tokens_are_counted_by_langchains_model() -> None:
    class Counting(Scripted):
        def get_token_ids(self, text: str) -> list[int]:
            return [ord(letter) for letter in text]

    model = from_langchain(Counting())
    assert model.get_token_ids("ab") == [97, 98]
    assert model.get_num_tokens("abc") == 3
    assert model.get_num_tokens_from_messages([("human", "x")]) == len("Human: x")


def test_who_it_is() -> None:
    theirs = Streaming(disable_streaming=True, metadata={"a": 1})
    model = from_langchain(theirs)
    assert model.get_name() == "Streaming"
    assert model._llm_type == "scripted"
    assert model._get_ls_params()["ls_provider"] == "streaming"
    assert [type(c) for c in model.stream("x")] == [AIMessage]
    assert model.metadata["a"] == 1
    assert as_langchain(model) is theirs


# ------------------------------------------------------------------ text models


@every_colour
def test_text_models(colour: Any) -> None:
    def body(doors: Any) -> None:
        model = from_langchain(Text())
        assert isinstance(model, BaseLLM)
        assert doors.invoke(model, "x") == "<x>"
        assert doors.stream(model, "x") == ["<", "x", ">"]
        seen = Recorder()
        assert doors.batch(model, ["a", "b"], {"callbacks": [seen]}) == ["<a>", "<b>"]
        assert model.langchain.calls == [1, 2]
        assert [e[0] for e in seen.events].count("start") == 2

    colour.run(body)


def test_a_fake_of_langchains() -> None:
    assert from_langchain(FakeListLLM(responses=["a"])).invoke("x") == "a"
