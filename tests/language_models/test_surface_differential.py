"""The same model class under both libraries: what they make of its chunks, and where they differ.

What Headrace does otherwise is asserted as it is, beside what langchain-core does; each such place
has its row in docs/differences.md.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from pydantic import BaseModel

from language_models.scripted import PLACES, call_pieces, library, text_pieces
from laws.effort import examples

L, H = library("langchain_core"), library("headrace")
both = pytest.mark.parametrize("names", [L, H], ids=["langchain", "headrace"])
few = examples(15)


class Joke(BaseModel):
    setup: str
    punchline: str
    rating: int | None = None


VALUE = {"setup": "Why?", "punchline": 'Because, "so".', "rating": 7}
TEXT = json.dumps(VALUE)
JOKE = Joke(**VALUE)
AS_JSON = {**Joke.model_json_schema(), "title": "Joke", "description": "A joke."}
USAGE = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
LAST = {"usage_metadata": USAGE, "response_metadata": {"finish_reason": "stop"}}


def plain(message: Any) -> Any:
    calls = [{k: call[k] for k in ("name", "args", "id")} for call in message.tool_calls]
    return (message.content, calls, message.usage_metadata, message.response_metadata)


def invoked(chain: Any, *args: Any, **kwargs: Any) -> list[Any]:
    return [chain.invoke(*args, **kwargs), asyncio.run(chain.ainvoke(*args, **kwargs))]


@few
@given(places=PLACES)
def test_usage_and_metadata_add_up_to_the_same(places):
    for pieces in (text_pieces(TEXT, places, **LAST), call_pieces("Joke", TEXT, places, **LAST)):
        results = []
        for names in (L, H):
            model = names.Scripted(pieces=pieces)
            chunks = list(model.stream("?"))
            total = chunks[0]
            for chunk in chunks[1:]:
                total = total + chunk
            assert plain(total) == plain(model.invoke("?"))
            results.append(plain(total))
        assert results[0] == results[1]
        assert results[0][2] == USAGE


@pytest.mark.parametrize("schema", [Joke, AS_JSON], ids=["pydantic", "json schema"])
@few
@given(places=PLACES)
def test_structured_output_by_calling(schema, places):
    expected = JOKE if schema is Joke else VALUE
    for names in (L, H):
        model = names.Scripted(pieces=call_pieces("Joke", TEXT, places))
        chain = model.with_structured_output(schema)
        assert invoked(chain, "?") == [expected, expected]
        assert list(chain.stream("?"))[-1] == expected


@pytest.mark.parametrize("schema", [Joke, AS_JSON], ids=["pydantic", "json schema"])
@few
@given(places=PLACES)
def test_include_raw(schema, places):
    expected = JOKE if schema is Joke else VALUE
    for names in (L, H):
        model = names.Scripted(pieces=call_pieces("Joke", TEXT, places))
        chain = model.with_structured_output(schema, include_raw=True)
        whole = chain.invoke("?")
        assert list(whole) == ["raw", "parsed", "parsing_error"]
        assert (whole["parsed"], whole["parsing_error"]) == (expected, None)
        assert whole["raw"].tool_calls[0]["args"] == VALUE
        total: Any = None
        for chunk in chain.stream("?"):
            total = chunk if total is None else total + chunk
        assert total["parsed"] == expected
        assert total["parsing_error"] is None
        assert total["raw"].tool_calls[0]["args"] == VALUE


@both
def test_include_raw_of_what_does_not_fit(names):
    model = names.Scripted(pieces=call_pieces("Joke", '{"setup": "Why?"}'))
    whole = model.with_structured_output(Joke, include_raw=True).invoke("?")
    assert whole["parsed"] is None
    assert "punchline" in str(whole["parsing_error"])
    assert whole["raw"].tool_calls[0]["args"] == {"setup": "Why?"}


def test_talk_instead_of_a_call_is_none_there_and_an_error_here():
    pieces = text_pieces("I know no jokes.")
    assert L.Scripted(pieces=pieces).with_structured_output(Joke).invoke("?") is None
    with pytest.raises(H.OutputParserException, match="I know no jokes"):
        H.Scripted(pieces=pieces).with_structured_output(Joke).invoke("?")


def test_arguments_cut_short_are_a_value_there_and_an_error_here():
    last = {"response_metadata": {"finish_reason": "length"}}
    pieces = call_pieces("Joke", '{"setup": "Why?", "punchline": "Bec', **last)
    found = L.Scripted(pieces=pieces).with_structured_output(Joke).invoke("?")
    assert found == Joke(setup="Why?", punchline="Bec")
    with pytest.raises(H.OutputParserException, match="cut off"):
        H.Scripted(pieces=pieces).with_structured_output(Joke).invoke("?")


def test_partial_objects_stream_here_only():
    pieces = call_pieces("Joke", TEXT, range(0, 60, 4))
    there = list(L.Scripted(pieces=pieces).with_structured_output(Joke).stream("?"))
    here = list(H.Scripted(pieces=pieces).with_structured_output(Joke).stream("?"))
    assert {type(each) for each in there} == {Joke}
    assert len(here) > len(there)
    assert here[1].punchline is None
    assert here[-1] == there[-1] == JOKE


def test_a_method_that_the_model_lacks_is_ignored_there_and_refused_here():
    pieces = call_pieces("Joke", TEXT)
    chain = L.Scripted(pieces=pieces).with_structured_output(Joke, method="json_mode")
    assert chain.invoke("?") == JOKE
    with pytest.raises(NotImplementedError, match="json_mode"):
        H.Scripted(pieces=pieces).with_structured_output(Joke, method="json_mode")


@pytest.mark.parametrize("prompts", [[["a"]], [["a"], ["b"]]])
def test_generate(prompts):
    results = []
    for names in (L, H):
        model = names.Scripted(pieces=text_pieces("x y", [2], **LAST))
        made = [[names.HumanMessage(text) for text in prompt] for prompt in prompts]
        for result in (model.generate(made, stop=["."]), asyncio.run(model.agenerate(made))):
            texts = [[c.text for c in candidates] for candidates in result.generations]
            usage = result.generations[0][0].message.usage_metadata
            results.append((texts, usage, result.llm_output, len(result.run)))
        assert model.calls[0] == {"stop": ["."]}
    assert results[:2] == results[2:]
    assert results[0][0] == [["x y"]] * len(prompts)


@both
def test_fakes_answer_alike(names):
    made = {
        "list": names.FakeListChatModel(responses=["one two", "b"]),
        "generic": names.GenericFakeChatModel(messages=iter(["one two", "b"])),
        "messages": names.FakeMessagesListChatModel(
            responses=[names.AIMessage("one two"), names.AIMessage("b")]
        ),
        "parrot": names.ParrotFakeChatModel(),
    }
    answers = {key: model.invoke("one two").content for key, model in made.items()}
    assert answers == dict.fromkeys(made, "one two")
    assert made["list"].invoke("x").content == "b"
    pieces = {
        key: [chunk.content for chunk in model.stream("b") if chunk.content]
        for key, model in made.items()
    }
    assert pieces["generic"] == pieces["parrot"] == ["b"]


@both
def test_output_versions(names):
    for version, expected in (("v1", [{"type": "text", "text": "a"}]), ("v0", "a"), (None, "a")):
        model = names.GenericFakeChatModel(messages=iter(["a", "b c"]), output_version=version)
        assert model.invoke("?").content == expected
        total: Any = None
        for chunk in model.stream("?"):
            total = chunk if total is None else total + chunk
        if version == "v1":
            assert total.content == [{"type": "text", "text": "b c", "index": 0}]
        else:
            assert total.content == "b c"
